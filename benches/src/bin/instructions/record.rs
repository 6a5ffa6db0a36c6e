//! Counts, and how to print, record and compare them.

use std::fmt;

use crate::Result;

/// The share by which a count may rise.
const TOLERANCE: f64 = 0.10;

/// The least difference, in instructions, that is a change.
const NOTHING: f64 = 20.0;

/// The instructions of one unit of a path.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Counts {
    pub(crate) driver: f64,
    pub(crate) worker: f64,
}

impl Counts {
    /// Returns the medians of several runs.
    pub(crate) fn median(runs: impl Iterator<Item = Counts>) -> Counts {
        let (mut driver, mut worker): (Vec<f64>, Vec<f64>) =
            runs.map(|counts| (counts.driver, counts.worker)).unzip();
        let middle = |counts: &mut Vec<f64>| {
            counts.sort_by(f64::total_cmp);
            counts.get(counts.len() / 2).copied().unwrap_or(0.0)
        };
        Counts {
            driver: middle(&mut driver),
            worker: middle(&mut worker),
        }
    }
}

/// The counts of all paths, in order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// The versions of the tools with which the counts were taken.
    pub(crate) tools: String,
    pub(crate) paths: Vec<(String, Counts)>,
}

/// The differences between counts and recorded counts.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Comparison {
    risen: Vec<String>,
    fallen: Vec<String>,
    /// The paths that only one of the two records has.
    unknown: Vec<String>,
    /// The tools of the recorded counts, if they differ.
    other_tools: Option<String>,
}

impl Record {
    /// Parses the text of a record.
    ///
    /// # Errors
    /// A line is malformed.
    pub(crate) fn parse(text: &str) -> Result<Record> {
        let mut record = Record {
            tools: String::new(),
            paths: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if let Some(remark) = line.strip_prefix('#') {
                if let Some(tools) = remark.trim().strip_prefix("Taken with ") {
                    record.tools = tools.to_owned();
                }
                continue;
            }
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let counts = match cells[..] {
                [name, driver, worker] => {
                    let counts = (driver.parse(), worker.parse());
                    counts
                        .0
                        .ok()
                        .zip(counts.1.ok())
                        .map(|counts| (name, counts))
                }
                _ => None,
            };
            let (name, (driver, worker)) =
                counts.ok_or_else(|| format!("this line is no count: {line}"))?;
            record
                .paths
                .push((name.to_owned(), Counts { driver, worker }));
        }
        Ok(record)
    }

    /// Returns the counts as a table for readers.
    pub(crate) fn table(&self) -> String {
        let mut text = format!(
            "{:32} {:>10} {:>10}\n",
            "instructions of", "driver", "worker"
        );
        for (name, counts) in &self.paths {
            text += &format!(
                "{name:32} {:>10.0} {:>10.0}\n",
                counts.driver,
                // The addition turns -0 into 0.
                counts.worker.round() + 0.0
            );
        }
        text
    }

    pub(crate) fn compare(&self, recorded: &Record) -> Comparison {
        let mut comparison = Comparison::default();
        if self.tools != recorded.tools {
            comparison.other_tools = Some(recorded.tools.clone());
        }
        let find = |record: &Record, name: &str| {
            let found = record.paths.iter().find(|(other, _)| other == name);
            found.map(|(_, counts)| *counts)
        };
        for (name, counts) in &self.paths {
            match find(recorded, name) {
                None => comparison.unknown.push(format!("{name}: not recorded")),
                Some(before) => {
                    comparison.add(name, "driver", before.driver, counts.driver);
                    comparison.add(name, "worker", before.worker, counts.worker);
                }
            }
        }
        for (name, _) in &recorded.paths {
            if find(self, name).is_none() {
                comparison.unknown.push(format!("{name}: not measured"));
            }
        }
        comparison
    }
}

