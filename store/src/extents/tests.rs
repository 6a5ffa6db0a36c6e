//! Tests of the table against a model that knows the state of every granule.

use proptest::prelude::*;

use super::*;

fn at(align: u64) -> Fit {
    Fit {
        align,
        unit: GRANULE,
        gap: 0,
    }
}

const PAGE: u64 = 4 * GRANULE;
const LEN: u64 = 24 * PAGE;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Cold,
    Warm,
    Used,
    /// The granule gets memory, as a part of a planned extent.
    Warming,
    Cooling,
}

struct Model {
    extents: Extents,
    granules: Vec<State>,
    used: Vec<(u64, u64)>,
    pending: Vec<Pending>,
    cooling: Vec<Range<u64>>,
}

#[derive(Clone, Debug)]
enum Op {
    TakeWarm { len: u64, align: u64 },
    TakeCold { len: u64, align: u64, step: u64 },
    GiveUpSurplus(usize),
    Commit(usize),
    Abort(usize),
    Free(usize),
    TakeToCool(u64),
    Cooled(usize),
    NotCooled(usize),
}

fn ops() -> impl Strategy<Value = Op> {
    let len = || prop_oneof![4 => 0..2 * PAGE, 1 => 0..LEN + 2, 1 => Just(u64::MAX)];
    let align = || prop_oneof![4 => Just(GRANULE), 1 => Just(2 * GRANULE), 1 => Just(2 * PAGE)];
    let index = any::<usize>;
    prop_oneof![
        4 => (len(), align()).prop_map(|(len, align)| Op::TakeWarm { len, align }),
        4 => (len(), align(), 0..6 * PAGE)
            .prop_map(|(len, align, step)| Op::TakeCold { len, align, step }),
        1 => index().prop_map(Op::GiveUpSurplus),
        3 => index().prop_map(Op::Commit),
        1 => index().prop_map(Op::Abort),
        4 => index().prop_map(Op::Free),
        2 => prop_oneof![0..4 * PAGE, Just(u64::MAX)].prop_map(Op::TakeToCool),
        2 => index().prop_map(Op::Cooled),
        1 => index().prop_map(Op::NotCooled),
    ]
}

fn pick<T>(list: &mut Vec<T>, index: usize) -> Option<T> {
    (!list.is_empty()).then(|| list.swap_remove(index % list.len()))
}

impl Model {
    fn new() -> Model {
        Model {
            extents: Extents::new(LEN, PAGE),
            granules: vec![State::Cold; (LEN / GRANULE) as usize],
            used: Vec::new(),
            pending: Vec::new(),
            cooling: Vec::new(),
        }
    }

    fn set(&mut self, range: Range<u64>, from: &[State], to: State) {
        assert!(
            range.start.is_multiple_of(GRANULE) && range.end.is_multiple_of(GRANULE),
            "{range:?}"
        );
        let (start, end) = (
            (range.start / GRANULE) as usize,
            (range.end / GRANULE) as usize,
        );
        for granule in &mut self.granules[start..end] {
            assert!(
                from.contains(granule),
                "{granule:?} in {range:?} becomes {to:?}"
            );
            *granule = to;
        }
    }

    /// Returns the maximal ranges of granules in one of the states.
    fn runs(&self, of: &[State]) -> Vec<Range<u64>> {
        let mut runs: Vec<Range<u64>> = Vec::new();
        for (i, _) in self
            .granules
            .iter()
            .enumerate()
            .filter(|(_, state)| of.contains(state))
        {
            let at = i as u64 * GRANULE;
            match runs.last_mut() {
                Some(run) if run.end == at => run.end += GRANULE,
                _ => runs.push(at..at + GRANULE),
            }
        }
        runs
    }

    fn bytes(&self, of: &[State]) -> u64 {
        self.runs(of).iter().map(|r| r.end - r.start).sum()
    }

    /// Returns the length of the smallest range that has room.
    fn smallest_fit(&self, of: &[State], len: u64, align: u64) -> Option<u64> {
        let size = size_of_extent(len, GRANULE)?;
        if size > LEN {
            return None;
        }
        let fits = |run: &Range<u64>| run.start.next_multiple_of(align) + size <= run.end;
        self.runs(of)
            .into_iter()
            .filter(fits)
            .map(|r| r.end - r.start)
            .min()
    }

