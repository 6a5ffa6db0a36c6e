//! The report as Markdown.

use std::fmt::Write;

use mobula_benches::{
    sampling::Summary,
    table::{Digits, Shown, Unit},
};

use super::{advantage, ahead, peers_of};
use crate::{
    protocol::{FLOOR, OURS, Outcome},
    reach::Verdict,
    results::Results,
    rows::{GROUPS, Group, Row, label},
};

pub(super) fn report(
    machine: &str,
    quick: bool,
    results: &Results,
    plots: &[(&str, String)],
) -> String {
    let mut text = format!("# Mobula beside others\n\n{machine}\n");
    if quick {
        text += "\nA quick run: it shows that all rows work, and its figures mean little.\n";
    }
    let versions = results.versions();
    let versions = versions.iter().filter(|(peer, _)| *peer != FLOOR);
    let versions: Vec<String> = versions
        .map(|(peer, version)| format!("{peer} {version}"))
        .collect();
    text += &format!("\nVersions: {}. Two workers each.\n", versions.join("; "));
    text += "\nMedians; in brackets p10 to p90. \"×\" says how many times better ours is: above 1 \
        ours is ahead.\n";
    text += &summary(results);
    for group in GROUPS.iter().filter(|group| is_there(group, results)) {
        text += &table(group, results);
        for (_, name) in plots.iter().filter(|(id, _)| *id == group.id) {
            // A write to a string does not fail.
            let _ = writeln!(text, "\n![{}]({name})", group.title);
        }
    }
    text += &ahead::section(results);
    if !results.remarks.is_empty() {
        text += "\n## Remarks\n\n";
        for remark in &results.remarks {
            let _ = writeln!(text, "- {remark}");
        }
    }
    text
}

/// Returns whether the run measured a row of the group. A run may be of some parts only.
fn is_there(group: &Group, results: &Results) -> bool {
    let mut rows = group.rows.iter();
    rows.any(|row| results.find(OURS, row.id).is_some())
}

/// Returns the number of reaches that are met, as a sentence.
fn summary(results: &Results) -> String {
    let groups = GROUPS.iter().filter(|group| is_there(group, results));
    let rows = groups.flat_map(|group| group.rows);
    let verdicts = rows.flat_map(|row| verdicts(row, results));
    let (mut reached, mut missed, mut open) = (0, 0, 0);
    for verdict in verdicts {
        match verdict.reached {
            Some(true) => reached += 1,
            Some(false) => missed += 1,
            None => open += 1,
        }
    }
    format!("\nTargets: {reached} reached, {missed} not reached, {open} not measured.\n")
}

fn verdicts(row: &Row, results: &Results) -> Vec<Verdict> {
    let reaches = row.reaches.iter();
    reaches
        .map(|reach| reach.evaluate(results, row.id, row.unit))
        .collect()
}

fn table(group: &Group, results: &Results) -> String {
    let peers = peers_of(group.rows, results);
    let mut head: Vec<String> = ["row", "ours", "floor"].map(str::to_owned).to_vec();
    head.extend(peers.iter().map(|peer| (*peer).to_owned()));
    head.push("target".to_owned());
    let rows: Vec<Vec<String>> = group
        .rows
        .iter()
        .map(|row| {
            let mut cells = vec![
                row.label.to_owned(),
                ours(row, results),
                floors(row, results),
            ];
            cells.extend(peers.iter().map(|peer| theirs(row, peer, results)));
            cells.push(targets(row, results));
            cells
        })
        .collect();
    let mut text = format!("\n## {}\n\n", group.title);
    line(&mut text, &head);
    line(&mut text, &vec!["---".to_owned(); head.len()]);
    rows.iter().for_each(|cells| line(&mut text, cells));
    text
}

/// Adds a line of a table.
pub(super) fn line(text: &mut String, cells: &[String]) {
    // A bar within a cell would end the cell.
    let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    *text += &format!("| {} |\n", cells.join(" | "));
}

