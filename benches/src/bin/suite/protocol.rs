//! The output of a measuring program: one JSON object on each line of its standard output.

use std::fmt;

use mobula_benches::{sampling::Summary, table::Unit};
use serde::{Deserialize, Serialize};

/// The peer name of Mobula's own rows.
pub(crate) const OURS: &str = "Mobula";

/// The peer name of floors.
pub(crate) const FLOOR: &str = "floor";

/// A line. It has `samples`, or the five numbers of a summary, or `error`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Line {
    peer: String,
    version: String,
    row: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    samples: Option<Vec<f64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    median: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p10: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p90: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    p99: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    n: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    note: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A measurement of one row: of a peer, of Mobula, or of a floor.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Measurement {
    pub(crate) peer: String,
    pub(crate) version: String,
    pub(crate) row: String,
    pub(crate) outcome: Outcome,
    /// The difference from the row's description.
    pub(crate) note: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Measured(Summary, Unit),
    Failed(String),
}

/// The names of units.
const UNITS: [(&str, Unit); 5] = [
    ("s", Unit::Time),
    ("1/s", Unit::Rate),
    ("B/s", Unit::Bandwidth),
    ("B", Unit::Bytes),
    ("ratio", Unit::Ratio),
];

/// Returns the name of a unit in the lines.
pub(crate) fn unit_name(unit: Unit) -> &'static str {
    let known = UNITS.iter().find(|(_, known)| *known == unit);
    known.map_or("", |(name, _)| name)
}

/// Parses a line.
///
/// # Errors
/// The line is malformed.
pub(crate) fn parse(line: &str) -> Result<Measurement, String> {
    let line: Line = serde_json::from_str(line).map_err(|error| error.to_string())?;
    let row = line.row.clone();
    let outcome = outcome(&line).map_err(|wrong| format!("row `{row}`: {wrong}"))?;
    Ok(Measurement {
        peer: line.peer,
        version: line.version,
        row: line.row,
        outcome,
        note: line.note,
    })
}

fn outcome(line: &Line) -> Result<Outcome, String> {
    if let Some(error) = &line.error {
        return Ok(Outcome::Failed(error.clone()));
    }
    let name = line.unit.as_deref().ok_or("it has no unit")?;
    let unit = UNITS.iter().find(|(known, _)| *known == name);
    let (_, unit) = unit.ok_or_else(|| format!("`{name}` is not a unit"))?;
    let summary = match &line.samples {
        Some(samples) if samples.is_empty() => return Err("it has no samples".into()),
        Some(samples) => Summary::of(samples.clone()),
        None => {
            let number = |value: Option<f64>| value.ok_or("it has neither samples nor a summary");
            Summary {
                median: number(line.median)?,
                p10: number(line.p10)?,
                p90: number(line.p90)?,
                p99: number(line.p99)?,
                count: line.n.ok_or("it has no `n`")?,
            }
        }
    };
    let Summary {
        median, p10, p90, ..
    } = summary;
    if ![median, p10, p90, summary.p99]
        .iter()
        .all(|v| v.is_finite())
    {
        return Err("a number of it is not finite".into());
    }
    Ok(Outcome::Measured(summary, *unit))
}

impl fmt::Display for Measurement {
    /// Writes the line that [`parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = Line {
            peer: self.peer.clone(),
            version: self.version.clone(),
            row: self.row.clone(),
            note: self.note.clone(),
            ..Line::default()
        };
        match &self.outcome {
            Outcome::Failed(error) => line.error = Some(error.clone()),
            Outcome::Measured(summary, unit) => {
                line.unit = Some(unit_name(*unit).into());
                line.median = Some(summary.median);
                line.p10 = Some(summary.p10);
                line.p90 = Some(summary.p90);
                line.p99 = Some(summary.p99);
                line.n = Some(summary.count);
            }
        }
        f.write_str(&serde_json::to_string(&line).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_summed_up() {
        let line = r#"{"peer": "Ray", "version": "2.60.0", "row": "cold", "unit": "s",
            "samples": [3.0, 1.0, 2.0], "note": "slow"}"#;
        let read = parse(line).unwrap();
        assert_eq!((read.peer.as_str(), read.row.as_str()), ("Ray", "cold"));
        assert_eq!(read.note.as_deref(), Some("slow"));
        let Outcome::Measured(summary, unit) = read.outcome else {
            panic!("not measured")
        };
        assert_eq!((summary.median, summary.count, unit), (2.0, 3, Unit::Time));
    }

    #[test]
    fn what_is_printed_is_read() {
        for outcome in [
            Outcome::Measured(Summary::of(vec![1.0, 2.0, 4.0]), Unit::Bandwidth),
            Outcome::Failed("out of \"memory\"\nand luck".into()),
        ] {
            let printed = Measurement {
                peer: OURS.into(),
                version: "1".into(),
                row: "put_calls".into(),
                outcome,
                note: None,
            };
            let line = printed.to_string();
            assert!(!line.contains('\n'), "one line each: {line}");
            assert_eq!(parse(&line), Ok(printed));
        }
    }

    #[test]
    fn wrong_lines_are_refused() {
        for (line, part) in [
            ("Starting up", "expected value"),
            (r#"{"peer": "a", "version": "1"}"#, "row"),
            (
                r#"{"peer": "a", "version": "1", "row": "x", "samples": [1]}"#,
                "`x`: it has no unit",
            ),
            (
                r#"{"peer": "a", "version": "1", "row": "x", "unit": "h", "samples": [1]}"#,
                "`h`",
            ),
            (
                r#"{"peer": "a", "version": "1", "row": "x", "unit": "s", "samples": []}"#,
                "no samples",
            ),
            (
                r#"{"peer": "a", "version": "1", "row": "x", "unit": "s", "median": 1}"#,
                "neither",
            ),
            (
                r#"{"peer":"a","version":"1","row":"x","unit":"s","median":1,"p10":1,"p90":1,"p99":1}"#,
                "no `n`",
            ),
        ] {
            let error = parse(line).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
    }
}
