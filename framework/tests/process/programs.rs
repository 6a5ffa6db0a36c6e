//! Programs that the other tests start as processes of their own: this test binary again, with a
//! case in the environment. As tests they are ignored, since they would do nothing.

use std::{
    io::{BufRead, BufReader, Write},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};

use mobula::prelude::*;
use rustix::process::Signal;

use crate::{forks, support};

pub(crate) const CASE: &str = "MOBULA_TEST_CASE";

/// The environment variable that names a file to a case.
pub(crate) const FILE: &str = "MOBULA_TEST_FILE";

#[remote]
fn launches() -> std::io::Result<u32> {
    Ok(Command::new("sleep")
        .arg("1000")
        .stdin(Stdio::null())
        .spawn()?
        .id())
}

/// Ends when two have begun.
#[remote]
fn meets(path: &str) {
    support::mark(path);
    support::eventually("another one runs", || {
        std::fs::metadata(path).unwrap().len() >= 2
    });
}

#[remote]
fn sleeps(seconds: u64) {
    std::thread::sleep(Duration::from_secs(seconds));
}

/// Closes what others have opened, and may open pipes in its place, which have nothing to say.
#[remote]
fn closes_descriptors(replace: bool) {
    unsafe extern "C" {
        fn close(fd: i32) -> i32;
    }
    for fd in 3..1024 {
        // SAFETY: this is what a task must not do; nothing of the descriptors is used here.
        unsafe { close(fd) };
    }
    for _ in 0..if replace { 32 } else { 0 } {
        std::mem::forget(rustix::pipe::pipe());
    }
    std::thread::sleep(Duration::from_secs(1000));
}

/// Whether the terminal can be opened in a task, and in a command that it runs.
#[remote]
fn has_terminal() -> (bool, bool) {
    let command = Command::new("sh").args(["-c", "exec 3<>/dev/tty"]).status();
    let own = std::fs::File::open("/dev/tty").is_ok();
    (own, command.is_ok_and(|status| status.success()))
}

/// Ends when it goes on, and the file has a mark: it may go on for a moment before it is stopped.
#[remote]
fn stops(file: &str) -> u32 {
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
        .unwrap();
    support::eventually("the file has a mark", || {
        std::fs::metadata(file).is_ok_and(|metadata| metadata.len() > 0)
    });
    7
}

struct Idle;

#[remote]
impl Idle {
    fn new() -> Self {
        Idle
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }
}

struct Leaver;

#[remote(max_restarts = 3)]
impl Leaver {
    fn new(file: &str) -> Self {
        support::mark(file);
        Leaver
    }

    fn leave(&self) {
        std::process::exit(0);
    }
}

#[remote]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Starts a program; the processes that it has started follow on a line of its output.
pub(crate) struct Program {
    pub(crate) child: Child,
    pub(crate) processes: Vec<u32>,
}

impl Program {
    pub(crate) fn command(test: &str, case: &str) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args([test, "--exact", "--include-ignored"])
            .args(["--nocapture", "--test-threads=1"])
            .env(CASE, case)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Returns when the program has all its processes.
    pub(crate) fn start(case: &str) -> Program {
        Program::follow(Program::command("programs::program", case))
    }

    /// Does what [`start`](Self::start) does, for a command that was made before.
    pub(crate) fn follow(mut command: Command) -> Program {
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pids = loop {
            let line = lines
                .next()
                .expect("the program ended before it was ready")
                .unwrap();
            if let Some((_, pids)) = line.split_once("processes:") {
                break pids
                    .split_whitespace()
                    .map(|pid| pid.parse().unwrap())
                    .collect();
            }
        };
        // The rest of the output is not of interest, but must not block the program.
        std::thread::spawn(move || lines.for_each(drop));
        Program {
            child,
            processes: pids,
        }
    }
}

