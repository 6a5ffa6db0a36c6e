//! Generates the code of one method.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::LitStr;

use super::{
    header::Header,
    methods::Method,
    self_type,
    shape::{Shape, learn_all, signature},
};
use crate::{
    remote::{function::cfgs, registration::Registration},
    spans::{generated, local},
};

/// The generated code of one method.
pub(super) struct Generated {
    /// The code that runs it.
    pub(super) items: TokenStream,
    /// The method of the refs.
    pub(super) remote: TokenStream,
    pub(super) learn: TokenStream,
    pub(super) group: Option<String>,
}

impl Generated {
    pub(super) fn of(method: &Method, header: &Header, private: &TokenStream) -> Generated {
        let Method {
            function,
            params,
            output,
            exclusive,
            options,
        } = method;
        let (path, type_name) = (&header.path, &header.name);
        let name = &function.sig.ident;
        let shape = Shape::of(function, params, private);
        let Shape {
            declare,
            push,
            resolve,
            pass,
            deprecated,
            allow_deprecated,
            allow_many,
        } = &shape;
        let [call, inputs, state, guard, result] =
            ["call", "inputs", "state", "guard", "result"].map(local);
        let [meta, run] = ["META", "run"]
            .map(|part| format_ident!("__mobula_{}_{}", part, name, span = Span::call_site()));
        let cfgs = cfgs(&function.attrs);
        let docs = function.attrs.iter().filter(|a| a.path().is_ident("doc"));
        let asynchronous = function.sig.asyncness.is_some();
        let group = options.group.as_ref().map(LitStr::value);
        let in_group = match &group {
            Some(group) => quote!(::core::option::Option::Some(#group)),
            None => quote!(::core::option::Option::None),
        };
        let [item, submission] = Registration {
            meta: &meta,
            run: &run,
            name: quote!(::core::concat!(
                ::core::stringify!(#type_name),
                "::",
                ::core::stringify!(#name)
            )),
            signature: signature(type_name, function, group.as_deref()),
            asynchronous: asynchronous || output.is_polled(),
            role: quote!(#private::Role::Method { exclusive: #exclusive, group: #in_group }),
            options: options.of_task(private, |expr| self_type::in_expression(expr, path)),
            owner: quote!(#path),
        }
        .items(private);
        let (lock, borrow) = match exclusive {
            true => (
                quote!(let mut #guard = #private::Keeping::<#path>::write(&#state)?),
                quote!(&mut *#guard),
            ),
            false => (
                quote!(let #guard = #private::Keeping::<#path>::read(&#state)?),
                quote!(&*#guard),
            ),
        };
        let mut called = quote!(<#path>::#name(#borrow #(, #pass)*));
        let mut lock_first = None;
        if output.is_stream() {
            // The items may borrow the value.
            lock_first = Some(quote!(#lock;));
        } else {
            if asynchronous {
                called = quote!(#private::block_on(#called));
            }
            // Other methods need not wait until a large result is written.
            called = quote! {{
                #lock;
                let #result = #called;
                ::core::mem::drop(#guard);
                #result
            }};
        }
        let retry = options.retry_errors.as_ref();
        let which = retry.and_then(|retry| retry.which.as_ref());
        let which = which.map(|which| self_type::in_expression(which, path).into_token_stream());
        let awaits = asynchronous && output.is_stream();
        let encode = output.encode(called, awaits, which, private);
        let items = quote! {
            #(#cfgs)*
            #item

            #(#cfgs)*
            #submission

            #(#cfgs)*
            #allow_deprecated
            fn #run(#inputs: &mut #private::Inputs) -> #private::Result<#private::Payload> {
                let #state = #inputs.actor()?;
                #(#resolve)*
                #inputs.are_decoded()?;
                #lock_first
                #encode
            }
        };
        let (unspawned, value) = (output.call(private), output.value(private));
        let (vis, remote) = (&function.vis, generated(name));
        let remote = quote! {
            #(#docs)*
            #(#cfgs)*
            #(#deprecated)*
            #allow_many
            #[allow(clippy::impl_trait_in_params)]
            #vis fn #remote(&self #(, #declare)*) -> #unspawned<#value> {
                let mut #call = #unspawned::of_method(&#meta, &self.0);
                #(#push)*
                #call
            }
        };
        let codecs = learn_all(params, Some(output.codec(private)), private);
        let learn = quote!(#(#cfgs)* { #codecs });
        Generated {
            items,
            remote,
            learn,
            group,
        }
    }
}
