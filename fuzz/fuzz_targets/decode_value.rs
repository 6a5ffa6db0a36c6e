//! Any bytes, read as several types: an error or a value, and the value is written as it was read.

#![no_main]

mod value;

use std::collections::{BTreeMap, HashMap};

use libfuzzer_sys::fuzz_target;
use mobula_store::{
    Array, Block,
    codec::{Handle, decode, encode, type_tag},
};
use serde::{Serialize, de::DeserializeOwned};
use value::{Flat, Tagged, Untagged, Value};

/// Reads, writes what was read, and reads that again: nothing may change any more.
fn check<T: Serialize + DeserializeOwned>(bytes: &[u8], items: &[Handle]) {
    let Ok(value) = decode::<T>(bytes, items) else {
        return;
    };
    // The deepest values can be read in a form that takes fewer levels than the one they are
    // written in.
    let Ok(first) = encode(&value) else { return };
    let again = decode::<T>(&first.bytes, &first.items).expect("what was written can be read");
    assert_eq!(
        encode(&again).expect("it was written before").bytes,
        first.bytes
    );
}

fuzz_target!(|bytes: &[u8]| {
    let items = [
        Handle::array(Block::copy_of(&[0; 8], 64), type_tag::<u32>(), 2),
        Handle::array(Block::copy_of(&[1; 3], 64), type_tag::<bool>(), 3),
    ];
    check::<Value>(bytes, &[]);
    check::<Tagged>(bytes, &[]);
    check::<Flat>(bytes, &[]);
    check::<Vec<Untagged>>(bytes, &[]);
    check::<(u8, i32, u128, f32, char, String)>(bytes, &[]);
    check::<BTreeMap<Option<i128>, Vec<u8>>>(bytes, &[]);
    check::<BTreeMap<String, Option<Array<u32>>>>(bytes, &items);
    check::<Vec<Array<bool>>>(bytes, &items);
    let _ = decode::<HashMap<String, std::net::IpAddr>>(bytes, &[]);
    let _ = decode::<serde::de::IgnoredAny>(bytes, &[]);
});
