//! Calls of tasks that the worker keeps and that their task runs, or that others run.

use std::time::Duration;

use mobula::prelude::*;

use crate::support::{Marks, eventually, mark, nothing_is_left, runtime};

#[remote]
pub(crate) fn fib(n: u64) -> mobula::Result<u64> {
    if n < 2 {
        return Ok(n);
    }
    let (one, two) = (fib::remote(n - 1).spawn(), fib::remote(n - 2).spawn());
    Ok(one.get()? + two.get()?)
}

#[mobula::test]
fn recursion_has_the_right_result() {
    for workers in [1, 2, 3] {
        let rt = runtime(workers);
        assert_eq!(rt.spawn(fib::remote(16)).get().unwrap(), 987);
        nothing_is_left(&rt);
    }
}

/// How deep it is below this task.
#[remote]
fn depth(n: u64) -> mobula::Result<u64> {
    match n {
        0 => Ok(0),
        _ => Ok(1 + depth::remote(n - 1).spawn().get()?),
    }
}

/// Beyond what one stack has room for, calls go to the driver.
#[mobula::test]
fn recursion_is_deeper_than_a_stack() {
    #[remote]
    fn large(n: u64) -> mobula::Result<u64> {
        let frame = std::hint::black_box([n; 64 << 10]);
        match n {
            0 => Ok(0),
            _ => Ok(1 + large::remote(n - 1).spawn().get()? + (frame[7] - n)),
        }
    }

    let rt = runtime(1);
    assert_eq!(rt.spawn(large::remote(100)).get().unwrap(), 100);
    assert_eq!(rt.spawn(depth::remote(300)).get().unwrap(), 300);
    nothing_is_left(&rt);
}

#[remote]
fn double(n: u64) -> u64 {
    2 * n
}

#[remote]
fn pid() -> u32 {
    std::process::id()
}

#[remote]
fn task_and_function() -> (String, String, u32, Option<u32>) {
    let context = mobula::context();
    let task = context.task().unwrap().to_string();
    let function = context.function().unwrap().to_owned();
    (task, function, context.attempt(), context.worker())
}

/// Two workers that both take tasks.
fn two_workers() -> Runtime {
    let rt = runtime(2);
    let marks = Marks::new();
    let calls = [0; 2].map(|_| rt.spawn(meets_another::remote(marks.path())));
    rt.get(&calls).unwrap();
    rt
}

type Facts = (String, String, u32, Option<u32>);

/// The facts before, within and after a call.
#[remote]
fn facts_around() -> mobula::Result<[Facts; 3]> {
    let own = || {
        let context = mobula::context();
        let task = context.task().unwrap().to_string();
        let function = context.function().unwrap().to_owned();
        (task, function, context.attempt(), context.worker())
    };
    let before = own();
    let within = task_and_function::remote().spawn().get()?;
    Ok([before, within, own()])
}

#[mobula::test]
fn a_call_within_its_caller_has_a_context_of_its_own() {
    let rt = runtime(1);
    let [before, within, after] = rt.spawn(facts_around::remote()).get().unwrap();
    assert_eq!(before, after);
    assert_eq!(
        (&*before.1, &*within.1),
        ("facts_around", "task_and_function")
    );
    assert_ne!(before.0, within.0);
    assert_eq!((within.2, within.3), (1, Some(1)));
}

#[remote]
fn thread() -> String {
    format!("{:?}", std::thread::current().id())
}

/// Whether each of its calls runs on its own thread.
#[remote]
fn one_by_one(count: u64) -> mobula::Result<bool> {
    let own = format!("{:?}", std::thread::current().id());
    let mut here = true;
    for _ in 0..count {
        here &= thread::remote().spawn().get()? == own;
    }
    Ok(here)
}

#[mobula::test]
fn a_call_that_is_waited_for_at_once_runs_within_its_caller() {
    let rt = runtime(1);
    assert!(rt.spawn(one_by_one::remote(1000)).get().unwrap());
}

#[remote]
fn returns_refs(count: u64) -> Vec<ObjectRef<u64>> {
    (0..count).map(|n| double::remote(n).spawn()).collect()
}

#[mobula::test]
fn kept_calls_whose_refs_are_returned_run() {
    for workers in [1, 2] {
        let rt = runtime(workers);
        let refs = rt.spawn(returns_refs::remote(10_000)).get().unwrap();
        let values = rt.get(&refs).unwrap();
        assert!(values.iter().zip(0..).all(|(value, n)| *value == 2 * n));
        drop((refs, values));
        nothing_is_left(&rt);
    }
}

