//! The values of options: each is read as an expression of its kind, or is an error.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::{Error, Expr, ExprGroup, ExprLit, ExprUnary, Lit, LitStr, Path, Result, UnOp};

pub(super) fn path(value: TokenStream) -> Result<Path> {
    let wrong = "`crate` takes a path, as in `crate = my_crate::mobula`";
    syn::parse2(value.clone()).map_err(|_| Error::new_spanned(value, wrong))
}

/// An expression that can be a `u32`: literals are checked here, since the compiler's message would
/// not say what the option takes; others are left to the compiler.
pub(super) fn number(name: &str, least: u32, value: TokenStream) -> Result<Expr> {
    let wrong = |at: &dyn ToTokens| {
        Err(Error::new_spanned(
            at.to_token_stream(),
            format!("`{name}` takes a whole number from {least} to {}", u32::MAX),
        ))
    };
    let Ok(expr) = syn::parse2::<Expr>(value.clone()) else {
        return wrong(&value);
    };
    match ungroup(&expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Int(int), ..
        }) if matches!(int.suffix(), "" | "u32")
            && int.base10_parse::<u32>().is_ok_and(|n| n >= least) =>
        {
            Ok(expr)
        }
        Expr::Lit(_)
        | Expr::Unary(ExprUnary {
            op: UnOp::Neg(_), ..
        }) => wrong(&expr),
        _ => Ok(expr),
    }
}

/// An expression that can be an `i32`.
pub(super) fn signed(name: &str, value: TokenStream) -> Result<Expr> {
    let wrong = |at: &dyn ToTokens| {
        Err(Error::new_spanned(
            at.to_token_stream(),
            format!(
                "`{name}` takes a whole number from {} to {}",
                i32::MIN,
                i32::MAX
            ),
        ))
    };
    let Ok(expr) = syn::parse2::<Expr>(value.clone()) else {
        return wrong(&value);
    };
    let (sign, literal) = match ungroup(&expr) {
        Expr::Unary(ExprUnary {
            op: UnOp::Neg(_),
            expr,
            ..
        }) => ("-", ungroup(expr)),
        expr => ("", expr),
    };
    match literal {
        Expr::Lit(ExprLit {
            lit: Lit::Int(int), ..
        }) if matches!(int.suffix(), "" | "i32")
            && format!("{sign}{}", int.base10_digits())
                .parse::<i32>()
                .is_ok() =>
        {
            Ok(expr)
        }
        Expr::Lit(_) => wrong(&expr),
        _ => Ok(expr),
    }
}

/// An expression that can be a function, which no literal is.
pub(super) fn function(name: &str, value: TokenStream) -> Result<Expr> {
    match syn::parse2::<Expr>(value.clone()) {
        Ok(expr) if !matches!(ungroup(&expr), Expr::Lit(_)) => Ok(expr),
        _ => Err(Error::new_spanned(
            value,
            format!(
                "`{name}` stands alone, or takes a function that says of an error whether it is worth a retry, as in `{name} = is_transient`"
            ),
        )),
    }
}

/// The name of a group.
pub(super) fn group(value: TokenStream) -> Result<LitStr> {
    match syn::parse2::<Expr>(value.clone()) {
        Ok(expr) => group_name(&expr),
        Err(_) => Err(wrong_group(&value)),
    }
}

fn group_name(expr: &Expr) -> Result<LitStr> {
    match ungroup(expr) {
        Expr::Lit(ExprLit {
            lit: Lit::Str(name),
            ..
        }) if !name.value().is_empty() => Ok(name.clone()),
        _ => Err(wrong_group(expr)),
    }
}

fn wrong_group(at: &dyn ToTokens) -> Error {
    Error::new_spanned(
        at.to_token_stream(),
        "the name of a group is a text that is not empty, as in `group = \"io\"`",
    )
}

/// How many calls of each group may run at a time.
pub(super) fn groups(value: TokenStream) -> Result<Vec<(LitStr, Expr)>> {
    let wrong = |at: &dyn ToTokens| {
        Error::new_spanned(
            at.to_token_stream(),
            "`groups` takes a list of names and numbers, as in `groups = [(\"io\", 2), (\"cpu\", 1)]`",
        )
    };
    let Ok(Expr::Array(list)) = syn::parse2::<Expr>(value.clone()) else {
        return Err(wrong(&value));
    };
    let mut groups: Vec<(LitStr, Expr)> = Vec::new();
    for item in &list.elems {
        let Expr::Tuple(pair) = ungroup(item) else {
            return Err(wrong(item));
        };
        let (Some(name), Some(limit), 2) = (pair.elems.get(0), pair.elems.get(1), pair.elems.len())
        else {
            return Err(wrong(item));
        };
        let name = group_name(name)?;
        if groups
            .iter()
            .any(|(known, _)| known.value() == name.value())
        {
            return Err(Error::new_spanned(
                &name,
                format!("the group `{}` is given twice", name.value()),
            ));
        }
        groups.push((name, number("groups", 1, limit.to_token_stream())?));
    }
    Ok(groups)
}

/// An expression that can be a `Duration`, which no literal is.
pub(super) fn duration(name: &str, value: TokenStream) -> Result<Expr> {
    let wrong = |at: &dyn ToTokens| {
        Err(Error::new_spanned(
            at.to_token_stream(),
            format!("`{name}` takes a `Duration`, as in `{name} = Duration::from_secs(2)`"),
        ))
    };
    match syn::parse2::<Expr>(value.clone()) {
        Ok(expr) if !matches!(ungroup(&expr), Expr::Lit(_)) => Ok(expr),
        Ok(expr) => wrong(&expr),
        Err(_) => wrong(&value),
    }
}

/// The expression without the invisible parentheses of `macro_rules!`.
pub(super) fn ungroup(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(ExprGroup { expr, .. }) => ungroup(expr),
        expr => expr,
    }
}
