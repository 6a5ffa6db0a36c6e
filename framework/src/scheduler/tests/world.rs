//! A correct world around the scheduler with random behaviour: a driver, workers whose messages
//! take time, and deaths.

mod actors;
mod ending;
mod resources;
mod shared;
mod workers;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use mobula_protocol::{
    CancelOptions, FunctionIndex, ObjectId, Outcome, TaskOptions, Value, WireAttachment, WorkerId,
    message::{ArgSpec, TaskSpec},
};

use super::{
    super::{Config, Host, Scheduler, counts::stored},
    dice::Dice,
    env::{D, array, inline, packed, retain},
    host::TestHost,
    peer::{Known, Worker, look_into},
};

pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) scheduler: Scheduler,
    pub(super) host: TestHost,
    pub(super) workers: Vec<Worker>,
    started_workers: u32,
    /// The driver's handles, and the outcomes that it knows.
    pub(super) handles: Vec<ObjectId>,
    outcomes: BTreeMap<ObjectId, Outcome>,
    /// The stored bodies in use, by number.
    extents: BTreeSet<u64>,
    numbers: u64,
    /// How often each task may still begin.
    lives: BTreeMap<ObjectId, u32>,
    /// The actors, and how often their calls run again.
    actors: BTreeMap<ObjectId, u32>,
    /// The requests that wait for parts. No task waits for them, since the task could have one of
    /// the parts.
    settlers: BTreeSet<ObjectId>,
    /// The target number of workers in the pool.
    pub(super) pool: usize,
}

impl World {
    pub(super) fn new(seed: u64) -> World {
        let mut dice = Dice(seed);
        let config = Config {
            prefetch: 1 + dice.below(6) as u32,
            slots: 3 + dice.below(8) as u32,
            cores: 1 + dice.below(4) as u32,
            deaths: 3,
            max_pending: None,
            reports_unread: true,
        };
        let mut world = World {
            dice,
            scheduler: Scheduler::new(config, actors::functions()),
            host: TestHost::new(),
            workers: Vec::new(),
            started_workers: 0,
            handles: Vec::new(),
            outcomes: BTreeMap::new(),
            extents: BTreeSet::new(),
            numbers: 0,
            lives: BTreeMap::new(),
            actors: BTreeMap::new(),
            settlers: BTreeSet::new(),
            pool: 1,
        };
        world.limit_resources();
        world.start_worker();
        world
    }

    pub(super) fn start_worker(&mut self) {
        self.started_workers += 1;
        let id = WorkerId(self.started_workers);
        self.scheduler.worker_starting(id).unwrap();
        self.workers.push(Worker::new(id));
    }

    /// Records the scheduler's actions, and checks them.
    pub(super) fn settle(&mut self) {
        self.scheduler.sanity_check();
        self.note_closings();
        for (_, offset) in std::mem::take(&mut self.host.freed) {
            let number = offset / 4096;
            assert!(self.extents.remove(&number), "freed what was not in use");
            for worker in &self.workers {
                assert!(
                    !worker.reads(number),
                    "freed under the eyes of {}",
                    worker.id
                );
            }
        }
        for (id, outcome) in std::mem::take(&mut self.host.completed) {
            assert!(self.handles.contains(&id));
            assert!(
                self.outcomes.insert(id, outcome).is_none(),
                "{id} was completed twice"
            );
        }
    }

    /// Returns a value that refers to some of `known`, or an array.
    fn value(&mut self, known: &Known) -> Arc<Value> {
        self.numbers += 1;
        let number = self.numbers;
        Arc::new(match self.dice.below(4) {
            0 => {
                self.extents.insert(number);
                array(number)
            }
            1 => inline(number),
            _ => {
                let count = self.dice.below(4);
                let attachments = (0..count).filter_map(|_| self.attachment(known)).collect();
                packed(number, attachments)
            }
        })
    }

    fn attachment(&mut self, known: &Known) -> Option<WireAttachment> {
        Some(match self.dice.pick(known)? {
            (id, Some(value)) if stored(&value).is_some() && self.dice.one_in(2) => {
                WireAttachment::Array { id, value }
            }
            (id, _) => WireAttachment::Ref { id },
        })
    }

