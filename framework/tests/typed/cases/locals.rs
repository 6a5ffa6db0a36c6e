//! Values that a worker makes once.

use std::{
    cell::Cell,
    collections::HashMap,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use mobula::{prelude::*, worker_local};

use super::Rt;

/// Not `Sync`.
#[worker_local]
static CALLS: Cell<u32> = Cell::new(0);

/// The worker, or the process where there are no workers, and how often it was called there.
#[remote]
fn count() -> (u32, u32) {
    let calls = CALLS.with(|calls| {
        calls.set(calls.get() + 1);
        calls.get()
    });
    let worker = mobula::context().worker();
    (worker.unwrap_or_else(std::process::id), calls)
}

fn a_worker_has_one_value_for_all_of_its_tasks(rt: &Rt) {
    let mut seen = HashMap::<u32, Vec<u32>>::new();
    let spawned = rt.get(rt.spawn_all((0..50).map(|_| count::remote())));
    let mapped = rt.map((0..50).map(|_| count::remote())).get();
    for (worker, calls) in [spawned.unwrap(), mapped.unwrap()].concat() {
        seen.entry(worker).or_default().push(calls);
    }
    for calls in seen.values_mut() {
        calls.sort_unstable();
        // Another test may call it in the process of the program.
        assert!(calls.windows(2).all(|two| two[0] < two[1]), "{calls:?}");
        let most = usize::try_from(*calls.last().unwrap()).unwrap();
        assert!(most >= calls.len());
    }
}

static TRIES: AtomicU32 = AtomicU32::new(0);

#[worker_local]
static SECOND_TIME: u32 = match TRIES.fetch_add(1, Ordering::SeqCst) {
    0 => panic!("the disk is not there yet"),
    tries => tries,
};

#[remote]
fn second_time() -> (u32, u32) {
    let tries = SECOND_TIME.with(|tries| *tries);
    let worker = mobula::context().worker();
    (worker.unwrap_or_else(std::process::id), tries)
}

fn a_value_whose_making_panics_is_made_again(rt: &Rt) {
    let results: Vec<_> = (0..10)
        .map(|_| rt.spawn(second_time::remote()).get())
        .collect();
    for error in results.iter().filter_map(|result| result.as_ref().err()) {
        assert!(error.is_panic(), "{error}");
        assert!(error.to_string().contains("the disk is not there"));
    }
    assert!(results.iter().filter(|result| result.is_err()).count() <= 2);
    // Workers of one process count together.
    let mut made = HashMap::new();
    for (worker, tries) in results.into_iter().flatten() {
        assert!(tries > 0 && *made.entry(worker).or_insert(tries) == tries);
    }
}

#[worker_local]
static LIST: Vec<u32> = Vec::new();

#[remote]
fn panics_with_the_value() {
    LIST.with(|list| {
        list.push(1);
        panic!("a wrong number");
    })
}

#[remote]
fn uses_it_inside_of_itself() -> usize {
    LIST.with(|_| LIST.with(|list| list.len()))
}

#[remote]
fn push(n: u32) -> u32 {
    LIST.with(|list| {
        list.push(n);
        *list.last().unwrap()
    })
}

fn a_task_that_panics_with_the_value_leaves_it_to_others(rt: &Rt) {
    for n in 0..5 {
        let error = rt.spawn(panics_with_the_value::remote()).get().unwrap_err();
        assert!(error.to_string().contains("a wrong number"), "{error}");
        assert_eq!(rt.spawn(push::remote(n)).get().unwrap(), n);
    }
}

fn a_value_that_is_used_inside_of_its_own_use_is_an_error(rt: &Rt) {
    for n in 0..3 {
        let call = uses_it_inside_of_itself::remote();
        let error = rt.spawn(call).get().unwrap_err();
        assert!(error.is_panic(), "{error}");
        let text = error.to_string();
        assert!(
            text.contains("`LIST`") && text.contains("its own"),
            "{text}"
        );
        assert_eq!(rt.spawn(push::remote(n)).get().unwrap(), n);
    }
}

static IS_MADE: AtomicBool = AtomicBool::new(false);

#[worker_local(eager)]
static EAGER: u32 = {
    IS_MADE.store(true, Ordering::SeqCst);
    7
};

#[remote]
fn is_made() -> (bool, u32) {
    (IS_MADE.load(Ordering::SeqCst), EAGER.with(|seven| *seven))
}

fn an_eager_value_is_made_before_the_first_task(rt: &Rt) {
    for _ in 0..10 {
        assert_eq!(rt.spawn(is_made::remote()).get().unwrap(), (true, 7));
    }
}

#[remote]
fn declares_it_itself() -> u32 {
    #[worker_local]
    static INSIDE: &str = "abc";
    INSIDE.with(|text| text.len() as u32)
}

fn the_function_itself_uses_the_value_of_its_process(rt: &Rt) {
    assert_eq!(push(7), 7);
    assert_eq!(declares_it_itself(), 3);
    assert_eq!(rt.spawn(declares_it_itself::remote()).get().unwrap(), 3);
    assert!(format!("{LIST:?}").contains("LIST"));
}

pub(crate) fn all(rt: &Rt) {
    a_worker_has_one_value_for_all_of_its_tasks(rt);
    a_value_whose_making_panics_is_made_again(rt);
    a_task_that_panics_with_the_value_leaves_it_to_others(rt);
    a_value_that_is_used_inside_of_its_own_use_is_an_error(rt);
    an_eager_value_is_made_before_the_first_task(rt);
    the_function_itself_uses_the_value_of_its_process(rt);
}
