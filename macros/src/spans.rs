//! Generated tokens that the compiler reports at the user's tokens.
//!
//! Most of them keep the resolution of generated code and take only the position. Lints of the
//! user's crate do not apply to them then. The tokens in the declaration of `remote` become the
//! user's in full. Messages about calls then show the user's code and no macro.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// The first and the last position of some tokens. Together they mark the whole, for which a stable
/// compiler has no joined span.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    first: Span,
    last: Span,
}

impl Extent {
    pub(crate) fn of(tokens: impl ToTokens) -> Extent {
        let mut trees = tokens.into_token_stream().into_iter();
        let first = trees
            .next()
            .map_or_else(Span::call_site, |tree| start(&tree));
        let last = trees.last().map_or(first, |tree| tree.span());
        Extent { first, last }
    }

    pub(crate) fn first(self) -> Span {
        self.first
    }

    /// Returns `tokens` at the first position.
    pub(crate) fn at(self, tokens: TokenStream) -> TokenStream {
        map_spans(tokens, &|span| span.located_at(self.first))
    }

    /// Returns `tokens` as if the user had written them at the first position.
    pub(crate) fn open(self, tokens: TokenStream) -> TokenStream {
        written(tokens, self.first)
    }

    /// Returns `tokens` as if the user had written them at the last position.
    pub(crate) fn close(self, tokens: TokenStream) -> TokenStream {
        written(tokens, self.last)
    }
}

/// Returns a name of the user for a generated item or local variable.
pub(crate) fn generated(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(Span::call_site().located_at(ident.span()));
    ident
}

/// Returns a local variable of the generated code. It neither hides a name of the user nor is
/// hidden by one.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Returns the position where a token begins. For a type that a `macro_rules!` passed, that is the
/// beginning of its first token.
fn start(tree: &TokenTree) -> Span {
    match tree {
        TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::None => group
            .stream()
            .into_iter()
            .next()
            .map_or_else(|| group.span(), |first| start(&first)),
        other => other.span(),
    }
}

/// Returns the tokens as if the user had written them. If `$crate` is among them, they take only
/// the position, so that it keeps its meaning.
fn written(tokens: TokenStream, at: Span) -> TokenStream {
    if tokens
        .clone()
        .into_iter()
        .any(|tree| tree.to_string() == "$crate")
    {
        return map_spans(tokens, &|span| span.located_at(at));
    }
    map_spans(tokens, &|_| at)
}

fn map_spans(tokens: TokenStream, map: &dyn Fn(Span) -> Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut tree| {
            if let TokenTree::Group(group) = &tree {
                let mut inner = Group::new(group.delimiter(), map_spans(group.stream(), map));
                inner.set_span(group.span());
                tree = inner.into();
            }
            tree.set_span(map(tree.span()));
            tree
        })
        .collect()
}
