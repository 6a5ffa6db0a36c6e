//! Segments of dead workers. The driver returns their pages to the system, object by object.

use std::collections::BTreeMap;

use mobula_store::{Loc, NumberMap, SegmentFile, SegmentId};

use crate::promise::ENGINE;

/// Orphaned segments.
#[derive(Debug, Default)]
pub(in crate::engines::processes) struct Orphans {
    segments: NumberMap<SegmentId, Orphan>,
}

#[derive(Debug)]
struct Orphan {
    /// The live extents: offset to end.
    extents: BTreeMap<u64, u64>,
    /// The bytes that the budget is charged for the extents, at most the worker's grant. The limit
    /// is necessary, because only the worker has reported the extents.
    charged: u64,
}

/// The result of freeing an extent.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::engines::processes) struct Freed {
    pub(in crate::engines::processes) bytes: u64,
    /// No object is left in the segment.
    pub(in crate::engines::processes) last: bool,
}

impl Orphans {
    /// Takes a segment over. All pages outside the live extents go back to the system. Returns the
    /// bytes of the remaining pages, at most the worker's grant.
    pub(in crate::engines::processes) fn adopt(
        &mut self,
        segment: SegmentId,
        file: &SegmentFile,
        (live, granted): (Vec<Loc>, u64),
    ) -> u64 {
        let extents: BTreeMap<u64, u64> = live
            .into_iter()
            .filter(|loc| loc.len > 0)
            .map(|loc| (loc.offset, loc.offset.saturating_add(loc.len)))
            .collect();
        let page = file.page();
        let mut kept = 0;
        let mut from = 0;
        for (&start, &end) in &extents {
            punch(file, from, start / page * page);
            // Neighbouring extents can share a page.
            let first = (start / page * page).max(from);
            from = from.max(end.div_ceil(page).saturating_mul(page));
            kept += from - first;
        }
        punch(file, from, file.len());
        if extents.is_empty() {
            return 0;
        }
        let charged = kept.min(granted);
        self.segments.insert(segment, Orphan { extents, charged });
        charged
    }

    /// Returns the pages that only this extent used to the system.
    pub(in crate::engines::processes) fn free(&mut self, loc: Loc, file: &SegmentFile) -> Freed {
        const NOTHING: Freed = Freed {
            bytes: 0,
            last: false,
        };
        let page = file.page();
        let Some(Orphan { extents, charged }) = self.segments.get_mut(&loc.segment) else {
            return NOTHING;
        };
        let Some(end) = extents.remove(&loc.offset) else {
            return NOTHING;
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
        let bytes = match last {
            true => *charged,
            false => to.saturating_sub(from).min(*charged),
        };
        *charged -= bytes;
        if last {
            self.segments.remove(&loc.segment);
        }
        Freed { bytes, last }
    }
}

fn punch(file: &SegmentFile, from: u64, to: u64) {
    if from < to
        && let Err(error) = file.punch(from, to - from, ENGINE)
    {
        // The memory stays until the segment is dropped. All objects are intact.
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
        assert_eq!(
            orphans.adopt(segment, &file, (vec![b, a], 9 * PAGE)),
            3 * PAGE
        );
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

    /// The worker reports its extents, but the driver knows the grant.
    #[test]
    fn no_more_goes_back_than_the_worker_was_granted() {
        let len = 64 * PAGE;
        let file = SegmentFile::create(len, len, Backing::Auto).unwrap();
        let segment = SegmentId(3);
        let loc = |at| Loc {
            segment,
            offset: at * PAGE,
            len: 8 * PAGE,
        };
        let mut orphans = Orphans::default();
        let live = vec![loc(0), loc(16), loc(32)];
        assert_eq!(orphans.adopt(segment, &file, (live, 10 * PAGE)), 10 * PAGE);
        let freed = [0, 16, 32].map(|at| orphans.free(loc(at), &file));
        assert!(freed[2].last);
        assert_eq!(freed.map(|freed| freed.bytes), [8 * PAGE, 2 * PAGE, 0]);
    }
}
