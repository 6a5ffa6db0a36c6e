//! Arrays and refs inside of values.

use std::{
    collections::BTreeMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use mobula_store::{
    Array, Block,
    codec::{
        Encoded, Handle, HandleKind, decode, deserialize_handle, encode, serialize_handle, type_tag,
    },
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::refused;

fn array(len: u16) -> Array<u16> {
    (0..len).collect::<Vec<_>>().into()
}

/// Sends a value with arrays, and makes sure that they were listed and not copied.
#[track_caller]
fn round<T: Serialize + serde::de::DeserializeOwned>(value: &T, arrays: usize) -> T {
    let Encoded { bytes, items } = encode(value).expect("it can be written");
    assert_eq!(items.len(), arrays);
    assert!(items.iter().all(|item| matches!(item, Handle::Array(_))));
    decode(&bytes, &items).unwrap_or_else(|error| panic!("{error} {bytes:02x?}"))
}

/// A ref, as an engine might have it.
#[derive(Debug, PartialEq)]
struct Ref(u64);

impl Serialize for Ref {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize_handle(
            serializer,
            HandleKind::Ref,
            type_tag::<Ref>(),
            Handle::Ref(Arc::new(self.0)),
        )
    }
}

impl<'de> Deserialize<'de> for Ref {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ref, D::Error> {
        match deserialize_handle(deserializer, HandleKind::Ref, type_tag::<Ref>())? {
            Handle::Ref(any) => Ok(Ref(*any.downcast_ref().expect("it is what was put in"))),
            Handle::Array(_) => panic!("the kind was checked"),
        }
    }
}

#[test]
fn an_array_is_the_same_memory_on_the_other_side() {
    let sent = array(1000);
    let encoded = encode(&sent).unwrap();
    assert!(encoded.bytes.len() < 32, "{}", encoded.bytes.len());
    let came: Array<u16> = decode(&encoded.bytes, &encoded.items).unwrap();
    assert!(came.same_memory(&sent));
    let Handle::Array(found) = &encoded.items[0] else {
        panic!("it is an array")
    };
    assert_eq!(
        (found.block.len(), found.elem, found.len),
        (2000, type_tag::<u16>(), 1000)
    );
}

#[test]
fn arrays_anywhere_in_a_value() {
    let map: BTreeMap<u32, Array<u16>> = (0..20).map(|n| (n, array(n as u16))).collect();
    assert!(round(&map, 20) == map);
    let options = vec![None, Some(None), Some(Some(array(3)))];
    assert!(round(&options, 1) == options);
    let twice = (array(5), array(5), "between".to_string(), vec![array(0)]);
    assert!(round(&twice, 3) == twice);
    #[derive(PartialEq, Serialize, Deserialize)]
    struct Newtype(Array<u16>);
    let nested = Ok::<_, ()>(BTreeMap::from([("x".to_string(), Newtype(array(7)))]));
    assert!(round(&nested, 1) == nested);
}

#[test]
fn refs_and_arrays_together() {
    let value = (Ref(7), array(3), vec![Some(Ref(8)), None]);
    let encoded = encode(&value).unwrap();
    assert_eq!(encoded.items.len(), 3);
    assert_eq!(format!("{:?}", encoded.items[0]), "Ref(..)");
    let back: (Ref, Array<u16>, Vec<Option<Ref>>) = decode(&encoded.bytes, &encoded.items).unwrap();
    assert!(back == value);
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Wrapper(Array<u16>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Record {
    id: Option<Option<u8>>,
    data: Array<u16>,
    more: Vec<Option<Wrapper>>,
}

fn record() -> Record {
    Record {
        id: Some(None),
        data: array(4),
        more: vec![None, Some(Wrapper(array(5)))],
    }
}

#[test]
fn arrays_in_untagged_enums() {
    // The variants before the last would each take something that the encoding of an array could
    // have been.
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Newtype<T>(T);
    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(untagged)]
    enum Untagged {
        Bytes(Newtype<crate::ByteString>),
        Map(Newtype<BTreeMap<String, u64>>),
        List(Newtype<Vec<u64>>),
        Unit(Newtype<()>),
        Record(Record),
        Other(Array<f32>),
        Array(Array<u16>),
        Pair(Box<Untagged>, Option<Array<u16>>),
    }
    use Untagged as U;
    for value in [
        U::Array(array(9)),
        U::Record(record()),
        U::Other(vec![0.5].into()),
    ] {
        let arrays = if matches!(value, U::Record(_)) { 2 } else { 1 };
        assert!(round(&value, arrays) == value);
        let pair = U::Pair(Box::new(value), Some(array(1)));
        assert!(round(&pair, arrays + 1) == pair);
    }
    let bytes = U::Bytes(Newtype(crate::ByteString(vec![0; 13])));
    assert!(round(&bytes, 0) == bytes);
}

#[test]
fn arrays_in_tagged_enums() {
    #[derive(PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type")]
    enum Internal {
        Array(Array<u16>),
        Record(Record),
        Struct {
            a: Array<u16>,
            b: Box<Option<Internal>>,
        },
    }
    let value = vec![
        Internal::Array(array(3)),
        Internal::Record(record()),
        Internal::Struct {
            a: array(1),
            b: Box::new(Some(Internal::Array(array(2)))),
        },
    ];
    assert!(round(&value, 5) == value);

    #[derive(PartialEq, Serialize, Deserialize)]
    #[serde(tag = "t", content = "c")]
    enum Adjacent {
        Array(Array<u16>),
        Pair(Array<u16>, Record),
    }
    let value = vec![
        Adjacent::Array(array(3)),
        Adjacent::Pair(array(2), record()),
    ];
    assert!(round(&value, 4) == value);
}

#[test]
fn flattened_arrays() {
    #[derive(PartialEq, Serialize, Deserialize)]
    struct Flat {
        first: Array<u16>,
        #[serde(flatten)]
        record: Record,
        #[serde(flatten)]
        extra: BTreeMap<String, Array<u16>>,
    }
    let extra = BTreeMap::from([("x".into(), array(3)), ("y".into(), array(0))]);
    let value = Flat {
        first: array(1),
        record: record(),
        extra,
    };
    assert!(round(&value, 5) == value);

    #[derive(PartialEq, Serialize, Deserialize)]
    struct Itself {
        id: u8,
        #[serde(flatten)]
        array: Array<u16>,
    }
    let value = Itself {
        id: 1,
        array: array(3),
    };
    assert!(round(&value, 1) == value);
}

#[test]
fn a_handle_must_be_what_is_asked_for() {
    let encoded = encode(&array(3)).unwrap();
    let fail = |error: mobula_store::codec::CodecError| error.to_string();
    let read = |items: &[Handle]| decode::<Array<u16>>(&encoded.bytes, items).map_err(fail);

    let error = read(&[]).unwrap_err();
    assert!(error.contains("refers to item 0 of 0"), "{error}");
    let error = read(&[Handle::Ref(Arc::new(()))]).unwrap_err();
    assert!(
        error.contains("item 0 is an ObjectRef, not an Array"),
        "{error}"
    );
    let item = |bytes: usize, elem, len| {
        [Handle::array(
            Block::copy_of(&vec![0; bytes], 64),
            elem,
            len,
        )]
    };
    assert_eq!(read(&item(6, type_tag::<u16>(), 3)).unwrap(), [0, 0, 0]);
    let error = read(&item(6, type_tag::<u16>(), 2)).unwrap_err();
    assert!(error.contains("3 elements where 2 should be"), "{error}");
    let error = read(&item(5, type_tag::<u16>(), 2)).unwrap_err();
    assert!(error.contains("5 bytes"), "{error}");
    let error = read(&item(6, type_tag::<i16>(), 3)).unwrap_err();
    assert!(error.contains("of `i16`, not of `u16`"), "{error}");

    let error = decode::<Array<f64>>(&encoded.bytes, &encoded.items)
        .map_err(fail)
        .unwrap_err();
    assert!(error.contains("cannot read an `Array<f64>`: "), "{error}");
    assert!(
        error.contains("item 0 is an Array of `u16`, not of `f64`"),
        "{error}"
    );
    let error = decode::<Ref>(&encoded.bytes, &encoded.items)
        .map_err(fail)
        .unwrap_err();
    assert!(
        error.contains("item 0 is an Array, not an ObjectRef"),
        "{error}"
    );
    let error = decode::<u16>(&encoded.bytes, &encoded.items)
        .map_err(fail)
        .unwrap_err();
    assert!(
        error.contains("invalid type: an array or a ref, expected u16"),
        "{error}"
    );
    let number = encode(&7).unwrap().bytes;
    let error = decode::<Array<u16>>(&number, &encoded.items)
        .map_err(fail)
        .unwrap_err();
    assert!(
        error.contains("a number or truth value where an array or a ref should be"),
        "{error}"
    );
}

#[test]
fn elements_are_checked() {
    let encoded = encode(&Array::from(vec![true, false])).unwrap();
    let block = Block::copy_of(&[1, 2], 64);
    let items = [Handle::array(block, type_tag::<bool>(), 2)];
    assert!(decode::<Array<bool>>(&encoded.bytes, &encoded.items).is_ok());
    let error = decode::<Array<bool>>(&encoded.bytes, &items)
        .unwrap_err()
        .to_string();
    assert!(error.contains("index 1"), "{error}");
}

#[test]
fn elsewhere_a_handle_is_an_error() {
    let error = rmp_serde::to_vec(&array(1)).unwrap_err().to_string();
    assert_eq!(
        error,
        "an Array travels only through Mobula's own encoding; convert it with to_vec()"
    );
    let error = rmp_serde::to_vec(&Ref(1)).unwrap_err().to_string();
    assert!(error.contains("an ObjectRef travels only"), "{error}");
    let bytes = encode(&array(1)).unwrap().bytes;
    let error = rmp_serde::from_slice::<Array<u16>>(&bytes)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("an Array can be read only from Mobula's own encoding"),
        "{error}"
    );
}

/// A value that is encoded inside of another's encoding, and so decoded.
#[derive(Debug, PartialEq)]
struct Nested {
    before: Array<u16>,
    inner: Vec<Array<u16>>,
    after: Array<u16>,
}

impl Serialize for Nested {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let inner = encode(&self.inner).map_err(serde::ser::Error::custom)?;
        assert_eq!(inner.items.len(), self.inner.len());
        let arrays: Vec<Array<u16>> = inner
            .items
            .iter()
            .map(|_| decode(&encode(&array(2)).unwrap().bytes, &inner.items))
            .collect::<Result<_, _>>()
            .map_err(serde::ser::Error::custom)?;
        (&self.before, &inner.bytes, arrays, &self.after).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Nested {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Nested, D::Error> {
        let (before, bytes, arrays, after) =
            <(Array<u16>, Vec<u8>, Vec<Array<u16>>, Array<u16>)>::deserialize(deserializer)?;
        let items = encode(&arrays).map_err(serde::de::Error::custom)?.items;
        let inner = decode(&bytes, &items).map_err(serde::de::Error::custom)?;
        Ok(Nested {
            before,
            inner,
            after,
        })
    }
}

#[test]
fn encodings_nest() {
    let value = Nested {
        before: array(1),
        inner: vec![array(2), array(2)],
        after: array(3),
    };
    assert!(round(&value, 4) == value);
}

#[test]
fn a_panic_leaves_no_trace() {
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("on purpose")
        }
    }
    impl<'de> Deserialize<'de> for Panics {
        fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Panics, D::Error> {
            panic!("on purpose")
        }
    }
    let value = (array(1), Panics);
    assert!(catch_unwind(AssertUnwindSafe(|| encode(&value))).is_err());
    let good = encode(&(array(1), 7)).unwrap();
    assert_eq!(good.items.len(), 1);
    let read = || decode::<(Array<u16>, Panics)>(&good.bytes, &good.items).is_ok();
    assert!(catch_unwind(AssertUnwindSafe(read)).is_err());
    // Had a panic left a scope open, these would find it.
    elsewhere_a_handle_is_an_error();
    assert!(refused(&(array(1), std::path::Path::new(&not_utf8()))).contains("UTF-8"));
    elsewhere_a_handle_is_an_error();
}

fn not_utf8() -> std::ffi::OsString {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(vec![0xff])
}

#[test]
fn handles_are_dropped_outside_of_the_codec() {
    // The drop of a ref may itself encode.
    struct EncodesOnDrop;
    impl Drop for EncodesOnDrop {
        fn drop(&mut self) {
            assert_eq!(encode(&array(1)).unwrap().items.len(), 1);
        }
    }
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            serialize_handle(
                serializer,
                HandleKind::Ref,
                0,
                Handle::Ref(Arc::new(EncodesOnDrop)),
            )?;
            Err(serde::ser::Error::custom("after the handle"))
        }
    }
    assert!(refused(&Fails).contains("after the handle"));
}
