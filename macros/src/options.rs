//! What stands in the parentheses of an attribute.

use proc_macro2::{Ident, TokenStream};
use quote::ToTokens;
use syn::{
    Error, Expr, ExprGroup, ExprLit, ExprUnary, Lit, Path, Result, Token, UnOp,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
};

use crate::errors::Errors;

/// The options of one attribute, checked as far as a macro can.
#[derive(Default)]
pub(crate) struct Options {
    /// `crate = path`
    pub(crate) krate: Option<Path>,
    /// `retries = expression`
    pub(crate) retries: Option<Expr>,
}

/// Which options an attribute has, for its messages.
pub(crate) struct Known {
    pub(crate) retries: bool,
}

impl Known {
    fn list(&self) -> &'static str {
        if self.retries {
            "`retries = <number>` and `crate = <path>`"
        } else {
            "`crate = <path>`"
        }
    }

    fn unknown(&self, what: impl std::fmt::Display) -> String {
        if self.retries {
            format!("{what}; the options are {}", self.list())
        } else {
            format!("{what}; the only option is {}", self.list())
        }
    }
}

struct Setting {
    name: Ident,
    /// The tokens up to the next comma.
    value: TokenStream,
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Setting> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected an option"));
        }
        let name = input.call(Ident::parse_any)?;
        if !input.peek(Token![=]) {
            return Err(Error::new(
                name.span(),
                format!("expected `{name} = <value>`"),
            ));
        }
        input.parse::<Token![=]>()?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<proc_macro2::TokenTree>()?]);
        }
        if value.is_empty() {
            return Err(Error::new(
                name.span(),
                format!("expected `{name} = <value>`"),
            ));
        }
        Ok(Setting { name, value })
    }
}

impl Options {
    pub(crate) fn parse(args: TokenStream, known: Known, errors: &mut Errors) -> Options {
        let mut options = Options::default();
        let settings = match Punctuated::<Setting, Token![,]>::parse_terminated.parse2(args) {
            Ok(settings) => settings,
            Err(error) => {
                errors.push(Error::new(error.span(), known.unknown(error)));
                return options;
            }
        };
        let mut seen = Vec::new();
        for Setting { name, value } in settings {
            let text = name.to_string();
            if seen.contains(&text) {
                errors.at(&name, format!("`{text}` is given twice"));
                continue;
            }
            match text.as_str() {
                "crate" => match syn::parse2(value.clone()) {
                    Ok(path) => options.krate = Some(path),
                    Err(_) => errors.at(
                        &value,
                        "`crate` takes a path, as in `crate = my_crate::mobula`",
                    ),
                },
                "retries" if known.retries => match number(value) {
                    Ok(value) => options.retries = Some(value),
                    Err(error) => errors.push(error),
                },
                _ => errors.at(
                    &name,
                    known.unknown(format_args!("unknown option `{text}`")),
                ),
            }
            seen.push(text);
        }
        options
    }
}

/// An expression that can be a `u32`: literals are checked here, since the compiler's message would
/// not say what the option takes; others are left to the compiler.
fn number(value: TokenStream) -> Result<Expr> {
    let wrong = |at: &dyn ToTokens| {
        Err(Error::new_spanned(
            at.to_token_stream(),
            format!("`retries` takes a whole number from 0 to {}", u32::MAX),
        ))
    };
    let Ok(expr) = syn::parse2::<Expr>(value.clone()) else {
        return wrong(&value);
    };
    match ungroup(&expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(int), ..
        }) if matches!(int.suffix(), "" | "u32") && int.base10_parse::<u32>().is_ok() => Ok(expr),
        Expr::Lit(_)
        | Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), ..
        }) => wrong(&expr),
        _ => Ok(expr),
    }
}

/// The expression without the invisible parentheses of `macro_rules!`.
fn ungroup(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(ExprGroup { expr, .. }) => ungroup(expr),
        expr => expr,
    }
}
