//! Tests of shared arrays: parts that are lent, given back and incomplete, and arrays that become
//! objects.

mod sealing;

use std::sync::Arc;

use mobula_protocol::{
    Body, Error, Format, IncompleteRange, ObjectId, PartRange, SharedKind, TypeTag, Value,
    message::{ArgSpec, FromWorker, TaskSpec},
};
use mobula_store::{Loc, SegmentId, codec};

use super::{
    super::Violation,
    env::{D, Env, W1, W2, array, bad, d, done, good, inline, packed, retries, spec, w},
};

/// The number of elements of each array.
const LEN: u64 = 100;

fn loc(number: u64) -> Loc {
    Loc {
        segment: SegmentId(0),
        offset: number * 4096,
        len: LEN * 64,
    }
}

/// Returns a shared array. Tiles see it as ten rows.
pub(super) fn shared(number: u64) -> Value {
    Value {
        format: Format::Shared {
            kind: SharedKind::Array,
            of: TypeTag(number),
            shape: [10, 10][..].into(),
        },
        body: Body::Stored(loc(number)),
        attachments: vec![],
    }
}

fn span(start: u64, end: u64) -> PartRange {
    PartRange::Span { start, end }
}

fn tile(rows: (u64, u64), columns: (u64, u64)) -> PartRange {
    PartRange::Tile {
        rows,
        columns,
        width: 10,
    }
}

impl Env {
    fn try_lend(
        &mut self,
        array: ObjectId,
        ranges: &[PartRange],
    ) -> Result<Result<Vec<ObjectId>, Error>, Violation> {
        let lent = self.scheduler.lend(array, ranges);
        self.scheduler.sanity_check();
        lent
    }

    fn lend(&mut self, array: ObjectId, ranges: &[PartRange]) -> Vec<ObjectId> {
        self.try_lend(array, ranges).unwrap().unwrap()
    }

    /// Returns the reason why these parts cannot be lent.
    fn refused(&mut self, array: ObjectId, ranges: &[PartRange]) -> String {
        let error = self.try_lend(array, ranges).unwrap().unwrap_err();
        assert!(error.is_usage());
        error.to_string()
    }

    fn settle(&mut self, array: ObjectId) -> ObjectId {
        let id = self.scheduler.mint();
        self.scheduler.settle(id, array, D).unwrap();
        self.scheduler.sanity_check();
        id
    }

    /// Submits a call that takes a part, and releases the part. The call may be run again this
    /// often.
    fn write(&mut self, part: ObjectId, most: u32) -> ObjectId {
        let id = self.scheduler.mint();
        let call = TaskSpec {
            options: retries(most),
            ..spec(id, vec![ArgSpec::Object(part)])
        };
        self.scheduler.submit(call, D, &mut self.host).unwrap();
        self.release(part);
        id
    }

    /// Returns the incomplete parts with their errors, as `settler` reports them. `None` while
    /// `settler` is pending.
    pub(super) fn incomplete(&mut self, settler: ObjectId) -> Option<Vec<(String, String)>> {
        self.pump();
        let outcome = self.scheduler.outcome(settler)?;
        let value = outcome.unwrap();
        let Body::Inline(block) = &value.body else {
            panic!("a list is small")
        };
        let incomplete: Vec<IncompleteRange> = codec::decode(block.bytes(), &[]).unwrap();
        let all = incomplete.into_iter();
        let all =
            all.map(|incomplete| (incomplete.range.to_string(), incomplete.error.to_string()));
        Some(all.collect())
    }

    /// Returns the arrays whose memory was closed, to be freed, since the last look.
    fn closed(&mut self) -> Vec<u64> {
        let closing = std::mem::take(&mut self.host.closing);
        closing
            .into_iter()
            .map(|(loc, then)| {
                assert!(then.is_none());
                loc.offset / 4096
            })
            .collect()
    }
}

