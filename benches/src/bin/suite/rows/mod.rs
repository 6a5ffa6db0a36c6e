//! The catalogue of rows with their groups, floors and reaches. The peers print their rows under
//! the same names.

mod actors;
mod catalogue;
mod reasons;
mod shared;

use mobula_benches::table::Unit;

use crate::{protocol::FLOOR, reach::Reach};

use catalogue::FLOORS;
pub(crate) use catalogue::{GROUPS, SAME};
pub(crate) use reasons::why;

/// One row of a table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The name that measuring programs print.
    pub(crate) id: &'static str,
    pub(crate) label: &'static str,
    pub(crate) unit: Unit,
    /// Whether a smaller number is better.
    pub(crate) smaller: bool,
    /// The names of floors. They have the unit of the row.
    pub(crate) floors: &'static [&'static str],
    pub(crate) reaches: &'static [Reach],
}

/// The rows of one table and one plot.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) rows: &'static [Row],
}

const fn row(id: &'static str, unit: Unit, label: &'static str) -> Row {
    Row {
        id,
        label,
        unit,
        smaller: matches!(unit, Unit::Time | Unit::Bytes),
        floors: &[],
        reaches: &[],
    }
}

impl Row {
    const fn beside(self, floors: &'static [&'static str]) -> Row {
        Row { floors, ..self }
    }

    const fn reach(self, reaches: &'static [Reach]) -> Row {
        Row { reaches, ..self }
    }

    const fn smaller(self) -> Row {
        Row {
            smaller: true,
            ..self
        }
    }
}

fn find(row: &str) -> Option<&'static Row> {
    let mut rows = GROUPS.iter().flat_map(|group| group.rows);
    rows.find(|known| known.id == row)
}

fn floor(row: &str) -> Option<&'static (&'static str, &'static str, Unit)> {
    FLOORS.iter().find(|(id, ..)| *id == row)
}

/// Returns the unit of a row of a peer, of Mobula, or of a floor. `None` if there is no such row.
pub(crate) fn unit(peer: &str, row: &str) -> Option<Unit> {
    match peer {
        FLOOR => floor(row).map(|(_, _, unit)| *unit),
        _ => find(row).map(|row| row.unit),
    }
}

/// Returns the label of a row in tables.
pub(crate) fn label(peer: &str, row: &'static str) -> &'static str {
    match peer {
        FLOOR => floor(row).map_or(row, |(_, label, _)| label),
        _ => find(row).map_or(row, |row| row.label),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_unique() {
        let mut seen = HashSet::new();
        let rows = GROUPS.iter().flat_map(|group| group.rows);
        for id in rows
            .map(|row| row.id)
            .chain(FLOORS.iter().map(|floor| floor.0))
        {
            assert!(seen.insert(id), "{id} twice");
        }
    }

    #[test]
    fn floors_beside_a_row_have_its_unit() {
        for row in GROUPS.iter().flat_map(|group| group.rows) {
            for id in row.floors {
                assert_eq!(unit(FLOOR, id), Some(row.unit), "{id} beside {}", row.id);
            }
        }
    }

    /// A reach with a misspelt name would never be evaluated.
    #[test]
    fn the_terms_of_reaches_name_rows_of_the_same_unit() {
        for row in GROUPS.iter().flat_map(|group| group.rows) {
            for reach in row.reaches {
                for (peer, term) in reach.names() {
                    assert_eq!(
                        unit(peer, term),
                        Some(row.unit),
                        "{peer} {term} in {}",
                        row.id
                    );
                }
            }
        }
    }
}
