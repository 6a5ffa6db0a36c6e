//! Each kind of value, and how it is written.

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet, LinkedList, VecDeque},
    ffi::{CString, OsString},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6},
    num::{NonZeroU8, NonZeroU64, Wrapping},
    ops::{Bound, Range, RangeInclusive},
    path::PathBuf,
    sync::Mutex,
    time::{Duration, SystemTime},
};

use mobula_store::codec::{decode, encode};
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap, ser::SerializeSeq};

use crate::{Bits, ByteString, refused, round, unreadable};

#[test]
fn numbers() {
    macro_rules! whole {
        ($($t:ty)*) => {
            $(for shift in 0..<$t>::BITS {
                let power = <$t>::MAX >> shift;
                for value in [power, power.wrapping_add(1), <$t>::MIN >> shift, !power] {
                    round(value);
                }
            })*
        };
    }
    whole!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);
    round((
        NonZeroU8::MAX,
        NonZeroU64::MIN,
        Wrapping(-3_i16),
        true,
        false,
    ));
    for c in ['\0', 'a', 'ß', '\u{ffff}', char::MAX] {
        round(c);
    }
}

#[test]
fn floats_keep_their_bits() {
    for bits in [
        0,
        1,
        1 << 63,
        f64::MAX.to_bits(),
        f64::INFINITY.to_bits(),
        f64::NAN.to_bits(),
        0x7ff0_0000_0000_0001, // a signalling NaN
        0xfff8_dead_beef_0001,
    ] {
        round(Bits(f64::from_bits(bits)));
    }
    for bits in [
        0,
        1 << 31,
        0x7fc0_0001,
        0xffc1_2345,
        f32::MIN_POSITIVE.to_bits(),
    ] {
        let bytes = encode(&f32::from_bits(bits)).unwrap().bytes;
        assert_eq!(decode::<f32>(&bytes, &[]).unwrap().to_bits(), bits);
    }
}

#[test]
fn options_keep_their_layers() {
    round::<Vec<Option<Option<Option<u8>>>>>(vec![
        None,
        Some(None),
        Some(Some(None)),
        Some(Some(Some(7))),
    ]);
    round::<Vec<Option<()>>>(vec![None, Some(()), None]);
    round::<Option<Option<()>>>(Some(Some(())));
    round::<Option<Box<Option<Wrapping<u8>>>>>(Some(Box::new(None)));

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Nothing;
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Layer<T>(T);
    round(vec![None, Some(Nothing)]);
    round::<Vec<Option<Layer<Option<Layer<()>>>>>>(vec![
        None,
        Some(Layer(None)),
        Some(Layer(Some(Layer(())))),
    ]);
    round::<BTreeMap<Option<Option<bool>>, Option<()>>>(
        [
            (None, None),
            (Some(None), Some(())),
            (Some(Some(true)), None),
        ]
        .into(),
    );
}

#[test]
fn options_cost_nothing_where_nothing_would_be_lost() {
    for value in [0_u64, 1, 1 << 40] {
        assert_eq!(
            encode(&Some(Some(value))).unwrap().bytes,
            encode(&value).unwrap().bytes
        );
    }
    assert_eq!(encode(&None::<u8>).unwrap().bytes, [0xc0]);
    assert_eq!(encode(&Some(())).unwrap().bytes, [0xd4, 0x30, 0xc0]);
    assert_eq!(
        encode(&Some(Some(()))).unwrap().bytes,
        [0xc7, 3, 0x30, 0xd4, 0x30, 0xc0]
    );
}

#[test]
fn many_layers_of_options() {
    // Enough for each form that the head of an extension has.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Onion(Option<Box<Onion>>);
    let mut onion = Onion(None);
    for _ in 0..120 {
        onion = Onion(Some(Box::new(onion)));
        round(onion.0.as_ref().map_or(0, |_| 1));
        let bytes = encode(&onion).unwrap().bytes;
        assert_eq!(decode::<Onion>(&bytes, &[]).unwrap(), onion);
    }
}

