//! Tests of arrays that turn into ordinary objects.

use std::sync::Arc;

use mobula_protocol::{
    Attempt, Body, Error, Format, ObjectId, Shape, TypeTag, Value, WireAttachment, WorkerId,
    message::{ArgSpec, FromWorker, TaskSpec},
};

use super::{
    super::env::{
        D, Env, W1, W2, bad, d, good, inline, packed, refer, retries, retries_of_errors, spec, w,
    },
    LEN, loc, shared, span,
};

fn flat() -> Format {
    Format::Flat {
        elem: TypeTag(1),
        shape: Shape::of_vec(LEN),
    }
}

/// Returns the attachment of that [`shared`] array inside a value.
fn memory_attachment(id: ObjectId, number: u64) -> WireAttachment {
    WireAttachment::Array {
        id,
        value: Arc::new(shared(number)),
    }
}

impl Env {
    fn seal(&mut self, array: ObjectId) -> ObjectId {
        let id = self.scheduler.mint();
        self.scheduler
            .seal(id, array, flat(), (D, None), &mut self.host)
            .unwrap();
        self.scheduler.sanity_check();
        id
    }

    /// Returns the error of the refused seal.
    fn not_sealed(&mut self, id: ObjectId) -> String {
        let error = self
            .scheduler
            .outcome(id)
            .expect("known at once")
            .unwrap_err();
        assert!(error.is_usage() && self.host.closing.is_empty());
        self.release(id);
        error.to_string()
    }

    /// Returns the memory that is to be closed. No process has it open any more.
    fn close(&mut self) -> Vec<(ObjectId, Value)> {
        let closing = std::mem::take(&mut self.host.closing);
        closing
            .into_iter()
            .map(|(_, then)| then.expect("it turns into something"))
            .collect()
    }

    fn sealed(&mut self, (id, value): (ObjectId, Value)) {
        self.scheduler.sealed(id, value, &mut self.host);
        self.scheduler.sanity_check();
        self.pump();
    }
}

fn seal_message(id: ObjectId, array: ObjectId, run: Option<Attempt>) -> FromWorker {
    FromWorker::Seal {
        id,
        array,
        format: flat(),
        run: run.into(),
    }
}

#[test]
fn it_waits_until_no_process_can_write_and_keeps_the_memory() {
    let mut env = Env::new(1, 1);
    let array = env.put(0, shared(1));
    let used = env.scheduler.used_bytes();
    let sealed = env.seal(array);
    let reader = env.submit(9, vec![ArgSpec::Object(sealed)]);
    env.release(array);
    env.pump();
    assert!(env.scheduler.outcome(sealed).is_none() && env.host.lane(W1).is_empty());
    assert_eq!(env.scheduler.used_bytes(), used);
    let mut closing = env.close();
    assert_eq!(closing.len(), 1);
    env.sealed(closing.remove(0));
    let value = env.scheduler.outcome(sealed).unwrap().unwrap();
    assert_eq!((&value.format, env.scheduler.used_bytes()), (&flat(), used));
    assert!(matches!(value.body, Body::Stored(at) if at == loc(1)));
    env.run(W1, reader, good(1));
    assert_eq!(env.completed().len(), 2);
    // The array is neither lent nor closed: it is an ordinary object.
    env.scheduler.lend(sealed, &[]).unwrap_err();
    env.release(reader);
    env.release(sealed);
    assert_eq!(env.freed(), [1]);
    assert!(env.scheduler.lending.is_empty());
    env.assert_over();
}

#[test]
fn it_is_refused_for_a_reason_while_others_could_write() {
    let mut env = Env::new(1, 1);
    let array = env.put(0, shared(1));
    let part = env.lend(array, &[span(0, 1)])[0];
    let why = env.seal(array);
    assert!(env.not_sealed(why).contains("1 parts of it are lent"));
    env.release(part);

    env.retain(array).unwrap();
    let why = env.seal(array);
    assert!(env.not_sealed(why).contains("other handles of it (1)"));
    env.release(array);

    let value = env.put(1, packed(1, vec![refer(array)]));
    let why = env.seal(array);
    assert!(env.not_sealed(why).contains("other handles"));
    env.release(value);

    let call = env.submit(2, vec![ArgSpec::Object(array)]);
    let why = env.seal(array);
    assert!(env.not_sealed(why).contains("unfinished tasks"));
    env.run(W1, call, good(1));

    let settler = env.settle(array);
    let why = env.seal(array);
    assert!(env.not_sealed(why).contains("other handles"));
    assert_eq!(env.incomplete(settler), Some(vec![]));

    let sealed = env.seal(array);
    let why = env.scheduler.mint();
    env.scheduler
        .seal(why, array, flat(), (D, None), &mut env.host)
        .unwrap();
    assert!(env.scheduler.outcome(why).unwrap().is_err());
    let refused = env.refused(array, &[span(0, 1)]);
    assert!(refused.contains("being sealed"), "{refused}");
    let closing = env.close().remove(0);
    env.sealed(closing);
    // The remaining handle refers to no array.
    assert!(env.refused(array, &[span(0, 1)]).contains("sealed"));
    let _ = env.completed();
    for id in [why, call, settler, sealed, array] {
        env.release(id);
    }
    assert_eq!(env.freed(), [1]);
    assert!(env.scheduler.lending.is_empty());
    env.assert_over();
}