#[test]
fn parts_are_lent_once_and_come_home_with_their_last_handle() {
    let mut env = Env::new(0, 1);
    let array = env.put(0, shared(1));
    let parts = env.lend(array, &[span(0, 50), span(60, 100)]);
    for (ranges, other) in [
        (vec![span(40, 45)], "0..50"),
        (vec![span(50, 60), span(99, 100)], "60..100"),
        (vec![span(0, 100)], "0..50"),
    ] {
        let why = env.refused(array, &ranges);
        assert!(why.contains(other) && why.contains("settle"), "{why}");
    }
    // The failed requests have not lent the elements between the parts.
    let between = env.lend(array, &[span(50, 60)]);
    env.retain(parts[0]).unwrap();
    env.release(parts[0]);
    env.refused(array, &[span(0, 1)]);
    env.release(parts[0]);
    let again = env.lend(array, &[span(0, 50)]);
    // The parts keep the array without a handle of it.
    env.release(array);
    for part in [again[0], between[0]] {
        env.release(part);
        assert_eq!(env.closed(), []);
    }
    env.release(parts[1]);
    assert_eq!(env.closed(), [1]);
    assert!(env.scheduler.lending.is_empty());
    env.assert_over();
}

#[test]
fn what_cannot_be_lent_is_said_and_nothing_is_lent() {
    let mut env = Env::new(0, 1);
    let id = env.put(0, shared(1));
    for (ranges, why) in [
        (vec![span(0, 101)], "no part of an array of 100"),
        (vec![span(3, 2)], "no part"),
        (vec![span(u64::MAX - 1, u64::MAX)], "no part"),
        (vec![tile((0, 1), (5, 11))], "no part"),
        (vec![tile((9, 11), (0, 1))], "no part"),
        (vec![span(0, 10), span(20, 30), span(9, 11)], "overlap"),
        (vec![tile((0, 5), (0, 5)), span(41, 42)], "overlap"),
        (
            vec![tile((0, 5), (0, 5)), tile((4, 6), (4, 6))],
            "rows 4..6, columns 4..6 and rows 0..5, columns 0..5 overlap",
        ),
    ] {
        let said = env.refused(id, &ranges);
        assert!(said.contains(why), "{said}");
        let all = env.lend(id, &[span(0, 100)]);
        env.release(all[0]);
    }
    let ordinary = env.put(1, array(2));
    env.try_lend(ordinary, &[span(0, 1)]).unwrap_err();
    env.try_lend(d(77), &[span(0, 1)]).unwrap_err();
    env.release(ordinary);
    env.release(id);
    assert_eq!((env.closed(), env.freed()), (vec![1], vec![2]));
    env.assert_over();
}

#[test]
fn tiles_lie_between_one_another_and_empty_parts_are_parts() {
    let mut env = Env::new(0, 1);
    let array = env.put(0, shared(1));
    let tiles = [
        tile((0, 5), (0, 5)),
        tile((0, 5), (5, 10)),
        tile((5, 10), (0, 5)),
        tile((5, 10), (5, 10)),
    ];
    let mut parts = env.lend(array, &tiles);
    parts.extend(env.lend(array, &[span(7, 7), span(7, 7), tile((3, 3), (0, 10))]));
    for range in [span(33, 34), tile((4, 6), (4, 6)), tile((9, 10), (9, 10))] {
        env.refused(array, &[range]);
    }
    let settler = env.settle(array);
    // The long tile is released first. The search must find the others, though the long tile begins
    // far before them.
    for part in parts {
        assert_eq!(env.incomplete(settler), None);
        env.release(part);
    }
    assert_eq!(env.incomplete(settler), Some(vec![]));
    assert_eq!(env.completed().len(), 1);
    let all = env.lend(array, &[span(0, 100)]);
    for id in [all[0], settler, array] {
        env.release(id);
    }
    assert_eq!(env.closed(), [1]);
    env.assert_over();
}

#[test]
fn a_call_takes_its_part_along_and_gives_it_back_however_it_ends() {
    let mut env = Env::new(1, 1);
    let array = env.put(0, shared(1));
    let early = env.settle(array);
    assert_eq!(env.incomplete(early), Some(vec![]));
    let ranges = [span(0, 10), span(10, 20), span(20, 30)];
    let parts = env.lend(array, &ranges);
    let calls: Vec<_> = parts.into_iter().map(|part| env.write(part, 0)).collect();
    let settlers = [env.settle(array), env.settle(array)];
    env.run(W1, calls[0], good(0));
    env.run(W1, calls[1], bad("boom"));
    // The first parts are given back, but one part is still lent.
    env.refused(array, &[span(25, 26)]);
    let again = env.lend(array, &[span(0, 20)]);
    env.release(again[0]);
    assert_eq!(env.incomplete(settlers[0]), None);
    env.run(W1, calls[2], good(2));
    let incomplete = vec![("elements 10..20".to_owned(), "boom".to_owned())];
    for settler in settlers {
        assert_eq!(env.incomplete(settler), Some(incomplete.clone()));
    }
    // An incomplete part is reported once.
    let late = env.settle(array);
    assert_eq!(env.incomplete(late), Some(vec![]));
    assert_eq!(env.completed().len(), 7);
    for id in [calls, settlers.to_vec(), vec![early, late, array]].concat() {
        env.release(id);
    }
    assert_eq!(env.closed(), [1]);
    env.assert_over();
}

