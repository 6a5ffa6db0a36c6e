//! Workers that are threads of the program (`EngineKind::threads`): what the conformance suite does
//! not ask for.

use std::{
    process::Stdio,
    sync::{
        Barrier, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use mobula::{Array, CancelOptions, EngineKind, SharedMutex, prelude::*};
use serde::{Deserialize, Serialize};

use crate::{
    nested::fib,
    programs::{CASE, Program},
    support::{eventually, nothing_is_left},
};

/// For what only a hang explains.
const LONG: Duration = Duration::from_secs(60);

fn threads(workers: usize) -> Runtime {
    Runtime::builder()
        .engine(EngineKind::threads())
        .workers(workers)
        .store_capacity(256 << 20)
        .start()
        .unwrap()
}

#[remote]
fn worker() -> Option<u32> {
    mobula::context().worker()
}

/// A barrier that two tasks have to be at, and where they found the elements.
static BOTH: Barrier = Barrier::new(2);

#[remote]
fn address(numbers: &[f64]) -> (u32, usize, Option<u32>) {
    BOTH.wait();
    let worker = mobula::context().worker();
    (std::process::id(), numbers.as_ptr().addr(), worker)
}

// A plain test: this engine needs no `init`.
#[test]
fn two_workers_run_beside_each_other_and_read_the_same_bytes() {
    let rt = threads(2);
    assert!(rt.worker_pids().is_empty());
    let numbers = rt.put(&vec![1.5; 1 << 16]).unwrap();
    let calls = [address::remote(&numbers), address::remote(&numbers)];
    let both = rt.get(rt.spawn_all(calls)).unwrap();
    let (one, other) = (both[0], both[1]);
    assert_eq!((one.0, other.0), (std::process::id(), std::process::id()));
    assert_eq!(one.1, other.1, "an array was copied or mapped twice");
    assert_ne!(one.2, other.2);
    drop(numbers);
    nothing_is_left(&rt);
}

#[remote]
fn filled(elements: usize) -> Vec<u64> {
    vec![7; elements]
}

#[remote]
fn passed_on(numbers: Array<u64>) -> Array<u64> {
    numbers
}

#[mobula::test]
fn arrays_of_tasks_outlive_their_worker_and_their_runtime() {
    let rt = threads(1);
    let first = rt.spawn(filled::remote(1 << 16));
    let passed = rt.spawn(passed_on::remote(&first)).get().unwrap();
    rt.shutdown();
    assert!(passed.len() == 1 << 16 && passed.iter().all(|n| *n == 7));
}

#[mobula::test]
fn tasks_that_wait_for_their_calls_use_up_no_worker() {
    let rt = threads(1);
    assert_eq!(rt.spawn(fib::remote(9)).get_timeout(LONG).unwrap(), 34);
    nothing_is_left(&rt);
}

/// Goes on until it is let go, whether it is wanted or not.
#[remote]
fn hangs(case: usize) {
    HANGING[case].store(1, Ordering::SeqCst);
    while HANGING[case].load(Ordering::SeqCst) != 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    HANGING[case].store(3, Ordering::SeqCst);
}

/// One for each test, which run side by side: 1 while it hangs, 2 when it may end, 3 then.
static HANGING: [AtomicU32; 5] = [const { AtomicU32::new(0) }; 5];

fn is(case: usize, state: u32) -> bool {
    HANGING[case].load(Ordering::SeqCst) == state
}

fn let_go(case: usize) {
    HANGING[case].store(2, Ordering::SeqCst);
    eventually("it has ended", || is(case, 3));
}

#[mobula::test]
fn a_cancelled_task_that_goes_on_loses_its_turn_and_its_worker_goes_on_beside_it() {
    let rt = threads(1);
    let hanging = rt.spawn(hangs::remote(0));
    eventually("it hangs", || is(0, 1));
    let of_it = rt.spawn(worker::remote());
    hanging.cancel_with(CancelOptions::new().grace(Duration::from_millis(1)));
    assert!(hanging.get_timeout(LONG).unwrap_err().is_cancelled());
    let before = of_it.get_timeout(LONG).unwrap();
    assert_eq!(
        rt.spawn(worker::remote()).get_timeout(LONG).unwrap(),
        before
    );
    assert!(is(0, 1), "it was ended");
    // Its worker takes it back, and what it has kept is freed.
    let_go(0);
    drop((hanging, of_it));
    nothing_is_left(&rt);
    assert_eq!(
        rt.spawn(worker::remote()).get_timeout(LONG).unwrap(),
        before
    );
}

#[mobula::test]
fn a_limit_of_time_is_kept() {
    let rt = threads(1);
    let call = hangs::remote(1)
        .timeout(Duration::from_millis(20))
        .grace(Duration::from_millis(1));
    let error = rt.spawn(call).get_timeout(LONG).unwrap_err();
    assert!(error.is_task_timeout(), "{error}");
    rt.spawn(worker::remote()).get_timeout(LONG).unwrap();
    let_go(1);
}

/// Hangs, and then waits for a call.
#[remote]
fn hangs_and_waits() -> mobula::Result<u64> {
    HANGING[2].store(1, Ordering::SeqCst);
    while !is(2, 2) {
        std::thread::sleep(Duration::from_millis(1));
    }
    struct AtEnd;
    impl Drop for AtEnd {
        fn drop(&mut self) {
            HANGING[2].store(3, Ordering::SeqCst);
        }
    }
    let _end = AtEnd;
    fib::remote(3).spawn().get()
}

#[mobula::test]
fn a_task_that_has_lost_its_turn_ends_where_it_waits() {
    let rt = threads(1);
    let hanging = rt.spawn(hangs_and_waits::remote());
    eventually("it hangs", || is(2, 1));
    hanging.cancel_with(CancelOptions::new().grace(Duration::ZERO));
    rt.spawn(worker::remote()).get_timeout(LONG).unwrap();
    let_go(2);
    drop(hanging);
    nothing_is_left(&rt);
    assert_eq!(rt.spawn(fib::remote(5)).get_timeout(LONG).unwrap(), 5);
}

#[mobula::test]
fn the_end_of_the_runtime_leaves_a_task_that_goes_on() {
    let rt = threads(2);
    let hanging = rt.spawn(hangs::remote(3));
    eventually("it hangs", || is(3, 1));
    rt.shutdown();
    assert!(hanging.get().unwrap_err().is_shutdown());
    assert!(is(3, 1));
    let_go(3);
}

#[derive(Serialize, Deserialize)]
struct Values(Vec<u8>);

struct Slow;

static SLOW_IS_DROPPED: AtomicBool = AtomicBool::new(false);

impl Drop for Slow {
    fn drop(&mut self) {
        SLOW_IS_DROPPED.store(true, Ordering::SeqCst);
    }
}

#[remote]
impl Slow {
    fn new() -> Slow {
        Slow
    }

    fn hang(&self) {
        HANGING[4].store(1, Ordering::SeqCst);
        while !is(4, 2) {
            std::thread::sleep(Duration::from_millis(1));
        }
        HANGING[4].store(3, Ordering::SeqCst);
    }

    fn add(&mut self, values: Values) -> usize {
        values.0.len()
    }
}

#[mobula::test]
fn calls_of_a_killed_actor_fail_at_once_and_its_value_is_dropped_behind_its_last_call() {
    let rt = threads(1);
    let actor = rt.spawn_actor(Slow::remote());
    let running = actor.hang().spawn();
    eventually("it hangs", || is(4, 1));
    let waiting = actor.add(Values(vec![1; 100])).spawn();
    ActorRef::kill(&actor);
    for error in [running.get().unwrap_err(), waiting.get().unwrap_err()] {
        assert!(error.is_actor_dead(), "{error}");
    }
    assert!(!SLOW_IS_DROPPED.load(Ordering::SeqCst) && is(4, 1));
    let_go(4);
    eventually("the value is dropped", || {
        SLOW_IS_DROPPED.load(Ordering::SeqCst)
    });
    drop((actor, running, waiting));
    nothing_is_left(&rt);
}

#[remote]
fn panics() {
    panic!("on purpose");
}

#[mobula::test]
fn a_panic_is_an_error_and_ends_nothing_else() {
    let rt = threads(1);
    let before = rt.spawn(worker::remote()).get().unwrap();
    let error = rt.spawn(panics::remote()).get().unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("on purpose"));
    assert_eq!(rt.spawn(worker::remote()).get().unwrap(), before);
}

static KEPT: Mutex<Option<ObjectRef<u64>>> = Mutex::new(None);

#[remote]
fn keeps() {
    *KEPT.lock().unwrap() = Some(fib::remote(4).spawn());
}

#[remote]
fn plus_one(n: u64) -> u64 {
    n + 1
}

#[mobula::test]
fn a_ref_that_came_through_a_static_is_refused_as_an_argument() {
    let rt = threads(1);
    rt.spawn(keeps::remote()).get().unwrap();
    let kept = KEPT.lock().unwrap().take().unwrap();
    assert_eq!(kept.get_timeout(LONG).unwrap(), 3);
    let error = rt.spawn(plus_one::remote(&kept)).get().unwrap_err();
    assert!(error.is_usage(), "{error}");
    drop(kept);
    nothing_is_left(&rt);
}

static OF_PROGRAM: Mutex<Option<ObjectRef<u64>>> = Mutex::new(None);

#[remote]
fn waits_for_the_programs() -> mobula::Result<u64> {
    loop {
        if let Some(of_program) = OF_PROGRAM.lock().unwrap().take() {
            return of_program.get();
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[mobula::test]
fn a_task_that_waits_for_a_ref_of_the_program_gives_its_turn_to_others() {
    let rt = threads(1);
    let waits = rt.spawn(waits_for_the_programs::remote());
    *OF_PROGRAM.lock().unwrap() = Some(rt.spawn(plus_one::remote(1)));
    assert_eq!(waits.get_timeout(LONG).unwrap(), 2);
    drop(waits);
    nothing_is_left(&rt);
}

/// Reads behind the end of its worker.
#[remote]
fn starts_a_thread(numbers: Array<u64>) {
    let (begin, begun) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        begun.recv().unwrap();
        numbers.iter().sum::<u64>()
    });
    let _ = LATER.set(Mutex::new(Some((begin, thread))));
}

type Later = (std::sync::mpsc::Sender<()>, std::thread::JoinHandle<u64>);

static LATER: OnceLock<Mutex<Option<Later>>> = OnceLock::new();

#[mobula::test]
fn an_array_that_a_thread_of_a_task_has_stays_as_it_is() {
    let rt = threads(1);
    let numbers = rt.spawn(filled::remote(1 << 16));
    // `max_calls`: its worker has to end, and has to wait for that with this.
    let call = starts_a_thread::remote(&numbers).max_calls(1);
    rt.spawn(call).get().unwrap();
    drop(numbers);
    for _ in 0..20 {
        rt.spawn(filled::remote(1 << 16).max_calls(1))
            .get()
            .unwrap();
    }
    let (begin, thread) = LATER.get().unwrap().lock().unwrap().take().unwrap();
    begin.send(()).unwrap();
    assert_eq!(thread.join().unwrap(), 7 << 16);
    nothing_is_left(&rt);
}

#[mobula::test]
fn workers_are_replaced_behind_their_last_call() {
    let rt = threads(1);
    let call = || worker::remote().max_calls(1);
    let one = rt.spawn(call()).get_timeout(LONG).unwrap();
    let other = rt.spawn(call()).get_timeout(LONG).unwrap();
    assert!(one.is_some() && other.is_some() && one != other);
}

#[remote]
fn count_up(count: SharedMutex<u64>, times: u32) -> mobula::Result<()> {
    for _ in 0..times {
        *count.lock()? += 1;
    }
    Ok(())
}

#[mobula::test]
fn locks_are_between_workers_too() {
    let rt = threads(2);
    let count = rt.shared_mutex(0_u64).unwrap();
    let calls = (0..8).map(|_| count_up::remote(&count, 500));
    rt.get(rt.spawn_all(calls)).unwrap();
    assert_eq!(*count.lock().unwrap(), 4000);
}

#[mobula::test]
fn several_runtimes_run_side_by_side() {
    let (one, other) = (threads(1), threads(2));
    let calls = |rt: &Runtime| rt.map((0..100).map(plus_one::remote));
    let (ones, others) = (calls(&one), calls(&other));
    let sums = [ones.get().unwrap(), others.get().unwrap()].map(|n| n.iter().sum::<u64>());
    assert_eq!(sums, [5050, 5050]);
    one.shutdown();
    assert_eq!(other.spawn(plus_one::remote(1)).get().unwrap(), 2);
}

/// Checks the line that the program below prints on standard error.
#[mobula::test]
fn a_line_says_that_a_thread_is_left_to_itself() {
    let mut command = Program::command("threads::program", "stand-in");
    let program = command.stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8_lossy(&program.stderr);
    assert!(program.status.success(), "{text}");
    let line = text.lines().find(|line| line.contains("left to itself"));
    let line = line.unwrap_or_else(|| panic!("no such line: {text}"));
    assert!(
        line.contains("`hangs`") && line.contains("cannot be killed"),
        "{line}"
    );
    assert!(
        text.contains("the tasks of 1 of its workers have not"),
        "{text}"
    );
}

#[test]
#[ignore = "a program of other tests"]
fn program() {
    if std::env::var(CASE).is_err() {
        return;
    }
    let rt = threads(1);
    let hanging = rt.spawn(hangs::remote(0));
    eventually("it hangs", || is(0, 1));
    hanging.cancel_with(CancelOptions::new().grace(Duration::ZERO));
    rt.spawn(worker::remote()).get().unwrap();
    // The thread ends with the program.
}

#[test]
fn cancelled_tasks_wait_no_longer_for_locks() {
    crate::cancel::locks::all(&threads(1));
}

#[remote]
fn doubled(number: u64) -> u64 {
    2 * number
}

/// The sum of what a pool of this task doubles, how many workers it has, and whether processes are
/// refused.
#[remote]
fn in_a_pool(numbers: Vec<u64>) -> mobula::Result<(u64, usize, bool)> {
    let engine = EngineKind::threads();
    let pool = Runtime::builder().engine(engine).workers(3).start()?;
    let all = pool.map(numbers.into_iter().map(doubled::remote)).get()?;
    let processes = Runtime::builder().engine(EngineKind::processes()).start();
    let refused = processes.is_err_and(|error| error.is_usage());
    Ok((all.iter().sum(), pool.workers(), refused))
}

#[mobula::test]
fn a_task_may_have_a_pool_of_threads() {
    // The variables are for the program, whose workers inherit them.
    let rt = Runtime::builder()
        .engine(EngineKind::processes())
        .workers(1)
        .worker_env("MOBULA_ENGINE", "inline")
        .worker_env("MOBULA_WORKERS", "7")
        .start()
        .unwrap();
    for _ in 0..3 {
        let numbers: Vec<u64> = (0..1000).collect();
        let found = rt.spawn(in_a_pool::remote(numbers)).get().unwrap();
        assert_eq!(found, (999_000, 3, true));
    }
}
