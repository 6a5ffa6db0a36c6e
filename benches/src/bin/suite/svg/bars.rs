//! Bar charts: for each row of a group, bars of Mobula, the floors and the peers.

use mobula_benches::table::{Shown, Unit};

use super::{Anchor, Axis, COLOURS, Drawing};
use crate::{
    peers,
    protocol::{FLOOR, OURS},
    results::Results,
    rows::{Group, Row, label},
};

const WIDTH: f64 = 900.0;
/// The left end of the bars. Their names stand left of it.
const LEFT: f64 = 300.0;
/// The right end of the bars. Their values stand right of it.
const RIGHT: f64 = WIDTH - 90.0;
const TOP: f64 = 50.0;
const BAR: f64 = 14.0;
const GAP: f64 = 28.0;

/// A bar.
struct Bar {
    name: String,
    colour: &'static str,
    value: f64,
}

/// Returns a chart for each unit of the group's rows that have numbers.
pub(crate) fn charts(group: &Group, results: &Results) -> Vec<(Unit, String)> {
    let units = [
        Unit::Time,
        Unit::Rate,
        Unit::Bandwidth,
        Unit::Bytes,
        Unit::Ratio,
    ];
    let of_unit = |unit| {
        let rows = group.rows.iter().filter(|row| row.unit == unit);
        let rows: Vec<_> = rows
            .map(|row| (row, bars(row, results)))
            .filter(|(_, bars)| !bars.is_empty())
            .collect();
        let values = rows.iter().flat_map(|(_, bars)| bars).map(|bar| bar.value);
        // Without a value that has a logarithm, there is no chart.
        let axis = Axis::of(values)?;
        Some((unit, chart(group.title, unit, &rows, axis)))
    };
    units.into_iter().filter_map(of_unit).collect()
}

fn bars(row: &Row, results: &Results) -> Vec<Bar> {
    let bar = |peer: &str, id: &str, name: &str, colour: usize| {
        let value = results.summary(peer, id)?.median;
        Some(Bar {
            name: name.to_owned(),
            colour: COLOURS[colour % COLOURS.len()],
            value,
        })
    };
    let floors = row
        .floors
        .iter()
        .map(|floor| bar(FLOOR, floor, label(FLOOR, floor), 1));
    let peers = peers::names().into_iter().enumerate();
    let peers = peers.map(|(at, peer)| bar(peer, row.id, peer, at + 2));
    let ours = bar(OURS, row.id, OURS, 0);
    std::iter::once(ours)
        .chain(floors)
        .chain(peers)
        .flatten()
        .collect()
}

fn chart(title: &str, unit: Unit, rows: &[(&Row, Vec<Bar>)], axis: Axis) -> String {
    let count: usize = rows.iter().map(|(_, bars)| bars.len()).sum();
    let height = TOP + rows.len() as f64 * GAP + count as f64 * BAR + 40.0;
    let bottom = height - 30.0;
    let mut drawing = Drawing::new(WIDTH, height);
    drawing.text(10.0, 22.0, Anchor::Start, 16.0, title);
    let at = |value| LEFT + (RIGHT - LEFT) * axis.place(value);
    for tick in axis.ticks() {
        drawing.line((at(tick), TOP - 10.0), (at(tick), bottom), "#dddddd");
        let name = Shown(tick, unit).to_string();
        drawing.text(at(tick), bottom + 16.0, Anchor::Middle, 11.0, &name);
    }
    let mut y = TOP;
    for (row, bars) in rows {
        let better = if row.smaller {
            "less is better"
        } else {
            "more is better"
        };
        y += GAP - 10.0;
        drawing.text(
            10.0,
            y - 4.0,
            Anchor::Start,
            12.0,
            &format!("{} ({better})", row.label),
        );
        for bar in bars {
            drawing.text(LEFT - 6.0, y + BAR - 3.0, Anchor::End, 11.0, &bar.name);
            // A value without logarithm has a bar of no length, but a number.
            drawing.bar(LEFT, y + 1.0, at(bar.value) - LEFT, BAR - 3.0, bar.colour);
            let value = Shown(bar.value, unit).to_string();
            drawing.text(
                at(bar.value) + 4.0,
                y + BAR - 3.0,
                Anchor::Start,
                11.0,
                &value,
            );
            y += BAR;
        }
        y += 10.0;
    }
    drawing.finish()
}

#[cfg(test)]
mod tests {
    use super::{super::tests::assert_well_formed, *};
    use crate::rows::GROUPS;

    #[test]
    fn a_chart_shows_all_numbers_of_its_unit() {
        let results = Results::default()
            .with(OURS, "roundtrip", 2e-6)
            .with(FLOOR, "spin_message", 5e-7)
            .with("Ray", "roundtrip", 2e-3)
            .with(OURS, "cold", 5e-5);
        let charts = charts(&GROUPS[0], &results);
        assert_eq!(charts.len(), 1);
        let (unit, svg) = &charts[0];
        assert_eq!(*unit, Unit::Time);
        assert_well_formed(svg);
        for part in [
            "2.00 µs",
            "500 ns",
            "2.00 ms",
            "50.0 µs",
            "Ray",
            "less is better",
        ] {
            assert!(svg.contains(part), "{part}");
        }
    }

    #[test]
    fn groups_of_several_units_have_several_charts() {
        let life = GROUPS.iter().find(|group| group.id == "life").unwrap();
        let results = Results::default()
            .with(OURS, "start_2", 5e-3)
            .with(OURS, "idle_cpu", 0.0)
            .with("dask", "idle_cpu", 0.1);
        let charts = charts(life, &results);
        assert_eq!(charts.len(), 2);
        charts.iter().for_each(|(_, svg)| assert_well_formed(svg));
        assert!(super::charts(life, &Results::default()).is_empty());
    }
}
