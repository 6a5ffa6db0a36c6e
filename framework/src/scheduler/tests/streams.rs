//! Tests of streams: queues that end with the task that fills them.

use mobula_protocol::{
    CallOptions, CancelOptions, ObjectId, WorkerId,
    message::{ArgSpec, FromWorker, TaskMessage, TaskSpec, ToWorker},
};

use super::env::{D, Env, W1, W2, bad, good, inline, plain, retries, spec, w};
struct Stream {
    task: ObjectId,
    queue: ObjectId,
}

impl Env {
    /// Submits a task that fills a stream with room for `capacity` items.
    fn stream(&mut self, capacity: u32, options: CallOptions, inputs: &[ObjectId]) -> Stream {
        let queue = self.scheduler.mint();
        self.scheduler.create_queue(queue, capacity, D).unwrap();
        let task = self.scheduler.mint();
        let inputs = inputs.iter().chain([&queue]);
        let spec = TaskSpec {
            options,
            ..spec(task, inputs.map(|id| ArgSpec::Object(*id)).collect())
        };
        self.scheduler.submit(spec, D, &mut self.host).unwrap();
        self.scheduler.sanity_check();
        self.pump();
        Stream { task, queue }
    }

    fn give(&mut self, from: WorkerId, seq: u64, stream: &Stream, item: u64) {
        let put = FromWorker::QueuePut {
            id: w(from, seq),
            queue: stream.queue,
            values: [ArgSpec::Value(Box::new(inline(item)))]
                .into_iter()
                .collect(),
            waits: true,
        };
        self.ok(from, put);
    }

    /// Asks for the next item. Returns its value, or the error, if that is known.
    fn item(&mut self, stream: &Stream) -> (ObjectId, Option<Result<u64, String>>) {
        let host = &mut self.host;
        let ids = self.scheduler.queue_get_here(1, stream.queue, true, host);
        self.scheduler.sanity_check();
        let id = ids.unwrap().unwrap()[0];
        (id, self.scheduler.outcome(id).map(plain))
    }

    #[track_caller]
    fn takes(&mut self, stream: &Stream, item: u64) {
        let (id, outcome) = self.item(stream);
        assert_eq!(outcome, Some(Ok(item)));
        self.release(id);
    }

    #[track_caller]
    fn ends_with(&mut self, stream: &Stream, why: &str) {
        let (id, outcome) = self.item(stream);
        let error = outcome.expect("it ends").unwrap_err();
        assert!(error.contains(why), "{error}");
        self.release(id);
    }

    /// Checks that nothing is left. Ignores the driver's messages, which other tests check.
    #[track_caller]
    fn over(&mut self) {
        self.host.completed.clear();
        self.assert_over();
    }

    fn drop_stream(&mut self, stream: &Stream) {
        self.release(stream.task);
        self.release(stream.queue);
    }

    /// Returns the number of all items that were given, including those that wait for room.
    fn accepted(&mut self, stream: &Stream) -> u64 {
        let id = self.scheduler.mint();
        let host = &mut self.host;
        self.scheduler
            .queue_ask(id, stream.queue, false, D, host)
            .unwrap();
        let value = self.scheduler.outcome(id).unwrap().unwrap();
        self.release(id);
        let mobula_protocol::Body::Inline(block) = &value.body else {
            panic!("it is small");
        };
        let (_, _, accepted): (u64, bool, u64) =
            mobula_store::codec::decode(block.bytes(), &[]).unwrap();
        accepted
    }
}

fn run(env: &mut Env, worker: WorkerId, stream: &Stream) -> TaskMessage {
    let task = env.start(worker, stream.task);
    // A worker's engine holds each object of which it has a handle.
    env.ok(worker, FromWorker::Hold(stream.queue));
    task
}

fn release_puts(env: &mut Env, from: WorkerId, seqs: std::ops::RangeInclusive<u64>) {
    for seq in seqs {
        env.ok(from, FromWorker::Release(w(from, seq)));
    }
}

#[test]
fn what_waits_for_room_at_the_end_of_the_task_is_there_before_the_end() {
    let mut env = Env::new(1, 1);
    let stream = env.stream(1, None, &[]);
    let task = run(&mut env, W1, &stream);
    env.give(W1, 1, &stream, 7);
    env.give(W1, 2, &stream, 8);
    release_puts(&mut env, W1, 1..=2);
    env.ok(W1, FromWorker::Release(stream.queue));
    env.done(W1, &task, good(2));
    env.takes(&stream, 7);
    env.takes(&stream, 8);
    env.ends_with(&stream, "the stream has ended");
    env.ends_with(&stream, "the stream has ended");
    env.drop_stream(&stream);
    env.over();
}

