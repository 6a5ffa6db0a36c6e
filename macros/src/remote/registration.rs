//! The registration that makes a function known to all processes.

use proc_macro2::{Ident, TokenStream};
use quote::quote;

/// The data of a registration.
pub(super) struct Registration<'a> {
    /// The name of the static that is registered.
    pub(super) meta: &'a Ident,
    /// The name of the function that runs it.
    pub(super) run: &'a Ident,
    /// An expression for its name.
    pub(super) name: TokenStream,
    pub(super) signature: String,
    pub(super) asynchronous: bool,
    /// An expression for its role.
    pub(super) role: TokenStream,
    /// An expression for the options of its calls.
    pub(super) options: TokenStream,
    /// The type that owns the function: its own, or the actor's.
    pub(super) owner: TokenStream,
}

impl Registration<'_> {
    /// Returns the static, and its registration. Each is one item, so conditions can stand before
    /// them.
    pub(super) fn items(&self, private: &TokenStream) -> [TokenStream; 2] {
        let Registration {
            meta,
            run,
            name,
            signature,
            asynchronous,
            role,
            options,
            owner,
        } = self;
        let item = quote! {
            static #meta: #private::RemoteFn = #private::RemoteFn {
                package: ::core::env!("CARGO_PKG_NAME"),
                version: ::core::env!("CARGO_PKG_VERSION"),
                module: ::core::module_path!(),
                name: #name,
                file: ::core::file!(),
                line: ::core::line!(),
                column: ::core::column!(),
                signature: #signature,
                asynchronous: #asynchronous,
                role: #role,
                options: #options,
                owner: ::core::any::TypeId::of::<#owner>,
                run: #run,
                index: #private::IndexCell::NEW,
            };
        };
        let submission = quote! {
            #private::inventory::submit! { #private::Registered(&#meta) }
        };
        [item, submission]
    }
}

/// Returns the traits by which generated code finds codecs and the kinds of results.
pub(super) fn levels(private: &TokenStream) -> TokenStream {
    quote! {
        use #private::{
            Level1 as _, Level2 as _, Level3 as _, Level4 as _, Level5 as _, Level6 as _, Level7 as _,
        };
    }
}

/// Returns the traits that the running code needs in addition to the [`levels`].
pub(super) fn result_levels(private: &TokenStream) -> TokenStream {
    quote! {
        use #private::{
            Admits as _, IsNamed as _, IsResult as _, SplitLevel1 as _, SplitLevel2 as _, TypedLevel1 as _, TypedLevel2 as _,
            ErrorLevel1 as _, ErrorLevel2 as _, ErrorLevel3 as _, ErrorLevel4 as _, ErrorLevel5 as _,
        };
    }
}
