//! All measurements of one run.

use mobula_benches::sampling::Summary;

use crate::{
    protocol::{Measurement, Outcome},
    rows,
};

/// The measurements in the order of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Results {
    measurements: Vec<Measurement>,
    /// The reasons for missing or incomplete measurements.
    pub(crate) remarks: Vec<String>,
}

impl Results {
    /// Adds a measurement. A row that the catalogue lacks, or has with another unit, becomes a
    /// remark.
    pub(crate) fn add(&mut self, measurement: Measurement) {
        let Measurement { peer, row, .. } = &measurement;
        match (rows::unit(peer, row), &measurement.outcome) {
            (None, _) => self
                .remarks
                .push(format!("{peer}: there is no row `{row}`")),
            (Some(known), Outcome::Measured(_, unit)) if known != *unit => {
                self.remarks
                    .push(format!("{peer}: row `{row}` has another unit"));
            }
            (Some(_), Outcome::Failed(error)) => {
                self.remarks
                    .push(format!("{peer}: row `{row}` failed: {error}"));
                self.measurements.push(measurement);
            }
            _ => self.measurements.push(measurement),
        }
    }

    /// Returns the measurement of a row by a peer, by Mobula, or of a floor.
    pub(crate) fn find(&self, peer: &str, row: &str) -> Option<&Measurement> {
        let mut found = self.measurements.iter();
        found.find(|found| found.peer == peer && found.row == row)
    }

    /// Returns the numbers of a row. `None` if it was not measured.
    pub(crate) fn summary(&self, peer: &str, row: &str) -> Option<Summary> {
        match self.find(peer, row)?.outcome {
            Outcome::Measured(summary, _) => Some(summary),
            Outcome::Failed(_) => None,
        }
    }

    /// Returns the peers with measurements, and their versions.
    pub(crate) fn versions(&self) -> Vec<(&str, &str)> {
        let mut versions: Vec<(&str, &str)> = Vec::new();
        for Measurement { peer, version, .. } in &self.measurements {
            if !versions.iter().any(|(known, _)| known == peer) {
                versions.push((peer, version));
            }
        }
        versions
    }

    /// Adds a row with one number, for tests.
    #[cfg(test)]
    pub(crate) fn with(mut self, peer: &str, row: &str, value: f64) -> Results {
        let unit = rows::unit(peer, row).unwrap_or_else(|| panic!("no row {row} of {peer}"));
        self.add(Measurement {
            peer: peer.into(),
            version: "1.0".into(),
            row: row.into(),
            outcome: Outcome::Measured(Summary::single(value), unit),
            note: None,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{OURS, parse};

    #[test]
    fn measurements_are_found_by_peer_and_row() {
        let results =
            Results::default()
                .with(OURS, "roundtrip", 2e-6)
                .with("Ray", "roundtrip", 2e-3);
        assert_eq!(results.summary("Ray", "roundtrip").unwrap().median, 2e-3);
        assert_eq!(results.summary("Ray", "cold"), None);
        assert_eq!(results.versions(), [(OURS, "1.0"), ("Ray", "1.0")]);
    }

    #[test]
    fn rows_that_do_not_fit_become_remarks() {
        let mut results = Results::default();
        for line in [
            r#"{"peer": "x", "version": "1", "row": "nonsense", "unit": "s", "samples": [1]}"#,
            r#"{"peer": "x", "version": "1", "row": "roundtrip", "unit": "B", "samples": [1]}"#,
            r#"{"peer": "x", "version": "1", "row": "cold", "error": "broken"}"#,
        ] {
            results.add(parse(line).unwrap());
        }
        assert_eq!(results.remarks.len(), 3, "{:?}", results.remarks);
        assert!(results.remarks[2].contains("broken"));
        assert_eq!(results.summary("x", "roundtrip"), None);
    }
}
