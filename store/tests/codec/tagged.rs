//! Values that pass through serde's buffers: tagged and untagged enums, flattened fields.

use std::{collections::BTreeMap, net::IpAddr};

use mobula_store::codec::{decode, encode};
use serde::{Deserialize, Serialize};

use crate::{Bits, ByteString, round, unreadable};

/// Values that codecs lose easily, as the content of all forms of enums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Delicate {
    options: Vec<Option<Option<u8>>>,
    units: Vec<Option<()>>,
    bytes: Vec<u8>,
    array: [u8; 5],
    string: ByteString,
    none: Option<()>,
    unit: (),
    keys: BTreeMap<(i8, bool), Option<Option<()>>>,
    float: Bits,
    single: f32,
    c: char,
    address: IpAddr,
    variants: Vec<Inner>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Inner {
    Unit,
    Newtype(()),
    Option(Option<Option<()>>),
    Tuple(u8, u8, u8, u8),
    Struct { x: Vec<u8> },
}

fn delicate() -> Delicate {
    Delicate {
        options: vec![None, Some(None), Some(Some(255))],
        units: vec![Some(()), None],
        bytes: (0..=255).collect(),
        array: [200; 5],
        string: ByteString(vec![0xff; 300]),
        none: None,
        unit: (),
        keys: BTreeMap::from([((-1, true), Some(None)), ((1, false), Some(Some(())))]),
        float: Bits(f64::from_bits(0x7ff8_0000_0000_1234)),
        single: 0.1,
        c: 'ä',
        address: IpAddr::from([1, 2, 3, 4]),
        variants: vec![
            Inner::Unit,
            Inner::Newtype(()),
            Inner::Option(None),
            Inner::Option(Some(None)),
            Inner::Option(Some(Some(()))),
            Inner::Tuple(1, 2, 3, 255),
            Inner::Struct { x: vec![255; 9] },
        ],
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Unit;

#[test]
fn direct() {
    round(delicate());
    round(Some(delicate()));
}

#[test]
fn internally_tagged() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Tagged {
        Unit,
        Newtype(Delicate),
        UnitStruct(Unit),
        Nothing(()),
        Map(BTreeMap<String, Option<Option<u8>>>),
        Enum(Inner),
        Struct {
            nested: Box<Option<Tagged>>,
            a: Option<Option<()>>,
            bytes: Vec<u8>,
        },
    }
    round(vec![
        Tagged::Unit,
        Tagged::Newtype(delicate()),
        Tagged::UnitStruct(Unit),
        Tagged::Nothing(()),
        Tagged::Map(BTreeMap::from([
            ("x".into(), Some(None)),
            ("y".into(), None),
        ])),
        Tagged::Enum(Inner::Unit),
        Tagged::Enum(Inner::Option(Some(None))),
        Tagged::Enum(Inner::Tuple(1, 2, 3, 255)),
        Tagged::Enum(Inner::Struct { x: vec![255; 9] }),
        Tagged::Struct {
            nested: Box::new(Some(Tagged::Struct {
                nested: Box::new(None),
                a: Some(Some(())),
                bytes: vec![],
            })),
            a: Some(None),
            bytes: vec![255; 20],
        },
    ]);
}

#[test]
fn adjacently_tagged() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Tagged {
        Unit,
        Newtype(Delicate),
        Option(Option<Option<()>>),
        Tuple(u8, u8, u8, Option<()>),
        Struct {
            nested: Box<Option<Tagged>>,
            big: u128,
        },
    }
    round(vec![
        Tagged::Unit,
        Tagged::Newtype(delicate()),
        Tagged::Option(None),
        Tagged::Option(Some(None)),
        Tagged::Option(Some(Some(()))),
        Tagged::Tuple(1, 2, 255, Some(())),
        Tagged::Struct {
            nested: Box::new(Some(Tagged::Unit)),
            big: u128::MAX,
        },
    ]);
}

