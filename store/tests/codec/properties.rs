//! Arbitrary values come back; arbitrary bytes do no harm.

use std::collections::BTreeMap;

use mobula_store::codec::{decode, encode};
use proptest::{collection::vec, option, prelude::*};
use serde::{Deserialize, Serialize, de::IgnoredAny};

use crate::{Bits, ByteString, round};

type Options = Option<Option<Option<u8>>>;

/// Everything that is easily lost, nested.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
enum Value {
    Unit,
    Nothing(()),
    Signed(i64),
    Unsigned(u64),
    Wide(i128, u128),
    Float(Bits),
    Text(String, char),
    Bytes(Vec<u8>),
    ByteString(ByteString),
    Options(Vec<Options>, Vec<Option<()>>),
    Sparse(Sparse),
    Keys(
        BTreeMap<(i32, Option<bool>), Options>,
        BTreeMap<u128, Vec<u8>>,
    ),
    List(Vec<Value>),
    Option(Option<Option<Box<Value>>>),
    Map(BTreeMap<String, Value>),
    Pair {
        left: Box<Value>,
        right: Option<Box<Value>>,
    },
    Buffered(Buffered),
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Sparse {
    #[serde(skip_serializing_if = "Option::is_none")]
    a: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    b: Option<Option<()>>,
    #[serde(skip_serializing_if = "String::is_empty")]
    c: String,
    d: (),
}

/// Values that pass through serde's buffers. 128-bit integers cannot.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Buffered {
    Unit,
    Leaf {
        number: i64,
        options: Options,
        unit: Option<()>,
        bytes: Vec<u8>,
        float: Bits,
    },
    Sparse(Sparse),
    Flat(Flat),
    Untagged {
        value: Untagged,
    },
    Nested {
        inner: Option<Box<Buffered>>,
        keys: BTreeMap<(i8, bool), Option<Option<()>>>,
    },
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: Options,
    #[serde(flatten)]
    sparse: Sparse,
    #[serde(flatten)]
    extra: BTreeMap<String, Untagged>,
}

/// Each variant reads as no other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Nothing,
    Flag(bool),
    Number(i64),
    Float(Bits),
    Text(String),
    Options {
        options: Vec<Options>,
    },
    Bytes {
        bytes: Vec<u8>,
        string: ByteString,
        array: [u8; 6],
    },
    Next {
        next: Option<Box<Buffered>>,
    },
    List(Vec<Untagged>),
}

fn bits() -> BoxedStrategy<Bits> {
    prop_oneof![
        any::<u64>().prop_map(f64::from_bits),
        any::<f64>(),
        Just(1.0)
    ]
    .prop_map(Bits)
    .boxed()
}

fn text() -> BoxedStrategy<String> {
    vec(any::<char>(), 0..40)
        .prop_map(String::from_iter)
        .boxed()
}

fn bytes() -> BoxedStrategy<Vec<u8>> {
    vec(any::<u8>(), 0..40).boxed()
}

fn options() -> BoxedStrategy<Options> {
    option::of(option::of(option::of(any::<u8>()))).boxed()
}

fn key() -> BoxedStrategy<String> {
    // Never the name of a field beside which it is flattened.
    text().prop_map(|text| format!("x{text}")).boxed()
}

fn sparse() -> BoxedStrategy<Sparse> {
    (any::<Option<u8>>(), any::<Option<Option<()>>>(), text())
        .prop_map(|(a, b, c)| Sparse { a, b, c, d: () })
        .boxed()
}

fn untagged(next: BoxedStrategy<Buffered>) -> BoxedStrategy<Untagged> {
    let leaf = prop_oneof![
        Just(Untagged::Nothing),
        any::<bool>().prop_map(Untagged::Flag),
        any::<i64>().prop_map(Untagged::Number),
        bits().prop_map(Untagged::Float),
        text().prop_map(Untagged::Text),
        vec(options(), 0..5).prop_map(|options| Untagged::Options { options }),
        (bytes(), bytes(), any::<[u8; 6]>()).prop_map(|(bytes, string, array)| {
            Untagged::Bytes {
                bytes,
                string: ByteString(string),
                array,
            }
        }),
        option::of(next.prop_map(Box::new)).prop_map(|next| Untagged::Next { next }),
    ];
    leaf.prop_recursive(3, 8, 4, |inner| vec(inner, 0..4).prop_map(Untagged::List))
        .boxed()
}

