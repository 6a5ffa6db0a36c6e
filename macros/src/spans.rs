//! Generated tokens that the compiler reports at the user's tokens.
//!
//! All of them keep the resolution of generated code and take only the position: so lints of the
//! user's crate do not apply to them.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::ToTokens;

/// The first and the last position of some tokens. Together they mark the whole, which a single
/// joined span cannot do in a stable compiler.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    first: Span,
    last: Span,
}

impl Extent {
    pub(crate) fn of(tokens: impl ToTokens) -> Extent {
        let mut trees = tokens.into_token_stream().into_iter();
        let first = trees.next().map_or_else(Span::call_site, |tree| start(&tree));
        let last = trees.last().map_or(first, |tree| tree.span());
        Extent { first, last }
    }

    /// `tokens` at the first position.
    pub(crate) fn open(self, tokens: TokenStream) -> TokenStream {
        located(tokens, self.first)
    }

    /// `tokens` at the last position.
    pub(crate) fn close(self, tokens: TokenStream) -> TokenStream {
        located(tokens, self.last)
    }
}

/// A name of the user's for a generated item or local variable.
pub(crate) fn generated(ident: &Ident) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(Span::call_site().located_at(ident.span()));
    ident
}

/// A local variable of the generated code: it neither hides a name of the user's nor is hidden by one.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// Where a token begins; for a type that a `macro_rules!` passed, where its first token does.
fn start(tree: &TokenTree) -> Span {
    match tree {
        TokenTree::Group(group) if group.delimiter() == proc_macro2::Delimiter::None => {
            group.stream().into_iter().next().map_or_else(|| group.span(), |first| start(&first))
        }
        other => other.span(),
    }
}

fn located(tokens: TokenStream, at: Span) -> TokenStream {
    tokens
        .into_iter()
        .map(|mut tree| {
            if let TokenTree::Group(group) = &tree {
                tree = Group::new(group.delimiter(), located(group.stream(), at)).into();
            }
            tree.set_span(tree.span().located_at(at));
            tree
        })
        .collect()
}
