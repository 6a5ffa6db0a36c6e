//! Reaches: targets of rows, as predicates on the numbers of a run.

use mobula_benches::table::{Digits, Shown, Unit};

use crate::{
    protocol::{FLOOR, OURS},
    results::Results,
    rows,
};

/// The number of Mobula's row that a reach is about.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Number {
    Median,
    P99,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Relation {
    AtMost,
    AtLeast,
}

/// A multiple of the median of a row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Term {
    times: f64,
    peer: &'static str,
    row: &'static str,
}

impl Term {
    /// Returns a multiple of a peer's row.
    pub(crate) const fn peer(times: f64, peer: &'static str, row: &'static str) -> Term {
        Term { times, peer, row }
    }

    /// Returns a multiple of another row of Mobula's.
    pub(crate) const fn ours(times: f64, row: &'static str) -> Term {
        Term::peer(times, OURS, row)
    }

    /// Returns a multiple of a floor.
    pub(crate) const fn floor(times: f64, row: &'static str) -> Term {
        Term::peer(times, FLOOR, row)
    }

    fn name(&self) -> String {
        let label = rows::label(self.peer, self.row);
        let name = match self.peer {
            FLOOR => label.to_owned(),
            OURS => format!("our \"{label}\""),
            peer => format!("{peer}'s \"{label}\""),
        };
        if self.times == 1.0 {
            name
        } else {
            format!("{} × {name}", Digits(self.times))
        }
    }
}

/// A predicate: a number of Mobula's row against a sum of terms and a constant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    number: Number,
    relation: Relation,
    terms: &'static [Term],
    plus: f64,
}

/// The outcome of a reach in a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Verdict {
    /// The predicate in words, with the value of its sum.
    pub(crate) text: String,
    /// Whether the reach is met. `None` if a number is missing.
    pub(crate) reached: Option<bool>,
}

impl Reach {
    /// Requires that the median is at most the sum.
    pub(crate) const fn at_most(terms: &'static [Term], plus: f64) -> Reach {
        Reach {
            number: Number::Median,
            relation: Relation::AtMost,
            terms,
            plus,
        }
    }

    /// Requires that the median is at least the sum.
    pub(crate) const fn at_least(terms: &'static [Term], plus: f64) -> Reach {
        Reach {
            relation: Relation::AtLeast,
            ..Reach::at_most(terms, plus)
        }
    }

    /// Changes the reach to be about the 99th percentile.
    pub(crate) const fn of_p99(self) -> Reach {
        Reach {
            number: Number::P99,
            ..self
        }
    }

    /// Evaluates the reach for this row of Mobula's.
    pub(crate) fn evaluate(&self, results: &Results, row: &str, unit: Unit) -> Verdict {
        let medians = self.terms.iter().map(|term| {
            let summary = results.summary(term.peer, term.row)?;
            Some(term.times * summary.median)
        });
        let bound = medians.sum::<Option<f64>>().map(|sum| sum + self.plus);
        let ours = results.summary(OURS, row).map(|ours| match self.number {
            Number::Median => ours.median,
            Number::P99 => ours.p99,
        });
        let reached = ours.zip(bound).map(|(ours, bound)| match self.relation {
            Relation::AtMost => ours <= bound,
            Relation::AtLeast => ours >= bound,
        });
        Verdict {
            text: self.text(bound, unit),
            reached,
        }
    }

    /// Returns the peers and rows of all terms.
    #[cfg(test)]
    pub(crate) fn names(&self) -> impl Iterator<Item = (&'static str, &'static str)> {
        self.terms.iter().map(|term| (term.peer, term.row))
    }

    fn text(&self, bound: Option<f64>, unit: Unit) -> String {
        let number = match self.number {
            Number::Median => "",
            Number::P99 => "p99 ",
        };
        let relation = match self.relation {
            Relation::AtMost => "at most",
            Relation::AtLeast => "at least",
        };
        let mut parts: Vec<String> = self.terms.iter().map(Term::name).collect();
        if self.plus != 0.0 || parts.is_empty() {
            parts.push(Shown(self.plus, unit).to_string());
        }
        let sum = parts.join(" + ");
        match bound {
            Some(bound) if !self.terms.is_empty() => {
                format!("{number}{relation} {sum} = {}", Shown(bound, unit))
            }
            _ => format!("{number}{relation} {sum}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOUR_FLOORS: Reach = Reach::at_most(&[Term::floor(4.0, "spin_message")], 0.0);

    fn verdict(reach: Reach, results: &Results) -> Verdict {
        reach.evaluate(results, "roundtrip", Unit::Time)
    }

    #[test]
    fn a_multiple_of_a_floor_is_the_bound() {
        for (ours, reached) in [(1.9e-6, true), (2.0e-6, true), (2.1e-6, false)] {
            let results = Results::default().with(FLOOR, "spin_message", 0.5e-6).with(
                OURS,
                "roundtrip",
                ours,
            );
            let verdict = verdict(FOUR_FLOORS, &results);
            assert_eq!(verdict.reached, Some(reached), "{ours}");
            assert!(
                verdict.text.starts_with("at most 4.00 × "),
                "{}",
                verdict.text
            );
            assert!(verdict.text.ends_with("= 2.00 µs"), "{}", verdict.text);
        }
    }

    #[test]
    fn terms_and_constants_add_up() {
        const REACH: Reach = Reach::at_most(
            &[Term::ours(1.0, "cold"), Term::peer(0.5, "Ray", "roundtrip")],
            1e-6,
        );
        let results = Results::default()
            .with(OURS, "cold", 2e-6)
            .with("Ray", "roundtrip", 4e-6)
            .with(OURS, "roundtrip", 4.9e-6);
        assert_eq!(verdict(REACH, &results).reached, Some(true));
        let slower = Results::default()
            .with(OURS, "cold", 2e-6)
            .with("Ray", "roundtrip", 4e-6)
            .with(OURS, "roundtrip", 5.1e-6);
        assert_eq!(verdict(REACH, &slower).reached, Some(false));
    }

    #[test]
    fn at_least_is_the_other_way_round() {
        const REACH: Reach = Reach::at_least(&[], 1e6);
        for (ours, reached) in [(0.9e6, false), (1e6, true)] {
            let results = Results::default().with(OURS, "inflight_1k", ours);
            let verdict = REACH.evaluate(&results, "inflight_1k", Unit::Rate);
            assert_eq!(verdict.reached, Some(reached));
            assert_eq!(verdict.text, "at least 1.00 M/s");
        }
    }

    #[test]
    fn what_is_missing_is_not_reached_and_not_missed() {
        let results = Results::default().with(OURS, "roundtrip", 1e-6);
        let verdict = verdict(FOUR_FLOORS, &results);
        assert_eq!(verdict.reached, None);
        assert!(!verdict.text.contains('='), "{}", verdict.text);
    }

    #[test]
    fn the_tail_is_another_number_than_the_median() {
        let mut results = Results::default();
        let line = r#"{"peer": "Mobula", "version": "1", "row": "roundtrip", "unit": "s",
            "median": 1e-6, "p10": 1e-6, "p90": 1e-6, "p99": 1e-3, "n": 100}"#;
        results.add(crate::protocol::parse(line).unwrap());
        const BOUND: Reach = Reach::at_most(&[], 1e-4);
        assert_eq!(verdict(BOUND, &results).reached, Some(true));
        assert_eq!(verdict(BOUND.of_p99(), &results).reached, Some(false));
    }
}
