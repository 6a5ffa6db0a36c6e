//! One option as it stands in the parentheses, before its value is read.

use proc_macro2::{Ident, TokenStream};
use syn::{
    Error, Result, Token,
    ext::IdentExt,
    parse::{Parse, ParseStream},
    token,
};

pub(super) struct Setting {
    pub(super) name: Ident,
    /// The tokens from `=` to the next comma, or those in parentheses.
    pub(super) value: Option<TokenStream>,
    /// Whether there are parentheses in place of a `=`.
    pub(super) in_parentheses: bool,
}

impl Setting {
    fn new(name: Ident, value: Option<TokenStream>) -> Setting {
        Setting {
            name,
            value,
            in_parentheses: false,
        }
    }
}

impl Parse for Setting {
    fn parse(input: ParseStream<'_>) -> Result<Setting> {
        if !input.peek(Ident::peek_any) {
            return Err(input.error("expected an option"));
        }
        let name = input.call(Ident::parse_any)?;
        if input.is_empty() || input.peek(Token![,]) {
            return Ok(Setting::new(name, None));
        }
        if input.peek(token::Paren) {
            let group: proc_macro2::Group = input.parse()?;
            return Ok(Setting {
                in_parentheses: true,
                ..Setting::new(name, Some(group.stream()))
            });
        }
        if !input.peek(Token![=]) {
            return Err(no_value(&name));
        }
        input.parse::<Token![=]>()?;
        let mut value = TokenStream::new();
        while !input.is_empty() && !input.peek(Token![,]) {
            value.extend([input.parse::<proc_macro2::TokenTree>()?]);
        }
        if value.is_empty() {
            return Err(no_value(&name));
        }
        Ok(Setting::new(name, Some(value)))
    }
}

pub(super) fn no_value(name: &Ident) -> Error {
    Error::new(name.span(), format!("expected `{name} = <value>`"))
}