#[test]
fn only_what_was_begun_can_be_incomplete() {
    let mut env = Env::new(1, 4);
    let array = env.put(0, shared(1));
    let failing = env.submit(50, vec![]);
    let parts = env.lend(array, &[span(0, 10), span(10, 20), span(20, 30)]);
    // One call never starts, since its other input fails. One runs with its part and dies. One was
    // only queued.
    let id = env.scheduler.mint();
    let call = spec(
        id,
        vec![ArgSpec::Object(parts[0]), ArgSpec::Object(failing)],
    );
    env.scheduler.submit(call, D, &mut env.host).unwrap();
    env.release(parts[0]);
    let dies = env.write(parts[1], 0);
    let queued = env.write(parts[2], 0);
    env.run(W1, failing, bad("input"));
    let settler = env.settle(array);
    env.pump();
    env.start(W1, dies);
    env.lose(W1);
    assert_eq!(env.incomplete(settler), None);
    env.refused(array, &[span(20, 21)]);
    env.add_worker(W2);
    env.run(W2, queued, good(3));
    let incomplete = vec![("elements 10..20".to_owned(), "crash of 0".to_owned())];
    assert_eq!(env.incomplete(settler), Some(incomplete));
    assert_eq!(env.completed().len(), 5);
    for id in [id, failing, dies, queued, settler, array] {
        env.release(id);
    }
    assert_eq!(env.closed(), [1]);
    env.assert_over();
}

#[test]
fn retries_keep_the_loan_and_the_last_failure_counts() {
    let mut env = Env::new(0, 1);
    let array = env.put(0, shared(1));
    let parts = env.lend(array, &[span(0, 10), span(10, 20)]);
    let calls: Vec<_> = parts.into_iter().map(|part| env.write(part, 1)).collect();
    let settler = env.settle(array);
    for (n, call) in calls.iter().enumerate() {
        let (first, second) = (
            mobula_protocol::WorkerId(10 + 2 * n as u32),
            mobula_protocol::WorkerId(11 + 2 * n as u32),
        );
        env.add_worker(first);
        env.pump();
        env.start(first, *call);
        env.lose(first);
        env.refused(array, &[span(0, 20)]);
        env.add_worker(second);
        // The second worker may die before the task has begun again. The first attempt may have
        // written.
        env.pump();
        if n == 1 {
            env.start(second, *call);
            env.lose(second);
        } else {
            env.run(second, *call, good(0));
            env.lose(second);
        }
    }
    let incomplete = vec![("elements 10..20".to_owned(), "crash of 0".to_owned())];
    assert_eq!(env.incomplete(settler), Some(incomplete));
    assert_eq!(env.completed().len(), 3);
    for id in [calls, vec![settler, array]].concat() {
        env.release(id);
    }
    assert_eq!(env.closed(), [1]);
    env.assert_over();
}

