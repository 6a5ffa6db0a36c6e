//! Tests of ready futures among other tasks.

use std::{
    cell::Cell,
    future::Future,
    pin::pin,
    rc::Rc,
    task::{Context, Waker},
};

use tokio::task::{LocalSet, spawn_local, yield_now};

use super::Rt;
use crate::remote;

#[remote]
fn double(n: u32) -> u32 {
    2 * n
}

/// Runs the work on a thread of tokio beside another task. Returns the steps of the other task.
fn steps_of_another<F: Future<Output = ()>>(work: F) -> u32 {
    let tokio = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let steps = Rc::new(Cell::new(0));
    let other = steps.clone();
    LocalSet::new().block_on(&tokio, async move {
        spawn_local(async move {
            loop {
                other.set(other.get() + 1);
                yield_now().await;
            }
        });
        work.await;
    });
    steps.get()
}

#[test]
fn a_task_that_awaits_what_is_ready_lets_others_run() {
    let _rt = Rt::start();
    let result = double::remote(2).spawn();
    result.wait().unwrap();
    let refs = steps_of_another(async {
        for _ in 0..1_000 {
            assert_eq!((&result).await.unwrap(), 4);
        }
    });
    assert!(refs > 3, "{refs} steps beside 1000 refs");
}

#[test]
fn an_executor_inside_of_a_poll_of_tokio_gets_to_its_end() {
    let _rt = Rt::start();
    let result = double::remote(2).spawn();
    result.wait().unwrap();
    steps_of_another(async {
        futures::executor::block_on(async {
            for _ in 0..1_000 {
                assert_eq!((&result).await.unwrap(), 4);
            }
        });
    });
}

#[test]
fn a_future_that_is_ready_is_so_at_once_outside_of_tokio() {
    let _rt = Rt::start();
    let result = double::remote(3).spawn();
    result.wait().unwrap();
    let mut context = Context::from_waker(Waker::noop());
    for _ in 0..1_000 {
        assert!(pin!(&result).poll(&mut context).is_ready());
    }
}
