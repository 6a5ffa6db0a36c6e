//! Calls that a task makes and runs by itself.
//!
//! A plain call of a task stays in its worker ([`kept`](super::kept)). If the task waits for the
//! call and nobody has begun it, the task's thread runs it within the wait. Then no message goes to
//! the driver.
//!
//! The call goes to the driver in these cases:
//! - An idle worker wants it.
//! - A value or another call refers to its result.
//! - The task waits for something else, or ends.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use super::{
    cancellations::this_run,
    cancelled::{check_cancelled, is_cancelled},
    kept::KeptCall,
    panics,
    printed::Printed,
    table::{Published, Spent},
    tasks::{self, Made},
    within::{self, Within},
    worker::Worker,
};
use crate::{
    context,
    link::{Claims, Link},
    promise::ENGINE,
};
use mobula_protocol::{
    Body, CallOptions, Error, FunctionIndex, Inputs, ObjectHandle, ObjectId, RemoteFn, Result,
    Role, Value,
    message::{Arg, ArgSpec, Args},
    park_until,
};

/// The first and the longest pause between two looks at the calls that an idle worker wants.
const LOOKS: (Duration, Duration) = (Duration::from_micros(500), Duration::from_millis(8));

impl<L: Link> Worker<L> {
    /// Keeps a call to this worker, if its task may run it. Returns the handle of the result.
    ///
    /// # Errors
    /// The call goes to the driver. The error has the call's arguments and the handles that keep
    /// them.
    pub(super) fn keep_call(
        &self,
        (function, options, actor): (FunctionIndex, &CallOptions, &Option<Arc<ObjectHandle>>),
        args: Args<ArgSpec>,
        keep: Spent,
    ) -> std::result::Result<Arc<ObjectHandle>, (Args<ArgSpec>, Spent)> {
        let plain = options.is_none() && actor.is_none();
        let parent = match this_run() {
            Some(run) if plain && self.keeps_calls(function) && is_data(&args, &keep) => run,
            _ => return Err((args, keep)),
        };
        let mut table = self.table.lock();
        // Under the lock, so that the calls are in the order of their ids.
        let id = self.mint();
        let call = KeptCall {
            id,
            function,
            args,
            keep,
            parent,
            depth: within::depth(),
            expected: false,
        };
        let make = || ObjectHandle::new(id, self.as_engine(), None);
        let (entry, spent) = table.keep(Box::new(call), make);
        drop(table);
        drop(spent);
        Ok(entry)
    }

    /// Whether the task of this thread may run a plain call of this function.
    fn keeps_calls(&self, function: FunctionIndex) -> bool {
        let fits = |remote: &RemoteFn| {
            remote.role == Role::Function
                && remote.options.fit_a_caller()
                // Other workers should get batches at once: a map is there to use all workers.
                && remote.package != env!("CARGO_PKG_NAME")
        };
        L::KEEPS_CALLS
            && tasks::runs_here()
            && !within::is_barred()
            && self.registry.function(function).is_some_and(fits)
            && !context::is_limited()
            // The process of an actor runs calls for the actor's value alone.
            && !self.own_actor.is_known()
            && !self.closing.load(Ordering::SeqCst)
            && !is_cancelled(&self.cancellations)
    }

    /// Whether the task of this thread may run one of its calls now, in the place of a wait.
    fn may_run_within(&self) -> bool {
        tasks::runs_here()
            && !within::is_barred()
            && within::has_stack()
            && !self.closing.load(Ordering::SeqCst)
            && !is_cancelled(&self.cancellations)
            // In a wait, a task that wants to go on here would get the turn.
            && !self.turn.is_wanted()
            && !std::thread::panicking()
    }

    /// Runs the call that makes an object, if this thread's task has made the call and nobody has
    /// begun it. Returns whether the call has run.
    pub(super) fn run_kept(&self, entry: &ObjectHandle) -> bool {
        let id = entry.id();
        if id.origin != self.id || !self.may_run_within() {
            return false;
        }
        let Some(call) = self.table.lock().begin_kept(id, this_run()) else {
            return false;
        };
        let (Some(remote), Some(worker)) =
            (self.registry.function(call.function), self.this.upgrade())
        else {
            return false;
        };
        let outer = self.state.function();
        self.state.set_function(call.function);
        let nested = context::nest(id, remote, 1);
        let within = Within::enter();
        let KeptCall { args, keep, .. } = *call;
        let made = run_within(&worker, remote, id, args, &keep);
        drop(within);
        drop(nested);
        if let Some(outer) = outer {
            self.state.set_function(outer);
        }
        let (outcome, refers_to) = match made {
            Ok((value, refers_to)) => (Ok(value), refers_to),
            Err(error) => (Err(error), Vec::new()),
        };
        // Other workers read values that lie in the store or refer to objects. The driver counts
        // these.
        let is_known_here = match &outcome {
            Ok(value) => value.attachments.is_empty() && matches!(value.body, Body::Inline(_)),
            Err(_) => true,
        };
        let told = (!is_known_here).then_some(&outcome);
        if told.is_some() {
            self.settle_printed();
        }
        self.table.lock().end_kept(id, told);
        entry.complete(outcome, ENGINE);
        drop((keep, refers_to));
        // A cancelled task ends here, like in a wait.
        if let Err(error) = check_cancelled() {
            panics::end_task(error);
        }
        true
    }

