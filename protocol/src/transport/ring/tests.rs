//! The ring in one process: against a queue, against garbage, and between two threads.

use std::{
    collections::VecDeque,
    sync::Arc,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread,
};

use proptest::prelude::*;

use super::*;

/// Private memory in place of a mapping.
#[derive(Clone, Debug)]
struct Private(Arc<Vec<AtomicU64>>);

impl Private {
    fn ring(capacity: usize) -> Ring<Private> {
        let words = (0..ring_words(capacity))
            .map(|_| AtomicU64::new(0))
            .collect();
        Ring::new(Private(Arc::new(words)), 0, capacity)
    }
}

impl Memory for Private {
    type Word = AtomicU64;
    type Futex = AtomicU32;

    fn words(&self) -> &[AtomicU64] {
        &self.0
    }

    fn futex(&self, _: usize) -> &AtomicU32 {
        unreachable!("a ring has no futex")
    }

    fn fence() {
        std::sync::atomic::fence(Ordering::SeqCst);
    }
}

/// Returns bytes that identify their message and place.
fn message(number: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| (number.wrapping_mul(31) ^ i) as u8)
        .collect()
}

fn stage(producer: &mut Producer<Private>, message: &[u8]) -> bool {
    producer.stage(message, &mut 0).unwrap()
}

fn pop(consumer: &mut Consumer<Private>) -> Option<Vec<u8>> {
    let mut out = b"old".to_vec();
    let some = consumer.pop(&mut out).unwrap();
    if !some {
        assert_eq!(out, b"old");
    }
    some.then_some(out)
}

#[test]
fn nothing_is_visible_before_it_is_published() {
    let ring = Private::ring(64);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    assert!(stage(&mut producer, b"one"));
    assert!(stage(&mut producer, b""));
    assert!(!consumer.ready());
    assert_eq!(pop(&mut consumer), None);
    assert!(producer.publish());
    assert!(!producer.publish());
    assert!(consumer.ready());
    assert_eq!(pop(&mut consumer).unwrap(), b"one");
    assert_eq!(pop(&mut consumer).unwrap(), b"");
    assert_eq!(pop(&mut consumer), None);
    assert!(!consumer.ready());
}

#[test]
fn a_full_ring_goes_on_where_it_stopped() {
    let ring = Private::ring(32);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    // Frames hold 56 bytes here, so three of them fill the ring.
    let long = message(1, 1000);
    let (mut sent, mut out, mut steps) = (0, Vec::new(), 0);
    while !producer.stage(&long, &mut sent).unwrap() {
        assert_eq!(sent % 56, 0);
        producer.publish();
        assert!(!consumer.pop(&mut out).unwrap());
        steps += 1;
    }
    producer.publish();
    assert_eq!(steps, 1000 / (3 * 56));
    assert!(consumer.pop(&mut out).unwrap());
    assert_eq!(out, long);
}

#[test]
fn space_comes_back_before_the_ring_is_empty() {
    let ring = Private::ring(128);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut number = 0;
    while stage(&mut producer, &message(number, 8)) {
        number += 1;
    }
    producer.publish();
    producer.want_space();
    assert!(!stage(&mut producer, &message(number, 8)));
    let mut read = 0;
    while !consumer.take_wake_producer() {
        assert_eq!(pop(&mut consumer).unwrap(), message(read, 8));
        read += 1;
    }
    assert_eq!(read, 8, "half of a ring of sixteen frames");
    assert!(stage(&mut producer, &message(number, 8)));
    assert!(!consumer.take_wake_producer(), "asked once, told once");
}