    /// Returns the offset of the latest of the recently freed ranges that has exactly the size.
    fn latest_of_size(&self, len: u64, align: u64) -> Option<u64> {
        let size = size_of_extent(len, GRANULE)?;
        let mut recent = self.extents.recent.iter().rev();
        recent
            .find(|r| r.end - r.start == size && r.start % align == 0)
            .map(|r| r.start)
    }

    /// Returns the length of the range that contains `at`.
    fn run_at(&self, of: &[State], at: u64) -> Option<u64> {
        self.runs(of)
            .into_iter()
            .find(|r| r.contains(&at))
            .map(|r| r.end - r.start)
    }

    fn apply(&mut self, op: Op) {
        use State::*;
        match op {
            Op::TakeWarm { len, align } => {
                let same = self.latest_of_size(len, align);
                let best = self.smallest_fit(&[Warm], len, align);
                let got = self.extents.take_warm(len, at(align));
                match same {
                    Some(_) => assert_eq!(got, same, "the latest of its size"),
                    None => {
                        let run = got.and_then(|at| self.run_at(&[Warm], at));
                        assert_eq!(run, best, "best fit");
                    }
                }
                if let Some(offset) = got {
                    self.hand_out(offset, len, align, &[Warm]);
                }
            }
            Op::TakeCold { len, align, step } => {
                let best = self.smallest_fit(&[Warm, Cold], len, align);
                let got = self.extents.take_cold(len, at(align), step);
                let run = got
                    .as_ref()
                    .and_then(|p| self.run_at(&[Warm, Cold], p.offset));
                assert_eq!(run, best, "best fit");
                if let Some(pending) = got {
                    assert_eq!(pending.offset % align, 0);
                    for range in pending.ranges() {
                        assert!(range.start % PAGE == 0 && range.end % PAGE == 0);
                        self.set(range.clone(), &[Cold], Warming);
                    }
                    for range in &pending.warm {
                        self.set(range.clone(), &[Warm], Warming);
                    }
                    let used = pending.used();
                    self.set(used, &[Warming], Warming);
                    self.pending.push(pending);
                }
            }
            Op::GiveUpSurplus(index) => {
                if let Some(mut pending) = pick(&mut self.pending, index) {
                    let before = pending.ranges().to_vec();
                    self.extents.give_up_surplus(&mut pending);
                    before
                        .into_iter()
                        .for_each(|r| self.set(r, &[Warming], Cold));
                    let after = pending.ranges().to_vec();
                    after
                        .iter()
                        .for_each(|r| self.set(r.clone(), &[Cold], Warming));
                    self.set(pending.used(), &[Warming], Warming);
                    // The rest is needed: each page holds a part of the extent.
                    let used = pending.used();
                    for range in after {
                        assert!(range.start + PAGE > used.start && range.end < used.end + PAGE);
                    }
                    self.pending.push(pending);
                }
            }
            Op::Commit(index) => {
                if let Some(pending) = pick(&mut self.pending, index) {
                    let (ranges, used, len) =
                        (pending.ranges().to_vec(), pending.used(), pending.len);
                    let offset = self.extents.commit(pending);
                    assert_eq!(offset, used.start);
                    ranges
                        .into_iter()
                        .for_each(|r| self.set(r, &[Warming], Warm));
                    self.hand_out(offset, len, GRANULE, &[Warm, Warming]);
                }
            }
            Op::Abort(index) => {
                if let Some(pending) = pick(&mut self.pending, index) {
                    let (cold, warm) = (pending.ranges().to_vec(), pending.warm.clone());
                    self.extents.abort(pending);
                    cold.into_iter().for_each(|r| self.set(r, &[Warming], Cold));
                    warm.into_iter().for_each(|r| self.set(r, &[Warming], Warm));
                }
            }
            Op::Free(index) => {
                if let Some((offset, len)) = pick(&mut self.used, index) {
                    self.free(offset, len);
                }
            }
            Op::TakeToCool(want) => {
                let before = self.bytes(&[Warm]);
                let taken = self.extents.take_to_cool(want);
                let bytes: u64 = taken.iter().map(|r| r.end - r.start).sum();
                for range in taken {
                    assert!(range.start % PAGE == 0 && range.end % PAGE == 0 && !range.is_empty());
                    self.set(range.clone(), &[Warm], Cooling);
                    self.cooling.push(range);
                }
                if bytes < want {
                    // Only parts of pages are left.
                    let whole = |r: &Range<u64>| r.start.next_multiple_of(PAGE) + PAGE <= r.end;
                    assert!(!self.runs(&[Warm]).iter().any(whole), "{want} of {before}");
                } else {
                    assert!(bytes < want + PAGE);
                }
            }
            Op::Cooled(index) => {
                if let Some(range) = pick(&mut self.cooling, index) {
                    self.extents.cooled(range.clone());
                    self.set(range, &[Cooling], Cold);
                }
            }
            Op::NotCooled(index) => {
                if let Some(range) = pick(&mut self.cooling, index) {
                    self.extents.not_cooled(range.clone());
                    self.set(range, &[Cooling], Warm);
                }
            }
        }
    }