    /// See [`Engine::publish`].
    pub(super) fn publish_kept(&self, entry: &ObjectHandle) {
        let id = entry.id();
        if id.origin != self.id {
            return;
        }
        if entry.outcome().is_some() && self.table.lock().is_untold(id) {
            self.settle_printed();
        }
        loop {
            let published = self.table.lock().publish(id);
            match published {
                Published::Yes(spent) => return drop(spent),
                // A thread that the task has started passes on the result.
                Published::Runs => {
                    park_until(entry, None);
                    std::thread::yield_now();
                }
            }
        }
    }

    /// Waits until the output of calls is out, so that a result does not overtake it.
    fn settle_printed(&self) {
        if let Some(printed) = &self.printed {
            Printed::settle_all(printed, || self.closing.load(Ordering::SeqCst));
        }
    }

    /// Fails calls that the driver does not know of.
    pub(super) fn fail_cancelled(&self, (calls, spent): (Vec<(ObjectId, FunctionIndex)>, Spent)) {
        for (id, function) in calls {
            let name = self
                .registry
                .function(function)
                .map_or("", |found| found.name);
            let entry = self.table.lock().known(id);
            if let Some(entry) = entry {
                entry.complete(Err(Error::cancelled(name)), ENGINE);
            }
        }
        drop(spent);
    }

    /// Notes that an idle worker wants calls that this worker keeps.
    pub(super) fn want_share(&self) {
        let spent = self.table.lock().want_share();
        drop(spent);
    }

    /// Gives away calls that an idle worker wants. Returns after which pause the caller has to call
    /// this again, if at all.
    pub(super) fn look_at_kept(&self, pause: &mut Duration) -> Option<Duration> {
        let (again, spent) = self.table.lock().look_at_kept();
        drop(spent);
        match again {
            true => {
                let now = (*pause).max(LOOKS.0);
                *pause = (now * 2).min(LOOKS.1);
                Some(now)
            }
            false => {
                *pause = LOOKS.0;
                None
            }
        }
    }
}

/// Runs a call on this thread, within the thread's task.
fn run_within<L: Link>(
    worker: &Arc<Worker<L>>,
    remote: &'static RemoteFn,
    id: ObjectId,
    args: Args<ArgSpec>,
    keep: &[Arc<ObjectHandle>],
) -> Result<Made> {
    tasks::call(remote, |remote| {
        let args = args.into_iter().map(|arg| ready(arg, keep));
        let args = args.collect::<Result<Args<Arg>>>()?;
        let mut inputs = Inputs::new(tasks::resolve(worker, args)?).with_check(check_cancelled);
        let payload = (remote.run)(&mut inputs);
        drop(inputs);
        tasks::finish(worker, id, payload?)
    })
}

/// Returns an argument with the values of its objects. `keep` has these objects.
fn ready(arg: ArgSpec, keep: &[Arc<ObjectHandle>]) -> Result<Arg> {
    let value = |id: ObjectId| -> Result<Arc<Value>> {
        let entry = keep.iter().find(|entry| entry.id() == id);
        match entry.and_then(|entry| entry.outcome()) {
            Some(Ok(value)) => Ok(value.clone()),
            _ => Err(Error::internal("an argument of a kept call is not ready")),
        }
    };
    arg.try_map(Ok, |id| Ok((id, value(id)?)))
}

/// Whether all arguments are data that is there. Then the call waits for nothing and leaves nothing
/// half done.
fn is_data(args: &[ArgSpec], keep: &[Arc<ObjectHandle>]) -> bool {
    let own = args.iter().all(|arg| match arg {
        ArgSpec::Value(value) => value.attachments.is_empty() || value.is_data(),
        ArgSpec::Object(_) => true,
        // A look-up for each of many objects would cost the square of their number.
        ArgSpec::Gather(_) => false,
    });
    let known =
        |entry: &Arc<ObjectHandle>| matches!(entry.outcome(), Some(Ok(value)) if value.is_data());
    own && keep.iter().all(known)
}
