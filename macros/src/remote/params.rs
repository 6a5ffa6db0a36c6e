//! Parameters: the kind of each, and the form in which it comes from the store.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{FnArg, Pat, PatType, Type};

use super::inspect::{
    Parts, instead_of_cow, is_view, is_writable_view, tile_element, ungroup, with_static,
};
use crate::{
    errors::Errors,
    spans::{Extent, generated, local},
};

pub(crate) struct Param {
    name: Ident,
    kind: Kind,
    extent: Extent,
}

enum Kind {
    /// A `&T`, with the type behind the `&`.
    Borrowed(Type),
    /// A type with a lifetime, which is replaced by `'static`.
    View(Type),
    Owned(Type),
    /// A `&mut [T]`, with the element type.
    Part(Type),
    /// An `ArrayViewMut2<'_, T>`, with the element type.
    Tile(Type),
}

/// Returns the parameters, each with its position.
pub(crate) fn parse<'a>(
    inputs: impl Iterator<Item = (usize, &'a FnArg)>,
    errors: &mut Errors,
) -> Vec<Param> {
    let mut params = Vec::new();
    for (position, input) in inputs {
        match input {
            FnArg::Typed(typed) => {
                let name = name(typed, position, errors);
                let kind = kind(ungroup(&typed.ty), errors);
                if let (Some(name), Some(kind)) = (name, kind) {
                    params.push(Param {
                        name,
                        kind,
                        extent: Extent::of(&typed.ty),
                    });
                }
            }
            FnArg::Receiver(receiver) => errors.at(receiver, "a remote function has no `self`"),
        }
    }
    params
}

fn name(typed: &PatType, position: usize, errors: &mut Errors) -> Option<Ident> {
    match &*typed.pat {
        Pat::Ident(pattern) if pattern.subpat.is_none() && pattern.by_ref.is_none() => {
            Some(generated(&pattern.ident))
        }
        Pat::Wild(_) => Some(format_ident!("arg{position}")),
        other => {
            errors.at(
                other,
                "give this parameter a plain name; take it apart in the body",
            );
            None
        }
    }
}

const NESTED_BORROW: &str = "a borrow inside another type cannot be resolved from shared memory; use `Array<T>` (shared, no copy) or an owned type";

fn kind(ty: &Type, errors: &mut Errors) -> Option<Kind> {
    let parts = Parts::of(match ty {
        Type::Reference(reference) => &reference.elem,
        ty => ty,
    });
    if let Some(part) = parts.opaque {
        errors.at(
            part,
            "`impl Trait` has no fixed type that could be decoded; name the type",
        );
        return None;
    }
    if let Some(part) = parts.dynamic {
        errors.at(
            part,
            "a trait object cannot travel between processes; take an enum or a concrete type",
        );
        return None;
    }
    if let Some(part) = parts.inferred {
        errors.at(part, "name the type");
        return None;
    }
    if let Some(part) = parts.borrow {
        errors.at(part, NESTED_BORROW);
        return None;
    }
    if is_writable_view(ty) {
        if let Some(element) = tile_element(ty) {
            return Some(Kind::Tile(element));
        }
        errors.at(
            ty,
            "objects in the store never change; take an `ArrayView` and return the new array, or `ArrayViewMut2<'_, T>` for a tile of a `SharedArray`",
        );
        return None;
    }
    match ty {
        Type::Reference(reference) => {
            if let Some(lifetime) = reference
                .lifetime
                .as_ref()
                .filter(|lifetime| lifetime.ident == "static")
            {
                errors.at(
                    lifetime,
                    "shared memory is borrowed for the call only, not for `'static`",
                );
                return None;
            }
            if reference.mutability.is_some() {
                if let Type::Slice(slice) = ungroup(&reference.elem)
                    && parts.lifetime.is_none()
                {
                    return Some(Kind::Part((*slice.elem).clone()));
                }
                errors.at(
                    ty,
                    "objects in the store never change; take `&T` or an owned value and return the new one, or `&mut [T]` for a part of a `SharedArray`",
                );
                return None;
            }
            if let Some(lifetime) = parts.lifetime {
                errors.at(lifetime, NESTED_BORROW);
                return None;
            }
            Some(Kind::Borrowed(ungroup(&reference.elem).clone()))
        }
        Type::Ptr(_) | Type::FnPtr(_) => {
            errors.at(
                ty,
                "an address means nothing in another process; take the value",
            );
            None
        }
        ty if is_view(ty) => Some(Kind::View(with_static(ty))),
        ty if parts.lifetime.is_some()
            && let Some((borrow, owned)) = instead_of_cow(ty) =>
        {
            errors.at(
                ty,
                format_args!(
                    "a `Cow` cannot be resolved from shared memory; take `{borrow}` or `{owned}`"
                ),
            );
            None
        }
        ty if parts.lifetime.is_some() => {
            errors.at(
                ty,
                "this borrow cannot be resolved from shared memory, only `&T`, `&[T]`, `&str` and `ndarray`'s `ArrayView`s, each under its own name; take `Array<T>` (shared, no copy) or an owned type",
            );
            None
        }
        ty => Some(Kind::Owned(ty.clone())),
    }
}

