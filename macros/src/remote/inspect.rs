//! Finds the parts of a type in its tokens.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{
    GenericArgument, Lifetime, PathArguments, Type, TypeImplTrait, TypeParamBound, TypeReference,
    TypeTraitObject, parse_quote,
    visit::{self, Visit},
    visit_mut::VisitMut,
};

/// The first part of each kind that cannot be part of a remote function's signature.
#[derive(Default)]
pub(crate) struct Parts {
    /// A `&T` somewhere inside.
    pub(crate) borrow: Option<TokenStream>,
    /// A lifetime that is not part of a borrow: `View<'a>`.
    pub(crate) lifetime: Option<TokenStream>,
    /// A `dyn Trait`.
    pub(crate) dynamic: Option<TokenStream>,
    /// An `impl Trait`.
    pub(crate) opaque: Option<TokenStream>,
    /// A `_`.
    pub(crate) inferred: Option<TokenStream>,
}

impl Parts {
    pub(crate) fn of(ty: &Type) -> Parts {
        let mut parts = Parts::default();
        parts.visit_type(ty);
        parts
    }
}

impl<'a> Visit<'a> for Parts {
    fn visit_type_reference(&mut self, ty: &'a TypeReference) {
        self.borrow.get_or_insert_with(|| ty.to_token_stream());
        visit::visit_type(self, &ty.elem);
    }

    fn visit_lifetime(&mut self, lifetime: &'a Lifetime) {
        self.lifetime
            .get_or_insert_with(|| lifetime.to_token_stream());
    }

    fn visit_type_trait_object(&mut self, ty: &'a TypeTraitObject) {
        self.dynamic.get_or_insert_with(|| ty.to_token_stream());
    }

    fn visit_type_impl_trait(&mut self, ty: &'a TypeImplTrait) {
        self.opaque.get_or_insert_with(|| ty.to_token_stream());
    }

    fn visit_type_infer(&mut self, ty: &'a syn::TypeInfer) {
        self.inferred.get_or_insert_with(|| ty.to_token_stream());
    }