#[remote]
fn sum(numbers: Vec<u64>) -> u64 {
    numbers.iter().sum()
}

#[remote]
fn reads(number: ObjectRef<u64>) -> mobula::Result<u64> {
    number.get()
}

/// Passes on refs of calls that no thread has begun, and of calls that have ended.
#[remote]
fn passes_on() -> mobula::Result<Vec<u64>> {
    let (new, ended) = (double::remote(4).spawn(), double::remote(5).spawn());
    ended.get()?;
    let by_value = double::remote(&new).spawn();
    let by_ref = reads::remote(&ended).spawn();
    let all = sum::remote(&vec![new.clone(), ended.clone()]).spawn();
    Ok(vec![by_value.get()?, by_ref.get()?, all.get()?])
}

#[mobula::test]
fn a_kept_calls_ref_is_passed_to_other_tasks() {
    for workers in [1, 2] {
        let rt = runtime(workers);
        assert_eq!(rt.spawn(passes_on::remote()).get().unwrap(), [16, 10, 18]);
        nothing_is_left(&rt);
    }
}

#[remote]
fn fails(n: u64) -> Result<u64, String> {
    Err(format!("no {n}"))
}

#[remote]
fn panics() {
    panic!("as it was told");
}

/// A failure that has ended here, as the argument of a task.
#[remote]
fn passes_on_a_failure() -> mobula::Result<u64> {
    let failed = fails::remote(7).spawn();
    let _ = failed.get();
    double::remote(&failed).spawn().get()
}

#[remote]
fn meets_failures() -> Vec<String> {
    let failed = fails::remote(3).spawn().get().unwrap_err();
    let panicked = panics::remote().spawn().get().unwrap_err();
    assert!(panicked.is_panic());
    [failed, panicked].map(|error| format!("{error:#}")).into()
}

#[mobula::test]
fn a_failure_within_its_caller_has_its_cause() {
    let rt = runtime(1);
    let [failed, panicked] = rt
        .spawn(meets_failures::remote())
        .get()
        .unwrap()
        .try_into()
        .unwrap();
    assert!(
        failed.contains("fails") && failed.contains("no 3"),
        "{failed}"
    );
    assert!(
        panicked.contains("`panics` panicked at") && panicked.contains("as it was told"),
        "{panicked}"
    );
    let error = rt.spawn(passes_on_a_failure::remote()).get().unwrap_err();
    assert!(format!("{error:?}").contains("no 7"), "{error:?}");
    nothing_is_left(&rt);
}

#[remote]
fn large_array(len: u64) -> Vec<u64> {
    (0..len).collect()
}

#[remote]
fn total(numbers: &[u64]) -> u64 {
    numbers.iter().sum()
}

/// Results that lie in the store, and arguments that do.
#[remote]
fn large_values() -> mobula::Result<(u64, ObjectRef<Vec<u64>>)> {
    let array = large_array::remote(100_000).spawn();
    let sum: u64 = array.get()?.iter().sum();
    let other = total::remote(&array).spawn().get()?;
    assert_eq!(sum, other);
    Ok((sum, array))
}

#[mobula::test]
fn large_values_pass_between_a_task_and_calls_within_it() {
    for workers in [1, 2] {
        let rt = runtime(workers);
        let (sum, array) = rt.spawn(large_values::remote()).get().unwrap();
        let values = array.get().unwrap();
        assert_eq!(values.iter().sum::<u64>(), sum);
        drop((array, values));
        nothing_is_left(&rt);
    }
}

/// Ends when two have come.
#[remote]
fn meets_another(path: &str) {
    mark(path);
    eventually("two have come", || {
        std::fs::metadata(path).unwrap().len() >= 2
    });
}

#[remote]
fn calls_that_meet(path: &str, count: u64) -> mobula::Result<()> {
    let calls = (0..count).map(|_| meets_another::remote(path).spawn());
    let calls: Vec<_> = calls.collect();
    calls.into_iter().try_for_each(|call| call.get())
}

#[mobula::test]
fn an_idle_worker_gets_the_calls_of_a_task_that_waits_for_them() {
    let marks = Marks::new();
    let rt = two_workers();
    for _ in 0..20 {
        std::fs::write(marks.path(), "").unwrap();
        rt.spawn(calls_that_meet::remote(marks.path(), 4))
            .get()
            .unwrap();
    }
    nothing_is_left(&rt);
}