#[test]
fn bytes_take_a_byte_each() {
    let many: Vec<u8> = (0..=255).collect();
    let packed = round(many.clone()).len();
    assert_eq!(packed, 256 + 4, "the head of 256 bytes");
    assert_eq!(round(ByteString(many.clone())).len(), 256 + 3);
    assert_eq!(round(VecDeque::from(many.clone())).len(), packed);
    assert_eq!(round(BTreeSet::from_iter(many.clone())).len(), packed);
    assert_eq!(round(HashSet::<u8>::from_iter(many.clone())).len(), packed);
    assert_eq!(round(LinkedList::from_iter(many.clone())).len(), packed);
    assert_eq!(round(many.clone().into_boxed_slice()).len(), packed);
    assert_eq!(round(Cow::<'_, [u8]>::Owned(many.clone())).len(), packed);
    assert_eq!(encode(many.as_slice()).unwrap().bytes.len(), packed);

    for len in [0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 255, 256, 65_535, 65_536] {
        for fill in [0_u8, 127, 128, 255] {
            let bytes = round(vec![fill; len]);
            assert!(bytes.len() <= len + 6, "{len}");
        }
    }
    round([0_u8; 0]);
    round([1_u8]);
    round([200_u8; 3]);
    assert_eq!(round([200_u8; 4]).len(), 6);
    assert_eq!(round([[200_u8; 8]; 2]).len(), 1 + 2 * 10);
    round(vec![Vec::<u8>::new(), vec![1], vec![2; 40]]);
}

#[test]
fn what_only_looks_like_bytes_is_not_packed() {
    round((1_u8, 2_u8, 3_u8, 4_u8));
    round((1_u8, 200_u8, 255_u8, "four".to_string()));
    round((200_u8, 1_u64, 200_u8, -1_i8, ()));
    round((1_u64, 2_u8, 3_u8, 4_u8));
    round((255_u8, Some(255_u8), vec![255_u8; 5], 255_u8));
    round([NonZeroU8::MAX; 5]);
    round(vec![true; 5]);
    round(vec![-1_i8; 5]);
    round(vec![Some(255_u8); 5]);

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Rgba(u8, u8, u8, u8);
    round(vec![Rgba(1, 200, 255, 0)]);
}

#[test]
fn byte_strings_and_sequences_of_bytes_read_as_each_other() {
    let text = b"a byte each".to_vec();
    let sequence = encode(&text).unwrap().bytes;
    assert_eq!(decode::<ByteString>(&sequence, &[]).unwrap().0, text);
    let string = encode(&ByteString(text.clone())).unwrap().bytes;
    assert_eq!(decode::<Vec<u8>>(&string, &[]).unwrap(), text);
    assert!(unreadable::<[u8; 10]>(&sequence).contains("invalid length 11"));
    assert!(unreadable::<[u8; 12]>(&string).contains("invalid length 11"));
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Shape {
    Unit,
    NewtypeUnit(()),
    NewtypeOption(Option<Option<u8>>),
    Tuple(u8, String),
    EmptyTuple(),
    EmptyStruct {},
    Struct {
        a: Option<()>,
        b: Option<Box<Shape>>,
    },
    Inner(Inner),
}

#[derive(Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Clone, Copy, Serialize, Deserialize)]
enum Inner {
    Unit,
    Other(i8),
}

fn shapes() -> Vec<Shape> {
    vec![
        Shape::Unit,
        Shape::NewtypeUnit(()),
        Shape::NewtypeOption(None),
        Shape::NewtypeOption(Some(None)),
        Shape::NewtypeOption(Some(Some(1))),
        Shape::Tuple(255, "x".into()),
        Shape::EmptyTuple(),
        Shape::EmptyStruct {},
        Shape::Struct {
            a: Some(()),
            b: Some(Box::new(Shape::Unit)),
        },
        Shape::Struct { a: None, b: None },
        Shape::Inner(Inner::Unit),
        Shape::Inner(Inner::Other(-1)),
    ]
}

#[test]
fn variants_of_all_kinds() {
    round(shapes());
    round(
        shapes()
            .into_iter()
            .map(Some)
            .chain([None])
            .collect::<Vec<_>>(),
    );
    round(BTreeMap::from([(Inner::Unit, 1), (Inner::Other(3), 2)]));
    round::<Result<(), Option<String>>>(Err(None));
    round::<Vec<Result<(), ()>>>(vec![Ok(()), Err(())]);
}

#[test]
fn structs_of_all_kinds() {
    #[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
    struct Unit;
    #[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
    struct Newtype(Unit);
    #[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
    struct Tuple(u8, Newtype, ());
    #[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
    struct Named {
        unit: (),
        tuple: Tuple,
        nested: Option<Box<Named>>,
        #[serde(rename = "type", alias = "kind")]
        kind: String,
    }
    round(Named {
        nested: Some(Box::default()),
        kind: "x".into(),
        ..Named::default()
    });
    round([(); 3]);
    round(());
    round::<[Unit; 0]>([]);
}

#[test]
fn skipped_fields_do_not_shift_others() {
    #[derive(Debug, PartialEq, Default, Serialize, Deserialize)]
    #[serde(default)]
    struct Sparse {
        #[serde(skip_serializing_if = "Option::is_none")]
        a: Option<u8>,
        #[serde(skip_serializing_if = "Vec::is_empty")]
        b: Vec<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        c: Option<u8>,
        d: u8,
        #[serde(skip)]
        _e: u8,
        #[serde(skip_serializing_if = "Option::is_none")]
        f: Option<Option<u8>>,
    }
    for mask in 0_u8..16 {
        let has = |bit: u8| mask >> bit & 1 == 1;
        round(Sparse {
            a: has(0).then_some(1),
            b: if has(1) { vec![2] } else { vec![] },
            c: has(2).then_some(3),
            d: 4,
            _e: 0,
            f: has(3).then_some(None),
        });
    }
}

#[test]
fn maps_with_keys_of_all_kinds() {
    round(BTreeMap::from([
        (-1_i64, "a".to_string()),
        (i64::MAX, "b".into()),
    ]));
    round(BTreeMap::from([((1_u8, 'x'), ()), ((2, 'y'), ())]));
    round(BTreeMap::from([(vec![1_u8, 2, 3, 4], 1), (vec![], 2)]));
    round(BTreeMap::from([(i128::MIN, u128::MAX)]));
    round(BTreeMap::from([(BTreeMap::from([(true, 'a')]), 1)]));
    round(HashMap::from([
        (Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), 1),
        (None, 2),
    ]));
    round(BTreeMap::<(), ()>::from([((), ())]));
    round((0..70_000_u32).map(|n| (n, !n)).collect::<BTreeMap<_, _>>());
}

#[test]
fn types_of_the_standard_library() {
    round(Duration::new(u64::MAX, 999_999_999));
    round(SystemTime::UNIX_EPOCH + Duration::from_nanos(1));
    round(PathBuf::from("/tmp/ä"));
    round(OsString::from("ä"));
    round(CString::new("c").unwrap());
    round((
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        SocketAddr::from(([127, 0, 0, 1], 80)),
    ));
    round(SocketAddr::V6(SocketAddrV6::new(
        Ipv6Addr::LOCALHOST,
        1,
        0,
        3,
    )));
    round((
        Range { start: 1, end: 2 },
        RangeInclusive::new(3_u8, 4),
        1..,
        ..2,
    ));
    round((Bound::Included(1), Bound::<u8>::Unbounded));
    round((
        Cell::new(1),
        RefCell::new(vec![2]),
        Reverse("x".to_string()),
    ));
    round(LinkedList::from([1, 2]));
    round::<(Box<str>, Cow<'_, str>)>(("a".into(), "b".to_string().into()));
    round(String::from("\0ä\u{10ffff}").repeat(20_000));
    round(vec![String::new(); 300]);

    let heap = BinaryHeap::from([1, 3, 2]);
    let back: BinaryHeap<i32> = decode(&encode(&heap).unwrap().bytes, &[]).unwrap();
    assert_eq!(back.into_sorted_vec(), [1, 2, 3]);
    let mutex: Mutex<u8> = decode(&encode(&Mutex::new(7_u8)).unwrap().bytes, &[]).unwrap();
    assert_eq!(mutex.into_inner().unwrap(), 7);
}

/// A sequence of unknown length.
struct Open<I>(I);

impl<I: Iterator<Item: Serialize> + Clone> Serialize for Open<I> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        for item in self.0.clone() {
            sequence.serialize_element(&item)?;
        }
        sequence.end()
    }
}

#[test]
fn sequences_and_maps_of_unknown_length() {
    for len in [0, 1, 3, 4, 20, 70_000] {
        let bytes = encode(&Open(0..len)).unwrap().bytes;
        let back: Vec<i32> = decode(&bytes, &[]).unwrap();
        assert!(back.into_iter().eq(0..len));
    }
    let nested = encode(&Open([Some(Open(0_u8..9)), None].iter()))
        .unwrap()
        .bytes;
    let back: Vec<Option<Vec<u8>>> = decode(&nested, &[]).unwrap();
    assert_eq!(back, [Some((0..9).collect()), None]);

    struct OpenMap;
    impl Serialize for OpenMap {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("a", &Open(0..3))?;
            map.serialize_entry("b", &Open(0..0))?;
            map.end()
        }
    }
    let back: BTreeMap<String, Vec<u8>> = decode(&encode(&OpenMap).unwrap().bytes, &[]).unwrap();
    assert_eq!(
        back,
        BTreeMap::from([("a".into(), vec![0, 1, 2]), ("b".into(), vec![])])
    );
}

