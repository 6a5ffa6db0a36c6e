//! The engine by itself, with real processes, under remote functions that are written by hand.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use mobula_protocol::{
    Call, CallArg, Control, Engine, Error, Format, IndexCell, Input, Inputs, ObjectHandle,
    ObjectStore, Payload, Registered, Registry, RemoteFn, Result, Role, TaskOptions,
};
use mobula_store::Block;

use super::{Driver, workers::workforce::Processes};
use crate::config::BuilderOptions;

macro_rules! remote_fn {
    ($name:ident, $run:expr) => {
        static $name: RemoteFn = RemoteFn {
            package: "mobula",
            version: "0",
            module: module_path!(),
            name: stringify!($name),
            file: file!(),
            line: line!(),
            column: column!(),
            signature: "",
            run: $run,
            asynchronous: false,
            role: Role::Function,
            options: TaskOptions::DEFAULT,
            owner: std::any::TypeId::of::<()>,
            index: IndexCell::NEW,
        };
        inventory::submit! { Registered(&$name) }
    };
}

mod unkillable;

fn text(bytes: &[u8]) -> Payload {
    Payload {
        format: Format::Text,
        block: Block::copy_of(bytes, 64),
        attachments: Vec::new(),
    }
}

fn input(inputs: &mut Inputs) -> Result<Payload> {
    match inputs.take()? {
        Input::Value(payload, _) => Ok(payload),
        Input::Gather(_) => Err(Error::internal("one value was expected")),
    }
}

remote_fn!(ECHO, |inputs| input(inputs));
remote_fn!(TWICE, |inputs| {
    let payload = input(inputs)?;
    Ok(text(&payload.block.bytes().repeat(2)))
});
remote_fn!(PANIC, |_| panic!("on purpose"));
remote_fn!(EXIT, |_| {
    eprintln!("last words");
    std::process::exit(3)
});
remote_fn!(PID, |_| Ok(text(std::process::id().to_string().as_bytes())));
remote_fn!(SLOW_PID, |_| {
    std::thread::sleep(Duration::from_millis(2));
    Ok(text(std::process::id().to_string().as_bytes()))
});
remote_fn!(NEST, |inputs| {
    // Puts off the rest of the work to a child, down to depth zero.
    let depth = input(inputs)?;
    let depth: u32 = String::from_utf8_lossy(depth.block.bytes())
        .parse()
        .unwrap();
    if depth == 0 {
        return Ok(text(b"0"));
    }
    let engine = mobula_worker::worker_engine().unwrap().unwrap();
    let child = engine.submit(call(
        &NEST,
        vec![CallArg::Value(text((depth - 1).to_string().as_bytes()))],
    ));
    child.wait(None);
    let below: u32 = String::from_utf8_lossy(child.payload()?.block.bytes())
        .parse()
        .unwrap();
    Ok(text((below + 1).to_string().as_bytes()))
});

fn call(function: &'static RemoteFn, args: Vec<CallArg>) -> Call {
    Call {
        function: Registry::get().unwrap().index_of(function).unwrap(),
        args: args.into(),
        options: None,
        actor: None,
    }
}

fn start(test: &'static str, workers: usize) -> Arc<Driver> {
    crate::init::test_entry(test);
    Driver::start(
        BuilderOptions {
            workers: Some(workers),
            capacity: Some(64 << 20),
            ..BuilderOptions::default()
        }
        .resolve()
        .unwrap(),
        Box::new(Processes),
    )
    .unwrap()
}

fn get(handle: &Arc<ObjectHandle>) -> Result<Vec<u8>> {
    assert!(
        handle.wait(Some(Instant::now() + Duration::from_secs(60))),
        "no answer"
    );
    Ok(handle.payload()?.block.bytes().to_vec())
}

