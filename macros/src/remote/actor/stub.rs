//! Generates a stub in place of the real code after an error. With it, uses of the actor are not
//! reported as errors of their own.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::{FnArg, ImplItem, ItemImpl};

use super::{header::Header, self_type};
use crate::{
    remote::{function::cfgs, stub::value},
    spans::generated,
};

pub(super) fn generate(block: &ItemImpl, header: &Header, root: &TokenStream) -> TokenStream {
    let private = quote!(#root::__private);
    let Header {
        path,
        name,
        cfgs: conditions,
    } = header;
    let calls = format_ident!("__{}Methods", name, span = Span::call_site());
    let (mut construct, mut methods) = (TokenStream::new(), TokenStream::new());
    let (mut seen, mut no_remote) = (Vec::new(), true);
    for item in &block.items {
        let ImplItem::Fn(function) = item else {
            continue;
        };
        let sig = self_type::in_signature(&function.sig, path);
        let (cfgs, vis) = (cfgs(&function.attrs), &function.vis);
        let params = sig.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(_) => Some(quote!(_: impl ::core::marker::Sized)),
        });
        // There can be only one `remote`.
        no_remote &= sig.ident != "remote";
        let has_self = matches!(sig.inputs.first(), Some(FnArg::Receiver(_)));
        if sig.ident == "new" && !has_self {
            construct = quote! {
                #(#cfgs)*
                impl #path {
                    #[doc(hidden)]
                    #vis fn remote(#(#params),*) -> #private::ActorCall<#path> {
                        loop {}
                    }
                }
            };
        } else if has_self && !seen.contains(&sig.ident) {
            let (value, generics) = value(&sig.output, &sig.generics, &private);
            let name = generated(&sig.ident);
            methods.extend(quote! {
                #(#cfgs)*
                #[doc(hidden)]
                #vis fn #name #generics(&self #(, #params)*) -> #private::UnspawnedCall<#value> {
                    loop {}
                }
            });
            seen.push(sig.ident);
        }
    }
    let construct = no_remote.then_some(construct);
    quote! {
        #(#conditions)*
        const _: () = {
            #[doc(hidden)]
            pub struct #calls(#private::ActorHandle);

            impl #private::ActorMethods for #calls {
                fn of(handle: #private::ActorHandle) -> Self {
                    Self(handle)
                }

                fn handle(&self) -> &#private::ActorHandle {
                    &self.0
                }
            }

            impl #private::Actor for #path {
                type Methods = #calls;
                const GROUPS: &'static [&'static ::core::primitive::str] = &[];
            }

            #construct

            impl #calls {
                #methods
            }
        };
    }
}
