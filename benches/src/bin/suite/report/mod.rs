//! The report: tables as Markdown, all numbers as JSON, and a plot for each group and unit.

mod ahead;
mod json;
mod markdown;

use std::{fs, path::Path};

use crate::{
    Result, peers,
    protocol::{OURS, Outcome, unit_name},
    results::Results,
    rows::GROUPS,
    svg::bars,
};

/// Writes `suite.md`, `suite.json` and `suite-*.svg`, and prints the tables.
///
/// # Errors
/// A file cannot be written.
pub(crate) fn write(folder: &Path, machine: &str, quick: bool, results: &Results) -> Result<()> {
    fs::create_dir_all(folder)?;
    let mut plots = Vec::new();
    for group in GROUPS {
        for (unit, chart) in bars::charts(group, results) {
            // A slash would make a folder of the file name.
            let unit = unit_name(unit).replace('/', "-per-");
            let name = format!("suite-{}-{unit}.svg", group.id);
            save(folder, &name, &chart)?;
            plots.push((group.id, name));
        }
    }
    let tables = markdown::report(machine, quick, results, &plots);
    print!("{tables}");
    save(folder, "suite.md", &tables)?;
    let json = serde_json::to_string_pretty(&json::report(machine, quick, results))?;
    save(folder, "suite.json", &json)
}

pub(crate) fn save(folder: &Path, name: &str, text: &str) -> Result<()> {
    let file = folder.join(name);
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()).into())
}

/// Returns the peers that have measured at least one of these rows, in the order of the catalogue.
fn peers_of(rows: &[crate::rows::Row], results: &Results) -> Vec<&'static str> {
    let measured = |peer: &&str| {
        let mut found = rows.iter().filter_map(|row| results.find(peer, row.id));
        found.any(|found| matches!(found.outcome, Outcome::Measured(..)))
    };
    peers::names().into_iter().filter(measured).collect()
}

/// Returns how many times better Mobula's median is than the peer's.
fn advantage(row: &crate::rows::Row, theirs: f64, results: &Results) -> Option<f64> {
    let ours = results.summary(OURS, row.id)?.median;
    let times = if row.smaller {
        theirs / ours
    } else {
        ours / theirs
    };
    (times.is_finite() && times > 0.0).then_some(times)
}