#[test]
fn a_message_over_the_limit_leaves_the_ring_as_it_was() {
    let ring = Private::ring(64);
    let (producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut producer = OverflowProducer::new(producer);
    // Zeroed memory that is never touched costs nothing.
    let long = vec![0; MAX_MESSAGE + 1];
    let too_long = RingError::TooLong { len: long.len() };
    assert_eq!(producer.send(&long), Err(too_long));
    producer.send(&message(0, 600)).unwrap();
    assert_eq!(producer.pending(), 1);
    assert_eq!(producer.send(&long), Err(too_long));
    while !producer.flush().unwrap().all {
        assert_eq!(pop(&mut consumer), None);
    }
    assert_eq!(pop(&mut consumer).unwrap(), message(0, 600));
}

#[test]
fn what_does_not_fit_waits_in_order() {
    let ring = Private::ring(32);
    let mut producer = OverflowProducer::new(ring.producer());
    let mut consumer = ring.consumer();
    let sizes = [3, 0, 200, 17, 8, 100];
    for (number, len) in sizes.into_iter().enumerate() {
        producer.send(&message(number, len)).unwrap();
    }
    let mut got = Vec::new();
    loop {
        let flushed = producer.flush().unwrap();
        if flushed.all {
            assert_eq!(producer.pending(), 0);
            break;
        }
        assert!(flushed.news, "each round finds an empty ring");
        got.extend(std::iter::from_fn(|| pop(&mut consumer)));
        assert!(consumer.take_wake_producer());
    }
    got.extend(std::iter::from_fn(|| pop(&mut consumer)));
    let sent: Vec<_> = sizes
        .into_iter()
        .enumerate()
        .map(|(n, len)| message(n, len))
        .collect();
    assert_eq!(got, sent);
    assert_eq!(
        producer.flush().unwrap(),
        Flushed {
            news: false,
            all: true
        }
    );
}

fn corrupt(result: Result<bool, RingError>) {
    assert!(
        matches!(result, Err(RingError::Corrupt { .. })),
        "{result:?}"
    );
}

#[test]
fn a_wrong_index_is_an_error() {
    for wrong in [65, 3, u64::MAX, 1 << 63] {
        let ring = Private::ring(64);
        let mut producer = ring.producer();
        while stage(&mut producer, b"message") {}
        producer.publish();
        ring.tail().store(wrong | 1 << 40, Ordering::Relaxed);
        corrupt(producer.stage(b"more", &mut 0));
    }
}

#[test]
fn an_index_that_goes_back_is_an_error() {
    let ring = Private::ring(64);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    for _ in 0..20 {
        stage(&mut producer, b"message");
        producer.publish();
        assert!(pop(&mut consumer).is_some());
    }
    while stage(&mut producer, b"message") {}
    ring.tail().store(0, Ordering::Relaxed);
    corrupt(producer.stage(b"message", &mut 0));
}

/// Returns the header of a frame at index `at`.
fn header(at: u64, first: bool, last: bool, len: usize) -> u64 {
    frame::Header { first, last, len }.encode(at)
}

#[test]
fn a_wrong_header_is_an_error() {
    let frame = |first, last, len| header(0, first, last, len);
    let wrong = [
        1,
        u64::MAX,
        frame(true, true, 4) ^ 1 << 40,
        frame(true, true, 200),
        // This header is of another lap.
        header(64, true, true, 4),
        // This frame is empty, but is not a whole message.
        frame(true, false, 0),
        // This frame continues a message that has not begun.
        frame(false, false, 8),
        frame(false, true, 8),
    ];
    for header in wrong {
        let ring = Private::ring(64);
        ring.data()[0].store(header, Ordering::Relaxed);
        corrupt(ring.consumer().pop(&mut Vec::new()));
    }
    // This frame begins a message within another one.
    let ring = Private::ring(64);
    ring.data()[0].store(frame(true, false, 8), Ordering::Relaxed);
    ring.data()[8].store(header(8, true, true, 8), Ordering::Relaxed);
    corrupt(ring.consumer().pop(&mut Vec::new()));
}

/// The word at the place of the next header is left over from an earlier lap, and looks like a
/// header.
#[test]
fn what_is_left_of_an_earlier_lap_is_never_read() {
    let ring = Private::ring(64);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let mut at = 0;
    for round in 0..50 {
        // Each word of the payload is a header of the frame that could begin there in the next lap.
        let words = if round % 2 == 0 { 15 } else { 7 };
        let payload: Vec<u8> = (1..=words)
            .flat_map(|word| header(at + word + 64, true, true, 8).to_le_bytes())
            .collect();
        assert!(stage(&mut producer, &payload));
        producer.publish();
        assert_eq!(pop(&mut consumer).unwrap(), payload);
        assert!(!consumer.ready());
        assert_eq!(pop(&mut consumer), None);
        at += 1 + words;
    }
}

#[derive(Clone, Debug)]
enum Step {
    Send(usize),
    Flush,
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let len = prop_oneof![6 => 0_usize..40, 2 => 40_usize..600, 1 => 600_usize..5000];
    let step = prop_oneof![
        3 => len.prop_map(Step::Send),
        2 => Just(Step::Flush),
        4 => Just(Step::Pop),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #[test]
    fn it_is_a_queue(capacity in 5_u32..9, steps in steps()) {
        let ring = Private::ring(1 << capacity);
        let mut producer = OverflowProducer::new(ring.producer());
        let mut consumer = ring.consumer();
        let mut model = VecDeque::new();
        let mut number = 0;
        for step in steps {
            match step {
                Step::Send(len) => {
                    let message = message(number, len);
                    number += 1;
                    producer.send(&message).unwrap();
                    model.push_back(message);
                }
                Step::Flush => {
                    let flushed = producer.flush().unwrap();
                    prop_assert_eq!(flushed.all, producer.pending() == 0);
                }
                Step::Pop => {
                    if let Some(message) = pop(&mut consumer) {
                        prop_assert_eq!(Some(message), model.pop_front());
                    }
                }
            }
        }
        // All messages that were sent arrive, and no others.
        while !model.is_empty() {
            producer.flush().unwrap();
            while let Some(message) = pop(&mut consumer) {
                prop_assert_eq!(Some(message), model.pop_front());
            }
        }
        prop_assert_eq!(producer.pending(), 0);
        prop_assert!(!consumer.ready() || consumer.take_wake_producer() || pop(&mut consumer).is_none());
    }

    /// With any words, the consumer gives messages that lie in the ring, or an error, and comes to
    /// an end.
    #[test]
    fn garbage_is_an_error_or_a_message(
        words in proptest::collection::vec(any::<u64>(), 32),
        headers in proptest::collection::vec((0_u64..5, any::<bool>(), any::<bool>(), 0_usize..70), 0..32),
    ) {
        let ring = Private::ring(32);
        for (word, value) in ring.data().iter().zip(words) {
            word.store(value, Ordering::Relaxed);
        }
        for (line, first, last, len) in headers {
            let at = line * 8;
            ring.data()[at as usize % 32].store(header(at, first, last, len), Ordering::Relaxed);
        }
        let mut consumer = ring.consumer();
        let mut out = Vec::new();
        let mut total = 0;
        while let Ok(true) = consumer.pop(&mut out) {
            total += 8 + out.len();
            prop_assert!(total <= 32 * 8);
        }
    }
}

#[test]
fn two_threads_agree() {
    const MESSAGES: usize = 20_000;
    let ring = Private::ring(64);
    let (mut producer, mut consumer) = (ring.producer(), ring.consumer());
    let len = |number: usize| {
        if number.is_multiple_of(100) {
            3000
        } else {
            number * 7 % 90
        }
    };
    thread::scope(|scope| {
        scope.spawn(move || {
            for number in 0..MESSAGES {
                let mut sent = 0;
                let message = message(number, len(number));
                while !producer.stage(&message, &mut sent).unwrap() {
                    producer.publish();
                    thread::yield_now();
                }
                if number % 3 == 0 {
                    producer.publish();
                }
            }
            producer.publish();
        });
        let mut out = Vec::new();
        for number in 0..MESSAGES {
            while !consumer.pop(&mut out).unwrap() {
                thread::yield_now();
            }
            assert_eq!(out, message(number, len(number)));
        }
        assert!(!consumer.pop(&mut out).unwrap());
    });
}
