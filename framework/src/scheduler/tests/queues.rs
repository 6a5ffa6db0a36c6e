//! Tests of queues: the owner of a value, deaths, and the end of handles.

use mobula_protocol::{
    Error, ObjectId, Outcome, Value, WireAttachment, WorkerId,
    message::{ArgSpec, FromWorker, ToWorker},
};

use super::{
    dice::Dice,
    env::{D, Env, W1, W2, array, array_attachment, d, inline, number, packed, plain, refer, w},
};

fn own(number: u64) -> ArgSpec {
    ArgSpec::Value(Box::new(inline(number)))
}

fn queue(env: &mut Env, capacity: u32) -> ObjectId {
    let id = env.scheduler.mint();
    env.scheduler.create_queue(id, capacity, D).unwrap();
    env.scheduler.sanity_check();
    id
}

fn put_of(id: ObjectId, queue: ObjectId, values: Vec<ArgSpec>) -> FromWorker {
    FromWorker::QueuePut {
        id,
        queue,
        values: values.into(),
        waits: true,
    }
}

fn get_of(ids: &[ObjectId], queue: ObjectId) -> FromWorker {
    FromWorker::QueueGet {
        ids: ids.to_vec(),
        queue,
        waits: true,
    }
}

impl Env {
    /// The driver puts a value.
    fn put_in(&mut self, queue: ObjectId, value: ArgSpec) -> ObjectId {
        let id = self.scheduler.mint();
        let values = [value].into_iter().collect();
        let host = &mut self.host;
        self.scheduler
            .queue_put(id, queue, values, true, D, host)
            .unwrap();
        self.scheduler.sanity_check();
        id
    }

    /// The driver asks for values.
    fn take_out(&mut self, queue: ObjectId, count: usize) -> Vec<ObjectId> {
        let host = &mut self.host;
        let ids = self.scheduler.queue_get_here(count, queue, true, host);
        self.scheduler.sanity_check();
        ids.unwrap().unwrap().to_vec()
    }

    fn give_up(&mut self, ids: &[ObjectId], returns: bool) {
        self.scheduler.queue_give_up(ids, returns, &mut self.host);
        self.scheduler.sanity_check();
    }

    fn what_became_of(&self, id: ObjectId) -> Option<Result<u64, String>> {
        self.scheduler.outcome(id).map(plain)
    }

    fn told_of(&mut self, worker: WorkerId, id: ObjectId) -> Outcome {
        match self.host.control(worker) {
            Some(ToWorker::Ready { id: told, outcome }) if told == id => outcome,
            other => panic!("expected the outcome of {id}, got {other:?}"),
        }
    }
}

#[test]
fn values_go_through_and_nothing_is_left() {
    let mut env = Env::new(2, 1);
    let line = queue(&mut env, 2);
    assert!(env.scheduler.is_queue(line));
    env.ok(W1, FromWorker::Hold(line));
    env.ok(W1, put_of(w(W1, 1), line, vec![own(7)]));
    env.ok(W1, FromWorker::Watch(w(W1, 1)));
    env.told_of(W1, w(W1, 1)).unwrap();
    env.ok(W1, FromWorker::Release(w(W1, 1)));
    // The worker asks for values before they exist.
    env.ok(W2, FromWorker::Hold(line));
    env.ok(W2, get_of(&[w(W2, 1), w(W2, 2)], line));
    env.ok(W2, FromWorker::Watch(w(W2, 1)));
    assert_eq!(env.what_became_of(w(W2, 1)), None);
    let put = env.put_in(line, own(8));
    assert_eq!(number(&env.told_of(W2, w(W2, 1)).unwrap()), 7);
    assert_eq!(env.what_became_of(w(W2, 2)), Some(Ok(8)));
    env.host.completed.clear();
    env.release(put);
    for seq in [1, 2] {
        env.ok(W2, FromWorker::Release(w(W2, seq)));
    }
    env.ok(W1, FromWorker::Release(line));
    env.ok(W2, FromWorker::Release(line));
    env.release(line);
    env.assert_over();
}

