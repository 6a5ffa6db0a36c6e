//! Messages between driver and workers, and batches of calls and results: any bytes give a value or
//! an error, and what is read as a message is written as the same bytes. What travels as
//! MessagePack (errors, the options of calls and actors) has several forms for one value; that one
//! is written as it was read from the second time on. `fuzz/corpus/messages` keeps inputs that
//! failed once, under names that say how.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_protocol::{Format, Input, Inputs, Payload, message::FromWorker, wire};
use mobula_store::Block;
use mobula_worker::batch::{BatchResults, FUNCTION, TAG};

fn batch(bytes: &[u8]) -> Payload {
    Payload {
        format: Format::Packed { of: TAG },
        block: Block::copy_of(bytes, 1),
        attachments: Vec::new(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(message) = wire::decode_to_worker(bytes) {
        let text = format!("{message:?}");
        let mut written = Vec::new();
        wire::encode_to_worker(&message, &mut written).expect("it was a message");
        if text.contains("Err(") || text.contains("options: Some") {
            let message = wire::decode_to_worker(&written).expect("it was written");
            let mut again = Vec::new();
            wire::encode_to_worker(&message, &mut again).expect("it was a message");
            assert_eq!(again, written);
        } else {
            assert_eq!(written, bytes);
        }
    }
    if let Ok(message) = wire::decode_from_worker(bytes) {
        let text = format!("{message:?}");
        let mut written = Vec::new();
        wire::encode_from_worker(&message, &mut written).expect("it was a message");
        if text.contains("Err(")
            || text.contains("options: Some")
            || matches!(message, FromWorker::Cancel { .. })
            || matches!(message, FromWorker::CreateActor { .. })
        {
            let message = wire::decode_from_worker(&written).expect("it was written");
            let mut again = Vec::new();
            wire::encode_from_worker(&message, &mut again).expect("it was a message");
            assert_eq!(again, written);
        } else {
            assert_eq!(written, bytes);
        }
    }
    let Some((&calls, rest)) = bytes.split_first() else {
        return;
    };
    if let Ok(results) = BatchResults::open(batch(rest), calls.into()) {
        assert_eq!(results.count(), usize::from(calls));
    }
    // No function is registered here, so that nothing runs.
    let mut inputs = Inputs::new(vec![Input::Value(batch(rest), None)]);
    assert!((FUNCTION.run)(&mut inputs).is_err());
});
