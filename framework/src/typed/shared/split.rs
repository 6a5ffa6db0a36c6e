//! Cutting of shared arrays.

use std::ops::Range;

use mobula_protocol::{Error, PartRange, Result};

/// Returns consecutive ranges of `step` elements. The last may be shorter.
///
/// # Errors
/// A step of zero.
pub(super) fn steps(len: usize, step: usize) -> Result<Vec<Range<usize>>> {
    if step == 0 {
        return Err(Error::usage(
            "an array cannot be cut into pieces of length 0",
        ));
    }
    Ok((0..len)
        .step_by(step)
        .map(|start| start..start.saturating_add(step).min(len))
        .collect())
}

pub(super) fn span(range: &Range<usize>) -> PartRange {
    PartRange::Span {
        start: range.start as u64,
        end: range.end as u64,
    }
}

pub(super) fn tile(rows: &Range<usize>, columns: &Range<usize>, width: usize) -> PartRange {
    PartRange::Tile {
        rows: (rows.start as u64, rows.end as u64),
        columns: (columns.start as u64, columns.end as u64),
        width: width as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_cover_everything_once() {
        assert_eq!(steps(10, 4).unwrap(), [0..4, 4..8, 8..10]);
        assert_eq!(steps(8, 4).unwrap(), [0..4, 4..8]);
        assert_eq!(steps(0, 4).unwrap(), []);
        assert!(
            steps(3, usize::MAX)
                .unwrap()
                .into_iter()
                .eq(std::iter::once(0..3))
        );
        assert!(steps(3, 0).unwrap_err().is_usage());
    }
}