/// Waits for a call that another worker runs, without the engine.
#[remote]
fn computes_after_its_calls(path: &str, count: u64) -> mobula::Result<bool> {
    let calls: Vec<_> = (0..count).map(|_| mark_pid::remote(path).spawn()).collect();
    eventually("its calls have run elsewhere", || {
        std::fs::metadata(path).unwrap().len() >= count
    });
    let own = std::process::id();
    let pids: Vec<u32> = calls
        .iter()
        .map(|call| call.get())
        .collect::<mobula::Result<_>>()?;
    Ok(pids.into_iter().all(|pid| pid != own))
}

#[remote]
fn mark_pid(path: &str) -> u32 {
    mark(path);
    std::process::id()
}

#[mobula::test]
fn an_idle_worker_runs_the_calls_of_a_task_that_computes() {
    let rt = two_workers();
    for count in [1, 2, 3, 100] {
        let marks = Marks::new();
        let elsewhere = rt.spawn(computes_after_its_calls::remote(marks.path(), count));
        assert!(elsewhere.get().unwrap());
    }
}

/// Leaves calls behind whose results are not awaited.
#[remote]
fn leaves_calls(path: &str, count: u64) {
    let mut kept = Vec::new();
    for n in 0..count {
        let call = mark_pid::remote(path).spawn();
        if n % 2 == 0 {
            kept.push(call);
        }
    }
}

#[mobula::test]
fn calls_that_nobody_waits_for_run() {
    for workers in [1, 2] {
        let marks = Marks::new();
        let rt = runtime(workers);
        rt.spawn(leaves_calls::remote(marks.path(), 10))
            .get()
            .unwrap();
        eventually("all have run", || marks.count() == 10);
        nothing_is_left(&rt);
    }
}

/// Has calls that wait for others, which may come later only.
#[remote]
fn waits_in_time(path: &str) -> mobula::Result<u64> {
    let slow = sleeps_until_marked::remote(path).spawn();
    // The wait has a limit, so the call must not run within it.
    let early = slow.get_timeout(Duration::from_millis(50));
    assert!(early.is_err_and(|error| error.is_timeout()));
    mark(path);
    slow.get()
}

#[remote]
fn sleeps_until_marked(path: &str) -> u64 {
    eventually("the caller goes on", || {
        std::fs::metadata(path).unwrap().len() >= 1
    });
    7
}

#[mobula::test]
fn a_wait_with_a_limit_ends_in_time() {
    let marks = Marks::new();
    let rt = two_workers();
    let waits = rt.spawn(waits_in_time::remote(marks.path()));
    assert_eq!(waits.get().unwrap(), 7);
}

#[remote]
fn keeps_and_spins(begun: &str, children: &str) -> mobula::Result<()> {
    let _calls: Vec<_> = (0..10)
        .map(|_| mark_pid::remote(children).spawn())
        .collect();
    mark(begun);
    loop {
        mobula::check_cancelled()?;
        std::hint::spin_loop();
    }
}

#[mobula::test]
fn kept_calls_of_a_cancelled_task_never_run() {
    let (begun, children) = (Marks::new(), Marks::new());
    // With one worker, no idle worker could run the calls before.
    let rt = runtime(1);
    let running = rt.spawn(keeps_and_spins::remote(begun.path(), children.path()));
    eventually("it has made its calls", || begun.count() == 1);
    running.cancel();
    assert!(running.get().unwrap_err().is_cancelled());
    drop(running);
    rt.spawn(pid::remote()).get().unwrap();
    nothing_is_left(&rt);
    assert_eq!(children.count(), 0);
}

#[mobula::test]
fn kept_calls_of_a_task_that_is_cancelled_alone_run() {
    let (begun, children) = (Marks::new(), Marks::new());
    let rt = runtime(1);
    let running = rt.spawn(keeps_and_spins::remote(begun.path(), children.path()));
    eventually("it has made its calls", || begun.count() == 1);
    running.cancel_with(mobula::CancelOptions::new().recursive(false));
    assert!(running.get().unwrap_err().is_cancelled());
    drop(running);
    eventually("they have run", || children.count() == 10);
    nothing_is_left(&rt);
}

/// A call that is cancelled before its caller waits for it.
#[remote]
fn cancels_its_call(path: &str) -> bool {
    let call = mark_pid::remote(path).spawn();
    call.cancel();
    call.get().is_err_and(|error| error.is_cancelled())
}

