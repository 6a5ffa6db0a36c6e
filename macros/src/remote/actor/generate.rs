//! Generates the code beside an actor's `impl` block.
//!
//! All of it is in one anonymous constant, so its names cannot meet those of the user. The
//! constructor's call is `remote` of the actor's own type. The methods' calls are methods of a type
//! that only an `ActorRef` has. For each of them there is a function that runs it in the actor's
//! worker.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, format_ident, quote};

use super::{
    construct::construct, constructor::Constructor, header::Header, method::Generated,
    methods::Method, shape::learn_all,
};
use crate::{
    options::Options,
    remote::registration::{levels, result_levels},
    spans::{Extent, local},
};

pub(super) fn generate(
    header: &Header,
    constructor: &Constructor,
    methods: &[Method],
    options: &Options,
    root: &TokenStream,
) -> TokenStream {
    let private = &quote!(#root::__private);
    let Header { path, name, cfgs } = header;
    let calls = format_ident!("__{}Methods", name, span = Span::call_site());
    let (levels, result_levels) = (levels(private), result_levels(private));
    let construct = construct(header, constructor, options, private);
    let methods: Vec<_> = methods
        .iter()
        .map(|method| Generated::of(method, header, private))
        .collect();
    let items = methods.iter().map(|method| &method.items);
    let remote = methods.iter().map(|method| &method.remote);
    let learn = methods.iter().map(|method| &method.learn);
    let learn_constructor = learn_all(&constructor.params, None, private);
    let groups = groups(methods.iter().filter_map(|method| method.group.clone()));
    let concurrent = is_concurrent(options, &groups).then(|| {
        let check = Extent::of(path).at(quote!(concurrent_actor));
        quote!(const _: () = #private::#check::<#path>();)
    });
    let types = local("types");
    let at_type = Extent::of(path);
    let actor = at_type.at(quote!(#private::Actor));
    quote! {
        #(#cfgs)*
        const _: () = {
            #levels
            #result_levels

            #[doc(hidden)]
            pub struct #calls(#private::ActorHandle);

            #[allow(unused_imports)]
            use #private::Bound as _;
            #concurrent

            impl #private::ActorMethods for #calls {
                fn of(handle: #private::ActorHandle) -> Self {
                    Self(handle)
                }

                fn handle(&self) -> &#private::ActorHandle {
                    &self.0
                }
            }

            impl #actor for #path {
                type Methods = #calls;
                const GROUPS: &'static [&'static ::core::primitive::str] = &[#(#groups),*];
            }

            #construct

            #(#items)*

            impl #calls {
                #(#remote)*
            }

            fn __mobula_learn(#types: &mut #private::Types) {
                #private::learn_actor::<#path>(#types);
                #learn_constructor
                #(#learn)*
            }

            #private::inventory::submit! { #private::Signature(__mobula_learn) }
        };
    }
}

/// Returns whether the block asks for calls that run at the same time.
fn is_concurrent(options: &Options, groups: &[String]) -> bool {
    let most = options.number("max_concurrency");
    !groups.is_empty() || most.is_some_and(|most| most.to_token_stream().to_string() != "1")
}

/// Returns the groups of the methods, each once.
fn groups(of_methods: impl Iterator<Item = String>) -> Vec<String> {
    let mut groups: Vec<String> = Vec::new();
    for group in of_methods {
        if !groups.contains(&group) {
            groups.push(group);
        }
    }
    groups
}
