//! `#[remote]`.

mod function;
mod inspect;
mod misplaced;
mod params;
mod returns;
mod signature;
mod stub;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ItemFn;

use crate::{
    crate_path,
    errors::Errors,
    options::{Known, Options},
};

/// The item itself comes out in any case, so that the rest of the user's code is checked as usual.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(args, Known { retries: true }, &mut errors);
    let root = crate_path::mobula(options.krate.as_ref());
    let mut out = item.clone();
    let Ok(function) = syn::parse2::<ItemFn>(item.clone()) else {
        misplaced::not_a_function(item, &mut errors);
        out.extend(errors.into_tokens());
        return out;
    };
    if misplaced::in_an_impl(&function, &mut errors) {
        // Nothing but functions may stand there, and this error.
        out.extend(errors.into_tokens());
        return out;
    }
    signature::check(&function.sig, &mut errors);
    let params = params::parse(&function.sig.inputs, &mut errors);
    let output = returns::parse(&function.sig.output, &mut errors);
    if errors.is_empty() {
        out.extend(function::generate(
            &function, &params, &output, &options, &root,
        ));
    } else {
        out.extend(errors.into_tokens());
        out.extend(stub::generate(&function, &root));
    }
    out.into_token_stream()
}