fn buffered() -> BoxedStrategy<Buffered> {
    let leaf = prop_oneof![
        Just(Buffered::Unit),
        (
            any::<i64>(),
            options(),
            any::<Option<()>>(),
            bytes(),
            bits()
        )
            .prop_map(|(number, options, unit, bytes, float)| Buffered::Leaf {
                number,
                options,
                unit,
                bytes,
                float
            }),
        sparse().prop_map(Buffered::Sparse),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        let keys = proptest::collection::btree_map(
            any::<(i8, bool)>(),
            option::of(option::of(Just(()))),
            0..4,
        );
        let extra = proptest::collection::btree_map(key(), untagged(inner.clone()), 0..4);
        prop_oneof![
            untagged(inner.clone()).prop_map(|value| Buffered::Untagged { value }),
            (options(), sparse(), extra).prop_map(|(id, sparse, extra)| Buffered::Flat(Flat {
                id,
                sparse,
                extra
            })),
            (option::of(inner.prop_map(Box::new)), keys)
                .prop_map(|(inner, keys)| Buffered::Nested { inner, keys }),
        ]
    })
    .boxed()
}

fn value() -> BoxedStrategy<Value> {
    use proptest::collection::btree_map;
    let leaf = prop_oneof![
        Just(Value::Unit),
        Just(Value::Nothing(())),
        any::<i64>().prop_map(Value::Signed),
        any::<u64>().prop_map(Value::Unsigned),
        any::<(i128, u128)>().prop_map(|(i, u)| Value::Wide(i, u)),
        bits().prop_map(Value::Float),
        (text(), any::<char>()).prop_map(|(text, c)| Value::Text(text, c)),
        bytes().prop_map(Value::Bytes),
        bytes().prop_map(|bytes| Value::ByteString(ByteString(bytes))),
        (vec(options(), 0..6), vec(any::<Option<()>>(), 0..6))
            .prop_map(|(options, units)| Value::Options(options, units)),
        sparse().prop_map(Value::Sparse),
        (
            btree_map(any::<(i32, Option<bool>)>(), options(), 0..4),
            btree_map(any::<u128>(), bytes(), 0..4)
        )
            .prop_map(|(a, b)| Value::Keys(a, b)),
        buffered().prop_map(Value::Buffered),
    ];
    leaf.prop_recursive(5, 32, 5, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        prop_oneof![
            vec(inner.clone(), 0..5).prop_map(Value::List),
            option::of(option::of(boxed())).prop_map(Value::Option),
            btree_map(text(), inner.clone(), 0..4).prop_map(Value::Map),
            (boxed(), option::of(boxed())).prop_map(|(left, right)| Value::Pair { left, right }),
        ]
    })
    .boxed()
}

/// Whatever was read can be written, and reads as itself.
fn read(bytes: &[u8]) {
    fn as_type<T: Serialize + serde::de::DeserializeOwned + PartialEq>(bytes: &[u8]) {
        if let Ok(value) = decode::<T>(bytes, &[]) {
            round(value);
        }
    }
    as_type::<Value>(bytes);
    as_type::<Vec<Untagged>>(bytes);
    as_type::<Untagged>(bytes);
    as_type::<Buffered>(bytes);
    as_type::<Flat>(bytes);
    as_type::<Vec<Options>>(bytes);
    as_type::<(u8, i128, Bits, char, ByteString)>(bytes);
    as_type::<BTreeMap<Option<String>, [u8; 4]>>(bytes);
    let _ = decode::<IgnoredAny>(bytes, &[]);
    let _ = decode::<mobula_store::Array<bool>>(bytes, &[]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_arrive_as_they_left(value in value()) {
        round(value);
    }

    #[test]
    fn whatever_stands_around_them(value in buffered()) {
        round(Some(value.clone()));
        round(Untagged::List(vec![
            Untagged::Next { next: Some(Box::new(value.clone())) },
            Untagged::Next { next: None },
        ]));
        round((1_u8, value, [1_u8; 4]));
    }

    #[test]
    fn arbitrary_bytes_do_no_harm(bytes in vec(any::<u8>(), 0..80)) {
        read(&bytes);
    }

    #[test]
    fn bytes_that_look_like_messagepack_do_no_harm(
        parts in vec(
            prop_oneof![
                // Heads of small collections, extensions of ours, short strings.
                (0x80_u8..0x9f).prop_map(|head| vec![head]),
                (0x30_u8..0x36, bytes())
                    .prop_map(|(code, bytes)| [vec![0xc7, bytes.len() as u8, code], bytes].concat()),
                (0xd4_u8..=0xd8, 0x30_u8..0x36).prop_map(|(head, code)| vec![head, code]),
                any::<[u8; 2]>().prop_map(|n| n.to_vec()),
                Just(b"\xa4type".to_vec()),
                Just(b"\xa4next".to_vec()),
                Just(vec![0xc0]),
            ],
            0..20,
        ),
    ) {
        read(&parts.concat());
    }

    #[test]
    fn damaged_values_do_no_harm(
        value in value(),
        damages in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..6),
        cut in option::weighted(0.2, any::<proptest::sample::Index>()),
    ) {
        let mut bytes = encode(&value).unwrap().bytes;
        for (place, byte) in damages {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        read(&bytes);
    }
}
