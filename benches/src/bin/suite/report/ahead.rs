//! The rows in which a peer is ahead of Mobula, with the reasons.

use mobula_benches::table::Digits;

use super::{advantage, markdown::line, peers_of};
use crate::{
    results::Results,
    rows::{GROUPS, Row, SAME, why},
};

/// Returns the section. It is empty if no peer is ahead.
pub(super) fn section(results: &Results) -> String {
    let mut lines = String::new();
    for row in GROUPS.iter().flat_map(|group| group.rows) {
        for peer in peers_of(std::slice::from_ref(row), results) {
            if let Some(times) = behind(row, peer, results) {
                let why = why(row.id, peer).unwrap_or("**We do not know.**");
                let who = format!("{peer} ×{}", Digits(times));
                line(&mut lines, &[row.label.into(), who, why.into()]);
            }
        }
    }
    match lines.is_empty() {
        true => lines,
        false => format!(
            "\n## Where others are ahead\n\nBy more than 3 %.\n\n| row | who | why |\n| --- | --- | --- |\n{lines}"
        ),
    }
}

fn behind(row: &Row, peer: &str, results: &Results) -> Option<f64> {
    let theirs = results.summary(peer, row.id)?.median;
    advantage(row, theirs, results).filter(|times| *times < SAME)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::OURS;

    #[test]
    fn who_is_ahead_is_told_with_the_reason_or_without() {
        let results = Results::default()
            .with(OURS, "await_inside", 1e-6)
            .with("tokio", "await_inside", 0.5e-6)
            .with(OURS, "put_calls", 1e6)
            .with("Ray", "put_calls", 2e6)
            .with(OURS, "start_2", 1e-3)
            .with("rayon", "start_2", 0.99e-3)
            .with("tokio", "start_2", 2e-3);
        let text = section(&results);
        let rows: Vec<_> = text.lines().filter(|line| line.contains('×')).collect();
        assert_eq!(rows.len(), 2, "{text}");
        assert!(rows[0].contains("tokio ×0.50") && rows[0].contains("another core"));
        assert!(rows[1].contains("Ray ×0.50") && rows[1].contains("do not know"));
    }

    #[test]
    fn nobody_ahead_is_no_section() {
        assert_eq!(section(&Results::default()), "");
    }
}
