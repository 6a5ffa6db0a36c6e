//! Figures as Markdown tables that are readable as plain text, too.

use std::fmt;

use crate::sampling::Summary;

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds.
    Time,
    /// A rate: things per second.
    Rate,
    /// Bytes per second.
    Bandwidth,
    /// Bytes.
    Bytes,
    /// A plain number.
    Count,
    /// A share, or a multiple.
    Ratio,
}

/// A figure of the hardware or the system without Mobula, in the unit of the figure beside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// The name.
    pub name: &'static str,
    /// The number.
    pub value: f64,
}

/// One line of a table.
#[derive(Clone, Debug)]
pub struct Figure {
    /// The name of the figure.
    pub what: String,
    /// The unit of all numbers.
    pub unit: Unit,
    /// Mobula's numbers.
    pub ours: Summary,
    /// The floors beside the figure.
    pub floors: Vec<Floor>,
}

impl Figure {
    /// Returns a figure without floors.
    pub fn new(what: impl Into<String>, unit: Unit, ours: Summary) -> Figure {
        Figure {
            what: what.into(),
            unit,
            ours,
            floors: Vec::new(),
        }
    }

    /// Adds floors.
    pub fn against(mut self, floors: &[Floor]) -> Figure {
        self.floors.extend(floors);
        self
    }

    fn cells(&self) -> [String; 7] {
        let show = |value| Shown(value, self.unit).to_string();
        let Summary {
            median,
            p10,
            p90,
            p99,
            count,
        } = self.ours;
        let (spread, tail) = match (count, self.unit) {
            (1, _) => (String::new(), String::new()),
            (_, Unit::Time) => (format!("{} to {}", show(p10), show(p90)), show(p99)),
            _ => (format!("{} to {}", show(p10), show(p90)), String::new()),
        };
        let floors = self
            .floors
            .iter()
            .map(|floor| format!("{} {}", floor.name, show(floor.value)));
        let ratios = self
            .floors
            .iter()
            .map(|floor| format!("{}", Digits(median / floor.value)));
        [
            self.what.clone(),
            show(median),
            spread,
            tail,
            count.to_string(),
            floors.collect::<Vec<_>>().join(", "),
            ratios.collect::<Vec<_>>().join(", "),
        ]
    }
}

/// A table of figures.
#[derive(Clone, Debug)]
pub struct Table {
    /// The number by which users ask for the table.
    pub row: u8,
    /// The subject of the figures.
    pub title: String,
    /// The figures, in the order of the table.
    pub figures: Vec<Figure>,
}

const HEAD: [&str; 7] = [
    "figure",
    "median",
    "p10 to p90",
    "p99",
    "samples",
    "floor",
    "median / floor",
];

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.figures.iter().map(Figure::cells).collect();
        let widths: [usize; 7] = std::array::from_fn(|column| {
            let cells = rows.iter().map(|cells| cells[column].chars().count());
            cells.chain([HEAD[column].len()]).max().unwrap_or(0)
        });
        writeln!(f, "## {}. {}\n", self.row, self.title)?;
        write_line(f, &HEAD, &widths)?;
        write_line(f, &widths.map(|width| "-".repeat(width)), &widths)?;
        rows.iter()
            .try_for_each(|cells| write_line(f, cells, &widths))
    }
}

fn write_line(
    f: &mut fmt::Formatter<'_>,
    cells: &[impl AsRef<str>; 7],
    widths: &[usize; 7],
) -> fmt::Result {
    for (cell, width) in cells.iter().zip(widths) {
        write!(f, "| {:width$} ", cell.as_ref())?;
    }
    writeln!(f, "|")
}

/// A number with its unit.
#[derive(Clone, Copy, Debug)]
pub struct Shown(
    /// The number in seconds, bytes, and so on.
    pub f64,
    /// The unit.
    pub Unit,
);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const TIMES: [(f64, &str); 4] = [(1.0, "s"), (1e-3, "ms"), (1e-6, "µs"), (1e-9, "ns")];
        const DECIMAL: [(f64, &str); 4] = [(1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, "")];
        let Shown(value, unit) = *self;
        let scales = if unit == Unit::Time { &TIMES } else { &DECIMAL };
        // The smallest scale also takes smaller numbers.
        let smallest = scales[scales.len() - 1];
        let (scale, prefix) = *scales
            .iter()
            .find(|(scale, _)| value >= *scale)
            .unwrap_or(&smallest);
        let digits = Digits(value / scale);
        match unit {
            Unit::Time => write!(f, "{digits} {prefix}"),
            Unit::Rate => write!(f, "{digits} {prefix}/s"),
            Unit::Bandwidth => write!(f, "{digits} {prefix}B/s"),
            Unit::Bytes => write!(f, "{digits} {prefix}B"),
            Unit::Count => write!(f, "{value:.0}"),
            Unit::Ratio => write!(f, "{}", Digits(value)),
        }
    }
}

/// Writes about three digits, and fewer for very small numbers.
#[derive(Clone, Copy, Debug)]
pub struct Digits(
    /// The number.
    pub f64,
);

impl fmt::Display for Digits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        let decimals = match value.abs() {
            0.0 => 0,
            v if v < 0.005 => return write!(f, "{value:.0e}"),
            v if v >= 99.95 => 0,
            v if v >= 9.995 => 1,
            _ => 2,
        };
        write!(f, "{value:.decimals$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(value: f64, unit: Unit) -> String {
        Shown(value, unit).to_string()
    }

    #[test]
    fn numbers_have_three_digits_and_a_fitting_prefix() {
        assert_eq!(shown(1.234e-5, Unit::Time), "12.3 µs");
        assert_eq!(shown(0.2, Unit::Time), "200 ms");
        assert_eq!(shown(2.6e-11, Unit::Time), "0.03 ns");
        assert_eq!(shown(2.1e-13, Unit::Time), "2e-4 ns");
        assert_eq!(shown(7_097.0, Unit::Rate), "7.10 k/s");
        assert_eq!(shown(1.28e10, Unit::Bandwidth), "12.8 GB/s");
        assert_eq!(shown(0.0, Unit::Bytes), "0 B");
        assert_eq!(shown(123.4, Unit::Count), "123");
    }

    #[test]
    fn a_table_is_aligned_markdown() {
        let floors = [
            Floor {
                name: "spin",
                value: 1e-6,
            },
            Floor {
                name: "sleep",
                value: 8.5e-6,
            },
        ];
        let repeated =
            Figure::new("round trip", Unit::Time, Summary::of(vec![4.25e-6; 3])).against(&floors);
        let single = Figure::new("wake-ups", Unit::Count, Summary::single(2.0));
        let table = Table {
            row: 1,
            title: "Calls".into(),
            figures: vec![repeated, single],
        };
        let text = table.to_string();
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "## 1. Calls");
        assert!(
            lines[2..]
                .iter()
                .all(|line| line.chars().count() == lines[2].chars().count()),
            "{text}"
        );
        let cells: Vec<_> = lines[4].split('|').map(str::trim).collect();
        assert_eq!(
            cells[1..8],
            [
                "round trip",
                "4.25 µs",
                "4.25 µs to 4.25 µs",
                "4.25 µs",
                "3",
                "spin 1.00 µs, sleep 8.50 µs",
                "4.25, 0.50"
            ]
        );
        assert_eq!(
            lines[5].split('|').nth(3).map(str::trim),
            Some(""),
            "one value has no spread"
        );
    }
}
