//! Messages between driver and workers, and batches of calls and results: any bytes give a value or an
//! error, and what is read as a message is written as the same bytes.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mobula_store::Block;
use mobula_worker::{
    Format, Input, Inputs, Payload,
    batch::{BatchResults, FUNCTION, TAG},
    wire,
};

fn batch(bytes: &[u8]) -> Payload {
    Payload {
        format: Format::Packed { of: TAG },
        block: Block::copy_of(bytes, 1),
        side: Vec::new(),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let mut again = Vec::new();
    if let Ok(message) = wire::decode_to_worker(bytes) {
        wire::encode_to_worker(&message, &mut again).expect("it was a message");
        // Errors travel as MessagePack, which has several forms for one value.
        if !format!("{message:?}").contains("Err(") {
            assert_eq!(again, bytes);
        }
    }
    again.clear();
    if let Ok(message) = wire::decode_from_worker(bytes) {
        wire::encode_from_worker(&message, &mut again).expect("it was a message");
        if !format!("{message:?}").contains("Err(") {
            assert_eq!(again, bytes);
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
