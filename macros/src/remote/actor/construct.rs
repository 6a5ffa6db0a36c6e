//! Generates `remote` of the actor's type, and the code that runs its constructor.

use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::Expr;

use super::{
    constructor::Constructor,
    header::Header,
    self_type,
    shape::{Shape, signature},
};
use crate::{
    options::Options,
    remote::{function::cfgs, registration::Registration, returns},
    spans::local,
};

pub(super) fn construct(
    header: &Header,
    constructor: &Constructor,
    options: &Options,
    private: &TokenStream,
) -> TokenStream {
    let Header { path, name, .. } = header;
    let Constructor {
        function,
        params,
        fallible,
    } = constructor;
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
    let [call, inputs, state, value, error] =
        ["call", "inputs", "state", "value", "error"].map(local);
    let cfgs = cfgs(&function.attrs);
    let vis = &function.vis;
    let asynchronous = function.sig.asyncness.is_some();
    let [meta, run] = ["META_new", "run_new"].map(|name| format_ident!("__mobula_{name}"));
    let [item, submission] = Registration {
        meta: &meta,
        run: &run,
        name: quote!(::core::concat!(::core::stringify!(#name), "::new")),
        signature: signature(name, function, None),
        asynchronous,
        role: quote!(#private::Role::Constructor { bound: #private::Keeping::<#path>::BOUND }),
        options: options.of_constructor(private, |expr| self_type::in_expression(expr, path)),
        owner: quote!(#path),
    }
    .items(private);
    let mut made = quote!(<#path>::new(#(#pass),*));
    if asynchronous {
        made = quote!(#private::block_on(#made));
    }
    let install = match fallible {
        false => quote!(#private::Keeping::<#path>::install(&#state, #made)),
        true => {
            let failure = returns::failure(&error, private);
            quote! {
                match #private::TaskResult::into_result(#made) {
                    ::core::result::Result::Ok(#value) => #private::Keeping::<#path>::install(&#state, #value),
                    ::core::result::Result::Err(#error) => #failure,
                }
            }
        }
    };
    let settings = settings(header, options);
    let remote = Ident::new("remote", function.sig.ident.span());
    let doc = "Describes an actor of this type, whose constructor gets these arguments; \
        nothing happens until it is spawned.";
    quote! {
        #(#cfgs)*
        #item

        #(#cfgs)*
        #submission

        #(#cfgs)*
        #allow_deprecated
        fn #run(#inputs: &mut #private::Inputs) -> #private::Result<#private::Payload> {
            let #state = #inputs.actor()?;
            #(#resolve)*
            #install
        }

        #(#cfgs)*
        impl #path {
            #[doc = #doc]
            #(#deprecated)*
            #allow_many
            #[allow(clippy::impl_trait_in_params)]
            #vis fn #remote(#(#declare),*) -> #private::ActorCall<#path> {
                let mut #call = #private::ActorCall::new(&#meta);
                #(#push)*
                #call #settings
            }
        }
    }
}

/// Returns the code that sets the options of the attribute.
fn settings(header: &Header, options: &Options) -> TokenStream {
    let constant = |name: String, ty: TokenStream, value: &Expr| {
        let name = format_ident!("__mobula_{}", name.to_uppercase());
        let value = self_type::in_expression(value, &header.path);
        quote!({ const #name: #ty = #value; #name })
    };
    let number = quote!(::core::primitive::u32);
    let mut settings = TokenStream::new();
    for name in [
        "max_restarts",
        "max_call_retries",
        "max_concurrency",
        "max_pending_calls",
    ] {
        if let Some(value) = options.number(name) {
            let value = constant(name.to_owned(), number.clone(), value);
            let name = format_ident!("{name}");
            settings.extend(quote!(.#name(#value)));
        }
    }
    for (n, (name, limit)) in options.groups.iter().enumerate() {
        let limit = constant(format!("group{n}"), number.clone(), limit);
        settings.extend(quote!(.group(#name, #limit)));
    }
    if let Some(grace) = options.duration("grace") {
        let grace = constant("grace".to_owned(), quote!(::core::time::Duration), grace);
        settings.extend(quote!(.grace(#grace)));
    }
    settings
}
