//! Tests of unexpected payloads, of types that the table does not have, and of the choice of
//! codecs.

use std::{collections::HashMap, rc::Rc};

use bytemuck::{Pod, Zeroable};
use mobula_protocol::{Error, Format, Input, Payload, Result, Shape, TypeTag};
use mobula_store::Block;
use serde::{Deserialize, Serialize};

use super::Rt;
use crate::{
    __private::{Level1, Level2, Level3, Level4, Level5, Level6, Level7, Probe},
    Array, remote,
    typed::{
        bytes::tag,
        codecs::{Codec, Own, decode_value, encode_value},
        place::Place,
    },
};

/// A type that the table has, since a function takes it.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Known {
    n: u32,
}

#[remote]
fn takes_known(known: &Known) -> u32 {
    known.n
}

/// A plain serde type that is in no signature.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
struct Unmentioned {
    x: f64,
}

/// A type like `Unmentioned` for another test, so that neither test sees the other's `put`.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable, Serialize, Deserialize)]
#[repr(C)]
struct PutAsSlice {
    x: f64,
}

fn payload<T: crate::Value>(value: T) -> Payload {
    encode_value(&value, Place::Current).unwrap()
}

fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    let error: Error = result.unwrap_err();
    assert!(error.is_type_mismatch() || error.is_codec(), "{error:?}");
    error.to_string()
}

