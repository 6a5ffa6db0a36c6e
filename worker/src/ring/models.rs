//! Models of the ring: every order of its accesses that memory permits, within a bound.

use loom::{model::Builder, thread};

use super::*;
use crate::primitive::model::Model;

fn check(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn ring() -> Ring<Model> {
    Ring::new(Model::new(ring_words(MIN_CAPACITY), 0), 0, MIN_CAPACITY)
}

/// Three frames of two words and three more go twice around a ring that holds four.
#[test]
fn loom_messages_arrive_whole_and_in_order() {
    check(|| {
        let ring = ring();
        let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
        let sender = thread::spawn(move || {
            for number in 0..6_u64 {
                let bytes = (number + 1).to_ne_bytes();
                while !producer.stage(&bytes, &mut 0).unwrap() {
                    producer.publish();
                    thread::yield_now();
                }
                if number % 2 == 1 {
                    producer.publish();
                }
            }
        });
        let mut out = Vec::new();
        for number in 0..6_u64 {
            while !consumer.pop(&mut out).unwrap() {
                thread::yield_now();
            }
            assert_eq!(out, (number + 1).to_ne_bytes());
        }
        sender.join().unwrap();
    });
}

/// A message of five frames passes through a ring of four.
#[test]
fn loom_a_long_message_is_joined() {
    check(|| {
        let ring = ring();
        let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
        let message: Vec<u8> = (0..38).collect();
        let expected = message.clone();
        let sender = thread::spawn(move || {
            let mut sent = 0;
            while !producer.stage(&message, &mut sent).unwrap() {
                producer.publish();
                thread::yield_now();
            }
            producer.publish();
        });
        let mut out = Vec::new();
        while !consumer.pop(&mut out).unwrap() {
            thread::yield_now();
        }
        assert_eq!(out, expected);
        sender.join().unwrap();
    });
}
