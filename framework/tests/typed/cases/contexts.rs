//! The contexts of tasks.

use mobula::prelude::*;

use super::Rt;

#[remote]
fn about() -> (String, u32, Option<String>) {
    let context = mobula::context();
    assert!(!context.is_cancelled() && context.check_cancelled().is_ok());
    assert_eq!(context.time_left(), None);
    let task = context.task().map(|task| task.to_string());
    assert!(format!("{context:?}").contains("about"));
    (context.to_string(), context.attempt(), task)
}

#[remote]
fn calls_about() -> (String, String, String) {
    let before = mobula::context().to_string();
    let inner = about::remote().spawn().get().unwrap().0;
    (before, inner, mobula::context().to_string())
}

#[remote(retries = 3, retry_errors)]
fn third_time() -> Result<u32, String> {
    match mobula::context().attempt() {
        3 => Ok(3),
        attempt => Err(format!("attempt {attempt}")),
    }
}

#[remote]
fn on_another_thread() -> (bool, bool) {
    let own = mobula::context();
    let there = move || {
        (
            mobula::context().function().is_some(),
            own.function().is_some(),
        )
    };
    std::thread::spawn(there).join().unwrap()
}

pub(crate) fn all(rt: &Rt) {
    let (text, attempt, task) = rt.spawn(about::remote()).get().unwrap();
    assert!(text.starts_with("about, attempt 1 (task "), "{text}");
    assert_eq!(attempt, 1);
    let other = rt.spawn(about::remote()).get().unwrap();
    assert!(task.is_some() && task != other.2, "{task:?}");
    assert_eq!(rt.spawn(third_time::remote()).get().unwrap(), 3);
    // Also of calls that are sent together.
    let calls = (0..20).map(|_| about::remote());
    for (text, ..) in rt.map(calls).get().unwrap() {
        assert!(text.starts_with("about, attempt 1"), "{text}");
        a_task_may_say_how_far_it_is(rt);
    }
    let (before, inner, after) = rt.spawn(calls_about::remote()).get().unwrap();
    assert!(before.starts_with("calls_about"), "{before}");
    assert!(inner.starts_with("about"), "{inner}");
    assert_eq!(before, after);
    let elsewhere = rt.spawn(on_another_thread::remote()).get().unwrap();
    assert_eq!(elsewhere, (false, true));
    let here = mobula::context();
    assert_eq!(here.to_string(), "no task");
    assert_eq!((here.function(), here.attempt()), (None, 0));
    assert_eq!((here.task(), here.worker()), (None, None));
    assert!(!mobula::is_cancelled() && mobula::check_cancelled().is_ok());
}

#[mobula::remote]
fn counts(steps: u64) -> u64 {
    let progress = mobula::context().progress();
    progress.set(0, steps);
    (0..steps).inspect(|_| progress.inc(1)).count() as u64
}

fn a_task_may_say_how_far_it_is(rt: &Rt) {
    for steps in [0, 1, 1_000] {
        let task = rt.spawn(counts::remote(steps));
        assert_eq!(task.get().unwrap(), steps);
        // It has ended.
        assert_eq!(task.progress(), None);
    }
    assert_eq!(rt.put(&1_u64).unwrap().progress(), None);
    // Not in a task.
    mobula::context().progress().set(1, 2);
    mobula::context().progress().inc(1);
}
