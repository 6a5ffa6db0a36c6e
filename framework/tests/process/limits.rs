//! A limit of the system is reached: what waits ends with an error that names it, and the runtime
//! goes on when there is room again.

use std::{
    hint::black_box,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use mobula::prelude::*;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{eventually, nothing_is_left, runtime, skip, whole};

/// Tells the program below what to do.
const CASE: &str = "MOBULA_TEST_LIMIT";

struct Counter(u32);

#[remote]
impl Counter {
    fn new() -> Counter {
        Counter(0)
    }

    fn add(&mut self, n: u32) -> u32 {
        self.0 += n;
        self.0
    }
}

#[remote]
fn plus_one(n: u32) -> u32 {
    n + 1
}

/// Waits for a task of the driver's: a call that may run again does not run within its caller.
#[remote]
fn nested(n: u32) -> mobula::Result<u32> {
    plus_one::remote(n).retries(1).spawn().get()
}

#[remote]
async fn nested_async(n: u32) -> mobula::Result<u32> {
    plus_one::remote(n).spawn().await
}

#[remote]
async fn starts_the_async_runtime() {}

/// From now on its worker has no addresses for a further thread, or has as many as before.
#[remote]
fn limit_addresses(limited: bool) {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: u64 = pages.split(' ').next().unwrap().parse().unwrap();
    let used = pages * rustix::param::page_size() as u64;
    let limit = Rlimit {
        current: limited.then_some(used + (8 << 20)),
        maximum: getrlimit(Resource::As).maximum,
    };
    setrlimit(Resource::As, limit).unwrap();
}

fn with_large_stacks(workers: usize) -> Runtime {
    Runtime::builder()
        .workers(workers)
        .store_capacity(256 << 20)
        .stack_size(64 << 20)
        .start()
        .unwrap()
}

#[mobula::test]
fn a_wait_that_needs_a_thread_which_is_not_to_be_had_is_an_error_and_the_worker_goes_on() {
    let rt = with_large_stacks(1);
    rt.spawn(starts_the_async_runtime::remote()).get().unwrap();
    rt.spawn(limit_addresses::remote(true)).get().unwrap();
    let failures = [
        rt.spawn(nested::remote(1)).get().unwrap_err(),
        rt.spawn(nested_async::remote(1)).get().unwrap_err(),
    ];
    for error in failures {
        let text = whole(&error);
        assert!(error.root().is_resource_limit(), "{text}");
        assert!(
            text.contains("no further thread") && text.contains("`ulimit -v`"),
            "{text}"
        );
    }
    assert_eq!(rt.spawn(plus_one::remote(1)).get().unwrap(), 2);
    rt.spawn(limit_addresses::remote(false)).get().unwrap();
    assert_eq!(rt.spawn(nested::remote(1)).get().unwrap(), 2);
    assert_eq!(rt.spawn(nested_async::remote(1)).get().unwrap(), 2);
    nothing_is_left(&rt);
}

#[remote]
fn pid_after_a_while() -> u32 {
    std::thread::sleep(std::time::Duration::from_millis(5));
    std::process::id()
}

/// Waits until both workers have run a task. A worker that comes up late takes none before that.
fn both_take_tasks(rt: &Runtime) {
    eventually("both workers take tasks", || {
        let pids = rt.spawn_all((0..4).map(|_| pid_after_a_while::remote()));
        let pids = rt.get(&pids).unwrap();
        pids.iter().any(|pid| *pid != pids[0])
    });
}

#[mobula::test]
fn another_worker_runs_what_a_task_waits_for_whose_worker_gets_no_thread() {
    let rt = with_large_stacks(2);
    both_take_tasks(&rt);
    rt.spawn(limit_addresses::remote(true)).get().unwrap();
    let all = rt.spawn_all((0..40).map(nested::remote));
    assert_eq!(rt.get(&all).unwrap(), (1..=40).collect::<Vec<_>>());
    drop(all);
    nothing_is_left(&rt);
}

/// While another worker is busy for longer than a worker bears a shortage, a wait is no error: what
/// was in the worker's own lane when it got no thread has been taken back.
#[mobula::test]
fn a_long_task_on_another_worker_ends_no_wait_for_want_of_a_thread() {
    let rt = with_large_stacks(2);
    both_take_tasks(&rt);
    rt.spawn(limit_addresses::remote(true)).get().unwrap();
    let all = rt.spawn_all((0..12).map(waits_for_a_long_one::remote));
    assert_eq!(rt.get(&all).unwrap(), (0..12).collect::<Vec<_>>());
    drop(all);
    nothing_is_left(&rt);
}

#[remote]
fn takes_long(n: u64) -> u64 {
    if n == 0 {
        std::thread::sleep(std::time::Duration::from_millis(1_500));
    }
    n
}

#[remote]
fn waits_for_a_long_one(n: u64) -> mobula::Result<u64> {
    takes_long::remote(n).spawn().get()
}

#[remote]
fn uses_stack(mib: usize) -> usize {
    fn deeper(levels: usize) -> usize {
        let here = black_box([levels as u8; 64 << 10]);
        match levels {
            0 => usize::from(here[7]),
            _ => deeper(levels - 1) + usize::from(here[7] == levels as u8),
        }
    }
    deeper(mib * 16)
}

#[remote]
fn waits_for_one_that_uses_stack(mib: usize) -> mobula::Result<usize> {
    uses_stack::remote(mib).spawn().get()
}

#[mobula::test]
fn a_task_has_the_same_stack_on_every_thread_of_its_worker() {
    let rt = with_large_stacks(1);
    assert_eq!(rt.spawn(uses_stack::remote(16)).get().unwrap(), 256);
    let on_another = rt.spawn(waits_for_one_that_uses_stack::remote(16));
    assert_eq!(on_another.get().unwrap(), 256);
}

#[remote]
fn first_victim() -> String {
    std::fs::read_to_string("/proc/self/oom_score_adj").unwrap()
}

#[mobula::test]
fn where_memory_runs_out_workers_are_ended_before_their_driver() {
    let rt = runtime(1);
    let own = std::fs::read_to_string("/proc/self/oom_score_adj").unwrap();
    let of_worker = rt.spawn(first_victim::remote()).get().unwrap();
    assert_eq!(of_worker.trim(), "1000");
    assert!(own.trim().parse::<i32>().unwrap() <= 1000);
}

/// Runs the program below; what it printed.
fn run(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{}: {text}\n{errors}",
        output.status
    );
    assert!(text.contains("as expected"), "{text}\n{errors}");
    text
}

