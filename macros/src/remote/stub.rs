//! Generates a stub in place of the real code after an error. With it, calls of the function are
//! not reported as errors of their own.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Generics, ItemFn, ReturnType, Type, parse_quote,
    visit::{self, Visit},
};

use super::{
    function::cfgs,
    inspect::{Parts, instead_of_cow, is_result, ungroup},
};
use crate::spans::generated;

pub(crate) fn generate(function: &ItemFn, root: &TokenStream) -> TokenStream {
    let private = quote!(#root::__private);
    let (vis, name) = (&function.vis, generated(&function.sig.ident));
    let cfgs = cfgs(&function.attrs);
    let params = function
        .sig
        .inputs
        .iter()
        .map(|_| quote!(_: impl ::core::marker::Sized));
    let (value, generics) = value(&function.sig.output, &function.sig.generics, &private);
    quote! {
        #(#cfgs)*
        #[doc(hidden)]
        #vis enum #name {}

        #(#cfgs)*
        impl #name {
            #[doc(hidden)]
            #vis fn remote #generics(#(#params),*) -> #private::UnspawnedCall<#value> {
                loop {}
            }
        }
    }
}

/// Returns the result's type, and the generic parameters that it needs. An invalid type is replaced
/// by the type that was likely meant, or else by `()`.
pub(super) fn value(
    output: &ReturnType,
    generics: &Generics,
    private: &TokenStream,
) -> (TokenStream, Option<Generics>) {
    let ReturnType::Type(_, ty) = output else {
        return (quote!(()), None);
    };
    let ty = owned(ungroup(ty));
    let parts = Parts::of(&ty);
    let odd = [
        parts.borrow,
        parts.lifetime,
        parts.dynamic,
        parts.opaque,
        parts.inferred,
    ];
    let value = if odd.iter().any(Option::is_some) || matches!(ty, Type::Never(_)) {
        quote!(())
    } else if is_result(&ty) {
        quote!(<#ty as #private::TaskResult>::Value)
    } else {
        ty.to_token_stream()
    };
    // The parameters are repeated as they are written, without a `where`. Their uses tell what they
    // are.
    let needed = Mentions::any(generics, &ty).then(|| Generics {
        where_clause: None,
        ..generics.clone()
    });
    (value, needed)
}

/// Returns the type of a result that does not borrow.
fn owned(ty: &Type) -> Type {
    if let Some((_, owned)) = instead_of_cow(ty) {
        return syn::parse_str(&owned).unwrap_or_else(|_| ty.clone());
    }
    let Type::Reference(reference) = ty else {
        return ty.clone();
    };
    match ungroup(&reference.elem) {
        Type::Slice(slice) => {
            let elem = &slice.elem;
            parse_quote!(::std::vec::Vec<#elem>)
        }
        Type::Path(path) if path.path.is_ident("str") => parse_quote!(::std::string::String),
        elem => elem.clone(),
    }
}

/// Finds whether a type mentions a generic parameter.
struct Mentions<'a> {
    generics: &'a Generics,
    found: bool,
}

impl Mentions<'_> {
    fn any(generics: &Generics, ty: &Type) -> bool {
        let mut mentions = Mentions {
            generics,
            found: false,
        };
        mentions.visit_type(ty);
        mentions.found
    }
}

impl<'a> Visit<'a> for Mentions<'_> {
    fn visit_ident(&mut self, ident: &'a Ident) {
        let mut names = self
            .generics
            .type_params()
            .map(|param| &param.ident)
            .chain(self.generics.const_params().map(|param| &param.ident));
        self.found |= names.any(|name| name == ident);
        visit::visit_ident(self, ident);
    }
}
