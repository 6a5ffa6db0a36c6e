//! Tasks whose results have failed while a worker may run them.
//!
//! Such a task stays with its worker, which reads its arguments, until the worker says that it has
//! ended, or is lost. Nobody waits for it, and it does not run again.

use mobula_protocol::{Error, ObjectId, WorkerId};

use super::{
    Host, Scheduler,
    admission::nothing,
    task::{Outputs, TaskState},
    task_table::TaskId,
};

impl Scheduler {
    /// Fails a task. If a worker has it, the task is abandoned.
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
        self.with_objects(id, |scheduler, args| scheduler.tear(args, &error));
        if let Some(output) = output {
            self.note_failed(output, &error);
            self.answer_request(output, Err(error.clone()), host);
        }
        if let Some(stream) = stream {
            self.end_stream(stream, Some(error), host);
        }
    }

    /// Whether the results of a task that a worker has have failed.
    pub(super) fn is_abandoned(&self, id: TaskId) -> bool {
        let task = self.tasks.get(id);
        task.is_some_and(|task| matches!(task.state, TaskState::Abandoned(_)))
    }

    /// Makes an object, held by the driver, that is ready when no worker has an abandoned task.
    /// `None`: none has.
    pub(crate) fn ask_for_end_of_abandoned(&mut self) -> Option<ObjectId> {
        if self.counts.abandoned == 0 || self.closed.is_some() {
            return None;
        }
        let id = self.mint();
        self.insert_request(id, WorkerId::DRIVER);
        self.awaits_abandoned.push(id);
        Some(id)
    }

    /// An abandoned task has ended.
    #[cold]
    pub(super) fn tell_of_abandoned(&mut self, host: &mut impl Host) {
        if self.counts.abandoned > 0 {
            return;
        }
        for id in std::mem::take(&mut self.awaits_abandoned) {
            self.answer_request(id, Ok(nothing()), host);
        }
    }

    /// Ends a task that is not with its worker any more, and makes nothing.
    pub(super) fn drop_abandoned(&mut self, id: TaskId, host: &mut impl Host) {
        if let Some(task) = self.task_ended(id, true, host) {
            self.end_task(task, None, host);
        }
    }
}
