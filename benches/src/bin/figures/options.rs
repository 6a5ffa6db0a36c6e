//! The program's options.

use std::{path::PathBuf, time::Duration};

use mobula_benches::sampling::Plan;

pub(crate) const HELP: &str = "\
Measures what Mobula takes, beside what the hardware takes.

  --small          little memory and time, to see that all rows work
  --rows 1,3       only these rows (1 to 8)
  --markdown FILE  writes the tables to a file, too
  --date DATE      the date for the head, in place of today's";

/// The numbers of the rows.
const ROWS: std::ops::RangeInclusive<u8> = 1..=8;

#[derive(Debug, PartialEq)]
pub(crate) enum Invocation {
    Help,
    Measure(Options),
}

#[derive(Debug, PartialEq)]
pub(crate) struct Options {
    pub(crate) small: bool,
    pub(crate) rows: Vec<u8>,
    pub(crate) markdown: Option<PathBuf>,
    pub(crate) date: Option<String>,
}

impl Options {
    /// Returns the plan for work that takes microseconds. The samples take about this many seconds.
    pub(crate) fn quick(&self, seconds: f64) -> Plan {
        let (warm_up, least, share) = if self.small {
            (50, 5, 0.1)
        } else {
            (1000, 20, 1.0)
        };
        Plan {
            warm_up,
            least,
            most: 500_000,
            time: Duration::from_secs_f64(seconds * share),
        }
    }

    /// Returns the plan for work that takes at least milliseconds.
    pub(crate) fn slow(&self, least: usize, seconds: f64) -> Plan {
        let (least, share) = if self.small {
            (least.min(3), 0.05)
        } else {
            (least, 1.0)
        };
        Plan {
            warm_up: 1,
            least,
            most: 10_000,
            time: Duration::from_secs_f64(seconds * share),
        }
    }

    /// Returns the full size, or the small one with `--small`.
    pub(crate) fn size(&self, full: usize, small: usize) -> usize {
        if self.small { small } else { full }
    }
}

/// Parses the arguments.
///
/// # Errors
/// An argument is unknown, or its value is wrong.
pub(crate) fn parse(args: impl IntoIterator<Item = String>) -> Result<Invocation, String> {
    let mut options = Options {
        small: false,
        rows: ROWS.collect(),
        markdown: None,
        date: None,
    };
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        let mut value = || {
            args.next()
                .ok_or_else(|| format!("`{arg}` needs a value; see --help"))
        };
        match arg.as_str() {
            "--help" | "-h" => return Ok(Invocation::Help),
            "--small" => options.small = true,
            "--rows" => options.rows = rows(&value()?)?,
            "--markdown" => options.markdown = Some(value()?.into()),
            "--date" => options.date = Some(value()?),
            _ => return Err(format!("`{arg}` is not an option; see --help")),
        }
    }
    Ok(Invocation::Measure(options))
}

fn rows(list: &str) -> Result<Vec<u8>, String> {
    let row = |text: &str| {
        let row = text.trim().parse().ok().filter(|row| ROWS.contains(row));
        row.ok_or_else(|| {
            format!(
                "`{text}` is not a row; there are {} to {}",
                ROWS.start(),
                ROWS.end()
            )
        })
    };
    list.split(',').map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Invocation, String> {
        parse(args.iter().map(|arg| arg.to_string()))
    }

    #[test]
    fn without_arguments_all_rows_are_measured() {
        let Ok(Invocation::Measure(options)) = parsed(&[]) else {
            panic!("not a measurement")
        };
        assert_eq!(options.rows, [1, 2, 3, 4, 5, 6, 7, 8]);
        assert!(!options.small);
    }

    #[test]
    fn arguments_are_taken() {
        let args = [
            "--small",
            "--rows",
            "3, 1",
            "--markdown",
            "out.md",
            "--date",
            "today",
        ];
        let options = Options {
            small: true,
            rows: vec![3, 1],
            markdown: Some("out.md".into()),
            date: Some("today".into()),
        };
        assert_eq!(parsed(&args), Ok(Invocation::Measure(options)));
        assert_eq!(parsed(&["--help"]), Ok(Invocation::Help));
    }

    #[test]
    fn wrong_arguments_are_named() {
        for (args, part) in [
            (&["--rows", "1,9"][..], "`9`"),
            (&["--rows", ""], "``"),
            (&["--rows"], "`--rows` needs"),
            (&["--fast"], "`--fast`"),
        ] {
            let error = parsed(args).unwrap_err();
            assert!(error.contains(part), "{error}");
        }
    }
}
