//! A model of the state words.

use loom::thread;

use super::state::{DriverState, State, WorkerState};
use crate::{
    ids::{Attempt, TaskSlot},
    primitive::model::Model,
};

#[test]
fn loom_either_the_worker_starts_or_the_driver_revokes() {
    loom::model(|| {
        let (slot, attempt) = (TaskSlot(0), Attempt(5));
        let state = State::new(Model::new(2, 0), 0, 1, 1);
        let driver = DriverState::new(state.clone());
        let worker = WorkerState::new(state);
        driver.queue(slot, attempt);
        let starts = thread::spawn(move || worker.start(slot, attempt, true));
        let revoked = driver.revoke(slot, attempt);
        let started = starts.join().unwrap();
        assert!(started != revoked);
        assert_eq!(driver.started(slot, attempt), started);
    });
}