/// Each attempt would get the argument again, and the next attempt could write to the object.
#[test]
fn a_task_that_seals_its_argument_is_not_run_again() {
    for dies in [false, true] {
        let mut env = Env::new(2, 1);
        let array = env.put(0, shared(1));
        let arg = ArgSpec::Value(Box::new(packed(1, vec![memory_attachment(array, 1)])));
        let call = TaskSpec {
            options: retries(5),
            ..spec(d(1), vec![arg])
        };
        env.scheduler.submit(call, D, &mut env.host).unwrap();
        env.pump();
        let task = env.start(W1, d(1));
        let seal = |n| seal_message(w(W1, n), array, None);
        // The driver has a handle of the array, too.
        env.ok(W1, seal(1));
        env.ok(W1, FromWorker::Watch(w(W1, 1)));
        let why = env.told(W1, w(W1, 1)).unwrap_err();
        assert!(why.contains("other handles of it (2)"), "{why}");
        env.ok(W1, FromWorker::Release(w(W1, 1)));
        env.release(array);
        env.ok(W1, seal(2));
        let closing = env.close().remove(0);
        env.sealed(closing);
        env.ok(W1, FromWorker::Watch(w(W1, 2)));
        assert!(env.told(W1, w(W1, 2)).is_ok());
        if dies {
            env.lose(W1);
            assert_eq!(env.completed(), [(d(1), Err("crash of 0".into()))]);
        } else {
            env.done(W1, &task, good(1));
            env.ok(W1, FromWorker::Release(w(W1, 2)));
            assert_eq!(env.completed().len(), 1);
        }
        env.release(d(1));
        assert_eq!(env.freed(), [1]);
        assert!(env.scheduler.lending.is_empty());
        env.assert_over();
    }
}

/// Another task of the worker has ended beside this task. So the worker has told which objects it
/// holds.
#[test]
fn a_task_seals_its_argument_though_its_worker_holds_it() {
    for shares in [false, true] {
        let mut env = Env::new(1, 4);
        let array = env.put(0, shared(1));
        let holds = || ArgSpec::Value(Box::new(packed(1, vec![memory_attachment(array, 1)])));
        let call = TaskSpec {
            options: retries(5),
            ..spec(d(1), vec![holds()])
        };
        env.scheduler.submit(call, D, &mut env.host).unwrap();
        let next = shares.then(|| env.submit(2, vec![holds()]));
        env.release(array);
        env.pump();
        let task = env.start(W1, d(1));
        env.ok(W1, FromWorker::Hold(array));
        // A thread that the task has started belongs to no run.
        env.ok(W1, seal_message(w(W1, 1), array, None));
        env.ok(W1, FromWorker::Watch(w(W1, 1)));
        assert!(env.told(W1, w(W1, 1)).is_err());
        env.ok(W1, seal_message(w(W1, 2), array, Some(task.attempt)));
        if let Some(next) = next {
            env.ok(W1, FromWorker::Watch(w(W1, 2)));
            let why = env.told(W1, w(W1, 2)).unwrap_err();
            assert!(why.contains("other handles of it (1)"), "{why}");
            env.ok(W1, FromWorker::Release(array));
            env.done(W1, &task, good(1));
            env.run(W1, next, good(1));
        } else {
            env.ok(W1, FromWorker::Release(array));
            let closing = env.close().remove(0);
            env.sealed(closing);
            env.ok(W1, FromWorker::Watch(w(W1, 2)));
            assert!(env.told(W1, w(W1, 2)).is_ok());
            env.lose(W1);
            assert_eq!(env.completed(), [(d(1), Err("crash of 0".into()))]);
        }
    }
}