fn command(case: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([
            "limits::program",
            "--exact",
            "--include-ignored",
            "--nocapture",
            "--test-threads=1",
        ])
        .env(CASE, case);
    command
}

#[test]
fn actors_without_descriptors_are_errors_and_tasks_go_on() {
    run(command("few descriptors"));
}

#[test]
fn the_soft_limit_on_descriptors_is_raised_where_that_helps() {
    run(command("low soft limit"));
}

/// A control group of this test. `None`: this process may not make one, and the test says so.
struct Group(PathBuf);

impl Group {
    fn new(controller: &str, v2: &str, v1: &str, limit: u64) -> Option<Group> {
        let membership = std::fs::read_to_string("/proc/self/cgroup").ok()?;
        let mut candidates = membership.lines().filter_map(|line| {
            let (_, line) = line.split_once(':')?;
            let (controllers, path) = line.split_once(':')?;
            let (root, file) = match controllers {
                "" => (PathBuf::from("/sys/fs/cgroup"), v2),
                some if some.split(',').any(|one| one == controller) => {
                    (Path::new("/sys/fs/cgroup").join(controller), v1)
                }
                _ => return None,
            };
            let name = format!("mobula-test-{}-{limit}", std::process::id());
            let group = root.join(path.trim_start_matches('/')).join(name);
            std::fs::create_dir(&group).ok()?;
            let group = Group(group);
            std::fs::write(group.0.join(file), limit.to_string()).ok()?;
            Some(group)
        });
        let group = candidates.next();
        if group.is_none() {
            skip(&format!(
                "this process may not make a control group with a `{v2}`"
            ));
        }
        group
    }

