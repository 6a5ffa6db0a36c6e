//! Calls that need more than a worker.

use std::time::Duration;

use mobula::{Pin, prelude::*};

use crate::support::{Marks, eventually, mark, runtime};

/// Runs until there are so many marks at `held`, of which it makes none. Says how many ran with it
/// at most, as far as it saw.
#[remote]
fn holds(running: &str, held: &str, until: u64) -> u64 {
    mark(running);
    let count = |path: &str| std::fs::metadata(path).map_or(0, |file| file.len());
    while count(held) < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    count(running)
}

#[remote(num_cpus = 2)]
fn holds_two(running: &str, held: &str, until: u64) {
    holds(running, held, until);
}

#[remote(num_cpus = 0.25, resources(gpu = 1, "disk" = 0.5), memory = 1 << 20)]
fn needs_all() -> u32 {
    7
}

#[remote(num_cpus = 2)]
fn sums(numbers: Vec<u64>) -> u64 {
    let calls = numbers.iter().map(|n| twice::remote(*n).num_cpus(2));
    let twice: Vec<_> = calls.map(UnspawnedCall::spawn).collect();
    twice.into_iter().map(|n| n.get().unwrap()).sum()
}

#[remote]
fn twice(n: u64) -> u64 {
    2 * n
}

#[remote(resources(gpu = 1), retries = 1)]
fn dies() {
    std::process::abort();
}

#[remote(resources(gpu = 1))]
fn panics() {
    panic!("on purpose");
}

#[remote(resources(gpu = 1))]
fn fails() -> Result<(), String> {
    Err("on purpose".to_owned())
}