#[test]
fn a_wrong_type_names_both() {
    let slice = (&&&&&&&Probe::<[f64]>::NEW).codec();
    let text = message(slice.lend(Input::Value(payload(vec![1_u64]), None)));
    assert!(
        text.contains("`[f64]`") && text.contains("1 elements `u64`"),
        "{text}"
    );
    let text = message(slice.lend(Input::Value(payload(String::new()), None)));
    assert!(
        text.contains("`[f64]`") && text.contains("a text"),
        "{text}"
    );
    let text = message(slice.lend(Input::Value(payload(Known { n: 1 }), None)));
    assert!(
        text.contains("Vec<f64>`") && text.contains("codecs::Known`"),
        "{text}"
    );
    let text = message(slice.lend(Input::Gather(Vec::new().into())));
    assert!(text.contains("0 values"), "{text}");
    // The message knows the name because this function uses the type.
    assert_eq!(takes_known(&Known { n: 1 }), 1);
    let _: fn(&'static Known) -> crate::UnspawnedCall<u32> = takes_known::remote;

    let text = message(decode_value::<Known>(payload(vec![1.0])));
    assert!(
        text.contains("codecs::Known`") && text.contains("`f64`"),
        "{text}"
    );
    let text = message(decode_value::<Known>(payload(Some(3_i128))));
    assert!(
        text.contains("codecs::Known`") && text.contains("another type"),
        "{text}"
    );
    let text = message(decode_value::<String>(payload(vec![1_u8])));
    assert!(text.contains("String`") && text.contains("`u8`"), "{text}");
    let text = message(decode_value::<Array<f64>>(payload(vec![1_u8])));
    assert!(
        text.contains("Array<f64>`") && text.contains("`u8`"),
        "{text}"
    );
    let text = message(decode_value::<Vec<u8>>(payload(String::from("x"))));
    assert!(
        text.contains("Vec<u8>`") && text.contains("a text"),
        "{text}"
    );
}

#[test]
fn the_messages_name_the_argument() {
    let codec = (&&&&&&&Probe::<[f64]>::NEW).codec();
    let mut inputs = mobula_protocol::Inputs::new(vec![Input::Value(payload(String::new()), None)]);
    let text = message(crate::__private::lend::<[f64], _>(
        &codec,
        &mut inputs,
        "samples",
    ));
    assert!(
        text.starts_with("argument `samples`: expected `[f64]`"),
        "{text}"
    );
}

#[test]
fn impossible_payloads_are_errors() {
    let block = |len: usize| Block::copy_of(&vec![0; len], 64);
    let flat = |shape: &[u64], len| Payload {
        format: Format::Flat {
            elem: tag::<f64>(),
            shape: shape.into(),
        },
        block: block(len),
        attachments: Vec::new(),
    };
    let codec = (&&&&&&&Probe::<Vec<f64>>::NEW).codec();
    for bad in [
        flat(&[2], 8),
        flat(&[1], 9),
        flat(&[], 8),
        flat(&[1, 1], 8),
        flat(&[u64::MAX], 8),
        flat(&[u64::MAX, 2], 8),
        flat(&[1 << 61, 8], 0),
    ] {
        message(codec.own(Input::Value(bad.clone(), None)));
        message(decode_value::<Vec<f64>>(bad.clone()));
        message(decode_value::<Array<f64>>(bad));
    }
    assert_eq!(decode_value::<Vec<f64>>(flat(&[1], 8)).unwrap(), [0.0]);

    let no_text = Payload {
        format: Format::Text,
        block: Block::copy_of(&[0xff], 1),
        attachments: Vec::new(),
    };
    message(decode_value::<String>(no_text.clone()));
    let codec = (&&&&&&&Probe::<str>::NEW).codec();
    let guard = codec.lend(Input::Value(no_text, None)).unwrap();
    message(codec.borrow(&guard));

    let bools = Payload {
        format: Format::Flat {
            elem: tag::<bool>(),
            shape: Shape::of_vec(1),
        },
        block: Block::copy_of(&[2], 1),
        attachments: Vec::new(),
    };
    message(decode_value::<Vec<bool>>(bools));

    let damaged = Payload {
        format: Format::Packed { of: tag::<Known>() },
        block: block(3),
        attachments: Vec::new(),
    };
    message(decode_value::<Known>(damaged.clone()));
    message(decode_value::<Known>(Payload {
        format: Format::Packed { of: TypeTag(1) },
        ..damaged
    }));
}

#[test]
fn plain_structs_that_no_signature_mentions() {
    let rt = Rt::start();
    let values = vec![Unmentioned { x: 1.0 }; 3];
    let packed = rt.put(&values).unwrap();
    assert_eq!(packed.get().unwrap(), values);
    let text = message(packed.view());
    assert!(text.contains("put(&vec[..])"), "{text}");
    // An `Array` is always stored flat.
    let array = rt.put(&Array::from(values.clone())).unwrap();
    assert_eq!(array.view().unwrap(), values);

    let values = vec![PutAsSlice { x: 1.0 }; 3];
    let slice = rt.put(&values[..]).unwrap();
    assert_eq!(slice.view().unwrap(), values);
    assert_eq!(slice.get().unwrap(), values);
}

#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C, align(128))]
struct Wide([u64; 16]);

#[test]
fn elements_with_a_large_alignment_are_aligned() {
    let rt = Rt::start();
    for n in [1, 1000] {
        let values = vec![Wide([7; 16]); n];
        let object = rt.put(&values[..]).unwrap();
        assert_eq!(object.view().unwrap(), values);
    }
    // The type needs a larger alignment than 64. If the bytes do not have it, they are copied.
    let bytes = Block::copy_of(&[1; 128], 64);
    let shifted = Payload {
        format: Format::Flat {
            elem: tag::<Wide>(),
            shape: Shape::of_vec(1),
        },
        block: bytes,
        attachments: Vec::new(),
    };
    let codec = (&&&&&&&Probe::<Array<Wide>>::NEW).codec();
    let ones = [Wide([0x0101_0101_0101_0101; 16])];
    assert_eq!(
        codec.own(Input::Value(shifted.clone(), None)).unwrap(),
        ones
    );
    assert_eq!(decode_value::<Array<Wide>>(shifted).unwrap(), ones);
}

#[test]
fn what_holds_only_an_array_is_stored_as_that() {
    #[derive(Serialize, Deserialize)]
    struct Wrapper(Array<f64>);
    let array = Array::from(vec![1.0, 2.0]);
    let stored = payload(Wrapper(array.clone()));
    assert_eq!(
        stored.format,
        Format::Flat {
            elem: tag::<f64>(),
            shape: Shape::of_vec(2)
        }
    );
    assert!(
        decode_value::<Wrapper>(stored)
            .unwrap()
            .0
            .same_memory(&array)
    );
    let several = payload((array.clone(), array.clone()));
    assert!(matches!(several.format, Format::Packed { .. }) && several.attachments.len() == 2);
    assert!(
        decode_value::<(Array<f64>, Array<f64>)>(several)
            .unwrap()
            .1
            .same_memory(&array)
    );
}

#[test]
fn every_kind_of_type_has_the_codec_that_it_should_have() {
    macro_rules! check {
        ($($codec:literal: $($t:ty),*;)*) => { $( $(
            let name = std::any::type_name_of_val(&(&&&&&&&Probe::<$t>::NEW).codec());
            let kind = name.split('<').next().and_then(|path| path.rsplit("::").next());
            assert_eq!(kind, Some($codec), "{}", stringify!($t));
        )* )* };
    }
    struct NotSerde;
    // Only types whose values threads can share have a `sharing`.
    assert!((&&&&&&&Probe::<Rc<u8>>::NEW).codec().sharing.is_none());
    assert!((&&&&&&&Probe::<Vec<Rc<u8>>>::NEW).codec().sharing.is_none());
    assert!((&&&&&&&Probe::<Known>::NEW).codec().sharing.is_some());
    assert!((&&&&&&&Probe::<[String]>::NEW).codec().sharing.is_some());
    check! {
        "FlatOrPackedSlice": [f64], [u8], [bool], [char], [[f32; 3]], [Unmentioned], [()];
        "FlatVec": Vec<f64>, Vec<Unmentioned>;
        "FlatSlice": [Wide];
        "PlainVec": Vec<Wide>;
        "FlatArray": Array<u8>, Array<Wide>;
        "RefToVec": crate::ObjectRef<Vec<f64>>, crate::ObjectRef<Vec<Wide>>;
        "Text": str;
        "OwnedText": String;
        "PackedSlice": [String], [Vec<f64>], [Option<f64>], [Array<f64>];
        "PackedVec": Vec<String>, Vec<Vec<f64>>, Vec<Rc<u8>>;
        "Packed": Rc<u8>, f64, (), [f64; 3], Known, HashMap<u8, u8>, Option<Array<Wide>>, crate::ObjectRef<f64>;
        "NoCodec": NotSerde, [NotSerde], Vec<NotSerde>, Option<NotSerde>, *const u8;
    }
}
