//! The runtime as a whole, for its handles.

use std::time::Duration;

use mobula_protocol::{Control, ObjectHandle, Result, Stats, TaskProgress};

use crate::engines::processes::{Driver, workers::no_process};

impl Control for Driver {
    fn name(&self) -> &str {
        &self.config.name
    }

    fn stats(&self) -> Stats {
        let (used_bytes, objects) = self.with(|scheduler, peers| {
            peers.drain_all(scheduler);
            (scheduler.used_bytes(), scheduler.object_count())
        });
        Stats {
            used_bytes,
            objects,
            committed_bytes: self.capacity.used(),
            capacity_bytes: self.capacity.capacity(),
        }
    }

    fn progress(&self, object: &ObjectHandle) -> Option<TaskProgress> {
        if object.outcome().is_some() || mobula_store::is_forked_child() {
            return None;
        }
        self.with(|scheduler, peers| {
            peers.drain_all(scheduler);
            scheduler.progress(object.id())
        })
    }

    fn worker_pids(&self) -> Vec<u32> {
        // Waits for the workers that are started after the start of the runtime, too.
        if !mobula_store::is_forked_child() && !self.monitor.is_this_thread() {
            let mut startup = self.startup.lock();
            while startup.to_come > 0 {
                self.started.wait(&mut startup);
            }
        }
        self.with(|_, peers| {
            let pids = peers.iter_mut().map(|(_, peer)| peer.pid);
            pids.filter(|pid| *pid != no_process::NO_PROCESS).collect()
        })
    }

    fn is_closed(&self) -> bool {
        Driver::is_closed(self)
    }

    fn wait_idle(&self) -> Result<()> {
        Driver::wait_idle(self)
    }

    fn shutdown_after(&self, limit: Duration) -> Result<()> {
        Driver::shutdown_after(self, limit)
    }

    fn shutdown(&self) {
        Driver::shutdown(self);
    }

    fn end(&self) {
        Driver::end(self);
    }
}