#[remote(resources(gpu = 1))]
fn never_ends() {
    loop {
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[remote(resources(gpu = 1))]
async fn sleeps(n: u64) -> u64 {
    tokio::time::sleep(Duration::from_millis(2)).await;
    n
}

fn with_gpu(workers: usize, units: u32) -> Runtime {
    let builder = Runtime::builder().workers(workers);
    builder
        .store_capacity(64 << 20)
        .resource("gpu", units)
        .start()
        .unwrap()
}

#[mobula::test]
fn a_call_with_two_cores_leaves_room_for_two_plain_ones_on_four_workers() {
    let rt = runtime(4);
    let (running, held) = (Marks::new(), Marks::new());
    let big = rt.spawn(holds_two::remote(running.path(), held.path(), 1));
    eventually("the big call runs", || running.count() == 1);
    let plain = rt.spawn_all((0..20).map(|_| holds::remote(running.path(), held.path(), 1)));
    eventually("two plain ones run", || running.count() == 3);
    // A fifth of these could begin only now.
    let quick = rt.spawn(twice::remote(4).num_cpus(1).priority(5));
    let waited = quick.wait_timeout(Duration::from_millis(50));
    assert!(waited.unwrap_err().is_timeout());
    assert_eq!(running.count(), 3);
    mark(held.path());
    assert_eq!(quick.get().unwrap(), 8);
    big.get().unwrap();
    for call in plain {
        call.get().unwrap();
    }
}

#[mobula::test]
fn quarters_of_a_core_run_beside_each_other() {
    let rt = Runtime::builder()
        .workers(6)
        .num_cpus(1)
        .store_capacity(64 << 20);
    let rt = rt.start().unwrap();
    let (running, held) = (Marks::new(), Marks::new());
    let call = || holds::remote(running.path(), held.path(), 1).num_cpus(0.25);
    let calls = rt.spawn_all((0..6).map(|_| call()));
    eventually("four of them run", || running.count() == 4);
    let plain = rt.spawn(twice::remote(1));
    let waited = plain.wait_timeout(Duration::from_millis(50));
    assert!(waited.unwrap_err().is_timeout());
    assert_eq!(running.count(), 4);
    mark(held.path());
    for call in calls {
        assert!(call.get().unwrap() >= 4);
    }
    assert_eq!(plain.get().unwrap(), 2);
}

#[mobula::test]
fn calls_with_all_kinds_of_resources_run_and_leave_nothing_behind() {
    let builder = Runtime::builder().workers(2).store_capacity(64 << 20);
    let builder = builder
        .resource("gpu", 2)
        .resource("disk", 1)
        .memory(1 << 20);
    let rt = builder.start().unwrap();
    let calls = rt.spawn_all((0..500).map(|_| needs_all::remote()));
    for call in calls {
        assert_eq!(call.get().unwrap(), 7);
    }
    let mapped = rt
        .map((0..500).map(|n| twice::remote(n).resource("gpu", 2)))
        .get();
    assert_eq!(mapped.unwrap().len(), 500);
    // All of it is there.
    let all = needs_all::remote()
        .num_cpus(2)
        .resource("gpu", 2)
        .resource("disk", 1);
    assert_eq!(rt.spawn(all).get().unwrap(), 7);
}

#[mobula::test]
fn a_call_that_waits_for_calls_gives_them_its_cores() {
    let rt = runtime(2);
    let sums = rt.spawn_all((0..10).map(|_| sums::remote(vec![1, 2, 3])));
    for sum in sums {
        assert_eq!(sum.get().unwrap(), 12);
    }
}

#[mobula::test]
fn an_asynchronous_call_keeps_its_unit_while_it_sleeps() {
    let rt = with_gpu(2, 1);
    let calls = rt.spawn_all((0..20).map(sleeps::remote));
    let sum: u64 = calls.into_iter().map(|call| call.get().unwrap()).sum();
    assert_eq!(sum, 190);
}

#[mobula::test]
fn units_come_back_from_calls_that_die_panic_fail_or_are_cancelled() {
    let rt = with_gpu(2, 1);
    for round in 0..3 {
        assert!(
            rt.spawn(dies::remote()).get().unwrap_err().is_crash(),
            "{round}"
        );
        assert!(rt.spawn(panics::remote()).get().unwrap_err().is_panic());
        assert!(rt.spawn(fails::remote()).get().is_err());
        let endless = rt.spawn(never_ends::remote().grace(Duration::ZERO));
        let queued = rt.spawn(never_ends::remote());
        queued.cancel();
        endless.cancel();
        assert!(queued.get().unwrap_err().is_cancelled());
        let limit = Duration::from_millis(5);
        let slow = never_ends::remote().timeout(limit).grace(Duration::ZERO);
        assert!(rt.spawn(slow).get().unwrap_err().is_task_timeout());
        let deadline = never_ends::remote().deadline(limit).grace(Duration::ZERO);
        assert!(rt.spawn(deadline).get().unwrap_err().is_task_timeout());
    }
    assert_eq!(rt.spawn(sleeps::remote(5)).get().unwrap(), 5);
}

#[mobula::test]
fn the_end_of_a_runtime_does_not_wait_for_resources() {
    let rt = with_gpu(1, 1);
    let endless = rt.spawn(never_ends::remote());
    let waits = rt.spawn(sleeps::remote(1));
    rt.shutdown();
    assert!(endless.get().unwrap_err().is_shutdown());
    assert!(waits.get().unwrap_err().is_shutdown());
}

#[mobula::test]
fn calls_of_tasks_are_checked_as_those_of_the_driver() {
    let rt = with_gpu(1, 1);
    let error = rt.spawn(asks_too_much::remote()).get().unwrap();
    assert!(
        error.contains("could never run") && error.contains("`gpu`"),
        "{error}"
    );
}

#[remote]
fn asks_too_much() -> String {
    let call = twice::remote(1).resource("gpu", 2).spawn();
    call.get().unwrap_err().to_string()
}

#[mobula::test]
fn wrong_totals_are_errors_of_the_start() {
    let builder = || Runtime::builder().workers(1).store_capacity(64 << 20);
    for (builder, part) in [
        (builder().num_cpus(0.5), "0.5"),
        (builder().num_cpus(f64::NAN), "NaN"),
        (builder().num_cpus(f64::INFINITY), "inf"),
        (builder().num_cpus(-1), "-1"),
        (builder().memory(0), "above 0"),
        (builder().resource("gpu", 0), "`gpu`"),
        (builder().resource("", 1), "cannot be called"),
        (builder().resource("num_cpus", 1), "`Builder::num_cpus`"),
    ] {
        let error = builder.start().unwrap_err();
        assert!(
            error.is_usage() && error.to_string().contains(part),
            "{error}"
        );
    }
}

#[remote(resources(gpu = 1))]
fn own_unit(running: &str, held: &str, until: u64) -> (Vec<u32>, Vec<u32>, String) {
    holds(running, held, until);
    let context = mobula::context();
    let there = std::thread::spawn(move || context.units("gpu"));
    let mut program = std::process::Command::new("sh");
    program.args(["-c", "printf %s \"$CUDA_VISIBLE_DEVICES\""]);
    let output = program
        .envs(mobula::context().variables())
        .output()
        .unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    (mobula::context().units("gpu"), there.join().unwrap(), told)
}

#[remote]
fn no_units() -> (Vec<u32>, usize) {
    let context = mobula::context();
    (context.units("gpu"), context.variables().len())
}

#[mobula::test]
fn a_task_knows_which_units_it_has_and_tells_the_programs_that_it_starts() {
    let rt = with_gpu(2, 2);
    let (running, held) = (Marks::new(), Marks::new());
    let call = || own_unit::remote(running.path(), held.path(), 1);
    let calls = [call().spawn(), call().spawn()];
    eventually("both run", || running.count() == 2);
    mark(held.path());
    let mut units = Vec::new();
    for call in calls {
        let (own, there, told) = call.get().unwrap();
        assert_eq!(own, there);
        assert_eq!(told, own[0].to_string());
        units.extend(own);
    }
    units.sort_unstable();
    assert_eq!(units, [0, 1]);
    let both = rt.spawn(call().resource("gpu", 2)).get().unwrap();
    assert_eq!((both.0, &*both.2), (vec![0, 1], "0,1"));
    // Also in a map, whose calls share tasks.
    for (own, ..) in rt.map((0..20).map(|_| call())).get().unwrap() {
        assert_eq!(own.len(), 1);
    }
    // The next task does not have the units of the last one.
    for _ in 0..4 {
        assert_eq!(rt.spawn(no_units::remote()).get().unwrap(), (vec![], 0));
    }
    assert!(mobula::context().units("gpu").is_empty());
}

#[remote]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

#[mobula::test]
fn libraries_in_workers_start_as_many_threads_as_there_are_cores_for_each() {
    let cores = std::thread::available_parallelism().unwrap().get();
    for workers in [1, cores + 1] {
        let builder = Runtime::builder().workers(workers).store_capacity(64 << 20);
        let rt = builder.worker_env("MKL_NUM_THREADS", "17").start().unwrap();
        let of = |name: &str| rt.spawn(variable::remote(name)).get().unwrap();
        let share = (cores / workers).max(1).to_string();
        for name in [
            "OMP_NUM_THREADS",
            "RAYON_NUM_THREADS",
            "OPENBLAS_NUM_THREADS",
            "NUMEXPR_NUM_THREADS",
        ] {
            // A variable of the user's stays.
            let expected = std::env::var(name).unwrap_or_else(|_| share.clone());
            assert_eq!(of(name), Some(expected), "{name}");
        }
        assert_eq!(of("MKL_NUM_THREADS").as_deref(), Some("17"));
    }
}

/// Returns the cores that this thread may use, and those of a thread that it has started.
#[remote]
fn own_cores(running: &str, until: u64) -> (String, String) {
    mark(running);
    while std::fs::metadata(running).unwrap().len() < until {
        std::thread::sleep(Duration::from_millis(1));
    }
    let here = allowed_cores();
    let there = std::thread::spawn(allowed_cores).join().unwrap();
    (here, there)
}

fn allowed_cores() -> String {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    line.unwrap().trim().to_owned()
}

#[mobula::test]
fn pinned_workers_have_cores_of_their_own_and_so_do_their_replacements() {
    let before = allowed_cores();
    let cores = std::thread::available_parallelism().unwrap().get().min(4);
    let builder = Runtime::builder().workers(cores).store_capacity(64 << 20);
    let rt = builder.pin(Pin::Cores).start().unwrap();
    for _ in 0..2 {
        let running = Marks::new();
        let calls = (0..cores).map(|_| own_cores::remote(running.path(), cores as u64).num_cpus(1));
        let calls: Vec<_> = rt.spawn_all(calls);
        let mut sets = Vec::new();
        for call in calls {
            let (here, there) = call.get().unwrap();
            assert_eq!(here, there);
            assert!(cores == 1 || here != before, "{here}");
            sets.push(here);
        }
        sets.sort_unstable();
        sets.dedup();
        assert_eq!(sets.len(), cores, "{sets:?}");
        // Its place goes to the worker that replaces it.
        rt.spawn(aborts::remote()).get().unwrap_err();
    }
    assert_eq!(allowed_cores(), before);
}

#[remote]
fn aborts() {
    std::process::abort();
}

#[mobula::test]
fn workers_can_be_pinned_to_the_nodes_of_memory() {
    let builder = Runtime::builder().workers(2).store_capacity(64 << 20);
    match builder.pin(Pin::NumaNodes).start() {
        Ok(rt) => {
            let running = Marks::new();
            let (here, there) = rt
                .spawn(own_cores::remote(running.path(), 1))
                .get()
                .unwrap();
            assert_eq!(here, there);
        }
        // In some containers the list of nodes is hidden.
        Err(error) => assert!(
            error.is_setup() && error.to_string().contains("`Pin::Cores`"),
            "{error}"
        ),
    }
}

#[remote]
fn niceness() -> (i32, i32) {
    let own = || {
        let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
        let fields = stat.rsplit(") ").next().unwrap();
        fields.split(' ').nth(16).unwrap().parse::<i32>().unwrap()
    };
    (own(), std::thread::spawn(own).join().unwrap())
}

#[mobula::test]
fn workers_are_as_nice_as_the_program_says() {
    let builder = || Runtime::builder().workers(1).store_capacity(64 << 20);
    let own = rt_niceness(&builder().start().unwrap());
    let (here, there) = niceness();
    assert_eq!((own, here), (here, there));
    let nicer = (own + 3).min(19);
    assert_eq!(rt_niceness(&builder().nice(3).start().unwrap()), nicer);
    let error = builder().nice(20).start().unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("0 to 19"),
        "{error}"
    );
}

fn rt_niceness(rt: &Runtime) -> i32 {
    let (here, there) = rt.spawn(niceness::remote()).get().unwrap();
    assert_eq!(here, there);
    here
}