    fn spec(&mut self, id: ObjectId, known: &Known) -> TaskSpec {
        let count = self.dice.below(3);
        let mut args = Vec::new();
        for _ in 0..count {
            args.push(match self.dice.below(3) {
                0 => {
                    let attachments = self.attachment(known).into_iter().collect();
                    ArgSpec::Value(Box::new(packed(0, attachments)))
                }
                1 => match self.dice.pick(known) {
                    Some((id, _)) => ArgSpec::Object(id),
                    None => continue,
                },
                _ => {
                    let count = self.dice.below(4);
                    ArgSpec::Gather(
                        (0..count)
                            .filter_map(|_| self.dice.pick(known))
                            .map(|(id, _)| id)
                            .collect(),
                    )
                }
            });
        }
        let options = TaskOptions {
            retries: Some(self.dice.below(3) as u32),
            retry_errors: self.dice.one_in(3),
            retry_timeouts: self.dice.one_in(8),
            priority: self.dice.one_in(4).then(|| self.dice.below(5) as i32 - 2),
            timeout: self.dice.one_in(4).then_some(Duration::from_secs(3)),
            deadline: self.dice.one_in(8).then_some(Duration::from_secs(5)),
            grace: None,
            max_calls: self.dice.one_in(4).then(|| 1 + self.dice.below(3) as u32),
            resources: self.perhaps_resources(),
            split: false,
            node: None,
            spread: self.dice.one_in(4),
        };
        // A call without options of its own takes the short way.
        let options = (!self.dice.one_in(3)).then(|| Arc::new(options));
        let overlaps = options
            .as_deref()
            .is_some_and(|options| options.retry_timeouts);
        let spec = TaskSpec {
            id,
            function: FunctionIndex(0),
            args: args.into(),
            options,
            actor: None,
        };
        let spec = self.perhaps_of_actor(spec, known);
        // An abandoned run may go on beside the next run.
        let lives = match overlaps {
            true => u32::MAX,
            false => spec.1 + 1,
        };
        self.lives.insert(id, lives);
        spec.0
    }

    /// The driver performs a random action.
    pub(super) fn drive(&mut self) {
        let mut known = Known::new();
        for id in self.handles.iter().filter(|id| !self.settlers.contains(id)) {
            let value = self
                .outcomes
                .get(id)
                .and_then(|outcome| outcome.as_ref().ok())
                .cloned();
            known.push((*id, value));
        }
        match self.dice.below(13) {
            7 => self.create_actor(&known),
            8 => self.kill_one_actor(),
            9 => self.share(),
            10 => self.seal_one(),
            11 => self.cancel_some(),
            12 => self.let_time_pass(),
            0 => {
                let id = self.mint();
                let value = self.value(&known);
                self.handles.push(id);
                self.scheduler.put(id, value.clone(), D).unwrap();
                self.outcomes.insert(id, Ok(value));
            }
            1..=3 => {
                let id = self.mint();
                let spec = self.spec(id, &known);
                self.handles.push(id);
                self.scheduler.submit(spec, D, &mut self.host).unwrap();
            }
            4 => {
                let mut seen = known.clone();
                known
                    .iter()
                    .filter_map(|(_, value)| value.as_ref())
                    .for_each(|value| look_into(value, &mut seen));
                if let Some((id, _)) = self.dice.pick(&seen) {
                    self.handles.push(id);
                    if let Some(outcome) = retain(&mut self.scheduler, id).unwrap() {
                        self.outcomes.insert(id, outcome);
                    }
                }
            }
            _ => self.release_one(),
        }
        self.settle();
    }

    /// The driver cancels some of its objects.
    fn cancel_some(&mut self) {
        let ids = self.handles.clone();
        let ids: Vec<_> = ids.into_iter().filter(|_| self.dice.one_in(6)).collect();
        let options = CancelOptions::new()
            .recursive(self.dice.one_in(2))
            .kill(self.dice.one_in(2));
        self.scheduler.cancel(&ids, options, &mut self.host);
    }

    pub(super) fn let_time_pass(&mut self) {
        self.host.elapsed += Duration::from_secs(1);
        let now = self.host.now();
        self.host.wake_at = None;
        self.scheduler.on_time(now, &mut self.host);
    }

    pub(super) fn release_one(&mut self) {
        if !self.handles.is_empty() {
            let index = self.dice.below(self.handles.len());
            let id = self.handles.swap_remove(index);
            if !self.handles.contains(&id) {
                self.outcomes.remove(&id);
            }
            self.scheduler.release(id, &mut self.host).unwrap();
        }
        self.settle();
    }

    pub(super) fn pump(&mut self) {
        self.host.revocable = !self.dice.one_in(8);
        if self.dice.one_in(3) {
            let short = self.dice.one_in(2);
            if self.dice.one_in(2) {
                self.scheduler.end_round();
            }
            self.scheduler.tick(short);
        }
        let before = self.scheduler.cores_in_use();
        self.scheduler.pump(&mut self.host);
        self.check_cores(before);
        self.settle();
        self.scheduler.check_nothing_forgotten();
    }
}
