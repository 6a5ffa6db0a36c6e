//! The options in the parentheses of an attribute.

mod places;
mod resources;
mod setting;
mod values;

use proc_macro2::{Ident, Span, TokenStream};
use quote::quote;
use syn::{Error, Expr, LitStr, Path, Result, Token, parse::Parser, punctuated::Punctuated};

use crate::errors::Errors;
use places::Takes;
use resources::Demand;
use setting::{Setting, no_value};
use values::{duration, function, group, groups, number, path, signed};

pub(crate) use places::Place;

/// The options of one attribute, checked as far as a macro can.
#[derive(Default)]
pub(crate) struct Options {
    /// `crate = path`
    pub(crate) krate: Option<Path>,
    /// Those that are a number, under their names.
    numbers: Vec<(&'static str, Expr)>,
    /// Those that may be negative.
    signed: Vec<(&'static str, Expr)>,
    /// `group = "name"`
    pub(crate) group: Option<LitStr>,
    /// `groups = [("name", number), ..]`
    pub(crate) groups: Vec<(LitStr, Expr)>,
    /// Those that are a duration, under their names.
    durations: Vec<(&'static str, Expr)>,
    /// How much of which resource.
    demands: Vec<Demand>,
    /// Those that stand alone.
    flags: Vec<&'static str>,
    /// `retry_errors`, `retry_errors = function`
    pub(crate) retry_errors: Option<RetryErrors>,
}

/// A function is run again after an error, too.
pub(crate) struct RetryErrors {
    /// The option's name, as it stands there.
    pub(crate) name: Ident,
    /// Which errors are worth it.
    pub(crate) which: Option<Expr>,
}

impl Options {
    pub(crate) fn parse(args: TokenStream, place: Place, errors: &mut Errors) -> Options {
        let mut options = Options::default();
        let settings = match Punctuated::<Setting, Token![,]>::parse_terminated.parse2(args) {
            Ok(settings) => settings,
            Err(error) => {
                errors.push(Error::new(error.span(), place.unknown(error)));
                return options;
            }
        };
        let mut seen = Vec::new();
        for setting in settings {
            let Setting {
                name,
                value,
                in_parentheses,
            } = setting;
            let text = name.to_string();
            if seen.contains(&text) {
                errors.at(&name, format!("`{text}` is given twice"));
                continue;
            }
            match place.options().iter().find(|(known, _)| *known == text) {
                Some((known, takes)) if in_parentheses != matches!(takes, Takes::Resources) => {
                    errors.push(resources::wrong_form(&name, known, in_parentheses));
                }
                Some((known, takes)) => {
                    if let Err(error) = options.set((known, &name), *takes, value) {
                        errors.push(error);
                    }
                }
                None => errors.at(
                    &name,
                    place.unknown(format_args!("unknown option `{text}`")),
                ),
            }
            seen.push(text);
        }
        options
    }

    fn set(
        &mut self,
        (name, ident): (&'static str, &Ident),
        takes: Takes,
        value: Option<TokenStream>,
    ) -> Result<()> {
        if let Takes::Function = takes {
            self.retry_errors = Some(RetryErrors {
                name: ident.clone(),
                which: value.map(|value| function(name, value)).transpose()?,
            });
            return Ok(());
        }
        if let Takes::Nothing = takes {
            self.flags.push(name);
            return match value {
                None => Ok(()),
                Some(value) => Err(Error::new_spanned(
                    value,
                    format!("`{name}` stands alone, and takes no value"),
                )),
            };
        }
        let value = value.ok_or_else(|| no_value(ident))?;
        match takes {
            Takes::Function | Takes::Nothing => {}
            Takes::Path => self.krate = Some(path(value)?),
            Takes::Number(least) => self.numbers.push((name, number(name, least, value)?)),
            Takes::Signed => self.signed.push((name, signed(name, value)?)),
            Takes::Text => self.group = Some(group(value)?),
            Takes::Groups => self.groups = groups(value)?,
            Takes::Duration => self.durations.push((name, duration(name, value)?)),
            Takes::Amount => self.demands.push(Demand::amount(name, value)?),
            Takes::Bytes => self.demands.push(Demand::bytes(name, value)?),
            Takes::Resources => self.demands.extend(resources::named(value)?),
        }
        Ok(())
    }

    /// The options of a task, as the field `options` of a registered function. Each of them has the
    /// name of its field in `TaskOptions`. `place` says of an expression what it is where the
    /// function is registered.
    pub(crate) fn of_task(
        &self,
        private: &TokenStream,
        place: impl Fn(&Expr) -> Expr,
    ) -> TokenStream {
        let unsigned = self.numbers.iter().map(|number| (number, quote!(u32)));
        let signed = self.signed.iter().map(|number| (number, quote!(i32)));
        let place = &place;
        let numbers = unsigned.chain(signed).map(|((name, value), ty)| {
            let (field, value) = (Ident::new(name, Span::call_site()), place(value));
            let zero = format!("`{name}` is zero: a worker runs one call at least");
            let check = (*name == "max_calls").then(|| quote!(::core::assert!(NUMBER > 0, #zero);));
            // In a constant of its own, so that the compiler's messages are about the expression.
            quote!(options.#field = ::core::option::Option::Some({
                const NUMBER: ::core::primitive::#ty = #value;
                const { #check };
                NUMBER
            });)
        });
        let durations = self.durations.iter().map(|(name, value)| {
            let (field, value) = (Ident::new(name, Span::call_site()), place(value));
            let zero = format!("`{name}` is zero: the function could never end in time");
            let check =
                (*name != "grace").then(|| quote!(::core::assert!(!DURATION.is_zero(), #zero);));
            quote!(options.#field = ::core::option::Option::Some({
                const DURATION: ::core::time::Duration = #value;
                const { #check };
                DURATION
            });)
        });
        let flags = self.flags.iter().copied();
        let flags = flags.chain(self.retry_errors.iter().map(|_| "retry_errors"));
        let flags = flags.map(|name| {
            let field = Ident::new(name, Span::call_site());
            quote!(options.#field = true;)
        });
        let set: TokenStream = numbers.chain(durations).chain(flags).collect();
        let first = resources::first_options(&self.demands, private, &place);
        match set.is_empty() {
            true => first,
            false => quote!({
                let mut options = #first;
                #set
                options
            }),
        }
    }

    /// The options of a constructor, as the field `options` of a registered function: what an actor
    /// of the type needs. `place` is that of [`of_task`](Options::of_task).
    pub(crate) fn of_constructor(
        &self,
        private: &TokenStream,
        place: impl Fn(&Expr) -> Expr,
    ) -> TokenStream {
        resources::first_options(&self.demands, private, &place)
    }

    /// Whether an option that stands alone is there.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.flags.contains(&name)
    }

    /// The value of an option that is a duration.
    pub(crate) fn duration(&self, name: &str) -> Option<&Expr> {
        let mut durations = self.durations.iter();
        durations.find(|(known, _)| *known == name).map(|(_, d)| d)
    }

    /// The value of an option that is a number.
    pub(crate) fn number(&self, name: &str) -> Option<&Expr> {
        let mut numbers = self.numbers.iter();
        numbers.find(|(known, _)| *known == name).map(|(_, n)| n)
    }
}
