//! Runs calls.

use std::{
    panic::resume_unwind,
    sync::Arc,
    thread::{self, ScopedJoinHandle},
};

use mobula_protocol::{
    CallOptions, Engine, Error, FunctionIndex, Input, Inputs, ObjectHandle, ObjectId, ObjectStore,
    Outcome, Payload, RemoteFn, Result, Role, TaskOptions,
    message::{ArgSpec, Args},
    readable,
};
use mobula_worker::{call, context};

use super::Inline;
use crate::{current::Running, promise::ENGINE, resources::Needer};

/// A call with lowered arguments.
pub(super) struct Task {
    /// The result's id. The task has no handle of it, so a result without refs is released.
    pub(super) id: ObjectId,
    pub(super) function: FunctionIndex,
    pub(super) args: Args<ArgSpec>,
    pub(super) options: CallOptions,
    /// Handles that keep the arguments alive.
    pub(super) keep: Vec<Arc<ObjectHandle>>,
    pub(super) actor: Option<ObjectId>,
}

impl Inline {
    /// Runs a call, unless a test holds calls back.
    pub(super) fn begin(&self, task: Task) {
        #[cfg(test)]
        let Some(task) = self.held.hold(task) else {
            return;
        };
        self.run(task);
    }

    pub(super) fn run(&self, task: Task) {
        let outcome = match self.registry.function(task.function) {
            None => Err(Error::internal(format!(
                "no remote function has the number {}",
                task.function.0
            ))),
            Some(remote) if remote.asynchronous && is_in_an_executor() => {
                self.run_elsewhere(remote, &task)
            }
            Some(remote) => self.run_as_often_as_it_may(remote, &task),
        };
        let stream = match task.args.last() {
            Some(ArgSpec::Object(id)) => Some(*id),
            _ => None,
        };
        let failure = outcome.as_ref().err().cloned();
        drop(task.keep);
        // The bytes belong to the object that `put` makes or finds. The result keeps its handle.
        let (outcome, keep) = match outcome.and_then(|payload| self.put(payload)) {
            Ok(made) => (known(&made), vec![made]),
            Err(error) => (Err(error), Vec::new()),
        };
        self.complete(task.id, outcome, keep);
        if let Some(stream) = stream {
            self.end_stream(stream, failure);
        }
    }

    /// Runs a call on a thread of its own, and blocks until it has ended. One thread cannot run an
    /// executor inside another executor.
    fn run_elsewhere(&self, remote: &'static RemoteFn, task: &Task) -> Result<Payload> {
        thread::scope(|scope| {
            let builder = thread::Builder::new().stack_size(self.stack);
            let running = builder.spawn_scoped(scope, || self.run_as_often_as_it_may(remote, task));
            match running.map(ScopedJoinHandle::join) {
                Ok(Ok(result)) => result,
                // `call` turns panics of the function into errors, so this panic is of the engine.
                Ok(Err(panic)) => resume_unwind(panic),
                Err(error) => Err(Error::resource_limit(format!(
                    "cannot start a thread for an asynchronous function: {error}"
                ))),
            }
        })
    }

    fn run_as_often_as_it_may(&self, remote: &'static RemoteFn, task: &Task) -> Result<Payload> {
        let _running = Running::enter(self.this());
        let options = TaskOptions::of(&task.options, &remote.options);
        // One call runs at a time, so all resources are free. Only the totals can be too small.
        let of = match remote.role {
            Role::Constructor { .. } => Needer::Actor,
            Role::Function | Role::Method { .. } => Needer::Task,
        };
        self.resources.need(remote.name, &options.resources, of)?;
        let mut reruns = options.reruns(options.retries.unwrap_or(0));
        let mut attempt = 1;
        loop {
            let _here = context::nest(task.id, remote, attempt);
            let mut given_up = false;
            let result = call(remote, |remote| {
                let mut inputs = self.inputs(remote, task)?.with_split(options.split);
                let result = (remote.run)(&mut inputs);
                given_up = inputs.has_given_up();
                result
            });
            match result {
                Err(error) if reruns > 0 && error.is_application() && !given_up => {
                    reruns -= 1;
                    attempt += 1;
                }
                result => return result,
            }
        }
    }

    fn inputs(&self, remote: &RemoteFn, task: &Task) -> Result<Inputs> {
        let state = match task.actor {
            None => None,
            Some(actor) => {
                if let Role::Method { .. } = remote.role
                    && let Some(Err(why)) = self.handle(actor, None).outcome()
                {
                    return Err(Error::actor_dead(remote.name, why));
                }
                Some(self.actors.state(actor, remote.name)?)
            }
        };
        let inputs = task.args.iter().map(|arg| self.input(remote.name, arg));
        let inputs = inputs.collect::<Result<_>>()?;
        Ok(match state {
            None => Inputs::new(inputs),
            Some(state) => Inputs::of_actor(inputs, state),
        })
    }

    fn input(&self, function: &str, arg: &ArgSpec) -> Result<Input> {
        let payload = |id: &ObjectId| -> Result<Payload> {
            let entry = self.handle(*id, None);
            // The object is pending if a queue or another thread has not answered yet.
            entry.wait(None);
            match entry.outcome() {
                Some(Err(error)) => Err(Error::dependency(function, error)),
                _ => entry.payload(),
            }
        };
        Ok(match arg {
            ArgSpec::Value(value) => Input::Value(readable(self, value, None, ENGINE)?, None),
            ArgSpec::Object(id) => Input::Value(payload(id)?, Some(*id)),
            ArgSpec::Gather(ids) => {
                let payloads: Vec<_> = ids.iter().map(payload).collect::<Result<_>>()?;
                Input::Gather(payloads.into())
            }
        })
    }
}

/// Returns whether this thread is in a tokio runtime.
fn is_in_an_executor() -> bool {
    tokio::runtime::Handle::try_current().is_ok()
}

/// Returns the outcome of an object that is not pending.
pub(super) fn known(object: &ObjectHandle) -> Outcome {
    let pending = || Err(Error::internal("an object without a value"));
    object.outcome().cloned().unwrap_or_else(pending)
}
