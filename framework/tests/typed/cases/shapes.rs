//! Where functions can stand, and what their signatures may look like.

use super::{Rt, functions::*};

pub(crate) fn all(rt: &Rt) {
    modules_and_their_reexports(rt);
    functions_inside_functions();
    functions_made_by_macros();
    functions_of_one_place();
    names_that_the_macro_uses_itself();
    without_a_prelude();
    through_another_path();
    conditions();
}

mod inner {
    //! Another module.
    use mobula::remote;

    /// Scales.
    #[remote]
    pub(in super::super) fn scale(array: &[f64], k: f64) -> Vec<f64> {
        array.iter().map(|x| x * k).collect()
    }

    pub(super) mod deep {
        pub(in super::super) use super::scale as rescale;
    }
}

fn modules_and_their_reexports(rt: &Rt) {
    use inner::{deep::*, scale};
    let array = rt.put(&vec![1.0]).unwrap();
    let scaled = scale::remote(&array, 2.0).spawn();
    assert_eq!(rescale::remote(&scaled, 2.0).spawn().get().unwrap(), [4.0]);
    assert_eq!(
        inner::scale::remote(&array, 3.0).spawn().get().unwrap(),
        scale(&[1.0], 3.0)
    );
}

fn functions_inside_functions() {
    #[derive(serde::Serialize, serde::Deserialize)]
    struct Local(u8);

    #[mobula::remote]
    fn local(x: Local) -> u8 {
        x.0
    }
    {
        // This function has the same path and name, but is in another block.
        #[mobula::remote]
        fn local(x: u8) -> u8 {
            x + 100
        }
        assert_eq!(local::remote(3).spawn().get().unwrap(), 103);
    }
    assert_eq!(
        local::remote(Local(3)).spawn().get().unwrap() + local(Local(4)),
        7
    );
}

macro_rules! make {
    ($name:ident, $element:ty, $other:ty, $retries:expr) => {
        #[mobula::remote(retries = $retries)]
        fn $name(elements: &[$element], other: $other) -> $element {
            let _ = other;
            elements[0]
        }
    };
}
make!(first_f64, f64, &str, 1);
make!(first_u8, u8, u32, 1 + 1);

fn functions_made_by_macros() {
    assert_eq!(first_f64::remote(&[1.5], "x").spawn().get().unwrap(), 1.5);
    assert_eq!(first_u8::remote(b"xyz", 3).spawn().get().unwrap(), b'x');
    assert!(format!("{:?}", first_u8::remote(b"x", 3)).contains("retries: Some(2)"));
}

/// Blocks that have a function of one name each, all at one place.
macro_rules! in_blocks {
    ($($factor:literal)*) => {
        [$({
            #[mobula::remote]
            fn scale(x: u64) -> u64 {
                x * $factor
            }
            scale::remote(7).spawn()
        }),*]
    };
}

fn functions_of_one_place() {
    let results = in_blocks!(1 2 3).map(|result| result.get().unwrap());
    assert_eq!(results, [7, 14, 21]);
}

#[mobula::remote]
#[allow(clippy::too_many_arguments)]
fn call(
    call: &str,
    inputs: Vec<f64>,
    codec: u8,
    types: u8,
    error: u8,
    retries: u8,
    output: u8,
    argument0: u8,
) -> usize {
    call.len() + inputs.len() + usize::from(codec + types + error + retries + output + argument0)
}

#[mobula::remote]
fn codec() -> Result<u8, String> {
    Ok(1)
}

#[mobula::remote]
fn output() -> u8 {
    2
}

#[mobula::remote]
fn remote(remote: u8) -> u8 {
    remote
}

#[mobula::remote]
fn r#match(r#in: u8) -> u8 {
    r#in
}

#[mobula::remote]
fn lifetimes<'a, 'b: 'a>(text: &'a str, numbers: &'b [f64], words: &'a [String]) -> usize {
    text.len() + numbers.len() + words.len()
}

fn names_that_the_macro_uses_itself() {
    assert_eq!(
        call::remote("a", vec![1.0], 1, 2, 3, 4, 5, 6)
            .spawn()
            .get()
            .unwrap(),
        23
    );
    assert_eq!(
        codec::remote().spawn().get().unwrap() + output::remote().spawn().get().unwrap(),
        3
    );
    assert_eq!(remote::remote(4).spawn().get().unwrap(), 4);
    assert_eq!(r#match::remote(4).spawn().get().unwrap(), 4);
    assert_eq!(
        lifetimes::remote("ab", &[1.0], vec![String::new()])
            .spawn()
            .get()
            .unwrap(),
        4
    );
}

mod bare {
    #![no_implicit_prelude]

    #[::mobula::remote(retries = 1)]
    pub(super) fn plain(x: &[f64], y: u64) -> f64 {
        x[0] + y as f64
    }

    #[::mobula::remote]
    pub(super) fn fallible(x: &str) -> ::std::result::Result<u8, ::std::string::String> {
        ::std::result::Result::Ok(x.len() as u8)
    }

    #[::mobula::remote]
    pub(super) async fn later(x: ::std::vec::Vec<u8>) -> ::std::primitive::usize {
        x.len()
    }
}

fn without_a_prelude() {
    assert_eq!(bare::plain::remote(&[1.0], 2).spawn().get().unwrap(), 3.0);
    assert_eq!(bare::fallible::remote("x").spawn().get().unwrap(), 1);
    assert_eq!(bare::later::remote(vec![1]).spawn().get().unwrap(), 1);
}

mod facade {
    pub(crate) use ::mobula as engine;
}

#[mobula::remote(crate = facade::engine)]
fn elsewhere(x: u8) -> u8 {
    x
}

fn through_another_path() {
    assert_eq!(elsewhere::remote(1).spawn().get().unwrap(), 1);
}

#[cfg(any())]
#[mobula::remote]
fn absent(x: NoSuchType) {}

#[mobula::remote]
#[cfg(any())]
fn absent(x: NoSuchType) {}

#[mobula::remote]
#[cfg_attr(unix, cfg(any()))]
fn absent(x: NoSuchType) {}

#[mobula::remote]
#[cfg(unix)]
fn present() -> u8 {
    1
}

/// Old.
#[mobula::remote]
#[deprecated = "to see what follows"]
fn old(x: u8) -> u8 {
    x
}

fn conditions() {
    assert_eq!(present::remote().spawn().get().unwrap(), 1);
    #[allow(deprecated)]
    let result = old::remote(7).spawn();
    assert_eq!(result.get().unwrap(), 7);
    assert_eq!(takes_vec::remote([1.0]).spawn().get().unwrap(), 1.0);
}
