//! The titles of workers in `ps` and `top`: the functions that they run.
//!
//! The monitor looks twice a second while tasks are under way. It tells a worker whose function has
//! changed since the last look. So a task pays nothing for its title, and short tasks mostly do not
//! show.

use mobula_protocol::message::ToWorker;

use super::watched::Watched;
use crate::{engines::processes::Driver, scheduler::Host};

impl Driver {
    /// Has workers show the functions that they run. Returns whether any worker shows a function.
    pub(in crate::engines::processes) fn show_functions(&self, workers: &mut [Watched]) -> bool {
        self.with(|scheduler, peers| {
            let ready = workers.iter_mut().filter(|worker| worker.is_registered());
            for worker in ready {
                let runs = scheduler.has_tasks(worker.id);
                let peer = peers.get(worker.id);
                let function = peer.and_then(|peer| peer.end.state.function());
                let function = function.filter(|_| runs);
                if worker.signs.shown != function {
                    worker.signs.shown = function;
                    peers.send(worker.id, ToWorker::Title(function));
                }
            }
        });
        workers.iter().any(|worker| worker.signs.shown.is_some())
    }
}
