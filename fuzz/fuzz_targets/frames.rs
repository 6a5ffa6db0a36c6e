//! Frames to and from a peer in another language: any bytes give messages or an error, also as a
//! stream that says lengths. A message that is read is written in one form, and its value, if the
//! lists beside it fit, in one form again.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_protocol::{
    Registry,
    frames::{
        self, FromPeer, HEADER, Message, PeerArg, PeerOutcome, PeerValue, ToPeer,
        stream::{self, Frames},
    },
};
use mobula_store::SegmentId;
use std::os::fd::AsFd;

/// Reads a message, and writes it twice. Floats that are no numbers differ from themselves, so the
/// bytes are compared.
fn message<T: Message>(body: &[u8]) -> Option<T> {
    let message: T = T::decode(body).ok()?;
    let frame = message.encode().expect("it was a message");
    let header = frame[..HEADER].try_into().expect("a frame has a header");
    let length = frames::length(header).expect("it was written");
    assert_eq!(length, frame.len() - HEADER);
    let again = T::decode(&frame[HEADER..]).expect("it was written");
    assert_eq!(again.encode().expect("it was a message"), frame);
    let longer = [&frame[HEADER..], &[0]].concat();
    assert!(T::decode(&longer).is_err());
    Some(message)
}

/// Checks that the value equals the value that the peer has passed on.
fn value(said: &PeerValue) {
    let Ok(value) = said.value() else {
        return;
    };
    let passed = PeerValue::of(&value).expect("it has arrived");
    assert_eq!(passed.refs, said.refs);
    let mut told = passed.clone();
    told.places = said.places.clone();
    let value = told.value().expect("its lists fit");
    assert_eq!(PeerValue::of(&value).expect("it has arrived"), passed);
}

fn outcome(outcome: &PeerOutcome) {
    match outcome {
        PeerOutcome::Value(said) => value(said),
        PeerOutcome::Failure(_, _, _, Some(cause)) => self::outcome(cause),
        _ => {}
    }
}

fn arguments(args: &[PeerArg]) {
    for arg in args {
        match arg {
            PeerArg::Value(said) => value(said),
            PeerArg::Object(_) | PeerArg::Gather(_) => arg
                .objects()
                .iter()
                .filter_map(|(_, said)| said.as_ref())
                .for_each(value),
        }
    }
}

/// Reads the bytes as a stream, to its end or to what is no frame.
fn stream(bytes: &[u8]) {
    // More bytes might not fit into the socket, which no thread reads yet.
    const MOST: usize = 1 << 14;
    let (ours, theirs) = stream::pair().expect("a pair of sockets");
    let sent = &bytes[..bytes.len().min(MOST)];
    stream::write(ours.as_fd(), sent).expect("the other end is there");
    drop(ours);
    let mut frames = Frames::new(theirs);
    let mut read = 0;
    while let Ok(Some(_)) = frames.receive::<FromPeer>() {
        read += HEADER;
    }
    assert!(read <= sent.len());
}

fuzz_target!(|bytes: &[u8]| {
    let registry = Registry::get().expect("no function has two places");
    if let Some(frame) = message::<FromPeer>(bytes) {
        match &frame {
            FromPeer::Task(task) => arguments(&task.args),
            FromPeer::Ready(_, said) => outcome(said),
            _ => {}
        }
        let _ = frame.message(registry, SegmentId(0));
    }
    message::<ToPeer>(bytes);
    stream(bytes);
});
