//! `#[remote]` at a place where it is not allowed.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::{
    FnArg, Item, ItemFn, Path,
    visit::{self, Visit},
};

use crate::errors::Errors;

/// Adds an error at the keyword that tells the kind of the item.
pub(crate) fn not_a_function(item: TokenStream, errors: &mut Errors) {
    let (keyword, message) = match syn::parse2::<Item>(item.clone()) {
        Ok(Item::Struct(item)) => (item.struct_token.to_token_stream(), FREE_FUNCTION),
        Ok(Item::Enum(item)) => (item.enum_token.to_token_stream(), FREE_FUNCTION),
        Ok(Item::Trait(item)) => (item.trait_token.to_token_stream(), FREE_FUNCTION),
        Ok(Item::Mod(item)) => (item.mod_token.to_token_stream(), FREE_FUNCTION),
        _ => match function_keyword(item.clone()) {
            Some(keyword) => (
                keyword.to_token_stream(),
                "#[remote] goes on a free function with a body, not on one of a trait or an `extern` block",
            ),
            None => (item, FREE_FUNCTION),
        },
    };
    errors.at(keyword, message);
}

const FREE_FUNCTION: &str = "#[remote] goes on a free function, or on the `impl` block of an actor";

fn function_keyword(item: TokenStream) -> Option<TokenTree> {
    item.into_iter()
        .find(|tree| matches!(tree, TokenTree::Ident(ident) if ident == "fn"))
}

/// Returns whether the function can only be part of an `impl` block or a trait. Adds an error then.
pub(crate) fn in_an_impl(function: &ItemFn, errors: &mut Errors) -> bool {
    if let Some(FnArg::Receiver(receiver)) = function.sig.inputs.first() {
        errors.at(
            receiver,
            "a remote function has no `self`; make it a free function and take the value as a parameter, as in `this: &Type`, or put #[remote] on the whole `impl` block, which makes the type an actor",
        );
        return true;
    }
    let mut search = SelfType(None);
    search.visit_signature(&function.sig);
    search.visit_block(&function.block);
    if let Some(path) = search.0 {
        errors.at(
            path,
            "#[remote] goes on a free function, which has no `Self`; move the function out of the `impl` block",
        );
        return true;
    }
    false
}

/// Finds a `Self` outside of items inside the function.
struct SelfType<'a>(Option<&'a Path>);

impl<'a> Visit<'a> for SelfType<'a> {
    fn visit_path(&mut self, path: &'a Path) {
        if path
            .segments
            .first()
            .is_some_and(|segment| segment.ident == "Self")
        {
            self.0.get_or_insert(path);
        }
        visit::visit_path(self, path);
    }

    fn visit_item(&mut self, _: &'a Item) {}
}
