//! The table of options: where an attribute stands decides which options it has.

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
pub(super) enum Takes {
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
    pub(super) fn options(self) -> &'static [(&'static str, Takes)] {
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

    pub(super) fn unknown(self, what: impl std::fmt::Display) -> String {
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