fn ours(row: &Row, results: &Results) -> String {
    let Some(found) = results.find(OURS, row.id) else {
        return String::new();
    };
    let Outcome::Measured(summary, unit) = found.outcome else {
        return "failed".into();
    };
    let mut cell = format!(
        "**{}**{}",
        Shown(summary.median, unit),
        spread(summary, unit)
    );
    if unit == Unit::Time && summary.count >= 100 {
        cell += &format!(", p99 {}", Shown(summary.p99, unit));
    }
    cell + &note(found.note.as_deref())
}

fn spread(summary: Summary, unit: Unit) -> String {
    if summary.count == 1 {
        return String::new();
    }
    format!(
        " ({} to {})",
        Shown(summary.p10, unit),
        Shown(summary.p90, unit)
    )
}

fn note(note: Option<&str>) -> String {
    note.map(|note| format!("; {note}")).unwrap_or_default()
}

fn floors(row: &Row, results: &Results) -> String {
    let shown = row.floors.iter().filter_map(|floor| {
        let median = results.summary(FLOOR, floor)?.median;
        Some(format!(
            "{} {}{}",
            label(FLOOR, floor),
            Shown(median, row.unit),
            times(row, median, results)
        ))
    });
    shown.collect::<Vec<_>>().join("<br>")
}

fn theirs(row: &Row, peer: &str, results: &Results) -> String {
    let Some(found) = results.find(peer, row.id) else {
        return String::new();
    };
    let Outcome::Measured(summary, unit) = found.outcome else {
        return "failed".into();
    };
    let mut cell = format!(
        "{}{}{}",
        Shown(summary.median, unit),
        times(row, summary.median, results),
        spread(summary, unit)
    );
    if row.id == "roundtrip" {
        cell += &format!(", p99 {}", Shown(summary.p99, unit));
    }
    cell + &note(found.note.as_deref())
}

fn times(row: &Row, theirs: f64, results: &Results) -> String {
    let times = advantage(row, theirs, results);
    times
        .map(|times| format!(" ×{}", Digits(times)))
        .unwrap_or_default()
}

fn targets(row: &Row, results: &Results) -> String {
    let shown = verdicts(row, results).into_iter().map(|verdict| {
        let verdict_in_words = match verdict.reached {
            Some(true) => "reached",
            Some(false) => "**not reached**",
            None => "not measured",
        };
        format!("{}: {verdict_in_words}", verdict.text)
    });
    shown.collect::<Vec<_>>().join("<br>")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        Results::default()
            .with(OURS, "roundtrip", 2e-6)
            .with("Ray", "roundtrip", 2e-3)
            .with(OURS, "put_calls", 1e6)
            .with("Ray", "put_calls", 2e6)
    }

    #[test]
    fn ratios_say_how_much_better_ours_is() {
        let text = report("machine", false, &results(), &[]);
        let line = |label: &str| {
            text.lines()
                .find(|line| line.contains(label))
                .unwrap()
                .to_owned()
        };
        assert!(line("blocking round trip, hot").contains("2.00 ms ×1000"));
        assert!(
            line("single client put calls").contains("2.00 M/s ×0.50"),
            "{text}"
        );
        assert!(line("single client put calls").contains("**not reached**"));
    }

    #[test]
    fn all_lines_of_a_table_have_the_same_columns() {
        let text = table(&GROUPS[0], &results());
        let counts: Vec<_> = text
            .lines()
            .filter(|line| line.starts_with('|'))
            .map(|line| line.matches('|').count())
            .collect();
        assert!(counts.len() == GROUPS[0].rows.len() + 2, "{text}");
        assert!(counts.iter().all(|count| *count == counts[0]), "{text}");
    }

    #[test]
    fn peers_without_a_row_have_no_column() {
        let text = table(&GROUPS[0], &results());
        assert!(text.contains("| Ray |") && !text.contains("dask"), "{text}");
    }
}