#[test]
fn workers_make_arrays_and_lend_parts() {
    let mut env = Env::new(2, 1);
    env.submit(1, vec![]);
    env.pump();
    let task = env.start(W1, d(1));
    let array = w(W1, 1);
    let value = Arc::new(shared(1));
    env.ok(W1, FromWorker::Put { id: array, value });
    let lend = |numbers: &[u64], ranges: &[PartRange]| FromWorker::Lend {
        array,
        parts: numbers
            .iter()
            .map(|n| w(W1, *n))
            .zip(ranges.iter().copied())
            .collect(),
    };
    env.ok(W1, lend(&[2, 3], &[span(0, 50), span(50, 100)]));
    // Both requests fail, and no part is lent.
    env.ok(W1, lend(&[4, 5], &[span(0, 0), span(99, 100)]));
    for n in [4, 5] {
        env.ok(W1, FromWorker::Watch(w(W1, n)));
        assert!(env.told(W1, w(W1, n)).unwrap_err().contains("50..100"));
        env.ok(W1, FromWorker::Release(w(W1, n)));
    }
    for wrong in [
        lend(&[6, 6], &[span(0, 0), span(0, 0)]),
        lend(&[3], &[span(0, 0)]),
        FromWorker::Lend {
            array,
            parts: vec![(w(W2, 9), span(0, 0))],
        },
        FromWorker::Lend {
            array: w(W1, 77),
            parts: vec![],
        },
    ] {
        env.message(W1, wrong).unwrap_err();
    }
    let settler = w(W1, 10);
    env.ok(W1, FromWorker::Settle { id: settler, array });
    env.ok(W1, FromWorker::Watch(settler));
    let child = spec(w(W1, 11), vec![ArgSpec::Object(w(W1, 2))]);
    env.ok(W1, FromWorker::Spawn(child, None.into()));
    env.ok(W1, FromWorker::Release(w(W1, 2)));
    env.ok(W1, FromWorker::Release(w(W1, 3)));
    env.run(W2, w(W1, 11), bad("boom"));
    env.pump();
    assert!(env.told(W1, settler).is_ok());
    assert_eq!(
        env.incomplete(settler),
        Some(vec![("elements 0..50".to_owned(), "boom".to_owned())])
    );
    // The part and the array of a dead worker are given back.
    env.ok(W1, lend(&[12], &[span(5, 6)]));
    env.lose(W1);
    assert_eq!(env.closed(), [1]);
    drop(task);
    assert_eq!(env.completed().len(), 1);
    env.release(d(1));
    env.assert_over();
}

#[test]
fn no_value_of_a_worker_is_a_part() {
    let mut env = Env::new(1, 1);
    let array = env.put(0, shared(1));
    let part = Value {
        format: Format::Part {
            of: TypeTag(1),
            range: span(0, 1).into(),
        },
        body: Body::Inline(Default::default()),
        attachments: vec![mobula_protocol::WireAttachment::Array {
            id: array,
            value: Arc::new(shared(1)),
        }],
    };
    let own = env.lend(array, &[span(0, 10)]);
    let (part, id) = (Arc::new(part), w(W1, 1));
    let value = part.clone();
    env.message(W1, FromWorker::Put { id, value }).unwrap_err();
    let call = spec(id, vec![ArgSpec::Value(Box::new((*part).clone()))]);
    env.message(W1, FromWorker::Spawn(call, None.into()))
        .unwrap_err();
    env.submit(5, vec![]);
    env.pump();
    let task = env.start(W1, d(5));
    env.message(W1, done(&task, Ok(part))).unwrap_err();
    env.host.end(W1, &task);
    env.ok(W1, done(&task, good(1)));
    // An ordinary value may refer to the array.
    let refers = packed(1, vec![mobula_protocol::WireAttachment::Ref { id: array }]);
    env.put(6, refers);
    assert_eq!(env.completed().len(), 1);
    for id in [own[0], array, d(5), d(6)] {
        env.release(id);
    }
    assert_eq!(env.closed(), [1]);
    env.assert_over();
}

#[test]
fn after_the_end_parts_come_home_and_nobody_waits() {
    let mut env = Env::new(1, 4);
    let array = env.put(0, shared(1));
    let parts = env.lend(array, &[span(0, 10), span(10, 20)]);
    let running = env.write(parts[0], 3);
    let settler = env.settle(array);
    env.pump();
    let task = env.start(W1, running);
    let why = Error::shutdown();
    env.scheduler.fail_all(why.clone(), &mut env.host);
    env.scheduler.sanity_check();
    let ended: Vec<_> = env.completed().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ended, [running, settler]);
    for id in [running, settler, array, parts[1]] {
        env.release(id);
    }
    // The worker still writes.
    assert_eq!(env.closed(), []);
    env.host.end(W1, &task);
    env.ok(W1, done(&task, good(1)));
    env.pump();
    assert_eq!(env.closed(), []);
    env.lose(W1);
    assert_eq!(env.closed(), [1]);
    let late = env.put(30, inline(1));
    env.release(late);
    env.assert_over();
}