/// With a runtime.
#[mobula::test]
#[ignore = "a program of other tests"]
fn program() {
    let Ok(case) = std::env::var(CASE) else {
        return;
    };
    match case.as_str() {
        "dies at start" | "hangs at start" => return starts_badly(),
        "terminal" => return tries_the_terminal(),
        "stopped task" => return runs_what_stops(),
        "lost exit status" => return loses_an_exit_status(),
        "subreaper" => return collects_orphans(),
        "another version's worker" => return starts_as_a_worker(),
        "plain" => return says_seven(),
        "forked first" => {
            let said = forks::in_a_child(|| {
                says_seven();
                std::io::stdout().flush().is_ok()
            });
            return assert!(said);
        }
        // So that the system does not end what is stopped when its parent ends.
        "ignores hang-ups" | "ignores hang-ups, exec" => ignore(Signal::HUP),
        _ => {}
    }
    if case == "thread" {
        let rt = std::thread::spawn(|| support::runtime(2)).join().unwrap();
        return run(rt, "wait");
    }
    run(support::runtime(2), &case);
}

fn run(rt: Runtime, case: &str) {
    all_are_up(&rt);
    let big = rt.put(&vec![1.0; 1 << 20]).unwrap();
    let grandchild = rt.spawn(launches::remote()).get().unwrap();
    let running = match case {
        "closed descriptors" => rt.spawn(closes_descriptors::remote(false)),
        "replaced descriptors" => rt.spawn(closes_descriptors::remote(true)),
        _ => rt.spawn(sleeps::remote(1000)),
    };
    let idle = (case == "other user").then(|| rt.spawn_actor(Idle::remote()));
    let actor = idle.as_ref().map(|idle| idle.pid().spawn().get().unwrap());
    let mut processes = rt.worker_pids();
    processes.push(grandchild);
    let text: Vec<String> = processes.iter().map(u32::to_string).collect();
    println!("processes: {}", text.join(" "));
    std::io::stdout().flush().unwrap();
    match case {
        "return" => {}
        "panic" => panic!("the driver panics on purpose"),
        "exit" => std::process::exit(3),
        "fork" => {
            fork_helper();
            std::thread::sleep(Duration::from_secs(1000));
        }
        "exec" | "ignores hang-ups, exec" => replace_this_process(),
        "fork, exec" => {
            fork_helper();
            replace_this_process();
        }
        "other user" => {
            become_nobody();
            ActorRef::kill(&idle.expect("made for this case"));
            support::eventually("a killed actor's process is gone", || {
                !support::lives(actor.expect("made for this case"))
            });
            rt.shutdown();
        }
        "get" => drop(running.get()),
        _ => std::thread::sleep(Duration::from_secs(1000)),
    }
    drop((big, running));
}

/// Waits until both workers run tasks, at the same time.
fn all_are_up(rt: &Runtime) {
    let marks = support::Marks::new();
    let met = rt.spawn_all((0..2).map(|_| meets::remote(marks.path())));
    rt.get(&met).unwrap();
}

/// A child that does nothing, and has all that this process has.
fn fork_helper() {
    unsafe extern "C" {
        fn fork() -> i32;
    }
    // SAFETY: the child does nothing but sleep and exit, in system calls.
    if unsafe { fork() } == 0 {
        std::thread::sleep(Duration::from_secs(20));
        std::process::abort();
    }
}

/// Goes on as another program, when there is a line, or no more, on standard input.
fn replace_this_process() {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    let error = Command::new("sleep").arg("1000").exec();
    panic!("{error}");
}

fn ignore(which: Signal) {
    unsafe extern "C" {
        fn signal(number: i32, handler: usize) -> usize;
    }
    const IGNORE: usize = 1;
    // SAFETY: to ignore a signal runs no code.
    unsafe { signal(which.as_raw(), IGNORE) };
}

/// Gives up root, in all threads.
fn become_nobody() {
    unsafe extern "C" {
        fn setgid(id: u32) -> i32;
        fn setuid(id: u32) -> i32;
    }
    // SAFETY: changes the user of this process, and nothing in its memory.
    assert_eq!(unsafe { (setgid(65534), setuid(65534)) }, (0, 0));
}

/// Prints whether the program, a task and a task's command have a terminal.
fn tries_the_terminal() {
    let rt = support::runtime(1);
    let own = std::fs::File::open("/dev/tty").is_ok();
    let (task, command) = rt.spawn(has_terminal::remote()).get().unwrap();
    println!("terminal: {own} {task} {command}");
}

fn runs_what_stops() {
    let rt = support::runtime(1);
    let result = rt.spawn(stops::remote(std::env::var(FILE).unwrap()));
    assert_eq!(result.get().unwrap(), 7);
}

