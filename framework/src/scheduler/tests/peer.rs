//! A worker that behaves well but unpredictably.

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

/// Objects, with their values where the worker has them.
pub(super) type Known = Vec<(ObjectId, Option<Arc<Value>>)>;

/// A worker's handle of an object: at most one for each object.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) value: Option<Arc<Value>>,
    pub(super) watching: bool,
}

pub(super) struct Worker {
    pub(super) id: WorkerId,
    pub(super) outbox: VecDeque<FromWorker>,
    pub(super) entries: BTreeMap<ObjectId, Entry>,
    /// The tasks that it has begun, and whether they wait. At most one does not.
    pub(super) tasks: Vec<(TaskMessage, bool)>,
    /// Calls that it keeps to itself.
    pub(super) kept: Vec<TaskSpec>,
    /// It has told the driver that there are some.
    told: bool,
    /// It was asked for some.
    pub(super) asked: bool,
    /// It was told to end.
    pub(super) closing: bool,
    minted: u64,
}

impl Worker {
    /// A worker that is about to register.
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

    /// Gives some of the calls away.
    pub(super) fn share(&mut self, most: usize) {
        let most = most.min(self.kept.len());
        self.asked &= most == 0;
        for call in self.kept.drain(..most).collect::<Vec<_>>() {
            self.entries.insert(call.id, Entry::default());
            self.say(FromWorker::Spawn(call, None.into()));
        }
    }

    /// A task ends or blocks.
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

    /// What the worker could hold: all that it has been shown and that something keeps.
    pub(super) fn in_sight(&self) -> Known {
        let mut seen = Vec::new();
        for (task, _) in &self.tasks {
            for arg in &task.args {
                match arg {
                    Arg::Value(value) => look_into(value, &mut seen),
                    Arg::Object { id, value } => {
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

    /// Whether the worker's tasks may look at a stored array.
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

/// Adds what a value refers to.
pub(super) fn look_into(value: &Value, seen: &mut Known) {
    for attachment in &value.attachments {
        match attachment {
            WireAttachment::InlineArray(_) => {}
            WireAttachment::Array { id, value } => seen.push((*id, Some(value.clone()))),
            WireAttachment::Ref { id } => seen.push((*id, None)),
        }
    }
}
