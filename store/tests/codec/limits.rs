//! How deep values may nest, and that this fits into a thread's stack.

use std::{any::Any, collections::BTreeMap, sync::Mutex, thread};

use mobula_store::codec::{MAX_DEPTH, decode, encode};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{ByteString, refused, unreadable};

const DEPTH: usize = MAX_DEPTH as usize;

/// Runs on the stack of an ordinary thread.
fn on_a_stack<R: Send + 'static>(run: Box<dyn FnOnce() -> R + Send>) -> R {
    let thread = thread::Builder::new().stack_size(2 << 20).spawn(run);
    thread
        .expect("a thread starts")
        .join()
        .expect("it did not panic")
}

/// Values that are never dropped.
static KEPT: Mutex<Vec<Box<dyn Any + Send>>> = Mutex::new(Vec::new());

/// Nests with `wrap` as deep as can be written, and reads each of them; gives how deep that was.
fn deepest<T>(leaf: fn() -> T, wrap: fn(T) -> T) -> usize
where
    T: Serialize + DeserializeOwned + PartialEq + Send + 'static,
{
    on_a_stack(Box::new(move || {
        let nest = |layers| (0..layers).fold(leaf(), |value, _| wrap(value));
        let mut layers = 0;
        while let Ok(encoded) = encode(&nest(layers)) {
            assert!(layers <= DEPTH, "there is no limit");
            let back = decode::<T>(&encoded.bytes, &[]);
            assert!(
                back.is_ok_and(|back| back == nest(layers)),
                "{layers} layers"
            );
            layers += 1;
        }
        let error = refused(&nest(layers));
        assert!(
            error.contains(&format!("nests more than {DEPTH} levels deep")),
            "{error}"
        );
        let deep = nest(20 * DEPTH);
        refused(&deep);
        // To drop it would itself take more than this stack. Leak checkers see that it is kept.
        KEPT.lock().expect("no test panicked").push(Box::new(deep));
        layers - 1
    }))
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Wide {
    a: String,
    b: Vec<u64>,
    c: Option<Option<u8>>,
    d: (f64, f64, f64, String),
    e: BTreeMap<String, Vec<u8>>,
    f: [u64; 16],
    g: Option<String>,
    h: u128,
    next: Vec<Wide>,
    i: String,
    j: Option<Vec<String>>,
    k: (u8, Option<()>),
    l: char,
    m: Option<Result<String, String>>,
    n: [f32; 9],
    #[serde(skip_serializing_if = "Option::is_none", default)]
    o: Option<Box<Wide>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Unit;
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Onion(Option<Box<Onion>>);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Row(Vec<Row>);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Table(BTreeMap<u8, Table>);
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Variant {
    Leaf(Option<()>),
    Newtype(Box<Variant>),
    Tuple((), Box<Variant>, ByteString),
    Struct {
        next: Box<Variant>,
        a: String,
        b: String,
    },
    Units(Vec<Unit>, Option<Box<Variant>>),
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
enum Tagged {
    Leaf,
    Node {
        next: Box<Tagged>,
        wide: Option<Box<Wide>>,
    },
    Flat(Flat),
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Flat {
    id: Option<Option<u8>>,
    #[serde(flatten)]
    next: BTreeMap<String, Tagged>,
}
#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Leaf(bool),
    Wide { wide: Box<Wide> },
    List(Vec<Untagged>),
    Next { next: Box<Untagged> },
}

#[test]
fn the_limit_is_the_same_on_both_sides_and_fits_into_a_stack() {
    fn flat(next: Tagged) -> Tagged {
        Tagged::Flat(Flat {
            id: Some(None),
            next: BTreeMap::from([("next".into(), next)]),
        })
    }
    fn tuple(next: Variant) -> Variant {
        Variant::Tuple((), Box::new(next), ByteString(vec![]))
    }
    fn named(next: Variant) -> Variant {
        Variant::Struct {
            next: Box::new(next),
            a: String::new(),
            b: String::new(),
        }
    }
    // Each level that a layer takes counts; what is innermost takes one or two itself.
    for (found, levels) in [
        (deepest(|| Onion(None), |next| Onion(Some(next.into()))), 1),
        (deepest(|| Row(vec![]), |next| Row(vec![next])), 1),
        (
            deepest(|| Table(BTreeMap::new()), |next| Table([(1, next)].into())),
            1,
        ),
        (
            deepest(|| Variant::Leaf(None), |next| Variant::Newtype(next.into())),
            1,
        ),
        (deepest(|| Variant::Leaf(Some(())), tuple), 2),
        (deepest(|| Variant::Leaf(None), named), 2),
        (
            deepest(
                || Variant::Leaf(None),
                |n| Variant::Units(vec![Unit], Some(n.into())),
            ),
            3,
        ),
        (deepest(|| Tagged::Leaf, flat), 1),
        (
            deepest(
                || Tagged::Leaf,
                |next| Tagged::Node {
                    next: next.into(),
                    wide: None,
                },
            ),
            1,
        ),
        (
            deepest(|| Untagged::Leaf(true), |next| Untagged::List(vec![next])),
            1,
        ),
        (
            deepest(
                || Untagged::Leaf(true),
                |next| Untagged::Next { next: next.into() },
            ),
            1,
        ),
        (
            deepest(Wide::default, |next| Wide {
                next: vec![next],
                ..Wide::default()
            }),
            2,
        ),
        (
            deepest(Wide::default, |next| Wide {
                o: Some(next.into()),
                ..Wide::default()
            }),
            2,
        ),
    ] {
        let most = DEPTH / levels;
        assert!(
            (most - 2..=most).contains(&found),
            "{found} layers of {levels}"
        );
    }
}

/// The error of decoding.
fn too_deep<T: DeserializeOwned + 'static>(bytes: &[u8]) -> String {
    let bytes = bytes.to_vec();
    on_a_stack(Box::new(move || unreadable::<T>(&bytes)))
}

#[test]
fn bytes_that_nest_deeper_are_an_error() {
    let levels = 1 << 20;
    let arrays = vec![0x91; levels];
    let maps = [0x81, 0x01].repeat(levels);
    let variants = b"\x81\xa7Newtype".repeat(levels);
    let untagged = b"\x81\xa4next".repeat(levels);
    let tagged = b"\x82\xa4type\xa4Node\xa4next".repeat(levels);
    let wide = b"\x81\xa1o".repeat(levels);
    for error in [
        too_deep::<Row>(&arrays),
        too_deep::<Untagged>(&arrays),
        too_deep::<serde::de::IgnoredAny>(&arrays),
        too_deep::<Table>(&maps),
        too_deep::<serde::de::IgnoredAny>(&maps),
        too_deep::<Variant>(&variants),
        too_deep::<Untagged>(&untagged),
        too_deep::<Tagged>(&tagged),
        too_deep::<Wide>(&wide),
        // Neither ends nor begins anything: `Some` of itself for ever.
        too_deep::<Onion>(&[1]),
    ] {
        assert!(error.contains("levels deep"), "{error}");
    }
}

#[test]
fn nested_extensions_are_bounded_too() {
    let mut bytes = vec![0xc0];
    for _ in 0..1000 {
        let mut outer = vec![0xc9];
        outer.extend((bytes.len() as u32).to_be_bytes());
        outer.push(0x30);
        outer.extend(&bytes);
        bytes = outer;
    }
    assert!(too_deep::<Onion>(&bytes).contains("levels deep"));
    assert!(too_deep::<Untagged>(&bytes).contains("levels deep"));
}