#[test]
fn who_waits_for_an_item_is_told_the_end() {
    let mut env = Env::new(1, 1);
    let stream = env.stream(1, None, &[]);
    let task = run(&mut env, W1, &stream);
    let (first, outcome) = env.item(&stream);
    assert_eq!(outcome, None);
    let (second, _) = env.item(&stream);
    env.give(W1, 1, &stream, 7);
    assert_eq!(env.scheduler.outcome(first).map(plain), Some(Ok(7)));
    release_puts(&mut env, W1, 1..=1);
    env.ok(W1, FromWorker::Release(stream.queue));
    env.done(W1, &task, bad("broken"));
    let error = env.scheduler.outcome(second).map(plain).unwrap();
    assert!(error.unwrap_err().contains("broken"));
    env.release(first);
    env.release(second);
    env.drop_stream(&stream);
    env.over();
}

#[test]
fn a_crash_comes_after_the_items_before_it() {
    let mut env = Env::new(2, 1);
    let stream = env.stream(4, None, &[]);
    run(&mut env, W1, &stream);
    env.give(W1, 1, &stream, 7);
    env.lose(W1);
    env.takes(&stream, 7);
    env.ends_with(&stream, "crash");
    env.drop_stream(&stream);
    env.over();
}

#[test]
fn a_further_run_is_told_how_many_items_there_were() {
    let mut env = Env::new(2, 1);
    let stream = env.stream(1, retries(1), &[]);
    run(&mut env, W1, &stream);
    env.give(W1, 1, &stream, 7);
    // This item waits for room. It enters the stream although the worker is dead.
    env.give(W1, 2, &stream, 8);
    env.lose(W1);
    env.pump();
    assert_eq!(env.accepted(&stream), 2);
    let task = run(&mut env, W2, &stream);
    env.takes(&stream, 7);
    env.give(W2, 1, &stream, 9);
    env.takes(&stream, 8);
    release_puts(&mut env, W2, 1..=1);
    env.ok(W2, FromWorker::Release(stream.queue));
    env.done(W2, &task, good(3));
    env.takes(&stream, 9);
    env.ends_with(&stream, "the stream has ended");
    env.drop_stream(&stream);
    env.over();
}

#[test]
fn a_cancelled_task_gives_nothing_more() {
    let mut env = Env::new(1, 1);
    let stream = env.stream(4, None, &[]);
    let task = run(&mut env, W1, &stream);
    env.give(W1, 1, &stream, 7);
    env.scheduler
        .cancel(&[stream.task], CancelOptions::new(), &mut env.host);
    env.scheduler.sanity_check();
    assert!(matches!(
        env.host.control(W1),
        Some(ToWorker::Cancel { .. })
    ));
    // The worker has not read the cancellation yet.
    env.give(W1, 2, &stream, 8);
    assert!(env.scheduler.outcome(w(W1, 2)).unwrap().is_err());
    env.takes(&stream, 7);
    env.ends_with(&stream, "cancelled");
    env.drop_stream(&stream);
    release_puts(&mut env, W1, 1..=2);
    env.ok(W1, FromWorker::Release(stream.queue));
    env.done(W1, &task, good(2));
    env.over();
}

#[test]
fn items_that_nobody_takes_go_with_the_stream() {
    let mut env = Env::new(1, 1);
    let stream = env.stream(2, None, &[]);
    let task = run(&mut env, W1, &stream);
    for seq in 1..=3 {
        env.give(W1, seq, &stream, seq);
    }
    env.drop_stream(&stream);
    release_puts(&mut env, W1, 1..=3);
    env.ok(W1, FromWorker::Release(stream.queue));
    env.done(W1, &task, good(3));
    env.over();
}

#[test]
fn a_task_that_cannot_run_ends_its_stream() {
    let mut env = Env::new(1, 1);
    let failed = env.submit(1, vec![]);
    env.pump();
    let waits = env.stream(1, None, &[failed]);
    env.run(W1, failed, bad("no input"));
    env.ends_with(&waits, "no input");
    let at_once = env.stream(1, None, &[failed]);
    env.ends_with(&at_once, "no input");
    env.drop_stream(&waits);
    env.drop_stream(&at_once);
    env.release(failed);
    env.over();
}
