//! `#[mobula::main]` and `#[mobula::test]`.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{AttrStyle, ItemFn, Signature, parse_quote};

use crate::{
    crate_path,
    errors::Errors,
    options::{Options, Place},
};

pub(crate) fn expand_main(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(args, item, "main", |function, root, errors| {
        if function.sig.ident != "main" {
            errors.at(
                &function.sig.ident,
                "#[mobula::main] goes on the program's `fn main`",
            );
        }
        quote!(#root::init();)
    })
}

pub(crate) fn expand_test(args: TokenStream, item: TokenStream) -> TokenStream {
    expand(args, item, "test", |function, root, _| {
        let name = &function.sig.ident;
        function
            .attrs
            .insert(0, parse_quote!(#[::core::prelude::v1::test]));
        quote! {
            #root::__private::test_entry(#root::__private::test_name(
                ::core::concat!(::core::module_path!(), "::", ::core::stringify!(#name)),
            ));
        }
    })
}

/// Expands an attribute. `first` returns the code at the beginning of the function, and checks the
/// function.
fn expand(
    args: TokenStream,
    item: TokenStream,
    attribute: &str,
    first: impl FnOnce(&mut ItemFn, &TokenStream, &mut Errors) -> TokenStream,
) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(args, Place::Entry, &mut errors);
    let Ok(mut function) = syn::parse2::<ItemFn>(item.clone()) else {
        errors.at(
            &item,
            format_args!("#[mobula::{attribute}] goes on a function"),
        );
        return [errors.into_tokens(), item].into_iter().collect();
    };
    check(&function, attribute, &mut errors);
    let root = crate_path::mobula(options.krate.as_ref());
    let first = first(&mut function, &root, &mut errors);
    if !errors.is_empty() {
        // The compiler would add errors about an async `main`, or about its parameters.
        let Signature { ident, output, .. } = &function.sig;
        let stub = quote!(fn #ident() #output { loop {} });
        return [errors.into_tokens(), stub].into_iter().collect();
    }
    if function.sig.asyncness.is_some() {
        make_sync(
            &mut function,
            |run| quote!(#first #root::__private::block_on_main(#run)),
        );
    } else {
        let statements = std::mem::take(&mut function.block.stmts);
        function.block = parse_quote!({ #first #(#statements)* });
    }
    function.into_token_stream()
}

fn check(function: &ItemFn, attribute: &str, errors: &mut Errors) {
    let signature = &function.sig;
    if !signature.inputs.is_empty() {
        errors.at(
            &signature.inputs,
            format_args!("a {attribute} function takes no arguments"),
        );
    }
    if !signature.generics.params.is_empty() {
        errors.at(
            &signature.generics,
            format_args!("a {attribute} function is not generic"),
        );
    }
}

/// Moves an async function into a function that calls it. The body stays an `async fn` of its own,
/// so its return type and its `return`s keep their meaning.
fn make_sync(function: &mut ItemFn, body: impl FnOnce(TokenStream) -> TokenStream) {
    if function.sig.asyncness.is_none() {
        return;
    }
    let mut inner = function.clone();
    // Attributes like `#[should_panic]` belong to the outer function, and lint levels belong to
    // both.
    inner.attrs.retain(|attribute| {
        matches!(attribute.style, AttrStyle::Inner(_))
            || ["allow", "expect", "warn", "deny", "forbid"]
                .iter()
                .any(|name| attribute.path().is_ident(name))
    });
    function.attrs.retain(|attribute| {
        !matches!(attribute.style, AttrStyle::Inner(_)) && !attribute.path().is_ident("expect")
    });
    inner.vis = syn::Visibility::Inherited;
    let name = &inner.sig.ident;
    let body = body(quote!(#name()));
    function.sig.asyncness = None;
    function.block = parse_quote!({ #inner #body });
}
