//! Everything that a strict crate may ask of generated code. It has the edition 2021 and knows
//! Mobula by another name; what is checked is that it compiles, and that clippy has nothing to say.

#![forbid(unsafe_code)]
#![deny(
    warnings,
    nonstandard_style,
    unused,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    unnameable_types,
    rust_2018_idioms,
    let_underscore_drop,
    single_use_lifetimes,
    trivial_casts,
    unused_qualifications,
    unused_results,
    variant_size_differences,
    clippy::all,
    clippy::pedantic,
    clippy::nursery,
    clippy::exhaustive_enums,
    clippy::impl_trait_in_params
)]
#![allow(clippy::missing_const_for_fn, clippy::redundant_pub_crate)]

use manta::prelude::*;
use serde::{Deserialize, Serialize};

/// A serde type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Model {
    /// The name.
    pub name: String,
}

/// Public, and with all kinds of parameters.
///
/// # Errors
/// If `text` is empty, or `owned` is not.
#[remote(retries = 1)]
pub fn everything(
    numbers: &[f64],
    text: &str,
    model: &Model,
    owned: Vec<String>,
    maybe: Option<u8>,
) -> Result<(f64, Model), String> {
    let sum = numbers.iter().sum::<f64>() + f64::from(maybe.unwrap_or(0));
    if text.is_empty() || owned.into_iter().next().is_some() {
        return Err("empty".to_owned());
    }
    Ok((sum, model.clone()))
}

/// Once in each worker.
#[manta::worker_local(eager)]
pub static NAMES: Vec<String> = vec!["first".to_owned()];

/// Uses it.
#[remote]
pub fn names(more: String) -> usize {
    NAMES.with(|names| {
        names.push(more);
        names.len()
    })
}

/// Asynchronous.
#[remote]
pub async fn later(n: u32) -> u32 {
    std::future::ready(n).await
}

/// Without a result.
#[remote]
pub fn nothing() {}

/// With more parameters than clippy likes, which is the function's own affair.
#[remote]
#[allow(clippy::too_many_arguments, clippy::many_single_char_names)]
#[must_use]
pub fn nine(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8) -> u32 {
    [a, b, c, d, e, f, g, h, i].into_iter().map(u32::from).sum()
}

#[remote]
fn private_and_only_called_here(_unused: u8, x: u8) -> u8 {
    x
}

#[remote]
fn private_and_never_called(x: f64) -> f64 {
    x
}

/// An actor.
#[derive(Debug)]
pub struct Account {
    /// The present balance.
    balance: i64,
}

#[remote(max_restarts = 1, groups = [("slow", 2)])]
impl Account {
    /// Opens it.
    ///
    /// # Errors
    /// If it begins below zero.
    pub fn new(balance: i64) -> Result<Self, String> {
        if balance < 0 {
            return Err(format!("{balance}"));
        }
        Ok(Self { balance })
    }

    /// Puts something there.
    pub fn pay(&mut self, amount: i64) -> i64 {
        self.balance += amount;
        self.balance
    }

    /// Returns the present balance.
    #[must_use]
    pub fn balance(&self) -> i64 {
        self.balance
    }

    /// Returns a number, later.
    #[remote(group = "slow", retries = 1)]
    pub(crate) async fn later(&self, names: &[String], model: Option<Model>) -> usize {
        std::future::ready(names.len() + usize::from(model.is_some())).await
    }

    fn private_and_never_called(&self, _: &Model) -> i64 {
        self.balance
    }
}

mod inner {
    //! A module of its own.

    /// Visible to the parent.
    #[manta::remote]
    pub(super) fn restricted(x: &[u8]) -> usize {
        x.len()
    }
}

macro_rules! make {
    ($name:ident, $element:ty) => {
        /// Made by a macro.
        #[manta::remote]
        #[must_use]
        pub fn $name(x: &[$element], r#type: u8) -> usize {
            x.len() + usize::from(r#type)
        }
    };
}

make!(made_for_floats, f64);
make!(made_for_bytes, u8);

/// Uses what is above.
///
/// # Errors
/// Those of the tasks.
pub fn use_all() -> manta::Result<usize> {
    let model = Model {
        name: "m".to_owned(),
    };
    let call = everything::remote(&[1.0], "x", &model, vec![], None).retries(2);
    let (sum, same) = call.spawn().get()?;
    let later = later::remote(1).spawn().get()?;
    let numbers = nine::remote(1, 2, 3, 4, 5, 6, 7, 8, 9).spawn().get()?;
    let made = made_for_floats::remote(&[sum], 1).spawn().get()?;
    let made = made + made_for_bytes::remote(b"ab", 1).spawn().get()?;
    let restricted = inner::restricted::remote(b"abc").spawn().get()?;
    use_an_actor();
    nothing::remote().spawn().detach();
    Ok(same.name.len()
        + made
        + restricted
        + (later + numbers) as usize
        + usize::from(private_and_only_called_here(0, 1)))
}

/// Makes calls of an actor.
fn use_an_actor() {
    let call: manta::ActorCall<Account> = Account::remote(5).max_restarts(2);
    let use_it = |account: &ActorRef<Account>| {
        let later: UnspawnedCall<usize> = account.later(&["a".to_owned()], None);
        (account.pay(1), later.retries(2))
    };
    drop((call, use_it));
}

#[cfg(test)]
mod tests {
    #[manta::test]
    fn a_renamed_crate_finds_its_workers() {
        let rt = manta::Runtime::builder().workers(1).start().unwrap();
        assert_eq!(super::use_all().unwrap(), 56);
        drop(rt);
    }

    #[manta::test]
    #[should_panic(expected = "as it should")]
    fn a_test_may_panic() {
        panic!("as it should");
    }

    #[manta::test]
    #[ignore = "never run"]
    async fn a_test_may_be_ignored() -> manta::Result<()> {
        std::future::ready(Ok(())).await
    }
}
