//! The result: the type of the call's ref, and the encoding of the value.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::{ReturnType, Type, parse_quote};

use super::inspect::{Items, Parts, instead_of_cow, is_result, ungroup};
use crate::{
    errors::Errors,
    options::Options,
    spans::{Extent, local},
};

pub(crate) struct Output {
    /// The type of the result, or of the items of a stream.
    ty: Type,
    extent: Extent,
    fallible: bool,
    /// The items, if the result is a stream.
    items: Option<Items>,
}

pub(crate) fn parse(output: &ReturnType, errors: &mut Errors) -> Output {
    let ty = match output {
        ReturnType::Default => parse_quote!(()),
        ReturnType::Type(_, ty) => ungroup(ty).clone(),
    };
    let items = Items::of(&ty);
    let ty = items
        .as_ref()
        .map_or(ty, |items| ungroup(&items.item).clone());
    let parts = Parts::of(&ty);
    if let Some(part) = parts.borrow {
        errors.at(part, "the result leaves the process, so it cannot borrow; return an owned value or `Array<T>`");
    } else if let (Some(_), Some((_, owned))) = (&parts.lifetime, instead_of_cow(&ty)) {
        errors.at(
            &ty,
            format_args!("the result leaves the process, so it cannot borrow; return `{owned}`"),
        );
    } else if let Some(part) = parts.lifetime {
        errors.at(
            part,
            "the result leaves the process, so it cannot borrow; return an owned value",
        );
    } else if let Some(part) = parts.opaque {
        errors.at(
            part,
            "the result is read in another process, which must know its type; name the type, or give items one by one as `impl Iterator<Item = T>` or `impl Stream<Item = T>`",
        );
    } else if let Some(part) = parts.dynamic.filter(|_| !is_result(&ty)) {
        errors.at(
            part,
            "a trait object cannot travel between processes; return an enum or a concrete type, or `impl Iterator<Item = T>` for items one by one",
        );
    } else if let Some(part) = parts.inferred {
        errors.at(part, "name the type");
    } else if matches!(ty, Type::Never(_)) {
        errors.at(
            &ty,
            "a remote function returns; the result of one that does not would never be ready",
        );
    } else if matches!(ty, Type::Ptr(_) | Type::FnPtr(_)) {
        errors.at(
            &ty,
            "an address means nothing in another process; return the value",
        );
    }
    Output {
        extent: Extent::of(&ty),
        fallible: is_result(&ty),
        ty,
        items,
    }
}

impl Output {
    /// Returns whether it is a stream.
    pub(crate) fn is_stream(&self) -> bool {
        self.items.is_some()
    }

    /// Returns whether the function must be polled although it is not `async`.
    pub(crate) fn is_polled(&self) -> bool {
        self.items.as_ref().is_some_and(|items| items.asynchronous)
    }