#[test]
fn a_wrong_length_is_an_error() {
    struct Liar(usize, usize);
    impl Serialize for Liar {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut sequence = serializer.serialize_seq(Some(self.0))?;
            for _ in 0..self.1 {
                sequence.serialize_element("x")?;
            }
            sequence.end()
        }
    }
    assert!(encode(&Liar(5, 5)).is_ok());
    for (announced, written) in [(0, 1), (1, 0), (5, 4), (5, 6), (5, 0)] {
        let error = refused(&Liar(announced, written));
        assert!(
            error.contains(&format!("announced a collection of {announced} parts")),
            "{error}"
        );
        assert!(
            error.contains("values::a_wrong_length_is_an_error::Liar"),
            "{error}"
        );
    }
}

#[test]
fn an_error_that_was_passed_over_is_an_error() {
    struct Careless;
    impl Serialize for Careless {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_key("key")?;
            if map.serialize_value(&PathBuf::from(not_utf8())).is_err() {
                // Nothing was written, and now the map is one value short.
            }
            map.end()
        }
    }
    assert!(refused(&Careless).contains("passed over the error"));
}

fn not_utf8() -> OsString {
    use std::os::unix::ffi::OsStringExt as _;
    OsString::from_vec(vec![0xff])
}

#[test]
fn errors_name_the_type_and_the_cause() {
    let error = refused(&PathBuf::from(not_utf8()));
    assert_eq!(
        error,
        "cannot encode `std::path::PathBuf`: path contains invalid UTF-8 characters"
    );
    let error = unreadable::<Vec<u32>>(&encode("text").unwrap().bytes);
    assert_eq!(
        error,
        "cannot decode `alloc::vec::Vec<u32>` from 5 bytes: invalid type: string \"text\", \
         expected a sequence"
    );
    let error = unreadable::<Inner>(&encode(&3).unwrap().bytes);
    assert!(
        error.contains("a number or truth value where a variant of `Inner` should be"),
        "{error}"
    );
}

