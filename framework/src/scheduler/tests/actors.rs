//! Tests of actors: their processes, their calls, their ends.

mod calls;
mod deaths;
mod ends;
mod processes;
mod resources;

use mobula_protocol::{
    ActorOptions, FunctionIndex, ObjectId, WorkerId,
    message::{ArgSpec, FromWorker, TaskMessage, TaskSpec, ToWorker},
};

use super::{
    super::CallRole,
    env::{self, D, Env, W1, W2, W3, array, d, good, w},
};

const MAKE: u32 = 0;
/// A method with exclusive use of the actor's value.
const ALONE: u32 = 1;
/// A method that shares the value: other calls may begin while it is pending.
const SHARES: u32 = 2;
/// A method of the group "slow".
const SLOW: u32 = 3;

fn env(workers: u32, prefetch: u32) -> Env {
    let plain = CallRole::default();
    let shares = CallRole {
        interleaves: true,
        group: None,
    };
    let slow = CallRole {
        interleaves: false,
        group: Some("slow"),
    };
    Env::with_functions(
        workers,
        prefetch,
        &[
            ("Log::new", plain),
            ("add", plain),
            ("wait", shares),
            ("copy", slow),
        ],
    )
}

fn options() -> ActorOptions {
    ActorOptions::default()
}

fn object(id: ObjectId) -> ArgSpec {
    ArgSpec::Object(id)
}

impl Env {
    fn create(&mut self, args: Vec<ArgSpec>, options: ActorOptions) -> ObjectId {
        let id = self.scheduler.mint();
        let call = (FunctionIndex(MAKE), args.into());
        self.scheduler
            .create_actor(id, call, options, D, &mut self.host)
            .unwrap();
        self.scheduler.sanity_check();
        id
    }

    /// Returns an actor that is alive in this worker.
    fn alive(&mut self, worker: WorkerId, options: ActorOptions) -> ObjectId {
        let id = self.create(vec![], options);
        assert_eq!(self.scheduler.workers[worker].actor, Some(id));
        self.run(worker, id, good(0));
        self.host.completed.retain(|(other, _)| *other != id);
        id
    }

    fn call_of(&mut self, actor: ObjectId, function: u32, args: Vec<ArgSpec>) -> ObjectId {
        self.call_with(actor, function, args, None)
    }

    fn call_with(
        &mut self,
        actor: ObjectId,
        function: u32,
        args: Vec<ArgSpec>,
        retries: Option<u32>,
    ) -> ObjectId {
        let id = self.scheduler.mint();
        let call = method(id, actor, function, args, retries);
        self.scheduler.submit(call, D, &mut self.host).unwrap();
        self.scheduler.sanity_check();
        id
    }

    /// Submits a call without arguments.
    fn call(&mut self, actor: ObjectId) -> ObjectId {
        self.call_of(actor, ALONE, vec![])
    }

    fn kill_actor(&mut self, actor: ObjectId) {
        self.scheduler.kill_actor(actor, &mut self.host);
        self.scheduler.sanity_check();
    }

    fn fail_all(&mut self) {
        let why = mobula_protocol::Error::shutdown();
        self.scheduler.fail_all(why, &mut self.host);
        self.scheduler.sanity_check();
    }

    /// The worker begins its next tasks, which should be these.
    fn start_all(&mut self, worker: WorkerId, ids: &[ObjectId]) -> Vec<TaskMessage> {
        ids.iter().map(|id| self.start(worker, *id)).collect()
    }

    /// Checks that the worker was told to end, and ends it.
    fn ends(&mut self, worker: WorkerId) {
        assert!(matches!(
            self.host.control(worker),
            Some(ToWorker::Shutdown)
        ));
        assert!(!self.lose_as(worker, true), "it is no loss to the pool");
    }

    /// Returns the number of workers that were started since the last call.
    fn started(&mut self) -> usize {
        std::mem::take(&mut self.host.starting)
    }

    /// Returns the outcomes of these objects, and releases them.
    fn outcomes<const N: usize>(&mut self, ids: [ObjectId; N]) -> [Result<(), String>; N] {
        let outcomes = ids.map(|id| {
            let outcome = self.scheduler.outcome(id).expect("it has ended");
            outcome.map(drop).map_err(|error| error.to_string())
        });
        self.host.completed.retain(|(id, _)| !ids.contains(id));
        ids.into_iter().for_each(|id| self.release(id));
        outcomes
    }

    /// Checks that each of these objects has failed with an error whose text contains `why`.
    fn failed<const N: usize>(&mut self, ids: [ObjectId; N], why: &str) {
        for (id, outcome) in ids.into_iter().zip(self.outcomes(ids)) {
            let text = outcome.expect_err("it has failed");
            assert!(text.contains(why), "{id}: {text}");
        }
    }

    fn succeeded<const N: usize>(&mut self, ids: [ObjectId; N]) {
        assert_eq!(self.outcomes(ids), [const { Ok(()) }; N]);
    }
}

fn method(
    id: ObjectId,
    actor: ObjectId,
    function: u32,
    args: Vec<ArgSpec>,
    retries: Option<u32>,
) -> TaskSpec {
    TaskSpec {
        id,
        function: FunctionIndex(function),
        args: args.into(),
        options: retries.and_then(env::retries),
        actor: Some(actor),
    }
}
