//! Shared arrays that become ordinary objects.

use std::sync::atomic::{
    AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
};

use mobula_protocol::{
    Attempt, Body, Error, Format, ObjectId, SharedKind, TypeTag, Value, WorkerId,
};
use mobula_store::{AtomicF32, AtomicF64, SharedAtomic, codec::type_tag, is_cell};

use crate::scheduler::{
    Host, Scheduler, Violation,
    counts::{footprint, stored},
    object::ObjectState,
    objects::{elements, unknown},
    task_table::TaskId,
};

impl Scheduler {
    /// Turns the array into an ordinary object, which becomes ready when no process has the array
    /// writable. The object fails if parts are lent, others have refs, or a seal is in progress. It
    /// also fails if the requesting task has the array as an argument and may run again after an
    /// error.
    ///
    /// # Errors
    /// There is no such array, the format does not fit the array, or the id cannot be used.
    pub(crate) fn seal(
        &mut self,
        id: ObjectId,
        array: ObjectId,
        format: Format,
        (from, run): (WorkerId, Option<Attempt>),
        host: &mut impl Host,
    ) -> Result<(), Violation> {
        self.check_new(id, from)?;
        let shared = self.shared_array(array);
        let Some((shared, loc)) = shared.and_then(|value| Some((value, stored(value)?))) else {
            return Err(unknown(array));
        };
        if is_cell(loc) || !is_flat_form(&format, &shared.format) {
            return Err(Violation::new(format!(
                "the shared array {array} cannot become {format:?}"
            )));
        }
        let (others, argument_of) = self.refs_of_others(array, (from, run));
        let asks = argument_of.and_then(|task| self.tasks.get(task));
        let repeats = asks.is_some_and(|task| task.options(&self.functions).retry_errors);
        let lending = self.lending.entry(array).or_default();
        let why = if lending.count > 0 {
            Some(format!(
                "{} parts of it are lent; `settle()` waits for them",
                lending.count
            ))
        } else if others > 0 {
            Some(format!(
                "there are other handles of it ({others}), in unfinished tasks, values, or other processes"
            ))
        } else if lending.sealing {
            Some("that is being done".to_owned())
        } else if repeats {
            Some(
                "the task that asks is one that may run again after an error, with the array as its argument; call it without `retry_errors`"
                    .to_owned(),
            )
        } else {
            None
        };
        if let Some(why) = why {
            let error = Error::usage(format!("the shared array cannot be sealed: {why}"));
            self.insert(id, ObjectState::Failed(error), from);
            return Ok(());
        }
        lending.sealing = true;
        if let Some(task) = argument_of.and_then(|task| self.tasks.get_mut(task)) {
            // Another attempt would get the array again, and could write to the sealed object.
            task.retries = 0;
        }
        self.promise(id, array, from);
        let value = Value {
            format,
            body: Body::Stored(loc),
            attachments: Vec::new(),
        };
        host.close(loc, Some((id, value)));
        Ok(())
    }

    /// Counts the refs of an array besides the requesting process's own. The process has a handle,
    /// a hold, or a task with the array as an argument. In the last case, also returns the task.
    ///
    /// A process that asks has one handle of the array, which it drops then. The handle can have
    /// come with an argument of the run that asks, and be held too: the worker says which objects
    /// it still has whenever one of its tasks ends.
    fn refs_of_others(
        &self,
        array: ObjectId,
        (from, run): (WorkerId, Option<Attempt>),
    ) -> (u64, Option<TaskId>) {
        let Some(object) = self.objects.get(array) else {
            return (0, None);
        };
        let Some(worker) = self.workers.get(from) else {
            return (object.refs - u64::from(object.handles > 0), None);
        };
        let mentions = |task: TaskId| {
            let mut mentions = 0;
            for arg in self.tasks.get(task).iter().flat_map(|task| &task.args) {
                arg.for_each_object(|id| mentions += u64::from(id == array));
            }
            mentions
        };
        let is_held = worker.held.contains(array);
        let asks = run.and_then(|run| worker.assignment(run));
        let argument = asks
            .map(|asks| (asks.task, mentions(asks.task)))
            .filter(|(_, mentions)| *mentions > 0);
        let own = argument.map_or(0, |(_, mentions)| mentions);
        let others = object.refs.saturating_sub(own + u64::from(is_held));
        if others == 0 || is_held {
            return (others, argument.map(|(task, _)| task));
        }
        // The array may have come with another task, which has left the handle to this one. If
        // that task has all refs, no other task and no value can have the array.
        let mut tasks = worker.assignments.iter().map(|assignment| assignment.task);
        match tasks.find(|task| mentions(*task) == object.refs) {
            Some(task) => (0, Some(task)),
            None => (others, None),
        }
    }

    /// Completes `id`: every process has closed the array.
    pub(crate) fn sealed(&mut self, id: ObjectId, value: Value, host: &mut impl Host) {
        let Some(&array) = self.asked_of_arrays.get(&id) else {
            // The runtime has ended. The memory is freed with the array.
            return;
        };
        if let Some(object) = self.objects.get_mut(array)
            && let ObjectState::Ready(old) = &object.state
            && let Some(loc) = stored(old)
        {
            // The new object takes the memory.
            object.state = ObjectState::Ready(
                Value {
                    format: old.format.clone(),
                    body: Body::Inline(Default::default()),
                    attachments: Vec::new(),
                }
                .into(),
            );
            self.used = self.used.wrapping_sub(footprint(loc));
            self.answer_request(id, Ok(value.into()), host);
        }
    }
}

/// Returns whether the flat format has as many elements as the shared one, of the same type.
fn is_flat_form(format: &Format, shared: &Format) -> bool {
    let (
        Format::Flat { elem, shape },
        Format::Shared {
            kind,
            of,
            shape: own,
        },
    ) = (format, shared)
    else {
        return false;
    };
    let is_type = match kind {
        SharedKind::Array => elem == of,
        SharedKind::Atomics => is_value_of(*elem, *of),
        _ => false,
    };
    is_type && elements(shape).is_some_and(|count| elements(own) == Some(count))
}

/// Returns whether atomics of type `atomic` hold values of type `elem`.
fn is_value_of(elem: TypeTag, atomic: TypeTag) -> bool {
    fn holds<A: SharedAtomic>(elem: TypeTag, atomic: TypeTag) -> bool {
        atomic.0 == type_tag::<A>() && elem.0 == type_tag::<A::Value>()
    }
    let all = [
        holds::<AtomicU8>,
        holds::<AtomicU16>,
        holds::<AtomicU32>,
        holds::<AtomicU64>,
        holds::<AtomicI8>,
        holds::<AtomicI16>,
        holds::<AtomicI32>,
        holds::<AtomicI64>,
        holds::<AtomicF32>,
        holds::<AtomicF64>,
    ];
    all.iter().any(|holds| holds(elem, atomic))
}
