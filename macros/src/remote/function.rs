//! Generates the code beside a remote function.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{Attribute, ItemFn, Meta, Token, punctuated::Punctuated};

use super::{
    params::Param,
    registration::{Registration, levels, result_levels},
    returns::Output,
};
use crate::{
    options::Options,
    spans::{generated, local},
};

pub(crate) fn generate(
    function: &ItemFn,
    params: &[Param],
    output: &Output,
    options: &Options,
    root: &TokenStream,
) -> TokenStream {
    let private = quote!(#root::__private);
    let (vis, name) = (&function.vis, generated(&function.sig.ident));
    let cfgs = cfgs(&function.attrs);
    let deprecated: Vec<_> = function
        .attrs
        .iter()
        .filter(|a| a.path().is_ident("deprecated"))
        .collect();
    let allow_deprecated = (!deprecated.is_empty()).then(|| quote!(#[allow(deprecated)]));

    // The lint for too many parameters belongs to the function itself.
    let allow_many = (params.len() > 7).then(|| quote!(#[allow(clippy::too_many_arguments)]));
    let [call, inputs, types] = ["call", "inputs", "types"].map(local);
    let variables: Vec<_> = (0..params.len())
        .map(|n| local(&format!("argument{n}")))
        .collect();
    // Names of items do not have the hygiene of local variables.
    let [meta, run, learn] = ["META", "run", "learn"].map(|name| format_ident!("__mobula_{name}"));

    let declare = params.iter().map(|param| param.declare(&private));
    let push = params.iter().map(|param| param.push(&call, &private));
    let resolve = params
        .iter()
        .zip(&variables)
        .map(|(param, v)| param.resolve(v, &inputs, &private));
    let pass = params
        .iter()
        .zip(&variables)
        .map(|(param, v)| param.pass(v));
    let codecs = params
        .iter()
        .filter_map(|param| param.learns(&private))
        .chain([output.codec(&private)]);
    let (unspawned, value) = (output.call(&private), output.value(&private));

    let asynchronous = function.sig.asyncness.is_some();
    let result = quote!(#name(#(#pass),*));
    let retry = options.retry_errors.as_ref();
    let which = retry.and_then(|retry| retry.which.as_ref());
    let encode = output.encode(
        result,
        asynchronous,
        which.map(ToTokens::to_token_stream),
        &private,
    );
    let signature = function.sig.to_token_stream().to_string();
    let remote = Ident::new("remote", function.sig.ident.span());
    let registration = Registration {
        meta: &meta,
        run: &run,
        name: quote!(::core::stringify!(#name)),
        signature,
        asynchronous: asynchronous || output.is_polled(),
        role: quote!(#private::Role::Function),
        options: options.of_task(&private, |expr| expr.clone()),
        owner: name.to_token_stream(),
    };
    let [item, submission] = registration.items(&private);
    let (levels, result_levels) = (levels(&private), result_levels(&private));
    let doc =
        format!("Makes a call of [`{name}`](fn@{name}), which nothing runs until it is spawned.");

    quote! {
        #(#cfgs)*
        #private::remote_goes_on_free_functions_only! { #vis #name {
            #[doc = #doc]
            #(#deprecated)*
            #allow_many
            #[allow(clippy::impl_trait_in_params)]
            #vis fn #remote(#(#declare),*) -> #unspawned<#value> {
                #levels
                let mut #call = #unspawned::new(<#name as #private::Remote>::FUNCTION);
                #(#push)*
                #call
            }
        } #allow_deprecated {
            #levels
            #result_levels

            #item

            fn #run(#inputs: &mut #private::Inputs) -> #private::Result<#private::Payload> {
                #(#resolve)*
                #inputs.are_decoded()?;
                #encode
            }

            fn #learn(#types: &mut #private::Types) {
                #(#private::learn(&#codecs, #types);)*
            }

            impl #private::Remote for #name {
                const FUNCTION: &'static #private::RemoteFn = &#meta;
            }

            #submission
            #private::inventory::submit! { #private::Signature(#learn) }
        } }
    }
}

/// Returns the conditions under which the function exists, also those inside `cfg_attr`.
pub(super) fn cfgs(attributes: &[Attribute]) -> Vec<TokenStream> {
    let mut cfgs = Vec::new();
    for attribute in attributes {
        if attribute.path().is_ident("cfg") {
            cfgs.push(attribute.to_token_stream());
        } else if attribute.path().is_ident("cfg_attr")
            && let Ok(list) =
                attribute.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
        {
            let mut list = list.into_iter();
            let condition = list.next();
            for meta in list.filter(|meta| meta.path().is_ident("cfg")) {
                cfgs.push(quote!(#[cfg_attr(#condition, #meta)]));
            }
        }
    }
    cfgs
}
