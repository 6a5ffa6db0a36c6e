//! Bytes that are no encoding.

use std::{collections::BTreeMap, fmt};

use mobula_store::codec::{decode, encode};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{ByteString, unreadable};

#[test]
fn lengths_are_believed_only_as_far_as_there_are_bytes() {
    let huge = |marker: u8| [marker, 0xff, 0xff, 0xff, 0xff, 1, 2, 3];
    for error in [
        unreadable::<Vec<u64>>(&huge(0xdd)),
        unreadable::<Vec<()>>(&huge(0xdd)),
        unreadable::<BTreeMap<u8, u8>>(&huge(0xdf)),
        unreadable::<String>(&huge(0xdb)),
        unreadable::<ByteString>(&huge(0xc6)),
        unreadable::<Vec<u8>>(&huge(0xc9)),
        unreadable::<IgnoredAny>(&huge(0xdd)),
        unreadable::<IgnoredAny>(&[0xdc, 0, 3, 1, 2]),
        unreadable::<IgnoredAny>(&[0x82, 1, 1, 1]),
    ] {
        assert!(error.contains("the bytes are cut off"), "{error}");
    }
}

/// The length that the decoder has announced.
#[derive(Debug, Default)]
struct Hint(usize);

impl<'de> Deserialize<'de> for Hint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Hint, D::Error> {
        struct HintVisitor;
        impl<'de> Visitor<'de> for HintVisitor {
            type Value = Hint;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a collection")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Hint, A::Error> {
                let hint = elements.size_hint().expect("there is a hint");
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                assert_eq!(elements.size_hint(), Some(0));
                Ok(Hint(hint))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Hint, A::Error> {
                let hint = pairs.size_hint().expect("there is a hint");
                while pairs.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Hint(hint))
            }
        }
        deserializer.deserialize_any(HintVisitor)
    }
}

#[test]
fn hints_are_true_and_bounded() {
    let hint = |bytes: Vec<u8>| decode::<Hint>(&bytes, &[]).unwrap().0;
    for len in [0, 1, 4, 1000, 65_536] {
        assert_eq!(hint(encode(&vec![(); len]).unwrap().bytes), len);
        assert_eq!(hint(encode(&vec![7_u8; len]).unwrap().bytes), len);
        let map: BTreeMap<_, _> = (0..len).map(|n| (n, n)).collect();
        assert_eq!(hint(encode(&map).unwrap().bytes), len);
    }
    assert_eq!(hint(encode(&vec![(); 1 << 20]).unwrap().bytes), 1 << 16);
}

#[test]
fn nothing_may_follow_the_value() {
    let mut bytes = encode(&(1, "x")).unwrap().bytes;
    bytes.push(0);
    assert!(unreadable::<(u8, String)>(&bytes).ends_with("1 byte follows after the value"));
    bytes.push(0);
    assert!(unreadable::<(u8, String)>(&bytes).ends_with("2 bytes follow after the value"));
    // Inside of an extension neither.
    let error = unreadable::<Option<()>>(&[0xd5, 0x30, 0xc0, 0xc0]);
    assert!(error.ends_with("1 byte follows after the value"), "{error}");
}

#[test]
fn elements_must_be_as_many_as_wanted() {
    let error = unreadable::<(u8, u8)>(&encode(&(1, 2, 3)).unwrap().bytes);
    assert!(error.contains("3 elements where 2 should be"), "{error}");
    let error = unreadable::<(u8, u8, u8)>(&encode(&(1, 2)).unwrap().bytes);
    assert!(
        error.contains("invalid length 2, expected a tuple of size 3"),
        "{error}"
    );
}

#[test]
fn what_no_encoder_writes() {
    assert!(unreadable::<()>(&[]).contains("from 0 bytes: the bytes are cut off"));
    assert!(unreadable::<u8>(&[0xc1]).contains("0xc1"));
    assert!(unreadable::<u16>(&[0xcd, 1]).contains("cut off"));
    assert!(unreadable::<String>(&[0xa2, 0xff, 0xff]).contains("not UTF-8"));
    assert!(unreadable::<char>(&encode("ab").unwrap().bytes).contains("expected a character"));
    assert!(unreadable::<IgnoredAny>(&[0xd4, 0x7f, 0]).contains("type 0x7f and 1 bytes"));
    assert!(unreadable::<i128>(&[0xd4, 0x32, 0]).contains("type 0x32 and 1 bytes"));
    assert!(unreadable::<Option<u8>>(&[0xc7, 0, 0x30]).contains("cut off"));
    assert!(unreadable::<u8>(&encode(&256).unwrap().bytes).contains("expected u8"));
    assert!(unreadable::<u128>(&encode(&-1_i128).unwrap().bytes).contains("expected u128"));
}

#[test]
fn every_cut_of_a_value_is_an_error() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Value {
        Newtype(Option<Option<u8>>),
        Struct {
            bytes: Vec<u8>,
            wide: i128,
            map: BTreeMap<i16, String>,
        },
    }
    let value = vec![
        Value::Newtype(Some(None)),
        Value::Struct {
            bytes: vec![200; 300],
            wide: -1,
            map: BTreeMap::from([(-300, "text".repeat(20)), (1, String::new())]),
        },
    ];
    let bytes = crate::round(value);
    for len in 0..bytes.len() {
        unreadable::<Vec<Value>>(&bytes[..len]);
        unreadable::<IgnoredAny>(&bytes[..len]);
    }
}

#[test]
fn an_error_that_was_passed_over_is_an_error() {
    /// The elements that are numbers, and silence about the others.
    #[derive(Debug)]
    struct Numbers(Vec<u8>);
    impl<'de> Deserialize<'de> for Numbers {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Numbers, D::Error> {
            struct NumbersVisitor;
            impl<'de> Visitor<'de> for NumbersVisitor {
                type Value = Numbers;
                fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    f.write_str("a sequence")
                }
                fn visit_seq<A: SeqAccess<'de>>(self, mut all: A) -> Result<Numbers, A::Error> {
                    let mut numbers = Vec::new();
                    loop {
                        match all.next_element() {
                            Ok(Some(number)) => numbers.push(number),
                            Ok(None) => return Ok(Numbers(numbers)),
                            Err(_) => {}
                        }
                    }
                }
            }
            deserializer.deserialize_seq(NumbersVisitor)
        }
    }
    let good = encode(&[1_u64, 2]).unwrap().bytes;
    assert_eq!(decode::<Numbers>(&good, &[]).unwrap().0, [1, 2]);
    // The end of the failed element is unknown.
    let error = unreadable::<Numbers>(&encode(&(1_u64, "x", 2_u64)).unwrap().bytes);
    assert!(error.contains("passed over the error"), "{error}");
}
