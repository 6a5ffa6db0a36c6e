//! Segments whose producer is dead: the driver gives their pages back, object by object.

use std::collections::BTreeMap;

use mobula_store::{Loc, SegmentFile, SegmentId};

/// The live extents of orphaned segments: offset to end.
#[derive(Debug, Default)]
pub(super) struct Orphans {
    segments: BTreeMap<SegmentId, BTreeMap<u64, u64>>,
}

/// What freeing an extent gave back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Freed {
    pub(super) bytes: u64,
    /// No object is left in the segment.
    pub(super) last: bool,
}

impl Orphans {
    /// Takes a segment over: all pages outside of the live extents go back to the system. Returns
    /// how many bytes the remaining pages have.
    pub(super) fn adopt(&mut self, segment: SegmentId, file: &SegmentFile, live: Vec<Loc>) -> u64 {
        let extents: BTreeMap<u64, u64> = live
            .into_iter()
            .filter(|loc| loc.len > 0)
            .map(|loc| (loc.offset, loc.offset + loc.len))
            .collect();
        let page = file.page();
        let mut kept = 0;
        let mut from = 0;
        for (&start, &end) in &extents {
            punch(file, from, start / page * page);
            // Neighbours can share a page.
            let first = (start / page * page).max(from);
            from = end.div_ceil(page) * page;
            kept += from.saturating_sub(first);
        }
        punch(file, from, file.len());
        if !extents.is_empty() {
            self.segments.insert(segment, extents);
        }
        kept
    }

    /// Gives back the pages that only this extent used.
    pub(super) fn free(&mut self, loc: Loc, file: &SegmentFile) -> Freed {
        let page = file.page();
        let Some(extents) = self.segments.get_mut(&loc.segment) else {
            return Freed {
                bytes: 0,
                last: false,
            };
        };
        let Some(end) = extents.remove(&loc.offset) else {
            return Freed {
                bytes: 0,
                last: false,
            };
        };
        let before = extents
            .range(..loc.offset)
            .next_back()
            .map_or(0, |(_, end)| end.div_ceil(page) * page);
        let after = extents
            .range(loc.offset..)
            .next()
            .map_or(u64::MAX, |(start, _)| start / page * page);
        let from = (loc.offset / page * page).max(before);
        let to = (end.div_ceil(page) * page).min(after);
        punch(file, from, to);
        let last = extents.is_empty();
        if last {
            self.segments.remove(&loc.segment);
        }
        Freed {
            bytes: to.saturating_sub(from),
            last,
        }
    }
}

fn punch(file: &SegmentFile, from: u64, to: u64) {
    if from < to
        && let Err(error) = file.punch(from, to - from)
    {
        // The memory stays until the segment goes; nothing is wrong with any object.
        eprintln!("mobula: giving memory back to the system: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: u64 = 4096;
    use mobula_store::Backing;

    #[test]
    fn pages_go_back_when_their_last_object_goes() {
        let len = 64 * PAGE;
        let file = SegmentFile::create(len, len, Backing::Auto).unwrap();
        file.reserve(0, len).unwrap();
        let segment = SegmentId(3);
        let loc = |offset, len| Loc {
            segment,
            offset,
            len,
        };
        let mut orphans = Orphans::default();
        // Two extents share page 1.
        let (a, b) = (loc(PAGE, 100), loc(PAGE + 128, 2 * PAGE));
        assert_eq!(orphans.adopt(segment, &file, vec![b, a]), 3 * PAGE);
        assert_eq!(
            orphans.free(a, &file),
            Freed {
                bytes: 0,
                last: false
            }
        );
        assert_eq!(
            orphans.free(a, &file),
            Freed {
                bytes: 0,
                last: false
            }
        );
        assert_eq!(
            orphans.free(b, &file),
            Freed {
                bytes: 3 * PAGE,
                last: true
            }
        );
        assert!(orphans.segments.is_empty());
    }
}