    /// Returns the type of a call, without its generic arguments.
    pub(crate) fn call(&self, private: &TokenStream) -> TokenStream {
        match self.items {
            None => quote!(#private::UnspawnedCall),
            Some(_) => quote!(#private::UnspawnedStream),
        }
    }

    /// Returns the `T` of the `ObjectRef<T>`.
    pub(crate) fn value(&self, private: &TokenStream) -> TokenStream {
        let Output {
            ty,
            extent,
            fallible,
            items: _,
        } = self;
        if !fallible {
            return ty.to_token_stream();
        }
        let (open, close) = (
            extent.open(quote!(<)),
            extent.close(quote!(as #private::TaskResult>::Value)),
        );
        quote!(#open #ty #close)
    }

    pub(crate) fn codec(&self, private: &TokenStream) -> TokenStream {
        let value = self.value(private);
        self.extent
            .at(quote!((&&&&&&&#private::Probe::<#value>::NEW).codec()))
    }

    /// Checks the options for further runs. Reports them if no error could cause a further run.
    /// Reports them, too, if the earlier run could still give items beside a further one.
    pub(crate) fn check_retries(&self, options: &Options, errors: &mut Errors) {
        if self.is_stream() && options.has("retry_timeouts") {
            errors.at(
                &self.ty,
                "`retry_timeouts` is not for functions that give items one by one: the run that took too long might go on to give some",
            );
        }
        let fallible = self.fallible || self.items.as_ref().is_some_and(|items| items.fallible);
        if let (false, Some(retry)) = (fallible, &options.retry_errors) {
            errors.at(
                &retry.name,
                "this function has no error to return; `retry_errors` is for those that return a `Result`",
            );
        }
    }

    /// Returns code that turns the function's result, an expression, into a payload. With `awaits`,
    /// the expression is a future. `which` tells which errors are worth a retry.
    pub(crate) fn encode(
        &self,
        result: TokenStream,
        awaits: bool,
        which: Option<TokenStream>,
        private: &TokenStream,
    ) -> TokenStream {
        match &self.items {
            None => {
                let result = match awaits {
                    true => quote!(#private::block_on(#result)),
                    false => result,
                };
                self.encode_value(result, true, which, private)
            }
            Some(items) => self.encode_items(items, result, awaits, which, private),
        }
    }

    /// Returns code that puts the items of a function's result into the stream of its call.
    fn encode_items(
        &self,
        items: &Items,
        result: TokenStream,
        awaits: bool,
        which: Option<TokenStream>,
        private: &TokenStream,
    ) -> TokenStream {
        let [inputs, sink, given, item, error, filter] =
            ["inputs", "sink", "given", "item", "error", "filter"].map(local);
        let encode = self.encode_value(item.to_token_stream(), false, which.clone(), private);
        let polled = items.asynchronous;
        let feed = match polled {
            true => quote!(#sink.feed_stream(#given, |#item| { #encode }).await),
            false => quote!(#sink.feed(#given, |#item| { #encode })),
        };
        let feed = match items.fallible {
            false => feed,
            true => {
                let failure = failure(&error, private);
                let filtered = which.map(|which| {
                    quote! {
                        let #filter: fn(&_) -> ::core::primitive::bool = #which;
                        if !#filter(&#error) {
                            #inputs.give_up();
                        }
                    }
                });
                quote! {
                    match #private::TaskResult::into_result(#given) {
                        ::core::result::Result::Ok(#given) => #feed,
                        ::core::result::Result::Err(#error) => {
                            #filtered
                            #failure
                        }
                    }
                }
            }
        };
        let open = quote!(let #sink = #private::Sink::open(#inputs)?;);
        match (polled, awaits) {
            (true, _) => {
                let awaited = awaits.then(|| quote!(.await));
                quote! {
                    #open
                    #private::block_on(async {
                        let #given = #result #awaited;
                        #feed
                    })
                }
            }
            (false, true) => quote! {
                #open
                let #given = #private::block_on(#result);
                #feed
            },
            (false, false) => quote! {
                #open
                let #given = #result;
                #feed
            },
        }
    }

    /// Returns code that encodes a value. With `splits`, the elements of the result may become
    /// objects.
    fn encode_value(
        &self,
        result: TokenStream,
        splits: bool,
        which: Option<TokenStream>,
        private: &TokenStream,
    ) -> TokenStream {
        let Output {
            ty,
            extent,
            fallible,
            items: _,
        } = self;
        let (codec, value) = (self.codec(private), self.value(private));
        let admits = extent.at(quote!(admits));
        // The function is called among these variables, so none of them may hide its name.
        let [inputs, chosen, output, error] = ["inputs", "codec", "output", "error"].map(local);
        let encode = quote!(#private::encode_result(&#chosen, &#output));
        let encode = match splits {
            false => encode,
            true => quote! {
                match #inputs.splits() {
                    true => (&&#private::Probe::<#value>::NEW).split(&#output),
                    false => #encode,
                }
            },
        };
        let check = quote! {
            let #chosen = #codec;
            #chosen.#admits::<#value>();
        };
        if *fallible {
            let failure = failure(&error, private);
            let filter = local("filter");
            let filtered = which.map(|which| {
                let (open, close) = (
                    extent.open(quote!(<)),
                    extent.close(quote!(as #private::TaskResult>::Failure)),
                );
                quote! {
                    let #filter: fn(&#open #ty #close) -> ::core::primitive::bool = #which;
                    if !#filter(&#error) {
                        #inputs.give_up();
                    }
                }
            });
            return quote! {
                #check
                match #private::TaskResult::into_result(#result) {
                    ::core::result::Result::Ok(#output) => #encode,
                    ::core::result::Result::Err(#error) => {
                        #filtered
                        #failure
                    }
                }
            };
        }
        let named = extent.at(quote!(is_named));
        quote! {
            (&&#private::Probe::<#ty>::NEW).#named::<#ty>();
            #check
            let #output = #result;
            #encode
        }
    }
}

/// Returns code that turns the content of an `Err` into the failure of the task.
pub(crate) fn failure(error: &Ident, private: &TokenStream) -> TokenStream {
    let typed = local("typed");
    quote! {{
        let #error = #private::ErrorProbe::new(#error);
        let #typed = (&&#error).typed();
        ::core::result::Result::Err((&&&&&#error).error(#typed))
    }}
}
