//! The table of an ablation.

use std::fmt::Write;

use mobula_benches::{
    sampling::Summary,
    table::{Shown, Unit},
};

use super::{Variant, measure::LABELS};

/// Returns the ratios of the variant's time to the base's time, one for each round.
fn ratios(row: &str, variant: &Variant, base: &Variant) -> Vec<f64> {
    let pairs = variant.rows.iter().zip(&base.rows);
    pairs
        .filter_map(|(variant, base)| Some(variant.get(row)? / base.get(row)?))
        .collect()
}

/// Returns whether the median differs from 1 by at least 5 %, and at least four fifths of the
/// ratios lie on its side of 1.
fn is_clear(ratios: &[f64], median: f64) -> bool {
    let beside = ratios.iter().filter(|r| (**r > 1.0) == (median > 1.0));
    (median - 1.0).abs() >= 0.05 && 5 * beside.count() >= 4 * ratios.len()
}

/// Returns the table. It compares each other variant with the first one.
pub(super) fn table(title: &str, machine: &str, rounds: u32, variants: &[Variant]) -> String {
    let [base, others @ ..] = variants else {
        return String::new();
    };
    let mut text = format!(
        "# {title}\n\n{machine}\n\n\
        {rounds} rounds; in each, every variant measures all rows in a process of its own. \"{0}\" has the median time \
        of a row over all rounds. Another variant has the time that it takes more or less in the same round: the median \
        over all rounds, and the middle half in brackets. A change that is at least 5 % and has its sign in four of five \
        rounds is bold.\n\n| row | {0} |",
        base.name
    );
    for variant in others {
        let _ = write!(text, " {} |", variant.name);
    }
    text += "\n| --- | --- |";
    others.iter().for_each(|_| text += " --- |");
    text.push('\n');
    for (row, label) in LABELS {
        let times: Vec<f64> = base
            .rows
            .iter()
            .filter_map(|rows| rows.get(*row).copied())
            .collect();
        if times.is_empty() {
            continue;
        }
        let median = Summary::of(times).median;
        let _ = write!(text, "| `{row}`: {label} | {} |", Shown(median, Unit::Time));
        for variant in others {
            let ratios = ratios(row, variant, base);
            if ratios.is_empty() {
                text += " not measured |";
                continue;
            }
            let (low, median, high) = quartiles(ratios.clone());
            let percent = |ratio: f64| 100.0 * (ratio - 1.0);
            let mark = if is_clear(&ratios, median) { "**" } else { "" };
            let _ = write!(
                text,
                " {mark}{:+.0} %{mark} ({:+.0} to {:+.0}) |",
                percent(median),
                percent(low),
                percent(high)
            );
        }
        text.push('\n');
    }
    text
}

/// Returns the first quartile, the median and the third quartile.
fn quartiles(mut values: Vec<f64>) -> (f64, f64, f64) {
    values.sort_by(f64::total_cmp);
    let at = |share: f64| values[(share * (values.len() - 1) as f64).round() as usize];
    (at(0.25), at(0.5), at(0.75))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, path::Path};

    use super::*;

    fn variant(name: &str, times: &[f64]) -> Variant {
        let mut variant = Variant::new(name, Path::new("suite"), "");
        let row = |&time: &f64| BTreeMap::from([(LABELS[0].0.to_owned(), time)]);
        variant.rows = times.iter().map(row).collect();
        variant
    }

    #[test]
    fn a_change_is_clear_if_nearly_all_rounds_have_it() {
        let base = variant("all on", &[1e-6, 2e-6, 1e-6, 1e-6, 4e-6]);
        let slower = variant("Spin", &[1.5e-6, 3e-6, 1.5e-6, 1e-6, 6e-6]);
        let noise = variant("noise", &[1.2e-6, 1.9e-6, 1.1e-6, 0.8e-6, 4.4e-6]);
        let text = table("A title", "a machine", 5, &[base, slower, noise]);
        assert!(
            text.contains("| 1.00 µs | **+50 %** (+50 to +50) |"),
            "{text}"
        );
        assert!(text.contains(" | +10 % (-5 to +10) |"), "{text}");
    }

    #[test]
    fn a_row_that_failed_in_a_round_counts_in_the_others() {
        let base = variant("all on", &[1e-6, 1e-6]);
        let mut other = variant("Spin", &[2e-6, 2e-6]);
        other.rows[0].clear();
        assert_eq!(ratios(LABELS[0].0, &other, &base), [2.0]);
    }
}
