//! The program's options.

use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Runs our rows and those of the peers that are installed, and writes a report.

  --quick          a tenth of the time: to see that all rows work
  --only A,B       of our rows and the floors only these parts, such as `calls` or `actors`
  --peers A,B      only these peers, or programs of peers (`none` for none)
  --curves         cost curves of ours in place of the rows
  --ablation       what each mechanism of waiting gains, in place of the rows
  --without A,B    of the mechanisms only these
  --before PROGRAM in place of the mechanisms another build of this program
  --rows A,B       of the ablation only these rows
  --seconds N      for about so long (420)
  --out FOLDER     where the report goes (benches/results)
  --date DATE      the date for the head, in place of today's";

#[derive(Debug, PartialEq)]
pub(crate) enum Invocation {
    Help,
    /// Measures all rows and writes a report.
    Suite(Options),
    /// Measures the curves.
    Curves(Options),
    /// Measures the gains of the mechanisms of waiting.
    Ablation(Ablation),
    /// Measures one part of Mobula's rows. Prints the rows as lines. The suite starts such a child.
    Part {
        part: String,
        quick: bool,
    },
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) quick: bool,
    /// The parts of Mobula's rows. `None` means all.
    pub(crate) only: Option<Vec<String>>,
    /// The names of the peers. `None` means all installed peers.
    pub(crate) peers: Option<Vec<String>>,
    pub(crate) out: Option<PathBuf>,
    pub(crate) date: Option<String>,
}

/// The options of an ablation.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Ablation {
    /// The mechanisms. `None` means all.
    pub(crate) mechanisms: Option<String>,
    /// Another build of this program, to compare with in place of mechanisms.
    pub(crate) before: Option<PathBuf>,
    /// The rows. `None` means all.
    pub(crate) rows: Option<String>,
    /// The time of the ablation, in seconds.
    pub(crate) seconds: u64,
    pub(crate) out: Option<PathBuf>,
    pub(crate) date: Option<String>,
}

/// Parses the arguments.
///
/// # Errors
/// An argument is unknown, or its value is wrong.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Invocation, String> {
    let mut options = Options::default();
    let (mut curves, mut part) = (false, None);
    let mut ablation = false;
    let mut ablated = Ablation {
        seconds: 420,
        ..Ablation::default()
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut value = || {
            let value = args.next();
            value.ok_or_else(|| format!("`{arg}` needs a value; see --help"))
        };
        match arg.as_str() {
            "--help" | "-h" => return Ok(Invocation::Help),
            "--quick" => options.quick = true,
            "--curves" => curves = true,
            "--ablation" => ablation = true,
            "--without" => ablated.mechanisms = Some(value()?),
            "--before" => ablated.before = Some(value()?.into()),
            "--rows" => ablated.rows = Some(value()?),
            "--seconds" => {
                let seconds = value()?;
                let wrong = |_| format!("`{seconds}` is no number of seconds");
                ablated.seconds = seconds.parse().map_err(wrong)?;
            }
            "--part" => part = Some(value()?),
            "--only" => options.only = Some(list(&value()?).collect()),
            "--peers" => {
                options.peers = Some(list(&value()?).filter(|name| name != "none").collect());
            }
            "--out" => options.out = Some(value()?.into()),
            "--date" => options.date = Some(value()?),
            _ => return Err(format!("`{arg}` is not an option; see --help")),
        }
    }
    let quick = options.quick;
    Ok(match part {
        Some(part) => Invocation::Part { part, quick },
        None if ablation => Invocation::Ablation(Ablation {
            out: options.out,
            date: options.date,
            ..ablated
        }),
        None if curves => Invocation::Curves(options),
        None => Invocation::Suite(options),
    })
}

fn list(names: &str) -> impl Iterator<Item = String> {
    names.split(',').map(|name| name.trim().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Invocation, String> {
        parse(args.iter().map(|arg| arg.to_string()))
    }

    #[test]
    fn without_arguments_everything_is_measured() {
        assert_eq!(parsed(&[]), Ok(Invocation::Suite(Options::default())));
    }

    #[test]
    fn arguments_are_taken() {
        let args = [
            "--quick",
            "--peers",
            "Ray, rayon",
            "--only",
            "calls,actors",
            "--out",
            "there",
            "--date",
            "now",
        ];
        let options = Options {
            quick: true,
            only: Some(vec!["calls".into(), "actors".into()]),
            peers: Some(vec!["ray".into(), "rayon".into()]),
            out: Some("there".into()),
            date: Some("now".into()),
        };
        assert_eq!(parsed(&args), Ok(Invocation::Suite(options)));
        let none = parsed(&["--peers", "none", "--curves"]);
        let options = Options {
            peers: Some(Vec::new()),
            ..Options::default()
        };
        assert_eq!(none, Ok(Invocation::Curves(options)));
        let part = Invocation::Part {
            part: "calls".into(),
            quick: true,
        };
        assert_eq!(parsed(&["--part", "calls", "--quick"]), Ok(part));
        let ablation = parsed(&["--ablation", "--rows", "put", "--seconds", "9"]);
        let options = Ablation {
            rows: Some("put".into()),
            seconds: 9,
            ..Ablation::default()
        };
        assert_eq!(ablation, Ok(Invocation::Ablation(options)));
        assert_eq!(parsed(&["--help"]), Ok(Invocation::Help));
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (args, wrong) in [
            (&["--peers"][..], "`--peers` needs"),
            (&["--fast"], "`--fast`"),
            (&["--seconds", "long"], "`long`"),
        ] {
            let error = parsed(args).unwrap_err();
            assert!(error.contains(wrong), "{error}");
        }
    }
}