    fn hand_out(&mut self, offset: u64, len: u64, align: u64, from: &[State]) {
        assert_eq!(offset % align, 0);
        let size = len.max(1).next_multiple_of(GRANULE);
        self.set(offset..offset + size, from, State::Used);
        self.used.push((offset, len));
    }

    fn free(&mut self, offset: u64, len: u64) {
        let size = len.max(1).next_multiple_of(GRANULE);
        assert!(
            !self.extents.free_adopted(offset, len),
            "it belongs to its handle"
        );
        self.extents.adopt(offset);
        assert!(
            !self.extents.free_adopted(offset, len + 1),
            "a wrong length"
        );
        assert!(
            !self.extents.free_adopted(offset + GRANULE, len),
            "a wrong offset"
        );
        assert!(self.extents.contains(offset, len));
        assert!(self.extents.free_adopted(offset, len));
        assert!(!self.extents.free_adopted(offset, len), "twice");
        assert!(!self.extents.free_owned(offset), "twice");
        self.set(offset..offset + size, &[State::Used], State::Warm);
    }

    fn check(&self) {
        use State::*;
        let extents = &self.extents;
        let joined = |set: &RangeSet| {
            let mut all = RangeSet::default();
            set.iter()
                .chain(extents.recent.iter().cloned())
                .for_each(|r| all.insert(r));
            all.iter().collect::<Vec<_>>()
        };
        assert_eq!(joined(&extents.warm), self.runs(&[Warm]));
        assert_eq!(extents.cold.iter().collect::<Vec<_>>(), self.runs(&[Cold]));
        assert_eq!(joined(&extents.free), self.runs(&[Warm, Cold]));
        assert_eq!(extents.warm(), self.bytes(&[Warm]));
        assert_eq!(extents.free(), self.bytes(&[Warm, Cold]));
        assert_eq!(extents.in_use(), self.bytes(&[Used]));
        // Planned extents can include memory that was warm, and stays committed.
        let planned = self
            .pending
            .iter()
            .flat_map(|p| &p.warm)
            .map(|r| r.end - r.start);
        let committed = self.bytes(&[Used, Warm, Cooling]) + planned.sum::<u64>();
        assert_eq!(extents.committed(), committed);
        assert!(
            extents
                .cold
                .iter()
                .all(|r| r.start % PAGE == 0 && r.end % PAGE == 0)
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_table_agrees_with_the_model(ops in prop::collection::vec(ops(), 1..120)) {
        let mut model = Model::new();
        for op in ops {
            model.apply(op);
            model.check();
        }
        while !model.pending.is_empty() {
            model.apply(Op::Abort(0));
        }
        while !model.cooling.is_empty() {
            model.apply(Op::Cooled(0));
        }
        while let Some((offset, len)) = model.used.pop() {
            model.free(offset, len);
        }
        model.check();
        model.extents.settle();
        let free: Vec<_> = model.extents.free.iter().collect();
        prop_assert_eq!(free, vec![0..LEN], "all is joined again");
        prop_assert_eq!(model.extents.in_use(), 0);
        prop_assert_eq!(model.extents.committed(), model.extents.warm());
        for range in model.extents.take_to_cool(u64::MAX) {
            model.extents.cooled(range);
        }
        prop_assert_eq!(model.extents.committed(), 0, "no part of a page stays behind");
    }
}

#[test]
fn a_small_extent_commits_a_step_and_the_next_ones_cost_nothing() {
    let mut extents = Extents::new(LEN, PAGE);
    let pending = extents
        .take_cold(1, at(GRANULE), 4 * PAGE)
        .expect("there is room");
    assert_eq!(pending.bytes(), 4 * PAGE);
    assert_eq!(extents.commit(pending), 0);
    assert_eq!(extents.committed(), 4 * PAGE);
    for i in 1..4 * PAGE / GRANULE {
        assert_eq!(extents.take_warm(GRANULE, at(GRANULE)), Some(i * GRANULE));
    }
    assert_eq!(extents.take_warm(GRANULE, at(GRANULE)), None);
}

#[test]
fn what_was_freed_last_is_handed_out_again_and_joins_when_something_else_is_asked_for() {
    let mut extents = Extents::empty(PAGE);
    extents.add_warm(0..LEN);
    let take = |extents: &mut Extents, size| extents.take_warm(size, at(GRANULE));
    let places: Vec<_> = (0..RECENT as u64 + 2)
        .filter_map(|_| take(&mut extents, PAGE))
        .collect();
    for &place in &places {
        assert!(extents.free_owned(place));
    }
    assert_eq!(extents.recent.len(), RECENT, "the oldest are in the sets");
    assert_eq!(extents.warm(), LEN);
    for &place in places[2..].iter().rev() {
        assert_eq!(take(&mut extents, PAGE), Some(place), "the latest first");
        assert_eq!(extents.warm(), LEN - (extents.in_use()));
    }
    for &place in &places {
        extents.free_owned(place);
    }
    assert_eq!(take(&mut extents, LEN), Some(0), "all of it is one range");
}

#[test]
fn a_large_extent_uses_what_is_warm_before_the_cold() {
    let mut extents = Extents::new(LEN, PAGE);
    let pending = extents
        .take_cold(GRANULE, at(GRANULE), 2 * PAGE)
        .expect("there is room");
    extents.commit(pending);
    let pending = extents
        .take_cold(3 * PAGE, at(GRANULE), 0)
        .expect("there is room");
    assert_eq!(pending.offset, GRANULE);
    assert_eq!(
        pending.bytes(),
        2 * PAGE,
        "the first page and a bit are there already"
    );
    extents.commit(pending);
    assert_eq!(extents.committed(), 4 * PAGE);
}

#[test]
fn the_highest_addresses_are_cooled_first() {
    let mut extents = Extents::new(LEN, PAGE);
    let offsets = [4, 1, 4].map(|pages| {
        let pending = extents.take_cold(pages * PAGE, at(GRANULE), 0);
        extents.commit(pending.expect("there is room"))
    });
    assert!(extents.free_owned(offsets[0]) && extents.free_owned(offsets[2]));
    assert_eq!(
        extents.take_to_cool(4 * PAGE + 1),
        [5 * PAGE..9 * PAGE, 3 * PAGE..4 * PAGE]
    );
}

#[test]
fn an_extent_of_whole_pages_shares_none() {
    let mut extents = Extents::new(LEN, PAGE);
    let pages = Fit {
        align: PAGE,
        unit: PAGE,
        gap: 0,
    };
    let pending = extents.take_cold(100, pages, 0).unwrap();
    let offset = extents.commit(pending);
    assert!(extents.contains(offset, 100));
    assert_eq!(extents.in_use(), PAGE);
    // The rest of the page is not handed out.
    assert_eq!(extents.take_warm(GRANULE, at(GRANULE)), None);
    assert!(extents.free_owned(offset));
    assert_eq!(extents.take_warm(PAGE, pages), Some(offset));
}

#[test]
fn a_table_of_added_bytes_has_no_memory_of_its_own() {
    let mut extents = Extents::empty(PAGE);
    assert_eq!(extents.take_warm(1, at(GRANULE)), None);
    extents.add_warm(3 * PAGE..4 * PAGE);
    assert_eq!(extents.take_warm(1, at(GRANULE)), Some(3 * PAGE));
    assert_eq!(extents.committed(), 0);
}