    /// Starts the command in this group.
    fn command(&self, case: &str) -> Command {
        let program = command(case);
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg("echo $$ > \"$0\" && exec \"$@\"")
            .arg(self.0.join("cgroup.procs"))
            .arg(program.get_program())
            .args(program.get_args())
            .env(CASE, case);
        command
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        crate::support::eventually("the control group is empty", || {
            std::fs::remove_dir(&self.0).is_ok()
        });
    }
}

#[test]
fn actors_without_processes_are_errors_and_tasks_go_on() {
    if let Some(group) = Group::new("pids", "pids.max", "pids.max", 14) {
        run(group.command("few processes"));
    }
}

#[test]
fn a_container_without_memory_loses_a_worker_and_not_its_driver() {
    if let Some(group) = Group::new("memory", "memory.max", "memory.limit_in_bytes", 256 << 20) {
        run(group.command("little memory"));
    }
}

#[mobula::test]
#[ignore = "a program of other tests"]
fn program() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    match case.as_str() {
        "few descriptors" => {
            limit_descriptors(96, 96);
            some_actors("`ulimit -n` is 96");
        }
        "low soft limit" => {
            limit_descriptors(96, 1000);
            let rt = runtime(2);
            let actors: Vec<_> = (0..30).map(|_| Counter::remote().spawn()).collect();
            let calls: Vec<_> = actors.iter().map(|actor| actor.add(1).spawn()).collect();
            assert_eq!(rt.get(&calls).unwrap(), vec![1; 30]);
        }
        "few processes" => some_actors("`pids.max` of the cgroup is 14"),
        "little memory" => little_memory(),
        _ => panic!("there is no case {case}"),
    }
    println!("as expected");
}

fn limit_descriptors(soft: u64, hard: u64) {
    let limit = Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    };
    setrlimit(Resource::Nofile, limit).unwrap();
}

/// More actors than there is room for.
fn some_actors(limit: &str) {
    let rt = runtime(2);
    let actors: Vec<_> = (0..30).map(|_| Counter::remote().spawn()).collect();
    let calls: Vec<_> = actors.iter().map(|actor| actor.add(1).spawn()).collect();
    let (mut answers, mut failures) = (0, 0);
    for call in calls {
        match call.get() {
            Ok(n) => answers += n,
            Err(error) => {
                failures += 1;
                assert!(error.is_actor_dead(), "{error:?}");
                assert!(error.root().is_resource_limit(), "{error:?}");
                assert!(error.to_string().contains(limit), "{error}");
            }
        }
    }
    assert!(answers > 0 && failures > 0, "{answers} answers");
    let tasks = rt.spawn_all((0..20).map(plus_one::remote));
    assert_eq!(rt.get(&tasks).unwrap(), (1..=20).collect::<Vec<_>>());
    drop((actors, tasks));
    // Their processes end.
    crate::support::eventually("an actor gets a process again", || {
        let actor = Counter::remote().spawn();
        matches!(actor.add(1).spawn().get(), Ok(1))
    });
}

#[remote]
fn takes_memory(mib: usize) -> usize {
    let mut taken = Vec::new();
    for _ in 0..mib {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
    taken.iter().map(Vec::len).sum()
}

/// Most memory is the driver's.
fn little_memory() {
    let error = Runtime::builder()
        .workers(1)
        .store_capacity(1 << 30)
        .start();
    let error = error.unwrap_err();
    assert!(
        error.is_usage() && error.to_string().contains("cgroup"),
        "{error}"
    );
    let own = black_box(vec![1_u8; 140 << 20]);
    let rt = Runtime::builder()
        .workers(1)
        .store_capacity(16 << 20)
        .start()
        .unwrap();
    let error = rt.spawn(takes_memory::remote(1 << 10)).get().unwrap_err();
    assert!(
        error.is_crash() && error.to_string().contains("SIGKILL"),
        "{error}"
    );
    assert_eq!(rt.spawn(plus_one::remote(1)).get().unwrap(), 2);
    drop(own);
}
