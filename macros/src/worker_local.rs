//! `#[worker_local]`.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{ItemStatic, StaticMutability};

use crate::{
    crate_path,
    errors::Errors,
    options::{Options, Place},
    spans::Extent,
};

pub(crate) fn expand(args: TokenStream, item: TokenStream) -> TokenStream {
    let mut errors = Errors::default();
    let options = Options::parse(args, Place::WorkerLocal, &mut errors);
    let Ok(local) = syn::parse2::<ItemStatic>(item.clone()) else {
        errors.at(
            &item,
            "#[worker_local] goes on a static with a type and an initial value, as in `static MODEL: Model = load();`",
        );
        return errors.into_tokens();
    };
    if let StaticMutability::Mut(mutable) = &local.mutability {
        errors.at(
            mutable,
            "a worker-local value needs no `mut`: `with` lends it as `&mut`",
        );
    }
    let ItemStatic {
        attrs,
        vis,
        ident,
        ty,
        expr,
        ..
    } = &local;
    let root = crate_path::mobula(options.krate.as_ref());
    if !errors.is_empty() {
        // The uses of the static are no further errors.
        let errors = errors.into_tokens();
        return quote! {
            #errors
            #(#attrs)*
            #vis static #ident: #root::WorkerLocal<#ty> =
                #root::WorkerLocal::new("", || ::core::unreachable!());
        };
    }
    // This is in the static's own initial value, so a `cfg` of the static also holds for this.
    let eager = options.has("eager").then(|| {
        quote! {
            fn make_now() {
                #ident.with(|_| ());
            }
            #root::__private::inventory::submit! {
                #root::__private::EagerLocal(make_now)
            }
        }
    });
    // The compiler's messages about the type point at the type.
    let extent = Extent::of(ty);
    let open = extent.open(quote!(#root::WorkerLocal<));
    let close = extent.close(quote!(>));
    let new_open = extent.open(quote!(#root::WorkerLocal::<));
    let new_close = extent.close(quote!(>::new));
    quote! {
        #(#attrs)*
        #vis static #ident: #open #ty #close = {
            #eager
            #new_open #ty #new_close(::core::stringify!(#ident), || #expr)
        };
    }
}
