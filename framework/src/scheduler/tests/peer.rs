//! A correct worker with random behaviour.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
};

use mobula_protocol::{
    ObjectId, Value, WireAttachment, WorkerId,
    message::{Arg, FromWorker, TaskMessage, TaskSpec},
};

use super::{
    super::counts::stored,
    env::{number, w},
};

/// Objects, with their values if the worker has them.
pub(super) type Known = Vec<(ObjectId, Option<Arc<Value>>)>;

/// A worker's handle of an object. The worker has at most one for each object.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) value: Option<Arc<Value>>,
    pub(super) watching: bool,
}

pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) outbox: VecDeque<FromWorker>,
    pub(super) entries: BTreeMap<ObjectId, Entry>,
    /// The tasks that the worker has begun, and whether they wait. At most one task does not wait.
    pub(super) tasks: Vec<(TaskMessage, bool)>,
    /// The calls that the worker keeps to itself.
    pub(super) kept: Vec<TaskSpec>,
    /// Whether the worker has told the driver of kept calls.
    told: bool,
    /// Whether the worker was asked for kept calls.
    pub(super) asked: bool,
    /// Whether the worker was told to end.
    pub(super) closing: bool,
    minted: u64,
}

impl Worker {
    /// Returns a worker that is about to register.
    pub(super) fn new(id: WorkerId) -> Worker {
        let outbox = VecDeque::from([FromWorker::Registered]);
        Worker {
            id,
            outbox,
            entries: BTreeMap::new(),
            tasks: Vec::new(),
            kept: Vec::new(),
            told: false,
            asked: false,
            closing: false,
            minted: 0,
        }
    }

    pub(super) fn say(&mut self, message: FromWorker) {
        self.outbox.push_back(message);
    }

    /// Keeps a call.
    pub(super) fn keep(&mut self, call: TaskSpec) {
        self.kept.push(call);
        if !self.told {
            self.told = true;
            self.say(FromWorker::Keeps);
        }
        if self.asked {
            self.share(1);
        }
    }

    /// Gives up to `most` of the kept calls away.
    pub(super) fn share(&mut self, most: usize) {
        let most = most.min(self.kept.len());
        self.asked &= most == 0;
        for call in self.kept.drain(..most).collect::<Vec<_>>() {
            self.entries.insert(call.id, Entry::default());
            self.say(FromWorker::Spawn(call, None.into()));
        }
    }

    /// Sends the message that a task ends or blocks. Gives away all kept calls before.
    pub(super) fn leave(&mut self, message: FromWorker) {
        self.share(usize::MAX);
        (self.told, self.asked) = (false, false);
        self.say(message);
    }

    pub(super) fn running(&self) -> Option<usize> {
        self.tasks.iter().position(|(_, waits)| !waits)
    }

    pub(super) fn mint(&mut self) -> ObjectId {
        self.minted += 1;
        w(self.id, self.minted)
    }

    /// Returns the objects that the worker could hold: the objects that it was shown and that are
    /// kept alive.
    pub(super) fn in_sight(&self) -> Known {
        let mut seen = Vec::new();
        for (task, _) in &self.tasks {
            for arg in &task.args {
                match arg {
                    Arg::Value(value) => look_into(value, &mut seen),
                    Arg::Object((id, value)) => {
                        seen.push((*id, Some(value.clone())));
                        look_into(value, &mut seen);
                    }
                    Arg::Gather(all) => {
                        for (id, value) in all {
                            seen.push((*id, Some(value.clone())));
                            look_into(value, &mut seen);
                        }
                    }
                }
            }
        }
        self.entries
            .values()
            .filter_map(|entry| entry.value.as_ref())
            .for_each(|value| look_into(value, &mut seen));
        seen
    }

    /// Returns whether the worker's tasks may read a stored array.
    pub(super) fn reads(&self, array: u64) -> bool {
        let seen = self.in_sight().into_iter().chain(self.known());
        seen.filter_map(|(_, value)| value)
            .any(|value| stored(&value).is_some() && number(&value) == array)
    }

    pub(super) fn known(&self) -> Known {
        self.entries
            .iter()
            .map(|(&id, entry)| (id, entry.value.clone()))
            .collect()
    }
}

/// Adds the objects that a value refers to.
pub(super) fn look_into(value: &Value, seen: &mut Known) {
    for attachment in &value.attachments {
        match attachment {
            WireAttachment::InlineArray(_) => {}
            WireAttachment::Array { id, value } => seen.push((*id, Some(value.clone()))),
            WireAttachment::Ref { id } => seen.push((*id, None)),
        }
    }
}