#[test]
fn untagged() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Nothing,
        Delicate(Box<Delicate>),
        Flag(bool),
        Number(i64),
        Float(Bits),
        Text(String),
        Address {
            address: IpAddr,
        },
        Inner {
            id: u8,
            inner: Option<Option<Inner>>,
        },
        UnitStruct {
            unit: Unit,
        },
        Pair(Box<Untagged>, [u8; 4]),
        Bytes(Vec<u8>),
        Options(Vec<Option<Option<u8>>>),
        List(Vec<Untagged>),
    }
    use Untagged as U;
    let values = [
        U::Nothing,
        U::Delicate(Box::new(delicate())),
        U::Flag(true),
        U::Number(-5),
        U::Number(i64::MAX),
        U::Float(Bits(1.0)),
        U::Text("text".into()),
        U::Address {
            address: IpAddr::from([0; 16]),
        },
        U::Inner { id: 1, inner: None },
        U::Inner {
            id: 1,
            inner: Some(None),
        },
        U::Inner {
            id: 1,
            inner: Some(Some(Inner::Newtype(()))),
        },
        U::UnitStruct { unit: Unit },
        U::Pair(Box::new(U::Text("x".into())), [255; 4]),
        U::Bytes(vec![]),
        U::Bytes(vec![255; 3]),
        U::Bytes(b"looks like text".to_vec()),
        U::Options(vec![Some(None), None, Some(Some(3))]),
        U::List(vec![
            U::Text("a".into()),
            U::List(vec![U::Flag(false), U::Flag(true)]),
        ]),
    ];
    for value in values {
        round(value);
    }
}

#[test]
fn flattened() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Flat {
        before: Option<Option<u8>>,
        #[serde(flatten)]
        delicate: Delicate,
        #[serde(flatten)]
        maybe: Option<Maybe>,
        #[serde(flatten)]
        extra: BTreeMap<String, Option<Option<Vec<u8>>>>,
        after: i128,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Maybe {
        sure: [u8; 6],
        maybe: Option<Option<()>>,
    }
    for (maybe, extra) in [
        (None, BTreeMap::new()),
        (
            Some(Maybe {
                sure: [1; 6],
                maybe: None,
            }),
            BTreeMap::from([("p".into(), None)]),
        ),
        (
            Some(Maybe {
                sure: [255; 6],
                maybe: Some(None),
            }),
            BTreeMap::from([
                ("q".into(), Some(None)),
                ("r".into(), Some(Some(vec![255; 30]))),
            ]),
        ),
    ] {
        let (before, after) = (Some(None), i128::MIN);
        round(vec![Some(Flat {
            before,
            delicate: delicate(),
            maybe,
            extra,
            after,
        })]);
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Mixed {
        #[serde(flatten)]
        tagged: Tagged,
        #[serde(flatten)]
        variant: Inner,
        last: Option<()>,
    }
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "kind")]
    enum Tagged {
        One {
            one: [u8; 6],
            nested: Box<Option<Tagged>>,
        },
        Two,
    }
    let one = |nested| Tagged::One {
        one: [255; 6],
        nested: Box::new(nested),
    };
    for tagged in [Tagged::Two, one(None), one(Some(one(Some(Tagged::Two))))] {
        round(Mixed {
            tagged,
            variant: Inner::Option(Some(None)),
            last: Some(()),
        });
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Numbered {
        name: String,
        #[serde(flatten)]
        rest: BTreeMap<u64, Bits>,
    }
    let rest = BTreeMap::from([(1, Bits(f64::NAN)), (u64::MAX, Bits(-0.0))]);
    round(Numbered {
        name: "keys need not be strings".into(),
        rest,
    });
}

#[test]
fn wide_integers_in_buffers_are_an_error_and_never_another_number() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Wide {
        Small { x: u64 },
        Big { x: u128 },
    }
    round(Wide::Small { x: 1 });
    let error = unreadable::<Wide>(&encode(&Wide::Big { x: 1 }).unwrap().bytes);
    assert!(error.contains("integer `1` as u128"), "{error}");
}