impl Param {
    /// Returns the type under which arguments are looked up and encoded.
    fn key(&self, private: &TokenStream) -> TokenStream {
        match &self.kind {
            Kind::Borrowed(ty) | Kind::Owned(ty) | Kind::Part(ty) | Kind::Tile(ty) => {
                ty.to_token_stream()
            }
            Kind::View(ty) => {
                let (open, close) = (
                    self.extent.open(quote!(<)),
                    self.extent.close(quote!(as #private::ViewParam>::Key)),
                );
                quote!(#open #ty #close)
            }
        }
    }

    /// Returns whether it is a part of a shared array, lent for the time of the call.
    pub(crate) fn is_part(&self) -> bool {
        matches!(self.kind, Kind::Part(_) | Kind::Tile(_))
    }

    /// Returns the position of its type.
    pub(crate) fn place(&self) -> Span {
        self.extent.first()
    }

    /// Returns the codec of an encoded argument. Parts have none, since they are objects of their
    /// own.
    pub(crate) fn learns(&self, private: &TokenStream) -> Option<TokenStream> {
        match self.kind {
            Kind::Part(_) | Kind::Tile(_) => None,
            Kind::Borrowed(_) | Kind::View(_) | Kind::Owned(_) => Some(self.codec(private)),
        }
    }

    fn codec(&self, private: &TokenStream) -> TokenStream {
        let key = self.key(private);
        self.extent
            .at(quote!((&&&&&&&#private::Probe::<#key>::NEW).codec()))
    }

    /// Returns `name: impl IntoArg<..>`, in a form for which the compiler shows the type for the
    /// bound.
    pub(crate) fn declare(&self, private: &TokenStream) -> TokenStream {
        let Param { name, extent, .. } = self;
        let key = self.key(private);
        match self.kind {
            Kind::Part(_) => return extent.at(quote!(#name: #private::Part<#key>)),
            Kind::Tile(_) => return extent.at(quote!(#name: #private::Tile<#key>)),
            Kind::Borrowed(_) | Kind::View(_) | Kind::Owned(_) => {}
        }
        let (open, close) = (
            extent.open(quote!(#private::IntoArg<)),
            extent.close(quote!(>)),
        );
        quote!(#name: impl #open #key #close)
    }

    /// Returns code that adds the argument to `call`.
    pub(crate) fn push(&self, call: &Ident, private: &TokenStream) -> TokenStream {
        let name = &self.name;
        match self.kind {
            Kind::Part(_) => return quote!(#call.push_part(#name);),
            Kind::Tile(_) => return quote!(#call.push_tile(#name);),
            Kind::Borrowed(_) | Kind::View(_) | Kind::Owned(_) => {}
        }
        let (key, codec) = (self.key(private), self.codec(private));
        quote!(#call.push::<#key, _, _>(::core::stringify!(#name), #name, &#codec);)
    }

    /// Returns code that resolves the argument as `variable`. The codec first checks that the type
    /// can travel.
    pub(crate) fn resolve(
        &self,
        variable: &Ident,
        inputs: &Ident,
        private: &TokenStream,
    ) -> TokenStream {
        let (name, key) = (&self.name, self.key(private));
        match self.kind {
            Kind::Part(_) => {
                return quote!(let mut #variable = #private::lend_part::<#key>(#inputs)?;);
            }
            Kind::Tile(_) => {
                return quote!(let mut #variable = #private::lend_tile::<#key>(#inputs)?;);
            }
            Kind::Borrowed(_) | Kind::View(_) | Kind::Owned(_) => {}
        }
        let codec = self.codec(private);
        let checked = match &self.kind {
            // The elements of a slice may lack a trait, not the slice.
            Kind::Borrowed(Type::Slice(slice)) => slice.elem.to_token_stream(),
            _ => key.clone(),
        };
        let admits = Extent::of(&checked).at(quote!(admits));
        let chosen = local("codec");
        let check = quote! {
            let #chosen = #codec;
            #chosen.#admits::<#checked>();
        };
        let name = quote!(::core::stringify!(#name));
        match self.kind {
            Kind::Borrowed(_) => quote! {
                #check
                // The guard stays alive behind the borrow, which has the name of the guard.
                let #variable = #private::lend::<#key, _>(&#chosen, #inputs, #name)?;
                let #variable = #private::borrow::<#key, _>(&#chosen, &#variable, #name)?;
            },
            Kind::View(_) => quote! {
                #check
                let #variable = #private::lend::<#key, _>(&#chosen, #inputs, #name)?;
            },
            Kind::Owned(_) | Kind::Part(_) | Kind::Tile(_) => quote! {
                #check
                let #variable = #private::own::<#key, _>(&#chosen, #inputs, #name)?;
            },
        }
    }

    /// Returns the expression that the function gets.
    pub(crate) fn pass(&self, variable: &Ident) -> TokenStream {
        match self.kind {
            Kind::Borrowed(_) | Kind::Owned(_) => quote!(#variable),
            Kind::View(_) => quote!(#variable.view()),
            Kind::Part(_) => quote!(&mut #variable[..]),
            Kind::Tile(_) => {
                // A view of an unknown version of `ndarray` is an error here, at the type.
                let view_mut = self.extent.at(quote!(view_mut));
                quote!(#variable.#view_mut())
            }
        }
    }
}
