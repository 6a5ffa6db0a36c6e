//! Tasks whose results have failed while a worker may run them.
//!
//! The worker may still read the arguments of an abandoned task. The task therefore stays assigned
//! until the worker reports its end or is lost. Nobody waits for an abandoned task, and it does not
//! run again.

use mobula_protocol::{Error, ObjectId, WorkerId};

use super::{
    Host, Scheduler,
    admission::nothing,
    task::{Outputs, TaskState},
    task_table::TaskId,
};

impl Scheduler {
    /// Fails a task. An assigned task becomes abandoned.
    pub(super) fn fail_task(&mut self, id: TaskId, error: Error, host: &mut impl Host) {
        let Some(task) = self.tasks.get_mut(id) else {
            return;
        };
        let hand = match task.state {
            TaskState::Queued(hand) | TaskState::Running(hand) => hand,
            TaskState::Abandoned(_) => return,
            TaskState::Waiting { .. } | TaskState::Ready => {
                return self.finish(id, Err(error), host);
            }
        };
        task.retries = 0;
        self.detached -= usize::from(std::mem::take(&mut task.detached));
        let (output, stream) = (task.output(), task.stream());
        task.outputs = Outputs::None;
        self.task_abandoned(id, hand, host);
        self.with_objects(id, |scheduler, args| {
            scheduler.mark_incomplete(args, &error)
        });
        if let Some(output) = output {
            self.note_failed(output, &error);
            self.answer_request(output, Err(error.clone()), host);
        }
        if let Some(stream) = stream {
            self.end_stream(stream, Some(error), host);
        }
    }

    /// Returns whether the task is abandoned.
    pub(super) fn is_abandoned(&self, id: TaskId) -> bool {
        let task = self.tasks.get(id);
        task.is_some_and(|task| matches!(task.state, TaskState::Abandoned(_)))
    }

    /// Makes an object, held by the driver, that is ready when no worker has an abandoned task.
    /// Returns `None` if no worker has one, or after the end of the runtime.
    pub(crate) fn ask_for_end_of_abandoned(&mut self) -> Option<ObjectId> {
        if self.counts.abandoned == 0 || self.closed.is_some() {
            return None;
        }
        let id = self.mint();
        self.insert_request(id, WorkerId::DRIVER);
        self.awaits_abandoned.push(id);
        Some(id)
    }

    /// Answers the requests for the end of abandoned tasks if none is left.
    #[cold]
    pub(super) fn tell_of_abandoned(&mut self, host: &mut impl Host) {
        if self.counts.abandoned > 0 {
            return;
        }
        for id in std::mem::take(&mut self.awaits_abandoned) {
            self.answer_request(id, Ok(nothing()), host);
        }
    }

    /// Ends a task that has left its worker. The task completes no object.
    pub(super) fn drop_abandoned(&mut self, id: TaskId, host: &mut impl Host) {
        if let Some(task) = self.task_ended(id, true, host) {
            self.end_task(task, None, host);
        }
    }
}
