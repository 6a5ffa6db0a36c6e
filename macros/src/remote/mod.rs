//! `#[remote]`.

mod actor;
mod conditions;
mod function;
mod inspect;
mod misplaced;
mod params;
mod registration;
mod returns;
mod signature;
mod stub;

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Item, ItemFn};

use crate::{
    crate_path,
    errors::Errors,
    options::{Options, Place},
};

use conditions::Conditional;
use signature::Callee;

/// Expands an item. The item itself is part of the output in any case, so the rest of the user's
/// code is checked like usual.
pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    if let Ok(Item::Impl(block)) = syn::parse2::<Item>(item.clone()) {
        return block
            .split(&args, Place::Actor)
            .unwrap_or_else(|| actor::expand(args, block, errors));
    }
    let function = syn::parse2::<ItemFn>(item.clone());
    if let Ok(function) = &function
        && let Some(items) = function.split(&args, Place::Function)
    {
        return items;
    }
    let options = Options::parse(args, Place::Function, &mut errors);
    let root = crate_path::mobula(options.krate.as_ref());
    let mut out = item.clone();
    let Ok(function) = function else {
        misplaced::not_a_function(item, &mut errors);
        out.extend(errors.into_tokens());
        return out;
    };
    if misplaced::in_an_impl(&function, &mut errors) {
        // Only functions may stand in an `impl` block, so the output adds only this error.
        out.extend(errors.into_tokens());
        return out;
    }
    signature::check(&function.sig, Callee::Function, &mut errors);
    signature::check_name(&function.sig.ident, &mut errors);
    let params = params::parse(function.sig.inputs.iter().enumerate(), &mut errors);
    let output = returns::parse(&function.sig.output, &mut errors);
    output.check_retries(&options, &mut errors);
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
