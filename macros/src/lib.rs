//! Attribute macros of Mobula: `#[remote]`, `#[mobula::main]` and `#[mobula::test]`.
//!
//! Users depend on the crate `mobula`, which re-exports them and explains them. What the macros
//! generate refers to `mobula::__private` only.

#![forbid(unsafe_code)]

mod crate_path;
mod entry;
mod errors;
mod options;
mod remote;
mod spans;

use proc_macro::TokenStream;

/// Makes a function callable in worker processes.
///
/// The function itself stays as it is. Beside it appears `name::remote(..)`, which takes for each
/// parameter the value, a borrow of it, or an `ObjectRef`, and returns an `UnspawnedCall`.
///
/// # Options
/// * `retries = n`: run the function again, up to `n` times, after its worker process died.
///   `.retries(n)` on a call overrides it. Default: 0.
/// * `crate = path`: where `mobula` is, for crates that know it through another crate only.
///
/// # Example
/// ```ignore
/// #[remote(retries = 2)]
/// fn score(array: &[f64], param: u64) -> f64 {
///     array.iter().sum::<f64>() * param as f64
/// }
///
/// let local = score(&[1.0, 2.0], 7);
/// let remote = score::remote(&[1.0, 2.0], 7).spawn().get()?;
/// ```
#[proc_macro_attribute]
pub fn remote(args: TokenStream, item: TokenStream) -> TokenStream {
    remote::expand(args.into(), item.into()).into()
}

/// Starts a program that uses Mobula: calls `mobula::init()` first, and runs an `async fn main` on
/// a multi-threaded tokio runtime.
///
/// # Options
/// * `crate = path`: where `mobula` is, for crates that know it through another crate only.
#[proc_macro_attribute]
pub fn main(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_main(args.into(), item.into()).into()
}

/// Makes a test whose runtime finds its remote functions in worker processes: like `#[test]`, also
/// for an `async fn`, which runs on a multi-threaded tokio runtime.
///
/// # Options
/// * `crate = path`: where `mobula` is, for crates that know it through another crate only.
#[proc_macro_attribute]
pub fn test(args: TokenStream, item: TokenStream) -> TokenStream {
    entry::expand_test(args.into(), item.into()).into()
}
