//! The particulars of the inline engine.

use std::sync::{
    OnceLock,
    atomic::{AtomicU32, Ordering},
};

use mobula::{EngineKind, prelude::*};

static RUNS: AtomicU32 = AtomicU32::new(0);
static SET_UP: OnceLock<u32> = OnceLock::new();

fn set_up() {
    SET_UP.set(7).unwrap();
}

mobula::worker_setup!(set_up);

#[remote]
fn run() -> u32 {
    RUNS.fetch_add(1, Ordering::SeqCst)
}

#[remote]
fn from_set_up() -> Option<u32> {
    SET_UP.get().copied()
}

#[remote(retries = 3, retry_errors)]
fn third_time() -> Result<u32, String> {
    static TRIED: AtomicU32 = AtomicU32::new(1);
    match TRIED.fetch_add(1, Ordering::SeqCst) {
        3 => Ok(3),
        time => Err(format!("not at the {time}. time")),
    }
}

#[remote]
fn panics() {
    panic!("a wrong number")
}

#[remote]
fn spawns_its_own(n: u32) -> mobula::Result<u32> {
    let rt = Runtime::current()?;
    assert!(
        rt.wait_idle().unwrap_err().is_usage(),
        "a task waits for all tasks"
    );
    match n {
        0 => Ok(0),
        n => Ok(1 + spawns_its_own::remote(n - 1).spawn().get()?),
    }
}

fn start() -> Runtime {
    super::start(EngineKind::inline())
}

/// No other test runs this function: each has a process of its own or a static of its own.
#[mobula::test]
fn a_call_runs_when_it_is_spawned_and_in_this_process() {
    let rt = start();
    let call = run::remote();
    assert_eq!(RUNS.load(Ordering::SeqCst), 0);
    let object = rt.spawn(call);
    assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    assert_eq!(object.get().unwrap(), 0);
    assert!(rt.worker_pids().is_empty());
}

#[mobula::test]
fn set_up_functions_are_called_once_in_a_process() {
    for _ in 0..2 {
        assert_eq!(start().spawn(from_set_up::remote()).get().unwrap(), Some(7));
    }
}

#[mobula::test]
fn a_function_runs_again_after_errors() {
    assert_eq!(start().spawn(third_time::remote()).get().unwrap(), 3);
}

#[mobula::test]
fn a_panic_is_an_error_with_its_place() {
    let error = start().spawn(panics::remote()).get().unwrap_err();
    assert!(error.is_panic(), "{error}");
    let text = error.to_string();
    assert!(
        text.contains("a wrong number") && text.contains("inline_engine.rs:"),
        "{text}"
    );
}

#[mobula::test]
fn a_call_spawns_calls_on_its_engine() {
    // Two runtimes: a call belongs to that of the task that makes it.
    let (rt, _other) = (start(), start());
    assert_eq!(rt.spawn(spawns_its_own::remote(5)).get().unwrap(), 5);
}

#[mobula::test]
fn nothing_is_left_and_nothing_starts_after_the_end() {
    let rt = start();
    let array = rt.put(&vec![1.0_f64; 10_000]).unwrap();
    assert_eq!(rt.store().object_count(), 1);
    assert!(rt.store().used_bytes() >= 80_000);
    let view = array.view().unwrap();
    drop(array);
    drop(view.to_vec());
    drop(view);
    assert_eq!((rt.store().object_count(), rt.store().used_bytes()), (0, 0));
    let queue = rt.queue::<u32>(1).unwrap();
    let again = rt.clone();
    let waits = std::thread::spawn(move || queue.get());
    while again.store().object_count() < 2 {
        std::thread::yield_now();
    }
    rt.shutdown();
    assert!(waits.join().unwrap().unwrap_err().is_shutdown());
    assert!(again.spawn(run::remote()).get().unwrap_err().is_shutdown());
}

#[mobula::test]
fn an_engine_that_is_not_there_is_named() {
    let error = "thread".parse::<EngineKind>().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("`thread`"),
        "{error}"
    );
    assert_eq!(
        "inline".parse::<EngineKind>().unwrap(),
        EngineKind::inline()
    );
}

#[remote]
fn process() -> u32 {
    std::process::id()
}

#[mobula::test]
fn limits_of_workers_do_nothing_where_there_are_none() {
    let rt = Runtime::builder().engine(EngineKind::inline());
    let rt = rt.max_worker_rss(1 << 20).max_pending(1).start().unwrap();
    let _kept = [(); 3].map(|()| rt.try_spawn(process::remote()).unwrap());
    let pids = rt.map((0..3).map(|_| process::remote().max_calls(1)));
    assert_eq!(pids.get().unwrap(), [std::process::id(); 3]);
}