#[mobula::test]
fn a_kept_call_that_its_caller_cancels_never_runs() {
    let marks = Marks::new();
    let rt = runtime(1);
    assert!(
        rt.spawn(cancels_its_call::remote(marks.path()))
            .get()
            .unwrap()
    );
    assert_eq!(marks.count(), 0);
    nothing_is_left(&rt);
}

#[remote]
fn check_until_cancelled(path: &str) -> mobula::Result<()> {
    mark(path);
    loop {
        mobula::check_cancelled()?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Says when it goes on after its call, which it should not.
#[remote]
fn waits_within(path: &str) -> mobula::Result<()> {
    let _ = check_until_cancelled::remote(path).spawn().get();
    mark(path);
    Ok(())
}

#[mobula::test]
fn a_call_within_its_caller_is_cancelled_with_it_and_ends_it() {
    let marks = Marks::new();
    let rt = runtime(1);
    let running = rt.spawn(waits_within::remote(marks.path()));
    eventually("the call runs", || marks.count() == 1);
    running.cancel();
    assert!(running.get().unwrap_err().is_cancelled());
    drop(running);
    rt.spawn(pid::remote()).get().unwrap();
    nothing_is_left(&rt);
    assert_eq!(marks.count(), 1);
}

/// Dies the first time, with calls that no thread has begun and a call that runs within it.
#[remote(retries = 1)]
fn dies_with_calls(path: &str) -> mobula::Result<u64> {
    let calls: Vec<_> = (0..50).map(|n| double::remote(n).spawn()).collect();
    if mark(path) == 1 {
        kills_its_process::remote().spawn().get()?;
    }
    calls.iter().map(|call| call.get()).sum()
}

#[remote]
fn kills_its_process() {
    std::process::abort();
}

#[mobula::test]
fn a_task_runs_again_whose_worker_dies_with_kept_calls() {
    for workers in [1, 2] {
        let marks = Marks::new();
        let rt = runtime(workers);
        let sum = rt.spawn(dies_with_calls::remote(marks.path())).get();
        assert_eq!(sum.unwrap(), 2450);
        assert_eq!(marks.count(), 2);
        nothing_is_left(&rt);
    }
}

#[mobula::worker_local]
static CALLS: u64 = 0;

#[remote]
fn counts() -> u64 {
    CALLS.with(|calls| {
        *calls += 1;
        *calls
    })
}

/// Waits for a call that uses the value which it has itself, on another worker.
#[remote]
fn waits_with_a_value() -> mobula::Result<u64> {
    CALLS.with(|_| counts::remote().spawn().get())
}

#[mobula::test]
fn no_call_runs_within_a_task_that_has_a_workers_value() {
    let rt = two_workers();
    for _ in 0..20 {
        let waits = rt.spawn(waits_with_a_value::remote());
        assert!(waits.get().unwrap() > 0);
    }
}

/// Two branches, of which one makes the other go on.
#[remote]
async fn awaits_two(path: String) -> mobula::Result<u64> {
    let slow = sleeps_until_marked::remote(&path).spawn();
    let other = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        mark(&path);
    };
    let (slow, ()) = futures_join(slow, other).await;
    slow
}

async fn futures_join<A: Future, B: Future>(a: A, b: B) -> (A::Output, B::Output) {
    tokio::join!(a, b)
}

#[mobula::test]
fn an_asynchronous_task_polls_its_other_branches() {
    let marks = Marks::new();
    let rt = two_workers();
    let awaits = rt.spawn(awaits_two::remote(marks.path().to_owned()));
    assert_eq!(awaits.get().unwrap(), 7);
}

/// Waits for its calls on a thread of its own.
#[remote]
fn waits_elsewhere(count: u64) -> mobula::Result<u64> {
    let calls: Vec<_> = (0..count).map(|n| double::remote(n).spawn()).collect();
    let calls = &calls;
    std::thread::scope(|scope| {
        let waits = scope
            .spawn(move || -> mobula::Result<u64> { calls.iter().map(|call| call.get()).sum() });
        waits.join().unwrap()
    })
}

#[mobula::test]
fn a_thread_of_a_task_waits_for_its_calls() {
    let rt = two_workers();
    assert_eq!(rt.spawn(waits_elsewhere::remote(20)).get().unwrap(), 380);
}