#[test]
fn visitors_of_any_type_are_told_what_was_written() {
    use serde::de::{Deserializer, SeqAccess, Visitor};

    #[derive(Debug, PartialEq)]
    enum Any {
        Wide(i128),
        Unsigned(u128),
        Bytes(usize),
        Sequence(usize),
        Some(Box<Any>),
        Unit,
    }
    struct AnyVisitor;
    impl<'de> Visitor<'de> for AnyVisitor {
        type Value = Any;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("anything")
        }
        fn visit_i128<E>(self, value: i128) -> Result<Any, E> {
            Ok(Any::Wide(value))
        }
        fn visit_u128<E>(self, value: u128) -> Result<Any, E> {
            Ok(Any::Unsigned(value))
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Any, E> {
            Ok(Any::Bytes(bytes.len()))
        }
        fn visit_unit<E>(self) -> Result<Any, E> {
            Ok(Any::Unit)
        }
        fn visit_some<D: Deserializer<'de>>(self, inner: D) -> Result<Any, D::Error> {
            inner
                .deserialize_any(AnyVisitor)
                .map(|any| Any::Some(Box::new(any)))
        }
        fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Any, A::Error> {
            let mut count = 0;
            while elements.next_element::<u8>()?.is_some() {
                count += 1;
            }
            Ok(Any::Sequence(count))
        }
    }
    impl<'de> Deserialize<'de> for Any {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Any, D::Error> {
            deserializer.deserialize_any(AnyVisitor)
        }
    }

    let read = |bytes: Vec<u8>| decode::<Any>(&bytes, &[]).unwrap();
    assert_eq!(
        read(encode(&i128::MIN).unwrap().bytes),
        Any::Wide(i128::MIN)
    );
    assert_eq!(read(encode(&7_u128).unwrap().bytes), Any::Unsigned(7));
    assert_eq!(
        read(encode(&ByteString(vec![1; 9])).unwrap().bytes),
        Any::Bytes(9)
    );
    assert_eq!(read(encode(&[1_u8; 9]).unwrap().bytes), Any::Sequence(9));
    assert_eq!(read(encode(&()).unwrap().bytes), Any::Unit);
    let some = Any::Some(Box::new(Any::Some(Box::new(Any::Unit))));
    assert_eq!(read(encode(&Some(Some(()))).unwrap().bytes), some);
}

/// Written as a number, and asked for as a map: what a self-describing format leaves to the
/// visitor.
#[derive(Debug, PartialEq)]
struct ShortForm(f64);

impl Serialize for ShortForm {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            x if x == f64::from(x as u8) => serializer.serialize_u8(x as u8),
            x if x == f64::from(x as i16) => serializer.serialize_i16(x as i16),
            x if x == f64::from(x as f32) => serializer.serialize_f32(x as f32),
            x => serializer.serialize_f64(x),
        }
    }
}

impl<'de> Deserialize<'de> for ShortForm {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<ShortForm, D::Error> {
        struct Short;

        impl serde::de::Visitor<'_> for Short {
            type Value = ShortForm;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a number")
            }

            fn visit_u64<E>(self, value: u64) -> Result<ShortForm, E> {
                Ok(ShortForm(value as f64))
            }

            fn visit_i64<E>(self, value: i64) -> Result<ShortForm, E> {
                Ok(ShortForm(value as f64))
            }

            fn visit_f64<E>(self, value: f64) -> Result<ShortForm, E> {
                Ok(ShortForm(value))
            }
        }

        deserializer.deserialize_map(Short)
    }
}

#[test]
fn a_number_is_for_its_visitor_also_where_a_map_is_asked_for() {
    for x in [0.0, 127.0, 200.0, -1.0, -300.0, 3000.0, 0.5, 0.1] {
        round(ShortForm(x));
    }
}
