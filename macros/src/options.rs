//! The options in the parentheses of an attribute.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote};
use syn::{
    Error, Expr, ExprGroup, ExprLit, ExprUnary, Lit, LitStr, Path, Result, Token, UnOp,
    ext::IdentExt,
    parse::{Parse, ParseStream, Parser},
    punctuated::Punctuated,
    token,
};

mod resources;

use crate::errors::Errors;
use resources::Demand;

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

/// Where an attribute stands, which decides which options it has.
#[derive(Clone, Copy)]
pub(crate) enum Place {
    /// `main` or a test.
    Entry,
    /// A static of which each worker has a value.
    WorkerLocal,
    /// A remote function.
    Function,
    /// An actor's `impl` block.
    Actor,
    /// A method in it.
    Method,
}

/// The kind of an option's value.
#[derive(Clone, Copy)]
enum Takes {
    Path,
    /// A number that is at least this.
    Number(u32),
    /// A whole number of either sign.
    Signed,
    Text,
    Groups,
    Duration,
    /// How much of the resource of that name.
    Amount,
    /// How many bytes of the resource of that name.
    Bytes,
    /// How much of which resources, in parentheses.
    Resources,
    /// Nothing.
    Nothing,
    /// A function, or nothing.
    Function,
}

impl Place {
    fn options(self) -> &'static [(&'static str, Takes)] {
        match self {
            Place::Entry => &[("crate", Takes::Path)],
            Place::WorkerLocal => &[("eager", Takes::Nothing), ("crate", Takes::Path)],
            Place::Function => &[
                ("retries", Takes::Number(0)),
                ("retry_errors", Takes::Function),
                ("priority", Takes::Signed),
                ("timeout", Takes::Duration),
                ("deadline", Takes::Duration),
                ("retry_timeouts", Takes::Nothing),
                ("grace", Takes::Duration),
                ("max_calls", Takes::Number(1)),
                ("num_cpus", Takes::Amount),
                ("memory", Takes::Bytes),
                ("resources", Takes::Resources),
                ("spread", Takes::Nothing),
                ("crate", Takes::Path),
            ],
            Place::Actor => &[
                ("max_restarts", Takes::Number(0)),
                ("max_call_retries", Takes::Number(0)),
                ("max_concurrency", Takes::Number(1)),
                ("groups", Takes::Groups),
                ("max_pending_calls", Takes::Number(1)),
                ("grace", Takes::Duration),
                ("num_cpus", Takes::Amount),
                ("memory", Takes::Bytes),
                ("resources", Takes::Resources),
                ("crate", Takes::Path),
            ],
            Place::Method => &[
                ("retries", Takes::Number(0)),
                ("retry_errors", Takes::Function),
                ("timeout", Takes::Duration),
                ("deadline", Takes::Duration),
                ("group", Takes::Text),
            ],
        }
    }

    fn unknown(self, what: impl std::fmt::Display) -> String {
        let list: Vec<_> = self
            .options()
            .iter()
            .map(|(name, takes)| match takes {
                Takes::Function => format!("`{name}` (or `{name} = {}`)", takes.example()),
                Takes::Nothing => format!("`{name}`"),
                Takes::Resources => format!("`{name}({})`", takes.example()),
                _ => format!("`{name} = {}`", takes.example()),
            })
            .collect();
        match &list[..] {
            [only] => format!("{what}; the only option is {only}"),
            [first @ .., last] => {
                format!("{what}; the options are {} and {last}", first.join(", "))
            }
            [] => what.to_string(),
        }
    }
}

impl Takes {
    fn example(self) -> &'static str {
        match self {
            Takes::Path => "<path>",
            Takes::Number(_) | Takes::Signed | Takes::Amount => "<number>",
            Takes::Bytes => "<bytes>",
            Takes::Resources => "<name> = <number>, ..",
            Takes::Text => "<text>",
            Takes::Groups => "[(<text>, <number>), ..]",
            Takes::Duration => "<duration>",
            Takes::Function => "<function>",
            Takes::Nothing => "",
        }
    }
}

struct Setting {
    name: Ident,
    /// The tokens from `=` to the next comma, or those in parentheses.
    value: Option<TokenStream>,
    /// Whether there are parentheses in place of a `=`.
    in_parentheses: bool,
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

fn no_value(name: &Ident) -> Error {
    Error::new(name.span(), format!("expected `{name} = <value>`"))
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

fn path(value: TokenStream) -> Result<Path> {
    let wrong = "`crate` takes a path, as in `crate = my_crate::mobula`";
    syn::parse2(value.clone()).map_err(|_| Error::new_spanned(value, wrong))
}

/// An expression that can be a `u32`: literals are checked here, since the compiler's message would
/// not say what the option takes; others are left to the compiler.
fn number(name: &str, least: u32, value: TokenStream) -> Result<Expr> {
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
fn signed(name: &str, value: TokenStream) -> Result<Expr> {
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
fn function(name: &str, value: TokenStream) -> Result<Expr> {
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
fn group(value: TokenStream) -> Result<LitStr> {
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
fn groups(value: TokenStream) -> Result<Vec<(LitStr, Expr)>> {
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
fn duration(name: &str, value: TokenStream) -> Result<Expr> {
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
fn ungroup(expr: &Expr) -> &Expr {
    match expr {
        Expr::Group(ExprGroup { expr, .. }) => ungroup(expr),
        expr => expr,
    }
}