#[test]
fn a_queue_keeps_what_its_values_refer_to() {
    let mut env = Env::new(1, 1);
    let line = queue(&mut env, 3);
    let one = env.scheduler.mint();
    env.scheduler.put(one, array(1).into(), D).unwrap();
    let two = env.scheduler.mint();
    env.scheduler.put(two, array(2).into(), D).unwrap();
    let nested = packed(5, vec![array_attachment(two, 2)]);
    let three = env.scheduler.mint();
    env.scheduler.put(three, nested.clone().into(), D).unwrap();
    let puts = [
        ArgSpec::Object(one),
        ArgSpec::Value(Box::new(nested)),
        ArgSpec::Object(three),
    ]
    .map(|value| env.put_in(line, value));
    for id in [one, two, three].into_iter().chain(puts) {
        env.release(id);
    }
    assert_eq!(env.freed(), []);
    let got = env.take_out(line, 3);
    let value = |env: &Env, at: usize| env.scheduler.outcome(got[at]).unwrap().unwrap();
    // Large values are not copied: the answer says where the value is.
    assert_eq!(value(&env, 0).stands_for().unwrap().id(), Some(one));
    assert!(
        value(&env, 0)
            .stands_for()
            .unwrap()
            .object()
            .unwrap()
            .1
            .is_some()
    );
    assert_eq!(number(&value(&env, 1)), 5);
    // A nested value has no attachments, so the driver has to ask for this one.
    let third = value(&env, 2);
    assert!(matches!(third.stands_for(), Some(WireAttachment::Ref { id }) if *id == three));
    env.release(got[0]);
    assert_eq!(env.freed(), [1]);
    env.release(got[1]);
    assert_eq!(env.freed(), []);
    env.release(got[2]);
    assert_eq!(env.freed(), [2]);
    env.host.completed.clear();
    env.release(line);
    env.assert_over();
}

#[test]
fn a_get_that_is_given_up_takes_nothing_or_gives_it_back() {
    let mut env = Env::new(1, 1);
    let line = queue(&mut env, 4);
    let early = env.take_out(line, 1);
    env.give_up(&early, true);
    assert!(
        env.scheduler
            .outcome(early[0])
            .unwrap()
            .unwrap_err()
            .is_timeout()
    );
    for number in [1, 2, 3] {
        env.put_in(line, own(number));
    }
    let late = env.take_out(line, 2);
    let next = env.take_out(line, 1);
    env.give_up(&late, true);
    env.give_up(&next, true);
    // A completed request cannot be given up twice. Values return only on request.
    env.give_up(&late, true);
    let all = env.take_out(line, 3);
    env.give_up(&all, false);
    let numbers = all
        .iter()
        .map(|id| env.what_became_of(*id).unwrap().unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), [1, 2, 3]);
    let waiting = env.put_in(line, own(4));
    let unit = number(&Value::unit());
    assert_eq!(env.what_became_of(waiting), Some(Ok(unit)));
}

#[test]
fn what_a_dead_consumer_had_not_got_comes_back_in_order() {
    let mut env = Env::new(2, 1);
    let line = queue(&mut env, 4);
    env.ok(W1, FromWorker::Hold(line));
    let stored = env.scheduler.mint();
    env.scheduler.put(stored, array(3).into(), D).unwrap();
    for value in [own(1), own(2), ArgSpec::Object(stored), own(4)] {
        env.put_in(line, value);
    }
    env.release(stored);
    // The worker has got the first value, but not the next two. Then it waits.
    for seq in [1, 2, 3] {
        env.ok(W1, get_of(&[w(W1, seq)], line));
    }
    env.ok(W1, FromWorker::QueueTook(vec![w(W1, 1)]));
    env.ok(W1, get_of(&[w(W1, 4), w(W1, 5)], line));
    // The worker has not got these.
    env.ok(W1, FromWorker::QueueTook(vec![w(W1, 4), line]));
    env.lose(W1);
    assert_eq!(env.freed(), []);
    let got = env.take_out(line, 3);
    assert_eq!(env.what_became_of(got[0]), Some(Ok(2)));
    let second = env.scheduler.outcome(got[1]).unwrap().unwrap();
    assert_eq!(second.stands_for().unwrap().id(), Some(stored));
    assert_eq!(env.what_became_of(got[2]), Some(Ok(4)));
}