#[test]
fn a_task_that_runs_again_after_an_error_cannot_seal_its_argument() {
    let mut env = Env::new(1, 1);
    let array = env.put(0, shared(1));
    let arg = ArgSpec::Value(Box::new(packed(1, vec![memory_attachment(array, 1)])));
    let options = retries_of_errors(1);
    let call = TaskSpec {
        options,
        ..spec(d(1), vec![arg])
    };
    env.scheduler.submit(call, D, &mut env.host).unwrap();
    env.release(array);
    env.pump();
    env.start(W1, d(1));
    let id = w(W1, 1);
    env.ok(W1, seal_message(id, array, None));
    env.ok(W1, FromWorker::Watch(id));
    let why = env.told(W1, id).unwrap_err();
    assert!(why.contains("without `retry_errors`"), "{why}");
}

#[test]
fn what_a_task_has_read_from_a_value_or_shares_with_another_is_not_sealed() {
    for by_value in [false, true] {
        let mut env = Env::new(1, 4);
        let array = env.put(0, shared(1));
        let holds = || packed(1, vec![memory_attachment(array, 1)]);
        let outer = env.put(1, if by_value { holds() } else { inline(1) });
        let other = || match by_value {
            true => ArgSpec::Object(outer),
            false => ArgSpec::Value(Box::new(holds())),
        };
        let calls = [2, 3].map(|seq| env.submit(seq, vec![other()]));
        env.release(array);
        env.pump();
        let task = env.start(W1, calls[0]);
        let id = w(W1, 1);
        env.ok(W1, seal_message(id, array, None));
        env.ok(W1, FromWorker::Watch(id));
        assert!(env.told(W1, id).unwrap_err().contains("other handles"));
        env.ok(W1, FromWorker::Release(id));
        env.done(W1, &task, good(1));
        env.run(W1, calls[1], good(1));
        let _ = env.completed();
        for id in [calls[0], calls[1], outer] {
            env.release(id);
        }
        assert_eq!(env.closed(), [1]);
        env.assert_over();
    }
}

#[test]
fn a_worker_seals_its_own() {
    let mut env = Env::new(2, 1);
    let (array, id) = (w(W1, 1), w(W1, 2));
    let value = Arc::new(shared(1));
    env.ok(W1, FromWorker::Put { id: array, value });
    let seal = |id, array| seal_message(id, array, None);
    env.message(W1, seal(w(WorkerId(9), 2), array)).unwrap_err();
    env.message(W1, seal(id, w(W1, 77))).unwrap_err();
    // This worker has no handle of the array.
    env.ok(W2, seal(w(W2, 1), array));
    env.ok(W2, FromWorker::Watch(w(W2, 1)));
    assert!(env.told(W2, w(W2, 1)).is_err());
    env.ok(W2, FromWorker::Release(w(W2, 1)));
    env.ok(W1, seal(id, array));
    env.ok(W1, FromWorker::Release(array));
    // The worker that asked is gone before the object exists.
    env.lose(W1);
    let closing = env.close().remove(0);
    env.sealed(closing);
    assert_eq!(env.freed(), [1]);
    env.assert_over();
}

#[test]
fn the_end_may_come_between() {
    for released_first in [false, true] {
        let mut env = Env::new(1, 1);
        let array = env.put(0, shared(1));
        let sealed = env.seal(array);
        let closing = env.close().remove(0);
        if released_first {
            env.release(array);
        }
        env.scheduler.fail_all(Error::shutdown(), &mut env.host);
        env.scheduler.sanity_check();
        assert_eq!(env.completed().len(), 1);
        env.sealed(closing);
        env.release(sealed);
        if !released_first {
            env.release(array);
        }
        // The memory is freed once, with the array.
        assert_eq!(env.closed(), [1]);
        env.assert_over();
    }
}

#[test]
fn incomplete_parts_are_for_the_one_who_settles() {
    let mut env = Env::new(1, 1);
    let array = env.put(0, shared(1));
    let part = env.lend(array, &[span(3, 4)])[0];
    let call = env.write(part, 0);
    env.run(W1, call, bad("boom"));
    let part = env.lend(array, &[span(3, 4)])[0];
    let call_again = env.scheduler.mint();
    let call_of_part = spec(call_again, vec![ArgSpec::Object(part)]);
    env.scheduler
        .submit(call_of_part, D, &mut env.host)
        .unwrap();
    env.release(part);
    env.run(W1, call_again, good(1));
    let settler = env.settle(array);
    let incomplete = vec![("elements 3..4".to_owned(), "boom".to_owned())];
    assert_eq!(env.incomplete(settler), Some(incomplete));
    let _ = env.completed();
    for id in [call, call_again, settler, array] {
        env.release(id);
    }
    assert_eq!(env.closed(), [1]);
    env.assert_over();
}