/// The system collects children that end, so their exit statuses are lost.
fn loses_an_exit_status() {
    ignore(Signal::CHILD);
    let rt = support::runtime(1);
    let file = std::env::var(FILE).unwrap();
    let leaver = rt.spawn_actor(Leaver::remote(&file));
    let error = leaver.leave().spawn().get().unwrap_err();
    println!("{error}");
    assert!(error.is_actor_dead());
    assert!(leaver.leave().spawn().get().unwrap_err().is_actor_dead());
}

/// Kills all workers, so that this process gets what they have started, as process 1 would.
fn collects_orphans() {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let rt = support::runtime(2);
    let pids: Vec<u32> = rt
        .get(&rt.spawn_all((0..8).map(|_| launches::remote())))
        .unwrap();
    // The runtime does not collect a child that the program has started.
    let mut own = Command::new("true").spawn().unwrap();
    for worker in rt.worker_pids() {
        let worker = rustix::process::Pid::from_raw(worker as i32).unwrap();
        rustix::process::kill_process(worker, Signal::KILL).unwrap();
    }
    for pid in pids {
        support::eventually("it was collected", || support::state(pid).is_none());
    }
    let last = rt.spawn(launches::remote()).get().unwrap();
    rt.shutdown();
    assert_eq!(support::state(last), None, "collected at the end");
    assert!(own.wait().unwrap().success());
}

fn starts_as_a_worker() {
    let error = Runtime::start().unwrap_err();
    println!("{error}");
    assert!(error.is_setup());
}

#[remote]
fn seven() -> u32 {
    7
}

fn says_seven() {
    let rt = support::runtime(1);
    println!("it says {}", rt.spawn(seven::remote()).get().unwrap());
}

fn starts_badly() {
    let error = Runtime::builder()
        .workers(1)
        .start_timeout(Duration::from_millis(300))
        .start()
        .unwrap_err();
    println!("{error}");
    assert!(error.is_setup());
}

/// Without an entry: only what the case in the environment asks for.
#[test]
#[ignore = "a program of other tests"]
fn bare() {
    let start = || {
        let error = Runtime::start().unwrap_err();
        println!("start: {error}");
        assert!(error.is_setup());
    };
    match std::env::var(CASE).as_deref() {
        Ok("forgot") => std::thread::spawn(start).join().unwrap(),
        Ok("plain test") => {
            start();
            let panic = std::panic::catch_unwind(mobula::init).unwrap_err();
            println!("init: {}", panic.downcast_ref::<String>().unwrap());
            start();
        }
        _ => return,
    }
    let pid = std::process::id();
    let children =
        std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    assert_eq!(children.trim(), "", "no child was started");
}

/// Does what the case asks of a worker before its first task.
fn set_up() {
    match std::env::var(CASE).as_deref() {
        Ok("dies at start") => {
            eprintln!("no licence found");
            std::process::exit(9);
        }
        Ok("hook") => std::panic::set_hook(Box::new(|info| eprintln!("the hook saw: {info}"))),
        Ok("hangs at start") => std::thread::sleep(Duration::from_secs(1000)),
        // SAFETY of the order: nothing else runs in the worker yet, and tasks only read this.
        _ => SET_UP.store(1, std::sync::atomic::Ordering::SeqCst),
    }
}

mobula::worker_setup!(set_up);

pub(crate) static SET_UP: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

#[remote]
fn was_set_up() -> u32 {
    SET_UP.load(std::sync::atomic::Ordering::SeqCst)
}

#[mobula::test]
fn workers_are_set_up_before_their_first_task() {
    let rt = support::runtime(1);
    assert_eq!(rt.spawn(was_set_up::remote()).get().unwrap(), 1);
    let shown = format!("{rt:?}");
    assert!(
        shown.contains("worker_setups: ") && !shown.contains("worker_setups: 0"),
        "{shown}"
    );
    assert_eq!(
        SET_UP.load(std::sync::atomic::Ordering::SeqCst),
        0,
        "in workers only"
    );
}

#[mobula::test]
fn workers_have_their_own_environment() {
    let rt = Runtime::builder()
        .workers(1)
        .worker_env("MOBULA_TEST_VALUE", "seven")
        .start()
        .unwrap();
    assert_eq!(
        rt.spawn(environment::remote("MOBULA_TEST_VALUE"))
            .get()
            .unwrap()
            .as_deref(),
        Some("seven")
    );
    assert!(std::env::var("MOBULA_TEST_VALUE").is_err());
}