/// The text of a record, which [`parse`](Record::parse) reads.
impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# Instructions that a task (an item, a put, a get, a child) costs: path | driver | worker.\n\
             # `.ci/instructions` compares with these, and fails where one has risen by more than 10 %.\n\
             # Record new ones when a change is worth it, or when the tools are others:\n\
             #     cargo run --release -p mobula-benches --bin instructions -- --record benches/results/instructions.txt\n\
             # How they come about: the same with --help.\n\
             # Taken with {}",
            self.tools
        )?;
        for (name, counts) in &self.paths {
            let worker = counts.worker.round() + 0.0;
            writeln!(f, "{name} | {:.0} | {worker:.0}", counts.driver)?;
        }
        Ok(())
    }
}

impl Comparison {
    fn add(&mut self, path: &str, side: &str, before: f64, now: f64) {
        if (now - before).abs() < NOTHING {
            return;
        }
        let change = now / before.max(1.0) - 1.0;
        let text = format!(
            "{path}, {side}: from {before:.0} to {now:.0} ({:+.0} %)",
            100.0 * change
        );
        if change > TOLERANCE {
            self.risen.push(text);
        } else if change < -TOLERANCE {
            self.fallen.push(text);
        }
    }

    /// Returns whether no count has risen, and both records have the same paths.
    pub(crate) fn holds(&self) -> bool {
        self.risen.is_empty() && self.unknown.is_empty()
    }

    /// Returns the report of the differences. `file` is the name of the recorded counts.
    pub(crate) fn text(&self, file: &dyn fmt::Display) -> String {
        let mut text = String::new();
        let mut list = |head: &str, lines: &[String]| {
            if !lines.is_empty() {
                text += &format!("\n{head}\n");
                lines.iter().for_each(|line| text += &format!("  {line}\n"));
            }
        };
        list("More instructions than recorded:", &self.risen);
        list("Cannot be compared:", &self.unknown);
        list("Fewer instructions than recorded:", &self.fallen);
        if let Some(tools) = &self.other_tools {
            text += &format!("\nThe recorded counts were taken with other tools: {tools}\n");
        }
        if self.holds() && self.fallen.is_empty() {
            text += "\nAs recorded.\n";
        } else {
            text += &format!("\nTo record the new counts: --record {file}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(driver: f64, worker: f64) -> Record {
        Record {
            tools: "rustc 1, valgrind-3".to_owned(),
            paths: vec![("a path".to_owned(), Counts { driver, worker })],
        }
    }

    #[test]
    fn what_is_recorded_is_read_again() {
        let record = record(1234.0, 0.0);
        assert_eq!(Record::parse(&record.to_string()).unwrap(), record);
        assert!(Record::parse("a path | 5\n").is_err());
        assert!(Record::parse("a path | 5 | many\n").is_err());
    }

    #[test]
    fn a_rise_fails_and_says_what_to_do() {
        let comparison = record(1000.0, 1111.0).compare(&record(1000.0, 1000.0));
        assert!(!comparison.holds());
        let text = comparison.text(&"FILE");
        for part in ["a path, worker: from 1000 to 1111 (+11 %)", "--record FILE"] {
            assert!(text.contains(part), "{text}");
        }
    }

    #[test]
    fn a_fall_is_told_and_holds() {
        let comparison = record(800.0, 1000.0).compare(&record(1000.0, 1000.0));
        assert!(comparison.holds());
        let text = comparison.text(&"FILE");
        assert!(text.contains("driver: from 1000 to 800 (-20 %)"), "{text}");
    }

    #[test]
    fn small_changes_and_small_counts_do_not_matter() {
        let comparison = record(1090.0, 15.0).compare(&record(1000.0, 0.0));
        assert_eq!(comparison, Comparison::default());
        assert!(comparison.text(&"FILE").contains("As recorded"));
    }

    #[test]
    fn what_was_not_recorded_fails() {
        let mut other = record(1.0, 1.0);
        other.paths[0].0 = "another".to_owned();
        let comparison = record(1.0, 1.0).compare(&other);
        assert_eq!(comparison.unknown.len(), 2);
        assert!(!comparison.holds());
    }

    #[test]
    fn medians_are_taken_side_by_side() {
        let runs = [(1.0, 30.0), (3.0, 10.0), (2.0, 20.0)];
        let runs = runs.map(|(driver, worker)| Counts { driver, worker });
        let median = Counts::median(runs.into_iter());
        assert_eq!((median.driver, median.worker), (2.0, 20.0));
    }
}
