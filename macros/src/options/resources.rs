//! The amounts of resources that a function needs.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{
    Error, Expr, ExprLit, ExprUnary, Lit, LitStr, Result, Token, UnOp,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
    spanned::Spanned,
};

use super::values::ungroup;

/// The smallest amount that counts.
const LEAST: f64 = 0.0001;

/// The amount of one resource.
pub(super) struct Demand {
    name: String,
    value: Expr,
    in_bytes: bool,
}

impl Demand {
    /// Reads a number above zero.
    pub(super) fn amount(name: &str, value: TokenStream) -> Result<Demand> {
        Ok(Demand {
            name: name.to_owned(),
            value: amount(name, value)?,
            in_bytes: false,
        })
    }

    /// Reads a whole number of bytes above zero.
    pub(super) fn bytes(name: &str, value: TokenStream) -> Result<Demand> {
        let wrong = |at: &dyn ToTokens| {
            Err(Error::new_spanned(
                at.to_token_stream(),
                format!("`{name}` takes a number of bytes above zero, as in `{name} = 512 << 20`"),
            ))
        };
        let Ok(expr) = syn::parse2::<Expr>(value.clone()) else {
            return wrong(&value);
        };
        match ungroup(&expr) {
            Expr::Lit(ExprLit {
                lit: Lit::Int(int), ..
            }) if matches!(int.suffix(), "" | "u64")
                && int.base10_parse::<u64>().is_ok_and(|n| n > 0) => {}
            Expr::Lit(_)
            | Expr::Unary(ExprUnary {
                op: UnOp::Neg(_), ..
            }) => return wrong(&expr),
            _ => {}
        }
        Ok(Demand {
            name: name.to_owned(),
            value: expr,
            in_bytes: true,
        })
    }
}

/// Returns an expression that can be a number above zero. Literals are checked here, and other
/// expressions by the constant that they become.
fn amount(name: &str, value: TokenStream) -> Result<Expr> {
    let wrong = |at: &dyn ToTokens| {
        Err(Error::new_spanned(
            at.to_token_stream(),
            format!(
                "`{name}` takes a number above zero, at least {LEAST}, as in `{name} = 2` or \
                 `{name} = 0.5`"
            ),
        ))
    };
    let Ok(expr) = syn::parse2::<Expr>(value.clone()) else {
        return wrong(&value);
    };
    let literal = match ungroup(&expr) {
        Expr::Lit(ExprLit { lit, .. }) => match lit {
            Lit::Int(int) => int.base10_parse::<f64>().ok(),
            Lit::Float(float) => float.base10_parse::<f64>().ok(),
            _ => None,
        },
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), ..
        }) => None,
        _ => return Ok(expr),
    };
    match literal {
        Some(n) if (LEAST..f64::INFINITY).contains(&n) => Ok(expr),
        _ => wrong(&expr),
    }
}

/// A demand such as `gpu = 1` or `"my resource" = 0.5`.
struct Named {
    name: LitStr,
    value: TokenStream,
}

impl Parse for Named {
    fn parse(input: ParseStream<'_>) -> Result<Named> {
        let name = match input.peek(LitStr) {
            true => input.parse::<LitStr>()?,
            false => {
                let name = input.call(Ident::parse_any)?;
                LitStr::new(&name.unraw().to_string(), name.span())
            }
        };
        if !input.peek(Token![=]) {
            let what = format!("expected a number, as in `{} = 1`", name.value());
            return Err(Error::new(name.span(), what));
        }
        input.parse::<Token![=]>()?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<proc_macro2::TokenTree>()?]);
        }
        Ok(Named { name, value })
    }
}

/// Reads the list in the parentheses of `resources(..)`.
pub(super) fn named(value: TokenStream) -> Result<Vec<Demand>> {
    let parser = Punctuated::<Named, Token![,]>::parse_terminated;
    let named = parser.parse2(value).map_err(|error| {
        let what = "`resources` takes names and numbers, as in `resources(gpu = 1, disk = 0.5)`";
        Error::new(error.span(), format!("{error}; {what}"))
    })?;
    let mut demands: Vec<Demand> = Vec::new();
    for Named { name, value } in named {
        let text = name.value();
        let refused = match &*text {
            "" => Some("the name of a resource is empty".to_owned()),
            "num_cpus" | "memory" => Some(format!(
                "`{text}` is an option of its own, as in `#[remote({text} = 1)]`"
            )),
            _ if demands.iter().any(|demand| demand.name == text) => {
                Some(format!("the resource `{text}` is given twice"))
            }
            _ => None,
        };
        if let Some(refused) = refused {
            return Err(Error::new(name.span(), refused));
        }
        if value.is_empty() {
            let what = format!("expected a number, as in `{text} = 1`");
            return Err(Error::new(name.span(), what));
        }
        demands.push(Demand::amount(&text, value)?);
    }
    Ok(demands)
}

/// Returns the error for an option with a value in place of parentheses, or with parentheses in
/// place of a value.
pub(super) fn wrong_form(name: &Ident, known: &str, in_parentheses: bool) -> Error {
    let what = match in_parentheses {
        true => format!("expected `{known} = <value>`"),
        false => format!("expected `{known}(<name> = <number>, ..)`, as in `{known}(gpu = 1)`"),
    };
    Error::new(name.span(), what)
}

/// Returns the options of a function that has these demands and no other options.
pub(super) fn first_options(
    demands: &[Demand],
    private: &TokenStream,
    place: &impl Fn(&Expr) -> Expr,
) -> TokenStream {
    if demands.is_empty() {
        return quote!(#private::TaskOptions::DEFAULT);
    }
    let demands = demands.iter().map(|demand| {
        let (name, value) = (&demand.name, place(&demand.value));
        let amount = match demand.in_bytes {
            true => {
                let zero = format!("`{name}` is zero, and takes a number of bytes above zero");
                quote_spanned!(value.span()=> {
                    const BYTES: ::core::primitive::u64 = #value;
                    const { ::core::assert!(BYTES > 0, #zero) };
                    #private::Amount::whole(BYTES)
                })
            }
            false => {
                let wrong = format!("`{name}` takes a number above zero, at least {LEAST}");
                quote_spanned!(value.span()=> {
                    // The value may be of any type of number.
                    #[allow(clippy::all, clippy::pedantic, trivial_numeric_casts)]
                    const AMOUNT: ::core::primitive::f64 = (#value) as ::core::primitive::f64;
                    const { ::core::assert!(#private::Amount::is_amount(AMOUNT), #wrong) };
                    #private::Amount::checked(AMOUNT)
                })
            }
        };
        quote!(#private::Demand::fixed(#name, #amount))
    });
    quote!({
        const DEMANDS: &[#private::Demand] = &[#(#demands),*];
        #private::TaskOptions::with_demands(DEMANDS)
    })
}