#[test]
fn a_dead_consumer_takes_nothing_while_its_requests_end_one_by_one() {
    let mut env = Env::new(1, 1);
    let line = queue(&mut env, 4);
    env.ok(W1, FromWorker::Hold(line));
    // The second request waits only because the first request waits.
    env.ok(W1, get_of(&[w(W1, 1), w(W1, 2)], line));
    env.ok(W1, get_of(&[w(W1, 3)], line));
    env.put_in(line, own(1));
    let next = env.take_out(line, 1);
    env.lose(W1);
    assert_eq!(env.what_became_of(next[0]), Some(Ok(1)));
}

#[test]
fn what_a_dead_producer_had_sent_goes_in() {
    let mut env = Env::new(1, 1);
    let line = queue(&mut env, 1);
    env.ok(W1, FromWorker::Hold(line));
    env.ok(W1, put_of(w(W1, 1), line, vec![own(1)]));
    env.ok(W1, put_of(w(W1, 2), line, vec![own(2)]));
    env.lose(W1);
    for number in [1, 2] {
        let got = env.take_out(line, 1);
        assert_eq!(env.what_became_of(got[0]), Some(Ok(number)));
        env.release(got[0]);
    }
    env.host.completed.clear();
    env.release(line);
    env.assert_over();
}

#[test]
fn with_the_last_handle_all_ends() {
    let mut env = Env::new(1, 1);
    let (outer, inner) = (queue(&mut env, 1), queue(&mut env, 1));
    let put = env.put_in(
        outer,
        ArgSpec::Value(Box::new(packed(1, vec![refer(inner)]))),
    );
    let stored = env.scheduler.mint();
    env.scheduler.put(stored, array(3).into(), D).unwrap();
    let second = env.put_in(inner, ArgSpec::Object(stored));
    for id in [put, second, stored, inner] {
        env.release(id);
    }
    // A put of a dead worker has no handle.
    env.ok(W1, FromWorker::Hold(outer));
    env.ok(W1, put_of(w(W1, 1), outer, vec![own(2)]));
    env.lose(W1);
    env.host.completed.clear();
    env.release(outer);
    assert_eq!(env.freed(), [3]);
    env.assert_over();
}