    // Function pointers and array lengths have lifetimes and types of their own.
    fn visit_expr(&mut self, _: &'a syn::Expr) {}
    fn visit_type_fn_ptr(&mut self, _: &'a syn::TypeFnPtr) {}
}

/// Returns the type without parentheses, whether visible or of `macro_rules!`.
pub(crate) fn ungroup(ty: &Type) -> &Type {
    match ty {
        Type::Group(group) => ungroup(&group.elem),
        Type::Paren(paren) => ungroup(&paren.elem),
        ty => ty,
    }
}

/// Returns whether this is `Result<..>` or `path::Result<..>`.
pub(crate) fn is_result(ty: &Type) -> bool {
    last_word(ty).is_some_and(|word| word == "Result")
}

/// The items that a function gives one by one.
#[derive(Clone)]
pub(crate) struct Items {
    /// The type of an item.
    pub(crate) item: Type,
    /// Whether the function returns an `impl Stream` and not an `impl Iterator`.
    pub(crate) asynchronous: bool,
    /// Whether that is in a `Result`.
    pub(crate) fallible: bool,
}

impl Items {
    /// Returns the items of `impl Iterator<Item = T>`, `impl Stream<Item = T>`, and `Result` of one
    /// of them.
    pub(crate) fn of(ty: &Type) -> Option<Items> {
        let ty = ungroup(ty);
        if let Some((item, asynchronous)) = items_of_impl(ty) {
            return Some(Items {
                item,
                asynchronous,
                fallible: false,
            });
        }
        let Type::Path(path) = ty else { return None };
        let last = path.path.segments.last().filter(|_| is_result(ty))?;
        let PathArguments::AngleBracketed(arguments) = &last.arguments else {
            return None;
        };
        let Some(GenericArgument::Type(ok)) = arguments.args.first() else {
            return None;
        };
        let (item, asynchronous) = items_of_impl(ungroup(ok))?;
        Some(Items {
            item,
            asynchronous,
            fallible: true,
        })
    }
}

/// The traits whose `impl` gives items.
const ITERATORS: [&str; 5] = [
    "Iterator",
    "IntoIterator",
    "DoubleEndedIterator",
    "ExactSizeIterator",
    "FusedIterator",
];

/// Returns the items of `impl Iterator` or `impl Stream`, and whether it is the second.
fn items_of_impl(ty: &Type) -> Option<(Type, bool)> {
    let Type::ImplTrait(opaque) = ty else {
        return None;
    };
    opaque.bounds.iter().find_map(|bound| {
        let TypeParamBound::Trait(bound) = bound else {
            return None;
        };
        let last = bound.path.segments.last()?;
        let name = last.ident.to_string();
        let asynchronous = name == "Stream";
        let PathArguments::AngleBracketed(arguments) = &last.arguments else {
            return None;
        };
        let item = arguments.args.iter().find_map(|argument| match argument {
            GenericArgument::AssocType(item) if item.ident == "Item" => Some(item.ty.clone()),
            _ => None,
        });
        item.filter(|_| asynchronous || ITERATORS.contains(&&*name))
            .map(|item| (item, asynchronous))
    })
}

/// Returns whether this is one of `ndarray`'s views, which may be written without their lifetime.
pub(crate) fn is_view(ty: &Type) -> bool {
    last_word(ty).is_some_and(|word| {
        let rank = word.strip_prefix("ArrayView");
        matches!(
            rank,
            Some("" | "0" | "1" | "2" | "3" | "4" | "5" | "6" | "D")
        )
    })
}

/// Returns whether this is one of `ndarray`'s writable views.
pub(crate) fn is_writable_view(ty: &Type) -> bool {
    last_word(ty).is_some_and(|word| word.starts_with("ArrayViewMut"))
}

/// Returns the types that replace a `Cow<'_, B>`: a parameter that borrows, and an owned type.
pub(crate) fn instead_of_cow(ty: &Type) -> Option<(String, String)> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let borrowed = arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ungroup(ty)),
        _ => None,
    });
    let borrowed = borrowed.filter(|_| last.ident == "Cow")?;
    let text = |ty: &Type| ty.to_token_stream().to_string().replace(' ', "");
    let owned = match (borrowed, last_word(borrowed).as_deref()) {
        (Type::Slice(slice), _) => format!("Vec<{}>", text(&slice.elem)),
        (_, Some("str")) => "String".to_owned(),
        (_, Some("Path")) => "PathBuf".to_owned(),
        _ => text(borrowed),
    };
    Some((format!("&{}", text(borrowed)), owned))
}

/// Returns the element type of `ArrayViewMut2<'_, T>`.
pub(crate) fn tile_element(ty: &Type) -> Option<Type> {
    let Type::Path(path) = ty else { return None };
    let last = path.path.segments.last()?;
    let PathArguments::AngleBracketed(arguments) = &last.arguments else {
        return None;
    };
    let mut types = arguments.args.iter().filter_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(ty.clone()),
        _ => None,
    });
    let element = types.next();
    element.filter(|_| last.ident == "ArrayViewMut2" && types.next().is_none())
}

fn last_word(ty: &Type) -> Option<String> {
    match ty {
        Type::Path(path) if path.qself.is_none() => {
            Some(path.path.segments.last()?.ident.to_string())
        }
        _ => None,
    }
}

/// Returns the type with `'static` for each of its lifetimes, also for a lifetime that a view
/// leaves out.
pub(crate) fn with_static(ty: &Type) -> Type {
    struct Static {
        found: bool,
    }
    impl VisitMut for Static {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            self.found = true;
            *lifetime = Lifetime::new("'static", lifetime.span());
        }
    }
    let mut ty = ty.clone();
    let mut replace = Static { found: false };
    replace.visit_type_mut(&mut ty);
    if !replace.found
        && let Type::Path(path) = &mut ty
        && let Some(last) = path.path.segments.last_mut()
        && let PathArguments::AngleBracketed(arguments) = &mut last.arguments
    {
        arguments
            .args
            .insert(0, GenericArgument::Lifetime(parse_quote!('static)));
    }
    ty
}