#[test]
fn ordinary_values_are_ordinary_messagepack() {
    // `rmp-serde` writes and reads values that need no extension in the same way.
    fn same<T: Serialize + serde::de::DeserializeOwned + PartialEq>(value: T) {
        let theirs = rmp_serde::to_vec_named(&value).unwrap();
        assert_eq!(encode(&value).unwrap().bytes, theirs);
        assert!(rmp_serde::from_slice::<T>(&theirs).is_ok_and(|back| back == value));
        round(value);
    }
    for shift in 0..64 {
        same((u64::MAX >> shift, i64::MIN >> shift, i64::MAX >> shift));
    }
    same((1.5_f32, f64::MIN_POSITIVE, true, 'x', (), None::<u8>));
    for len in [0, 31, 32, 255, 256, 65_535, 65_536] {
        same("x".repeat(len));
        same(vec![false; len]);
        same((0..len).map(|n| (n, n)).collect::<BTreeMap<_, _>>());
    }
    same(vec![Inner::Unit, Inner::Other(7)]);
    same(Shape::Struct {
        a: None,
        b: Some(Box::new(Shape::Tuple(1, "x".into()))),
    });
}

#[test]
fn extensions_of_the_user_pass() {
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(rename = "_ExtStruct")]
    struct Extension((i8, ByteString));
    round(Extension((0x30, ByteString(vec![1, 2, 3]))));
    round(vec![Some(Extension((-1, ByteString(vec![]))))]);
    let error = unreadable::<Extension>(&encode(&1).unwrap().bytes);
    assert!(
        error.contains("a number or truth value where an extension should be"),
        "{error}"
    );
}