#[test]
fn the_end_of_the_runtime_ends_requests() {
    let mut env = Env::new(1, 1);
    let line = queue(&mut env, 1);
    env.ok(W1, FromWorker::Hold(line));
    let empty = queue(&mut env, 1);
    env.put_in(line, own(1));
    let put = env.put_in(line, own(2));
    let got = env.take_out(empty, 1);
    env.scheduler.fail_all(Error::shutdown(), &mut env.host);
    env.scheduler.sanity_check();
    for id in [put, got[0]] {
        let error = env.scheduler.outcome(id).unwrap().unwrap_err();
        assert!(error.is_shutdown(), "{error}");
    }
    env.message(W1, get_of(&[w(W1, 1)], line)).unwrap();
    env.message(W1, put_of(w(W1, 2), line, vec![own(3)]))
        .unwrap();
    for seq in [1, 2] {
        let error = env.scheduler.outcome(w(W1, seq)).unwrap().unwrap_err();
        assert!(error.is_shutdown(), "{error}");
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    let mut env = Env::new(2, 1);
    let line = queue(&mut env, 2);
    let (pending, other) = (env.submit(50, vec![]), env.put(51, inline(1)));
    env.ok(W1, FromWorker::Hold(line));
    env.ok(W1, FromWorker::Hold(pending));
    env.ok(W1, FromWorker::Hold(other));
    let gather = ArgSpec::Gather(vec![other]);
    for message in [
        put_of(w(W2, 1), line, vec![own(1)]),
        put_of(w(W1, 1), other, vec![own(1)]),
        put_of(w(W1, 1), line, vec![ArgSpec::Object(pending)]),
        put_of(w(W1, 1), line, vec![ArgSpec::Object(d(99))]),
        put_of(w(W1, 1), line, vec![gather]),
        put_of(w(W1, 1), line, vec![ArgSpec::Value(Box::new(array(1)))]),
        get_of(&[], line),
        get_of(&[w(W1, 1), w(W1, 1)], line),
        get_of(&[w(W1, 1), w(W2, 1)], line),
        get_of(&[w(W1, 1)], other),
        FromWorker::CreateQueue {
            id: w(W1, 1),
            capacity: 0,
        },
        FromWorker::QueueAsk {
            id: w(W1, 1),
            queue: other,
            close: true,
        },
    ] {
        let before = format!("{:?}", env.scheduler);
        let text = format!("{message:?}");
        env.message(W1, message).expect_err(&text);
        assert_eq!(format!("{:?}", env.scheduler), before, "{text}");
    }
    // A request for more values than ever fit is a usage error.
    env.ok(W1, get_of(&[w(W1, 1), w(W1, 2), w(W1, 3)], line));
    let error = env.scheduler.outcome(w(W1, 3)).unwrap().unwrap_err();
    assert!(error.is_usage(), "{error}");
}

/// A request that its process has not completed.
struct Open {
    who: WorkerId,
    ids: Vec<ObjectId>,
    /// The values of a put. Empty for a get.
    values: Vec<u64>,
    gets: bool,
}

/// Processes that use one queue and die.
struct Crowd {
    env: Env,
    dice: Dice,
    line: ObjectId,
    capacity: usize,
    processes: Vec<WorkerId>,
    started: u32,
    /// The number of used ids and values.
    numbers: u64,
    open: Vec<Open>,
    /// The values that were put, without those that were taken back before they were in the queue.
    sent: Vec<u64>,
    /// The values that callers have got.
    got: Vec<u64>,
}

impl Crowd {
    fn new(seed: u64) -> Crowd {
        let (mut env, mut dice) = (Env::new(0, 1), Dice(seed));
        let capacity = 1 + dice.below(4);
        Crowd {
            line: queue(&mut env, capacity as u32),
            env,
            dice,
            capacity,
            processes: vec![D],
            started: 0,
            numbers: 0,
            open: Vec::new(),
            sent: Vec::new(),
            got: Vec::new(),
        }
    }

    fn start(&mut self) {
        self.started += 1;
        let id = WorkerId(self.started);
        self.env.add_worker(id);
        self.env.ok(id, FromWorker::Hold(self.line));
        self.processes.push(id);
    }

    fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    fn put(&mut self, who: WorkerId, count: usize, waits: bool) {
        let values: Vec<u64> = (0..count).map(|_| self.number()).collect();
        let args = values.iter().map(|number| own(*number)).collect();
        let (queue, host) = (self.line, &mut self.env.host);
        let id = match who {
            D => {
                let id = self.env.scheduler.mint();
                let put = self
                    .env
                    .scheduler
                    .queue_put(id, queue, args, waits, D, host);
                put.unwrap();
                id
            }
            who => {
                let id = w(who, self.number());
                let values = args;
                let message = FromWorker::QueuePut {
                    id,
                    queue,
                    values,
                    waits,
                };
                self.env.ok(who, message);
                id
            }
        };
        self.sent.extend(&values);
        self.open.push(Open {
            who,
            ids: vec![id],
            values,
            gets: false,
        });
    }

    fn get(&mut self, who: WorkerId, count: usize, waits: bool) {
        let (queue, host) = (self.line, &mut self.env.host);
        let ids = match who {
            D => {
                let got = self.env.scheduler.queue_get_here(count, queue, waits, host);
                got.unwrap().unwrap().to_vec()
            }
            who => {
                let ids: Vec<_> = (0..count).map(|_| w(who, self.number())).collect();
                let message = FromWorker::QueueGet {
                    ids: ids.clone(),
                    queue,
                    waits,
                };
                self.env.ok(who, message);
                ids
            }
        };
        self.open.push(Open {
            who,
            ids,
            values: vec![],
            gets: true,
        });
    }

    /// The process of a request goes on: it takes the result, or gives the request up.
    fn end_one(&mut self, takes: bool) {
        if self.open.is_empty() {
            return;
        }
        let at = self.dice.below(self.open.len());
        let Open {
            who,
            ids,
            values,
            gets,
        } = self.open.swap_remove(at);
        let outcome = self.env.scheduler.outcome(ids[0]);
        let refused = matches!(outcome, Some(Err(_)));
        if !gets && !matches!(outcome, Some(Ok(_))) {
            self.sent.retain(|number| !values.contains(number));
        }
        if takes && gets && outcome.is_some() && !refused {
            for id in &ids {
                let value = self.env.scheduler.outcome(*id).unwrap();
                self.got.push(number(&value.unwrap()));
            }
            match who {
                D => self.env.scheduler.queue_took(&ids),
                who => self.env.ok(who, FromWorker::QueueTook(ids.clone())),
            }
        } else {
            let returns = true;
            match who {
                D => self.env.give_up(&ids, returns),
                who => {
                    let ids = ids.clone();
                    self.env.ok(who, FromWorker::QueueGiveUp { ids, returns });
                }
            }
        }
        for id in ids {
            match who {
                D => self.env.release(id),
                who => self.env.ok(who, FromWorker::Release(id)),
            }
        }
    }

    fn kill(&mut self, at: usize) {
        let who = self.processes.swap_remove(at);
        let (scheduler, open) = (&self.env.scheduler, std::mem::take(&mut self.open));
        let (lost, open): (Vec<_>, _) = open.into_iter().partition(|open| open.who == who);
        self.open = open;
        for put in lost.into_iter().filter(|open| !open.gets) {
            // A waiting put completes later.
            if matches!(scheduler.outcome(put.ids[0]), Some(Err(_))) {
                self.sent.retain(|number| !put.values.contains(number));
            }
        }
        self.env.lose(who);
    }

    fn step(&mut self) {
        let at = self.dice.below(self.processes.len());
        let who = self.processes[at];
        let (count, waits) = (self.dice.below(self.capacity + 1), self.dice.below(3) > 0);
        match self.dice.below(20) {
            0..6 => self.put(who, count, waits),
            6..12 => self.get(who, count.max(1), waits),
            12..16 => self.end_one(true),
            16..18 => self.end_one(false),
            18 if self.processes.len() < 4 => self.start(),
            19 if who != D => self.kill(at),
            _ => {}
        }
        self.env.scheduler.sanity_check();
    }
}

#[test]
fn whatever_happens_each_value_is_somewhere_once() {
    for seed in 0..30 {
        let mut crowd = Crowd::new(seed);
        for _ in 0..150 {
            crowd.step();
        }
        while let Some(at) = crowd.processes.iter().position(|who| *who != D) {
            crowd.kill(at);
        }
        while !crowd.open.is_empty() {
            crowd.end_one(false);
        }
        let mut found = std::mem::take(&mut crowd.got);
        // The waiting puts of dead processes complete meanwhile.
        loop {
            crowd.get(D, 1, false);
            crowd.end_one(true);
            match crowd.got.pop() {
                Some(number) => found.push(number),
                None => break,
            }
        }
        found.sort_unstable();
        crowd.sent.sort_unstable();
        assert_eq!(found, crowd.sent, "seed {seed}");
        crowd.env.host.completed.clear();
        while crowd.env.host.control(WorkerId(1)).is_some() {}
        crowd.env.release(crowd.line);
        crowd.env.assert_over();
    }
}
