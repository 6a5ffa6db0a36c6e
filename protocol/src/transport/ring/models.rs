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

/// Three frames of two words, and three more, go twice around a ring that holds four.
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
    passes(MIN_CAPACITY, 4 * 56 + 10, 1);
}

/// Frames of two lines go around a ring of eight, three of them for each message. The second
/// message is written over the first.
#[test]
fn loom_frames_of_several_lines_arrive_whole() {
    passes(2 * MIN_CAPACITY, 300, 2);
}

/// Sends messages of `len` bytes through a ring. They may have any number of frames.
fn passes(capacity: usize, len: u64, messages: u64) {
    let bytes = move |message: u64| -> Vec<u8> {
        // All words of all messages are different.
        (0..len).map(|at| (at + 101 * message) as u8).collect()
    };
    let model = move || {
        let memory = Model::new(ring_words(capacity), 0);
        let ring = Ring::new(memory, 0, capacity);
        let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
        let sender = thread::spawn(move || {
            for message in 0..messages {
                let (bytes, mut sent) = (bytes(message), 0);
                while !producer.stage(&bytes, &mut sent).unwrap() {
                    producer.publish();
                    thread::yield_now();
                }
            }
            producer.publish();
        });
        let mut out = Vec::new();
        for message in 0..messages {
            while !consumer.pop(&mut out).unwrap() {
                thread::yield_now();
            }
            assert_eq!(out, bytes(message));
        }
        sender.join().unwrap();
    };
    let mut builder = Builder::new();
    builder.preemption_bound = Some(2);
    builder.max_branches = 20_000;
    builder.check(model);
}
