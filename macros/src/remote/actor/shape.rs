//! The common parts of constructors and methods: their calls, and the code that runs them.

use proc_macro2::{Ident, TokenStream};
use quote::quote;
use syn::{Attribute, ImplItemFn};

use crate::{remote::params::Param, spans::local};

/// The pieces of generated code for parameters and attributes.
pub(super) struct Shape<'a> {
    pub(super) declare: Vec<TokenStream>,
    pub(super) push: Vec<TokenStream>,
    pub(super) resolve: Vec<TokenStream>,
    pub(super) pass: Vec<TokenStream>,
    pub(super) deprecated: Vec<&'a Attribute>,
    pub(super) allow_deprecated: Option<TokenStream>,
    pub(super) allow_many: Option<TokenStream>,
}

impl<'a> Shape<'a> {
    pub(super) fn of(
        function: &'a ImplItemFn,
        params: &[Param],
        private: &TokenStream,
    ) -> Shape<'a> {
        let [call, inputs] = ["call", "inputs"].map(local);
        let variables: Vec<_> = (0..params.len())
            .map(|n| local(&format!("argument{n}")))
            .collect();
        let with_variables = || params.iter().zip(&variables);
        let attributes = function.attrs.iter();
        let deprecated: Vec<_> = attributes
            .filter(|a| a.path().is_ident("deprecated"))
            .collect();
        Shape {
            declare: params.iter().map(|param| param.declare(private)).collect(),
            push: params
                .iter()
                .map(|param| param.push(&call, private))
                .collect(),
            resolve: with_variables()
                .map(|(param, v)| param.resolve(v, &inputs, private))
                .collect(),
            pass: with_variables().map(|(param, v)| param.pass(v)).collect(),
            allow_deprecated: (!deprecated.is_empty()).then(|| quote!(#[allow(deprecated)])),
            deprecated,
            // The lint for too many parameters belongs to the function itself.
            allow_many: (params.len() > 6).then(|| quote!(#[allow(clippy::too_many_arguments)])),
        }
    }
}

/// Adds the types of a signature to the table.
pub(super) fn learn_all(
    params: &[Param],
    output: Option<TokenStream>,
    private: &TokenStream,
) -> TokenStream {
    let types = local("types");
    let codecs = params
        .iter()
        .filter_map(|param| param.learns(private))
        .chain(output);
    quote!(#(#private::learn(&#codecs, #types);)*)
}

/// Returns the signature as text. A change of it makes another program.
pub(super) fn signature(name: &Ident, function: &ImplItemFn, group: Option<&str>) -> String {
    let sig = &function.sig;
    let group = group
        .map(|group| format!(" in {group:?}"))
        .unwrap_or_default();
    format!("{name}: {}{group}", quote!(#sig))
}