/// Counts may lag behind by the time that a message takes.
fn settles_to_nothing(driver: &Driver) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while driver.stats().used_bytes > 0 || driver.stats().objects > 0 {
        assert!(
            Instant::now() < deadline,
            "{} bytes in {} objects are left",
            driver.stats().used_bytes,
            driver.stats().objects
        );
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn small_and_large_values_go_there_and_back() {
    let driver = start(
        "engines::processes::tests::small_and_large_values_go_there_and_back",
        2,
    );
    for length in [0, 1, 100, 20_000, 300_000, 5_000_000] {
        let bytes: Vec<u8> = (0..length).map(|n| n as u8).collect();
        let handle = driver.submit(call(&ECHO, vec![CallArg::Value(text(&bytes))]));
        assert_eq!(get(&handle).unwrap(), bytes);
        let object = driver.put(text(&bytes)).unwrap();
        let first = driver.submit(call(&TWICE, vec![CallArg::Object(object.clone())]));
        let second = driver.submit(call(&TWICE, vec![CallArg::Object(first.clone())]));
        assert_eq!(get(&second).unwrap(), bytes.repeat(4));
    }
    settles_to_nothing(&driver);
    driver.shutdown();
}

#[test]
fn many_tasks_from_many_threads() {
    let driver = start("engines::processes::tests::many_tasks_from_many_threads", 2);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let driver = &driver;
            scope.spawn(move || {
                for round in 0..20 {
                    let handles: Vec<_> = (0..100)
                        .map(|n| {
                            let arg = text(format!("{thread}.{round}.{n}").as_bytes());
                            driver.submit(call(&ECHO, vec![CallArg::Value(arg)]))
                        })
                        .collect();
                    for (n, handle) in handles.iter().enumerate() {
                        assert_eq!(
                            get(handle).unwrap(),
                            format!("{thread}.{round}.{n}").as_bytes()
                        );
                    }
                }
            });
        }
    });
    settles_to_nothing(&driver);
    driver.shutdown();
}

#[test]
fn panics_and_deaths_are_errors_and_the_pool_goes_on() {
    let driver = start(
        "engines::processes::tests::panics_and_deaths_are_errors_and_the_pool_goes_on",
        1,
    );
    let error = get(&driver.submit(call(&PANIC, vec![]))).unwrap_err();
    assert!(
        error.is_panic() && error.to_string().contains("on purpose"),
        "{error}"
    );
    let before = get(&driver.submit(call(&PID, vec![]))).unwrap();
    let error = get(&driver.submit(call(&EXIT, vec![]))).unwrap_err();
    assert!(error.is_crash(), "{error}");
    assert!(
        error.to_string().contains("exit code 3") && error.to_string().contains("last words"),
        "{error}"
    );
    let after = get(&driver.submit(call(&PID, vec![]))).unwrap();
    assert_ne!(before, after);
    settles_to_nothing(&driver);
    driver.shutdown();
}

#[test]
fn recursion_on_one_worker_ends() {
    let driver = start("engines::processes::tests::recursion_on_one_worker_ends", 1);
    let handle = driver.submit(call(&NEST, vec![CallArg::Value(text(b"30"))]));
    assert_eq!(get(&handle).unwrap(), b"30");
    drop(handle);
    settles_to_nothing(&driver);
    driver.shutdown();
}

#[test]
fn the_whole_pool_comes_up_after_the_first_worker() {
    let driver = start(
        "engines::processes::tests::the_whole_pool_comes_up_after_the_first_worker",
        8,
    );
    let pids: HashSet<u32> = driver.worker_pids().into_iter().collect();
    assert_eq!(pids.len(), 8);
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut seen = HashSet::new();
    while seen != pids {
        assert!(Instant::now() < deadline, "{seen:?} of {pids:?} take tasks");
        let tasks: Vec<_> = (0..64)
            .map(|_| driver.submit(call(&SLOW_PID, vec![])))
            .collect();
        seen.extend(tasks.iter().map(|task| -> u32 {
            let text = String::from_utf8(get(task).unwrap()).unwrap();
            text.parse().unwrap()
        }));
    }
    driver.shutdown();
}

/// The children of this process that run this test.
fn children(test: &str) -> usize {
    let of_this_test = |pid: &str| {
        std::fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.contains(test))
    };
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).ok())
        .map(|list| list.split(' ').filter(|pid| of_this_test(pid)).count())
        .sum()
}

#[test]
fn an_end_while_workers_are_being_started_leaves_none() {
    let test = "engines::processes::tests::an_end_while_workers_are_being_started_leaves_none";
    for round in 0..10 {
        let driver = start(test, 12);
        // At different moments of the start.
        std::thread::sleep(Duration::from_micros(500 * round));
        driver.shutdown();
        assert_eq!(children(test), 0);
        assert!(driver.worker_pids().is_empty());
    }
}

#[test]
fn workers_that_die_at_once_are_not_replaced_without_pause() {
    let driver = start(
        "engines::processes::tests::workers_that_die_at_once_are_not_replaced_without_pause",
        1,
    );
    let begin = Instant::now();
    for _ in 0..10 {
        let error = get(&driver.submit(call(&EXIT, vec![]))).unwrap_err();
        assert!(error.is_crash(), "{error}");
    }
    // Behind the fourth death 10 ms, behind the fifth 20 ms, ..
    assert!(
        begin.elapsed() >= Duration::from_millis(10 + 20 + 30 + 40 + 50 + 60),
        "{:?}",
        begin.elapsed()
    );
    driver.shutdown();
}
