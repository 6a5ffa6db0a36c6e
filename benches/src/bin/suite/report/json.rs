//! The report as JSON.

use serde_json::{Value, json};

use super::{advantage, peers_of};
use crate::{
    protocol::{FLOOR, Measurement, OURS, Outcome, unit_name},
    results::Results,
    rows::{GROUPS, Row, label},
};

pub(super) fn report(machine: &str, quick: bool, results: &Results) -> Value {
    let groups = GROUPS.iter().map(|group| {
        let peers = peers_of(group.rows, results);
        let rows: Vec<Value> = group
            .rows
            .iter()
            .map(|row| of_row(row, &peers, results))
            .collect();
        json!({"id": group.id, "title": group.title, "rows": rows})
    });
    let versions = results.versions();
    let versions = versions
        .iter()
        .map(|(peer, version)| json!({"name": peer, "version": version}));
    json!({
        "machine": machine,
        "quick": quick,
        "versions": versions.collect::<Vec<_>>(),
        "remarks": results.remarks,
        "groups": groups.collect::<Vec<_>>(),
    })
}

fn of_row(row: &Row, peers: &[&str], results: &Results) -> Value {
    let theirs = peers.iter().filter_map(|peer| {
        let found = results.find(peer, row.id)?;
        let ratio = results
            .summary(peer, row.id)
            .and_then(|summary| advantage(row, summary.median, results));
        let mut value = measured(found);
        value["peer"] = json!(peer);
        value["times_better_ours"] = json!(ratio);
        Some(value)
    });
    let floors = row.floors.iter().filter_map(|floor| {
        let mut value = measured(results.find(FLOOR, floor)?);
        value["floor"] = json!(label(FLOOR, floor));
        Some(value)
    });
    let reaches = row.reaches.iter().map(|reach| {
        let verdict = reach.evaluate(results, row.id, row.unit);
        json!({"predicate": verdict.text, "reached": verdict.reached})
    });
    json!({
        "id": row.id,
        "label": row.label,
        "unit": unit_name(row.unit),
        "smaller_is_better": row.smaller,
        "ours": results.find(OURS, row.id).map(measured),
        "peers": theirs.collect::<Vec<_>>(),
        "floors": floors.collect::<Vec<_>>(),
        "reaches": reaches.collect::<Vec<_>>(),
    })
}

fn measured(measurement: &Measurement) -> Value {
    let mut value = match &measurement.outcome {
        Outcome::Measured(summary, _) => json!({
            "median": summary.median, "p10": summary.p10, "p90": summary.p90,
            "p99": summary.p99, "n": summary.count,
        }),
        Outcome::Failed(error) => json!({"error": error}),
    };
    if let Some(note) = &measurement.note {
        value["note"] = json!(note);
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_ours_peers_floors_and_verdicts() {
        let results = Results::default()
            .with(FLOOR, "spin_message", 0.5e-6)
            .with(OURS, "roundtrip", 1e-6)
            .with("Ray", "roundtrip", 1e-3);
        let report = report("a machine", true, &results);
        let row = &report["groups"][0]["rows"][0];
        assert_eq!(row["id"], "roundtrip");
        assert_eq!(row["ours"]["median"], 1e-6);
        assert_eq!(row["peers"][0]["peer"], "Ray");
        let times = row["peers"][0]["times_better_ours"].as_f64().unwrap();
        assert!((times - 1000.0).abs() < 1e-6, "{times}");
        assert_eq!(row["reaches"][0]["reached"], true);
        assert_eq!(report["groups"][0]["rows"][1]["ours"], Value::Null);
    }
}
