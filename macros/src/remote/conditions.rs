//! Conditions (`#[cfg]`, `#[cfg_attr]`) on parts that the macro itself reads.
//!
//! A macro cannot know which conditions hold. So an item with such a condition becomes two, each
//! with `#[remote]` again. One is for builds where the condition holds, and one is for the others.
//! The compiler expands only the item that exists.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{
    Attribute, FnArg, ImplItem, ItemFn, ItemImpl, Meta, Signature, Token, parse::Parser,
    parse_quote, punctuated::Punctuated,
};

use crate::{
    crate_path,
    errors::Errors,
    options::{Options, Place},
};

/// An item that may become two, if a part that the macro reads has a condition.
pub(super) trait Conditional: Clone + ToTokens {
    /// Settles the first condition that is found, so that it holds or does not. Returns the
    /// condition.
    fn settle(&mut self, holds: bool) -> Option<TokenStream>;

    /// Returns the two items in place of the item, if there is a condition.
    fn split(&self, args: &TokenStream, place: Place) -> Option<TokenStream> {
        let (mut with, mut without) = (self.clone(), self.clone());
        let condition = with.settle(true)?;
        without.settle(false)?;
        // Wrong options are reported when the item is expanded.
        let options = Options::parse(args.clone(), place, &mut Errors::default());
        let root = crate_path::mobula(options.krate.as_ref());
        Some(quote! {
            #[cfg(#condition)]
            #[#root::remote(#args)]
            #with

            #[cfg(not(#condition))]
            #[#root::remote(#args)]
            #without
        })
    }
}

impl Conditional for ItemFn {
    fn settle(&mut self, holds: bool) -> Option<TokenStream> {
        attributes(&mut self.attrs, holds).or_else(|| parameters(&mut self.sig, holds))
    }
}

impl Conditional for ItemImpl {
    fn settle(&mut self, holds: bool) -> Option<TokenStream> {
        self.items.iter_mut().find_map(|item| match item {
            ImplItem::Fn(function) => attributes(&mut function.attrs, holds)
                .or_else(|| parameters(&mut function.sig, holds)),
            _ => None,
        })
    }
}

/// Settles a `cfg_attr` with an attribute that the macro reads. A `cfg` of the function is repeated
/// on all generated code, so it needs no second item.
fn attributes(attributes: &mut Vec<Attribute>, holds: bool) -> Option<TokenStream> {
    for n in 0..attributes.len() {
        let Some((condition, metas)) = cfg_attr(&attributes[n]) else {
            continue;
        };
        let is_read = |meta: &Meta| {
            let last = meta.path().segments.last();
            last.is_some_and(|last| {
                ["deprecated", "remote", "cfg_attr"]
                    .iter()
                    .any(|read| last.ident == read)
            })
        };
        if metas.iter().any(is_read) {
            replace(attributes, n, metas, holds);
            return Some(condition);
        }
    }
    None
}

/// Settles a condition on a parameter.
fn parameters(signature: &mut Signature, holds: bool) -> Option<TokenStream> {
    let inputs = std::mem::take(&mut signature.inputs);
    let mut found = None;
    for mut input in inputs {
        let attributes = match &mut input {
            FnArg::Receiver(receiver) => &mut receiver.attrs,
            FnArg::Typed(typed) => &mut typed.attrs,
        };
        let mut exists = true;
        for n in 0..attributes.len() {
            if found.is_some() {
                break;
            }
            if let Some((condition, metas)) = cfg_attr(&attributes[n]) {
                replace(attributes, n, metas, holds);
                found = Some(condition);
            } else if attributes[n].path().is_ident("cfg")
                && let Ok(list) = attributes[n].meta.require_list()
            {
                found = Some(list.tokens.clone());
                attributes.remove(n);
                exists = holds;
            }
        }
        if exists {
            signature.inputs.push(input);
        }
    }
    found
}

/// Returns the condition and the attributes of a `cfg_attr`.
fn cfg_attr(attribute: &Attribute) -> Option<(TokenStream, Vec<Meta>)> {
    if !attribute.path().is_ident("cfg_attr") {
        return None;
    }
    let tokens = &attribute.meta.require_list().ok()?.tokens;
    let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens.clone());
    let mut metas = metas.ok()?.into_iter();
    let condition = metas.next()?.to_token_stream();
    Some((condition, metas.collect()))
}

/// Replaces a `cfg_attr` by its attributes if it holds, and otherwise removes it.
fn replace(attributes: &mut Vec<Attribute>, n: usize, metas: Vec<Meta>, holds: bool) {
    let metas = metas.into_iter().filter(|_| holds);
    let attribute = metas.map(|meta| -> Attribute { parse_quote!(#[#meta]) });
    drop(attributes.splice(n..=n, attribute));
}
