//! Tests of results whose elements are objects.

use mobula_protocol::{
    CancelOptions, ObjectId, WireAttachment, WorkerId,
    message::{ArgSpec, FromWorker, ToWorker},
};

use super::env::{
    D, Env, W1, W2, array, bad, d, good, inline, number, packed, plain, refer, spawn, w,
};

impl Env {
    fn split(&mut self, result: ObjectId, count: usize) -> Vec<ObjectId> {
        let ids = self.scheduler.split_here(result, count).unwrap();
        self.scheduler.sanity_check();
        ids
    }

    fn put_of(&mut self, worker: WorkerId, seq: u64, value: mobula_protocol::Value) -> ObjectId {
        let id = w(worker, seq);
        let value = value.into();
        self.ok(worker, FromWorker::Put { id, value });
        id
    }

    fn value_of(&self, id: ObjectId) -> Option<Result<u64, String>> {
        self.scheduler.outcome(id).map(plain)
    }

    /// Checks that nothing is left. Ignores the driver's messages, which other tests check.
    #[track_caller]
    fn all_over(&mut self) {
        self.host.completed.clear();
        self.host.freed.clear();
        self.assert_over();
    }
}

#[test]
fn an_element_is_an_input_before_it_is_there() {
    let mut env = Env::new(1, 1);
    let result = env.submit(1, vec![]);
    let elements = env.split(result, 2);
    env.release(result);
    let uses = env.submit(50, vec![ArgSpec::Object(elements[0])]);
    env.pump();
    let task = env.start(W1, result);
    let small = env.put_of(W1, 1, inline(7));
    let large = env.put_of(W1, 2, array(8));
    let made = packed(0, vec![refer(small), refer(large)]);
    env.done(W1, &task, Ok(made.into()));
    for seq in [1, 2] {
        env.ok(W1, FromWorker::Release(w(W1, seq)));
    }
    // The small element has its value. The large element stands for the object.
    assert_eq!(env.value_of(elements[0]), Some(Ok(7)));
    let stands = env.scheduler.outcome(elements[1]).unwrap().unwrap();
    assert!(matches!(
        stands.stands_for(),
        Some(WireAttachment::Array { id, .. }) if *id == large
    ));
    env.pump();
    env.run(W1, uses, good(9));
    env.release(uses);
    env.release(elements[0]);
    assert!(env.host.freed.is_empty());
    env.release(elements[1]);
    assert_eq!(env.freed(), [8]);
    env.all_over();
}

#[test]
fn elements_fail_with_the_call() {
    let mut env = Env::new(1, 1);
    let result = env.submit(1, vec![]);
    let elements = env.split(result, 2);
    let uses = env.submit(50, vec![ArgSpec::Object(elements[1])]);
    env.pump();
    env.run(W1, result, bad("broken"));
    for id in [elements[0], elements[1], uses] {
        assert!(env.value_of(id).unwrap().unwrap_err().contains("broken"));
    }
    // A later request for elements fails, too.
    let late = env.split(result, 1);
    assert!(env.value_of(late[0]).unwrap().is_err());
    for id in [result, elements[0], elements[1], uses, late[0]] {
        env.release(id);
    }
    env.all_over();
}

#[test]
fn a_result_with_too_few_elements_fails_the_others() {
    let mut env = Env::new(1, 1);
    let result = env.submit(1, vec![]);
    let elements = env.split(result, 2);
    env.pump();
    let task = env.start(W1, result);
    let one = env.put_of(W1, 1, inline(7));
    env.done(W1, &task, Ok(packed(0, vec![refer(one)]).into()));
    env.ok(W1, FromWorker::Release(one));
    assert_eq!(env.value_of(elements[0]), Some(Ok(7)));
    assert!(env.value_of(elements[1]).unwrap().is_err());
    for id in [result, elements[0], elements[1]] {
        env.release(id);
    }
    env.all_over();
}

#[test]
fn who_cancels_an_element_cancels_the_call() {
    let mut env = Env::new(1, 1);
    let (first, result) = (env.submit(1, vec![]), env.submit(2, vec![]));
    env.pump();
    let elements = env.split(result, 2);
    env.scheduler
        .cancel(&elements[1..], CancelOptions::new(), &mut env.host);
    env.scheduler.sanity_check();
    for id in [result, elements[0], elements[1]] {
        assert!(
            env.scheduler
                .outcome(id)
                .unwrap()
                .unwrap_err()
                .is_cancelled()
        );
        env.release(id);
    }
    env.run(W1, first, good(1));
    env.release(first);
    env.all_over();
}

#[test]
fn a_worker_splits_the_results_of_its_calls() {
    let mut env = Env::new(2, 1);
    let parent = env.submit(1, vec![]);
    env.pump();
    let parent_task = env.start(W1, parent);
    let (child, ids) = (w(W1, 1), vec![w(W1, 2), w(W1, 3)]);
    env.ok(W1, spawn(child, vec![]));
    let split = FromWorker::Split {
        result: child,
        ids: ids.clone(),
    };
    env.ok(W1, split);
    env.ok(W1, FromWorker::Release(child));
    env.ok(W1, FromWorker::Watch(ids[1]));
    env.pump();
    let task = env.start(W2, child);
    let (one, two) = (env.put_of(W2, 1, inline(5)), env.put_of(W2, 2, inline(6)));
    env.done(
        W2,
        &task,
        Ok(packed(0, vec![refer(one), refer(two)]).into()),
    );
    env.ok(W2, FromWorker::Release(one));
    env.ok(W2, FromWorker::Release(two));
    match env.host.control(W1) {
        Some(ToWorker::Ready { id, outcome }) if id == ids[1] => {
            assert_eq!(number(&outcome.unwrap()), 6);
        }
        other => panic!("{other:?}"),
    }
    for id in ids {
        env.ok(W1, FromWorker::Release(id));
    }
    env.done(W1, &parent_task, good(1));
    env.release(parent);
    env.all_over();
}

#[test]
fn what_is_no_result_is_not_split() {
    let mut env = Env::new(1, 1);
    let queue = env.scheduler.mint();
    env.scheduler.create_queue(queue, 1, D).unwrap();
    let host = &mut env.host;
    let answers = env.scheduler.queue_get_here(1, queue, true, host);
    let answer = answers.unwrap().unwrap()[0];
    assert!(env.scheduler.split_here(answer, 1).is_err());
    assert!(env.scheduler.split_here(d(99), 1).is_err());
    let result = env.submit(50, vec![]);
    env.ok(W1, FromWorker::Hold(result));
    let twice = FromWorker::Split {
        result,
        ids: vec![w(W1, 1), w(W1, 1)],
    };
    assert!(env.message(W1, twice).is_err());
}
