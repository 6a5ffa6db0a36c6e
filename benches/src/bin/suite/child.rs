//! Measuring programs as child processes with a time limit. No descendant outlives its child's run.

use std::{
    fs, io,
    io::{BufRead, BufReader, Read},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{self, Child, Command, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// The environment variable that marks the descendants of a child. It marks them in any process
/// group and session.
const MARK: &str = "MOBULA_SUITE_CHILD";

/// The time that processes get to end after a signal to end.
const GRACE: Duration = Duration::from_secs(3);

/// The number of first and of last lines on standard error that are shown. Some programs print the
/// cause first, others last.
const SHOWN: usize = 3;

/// The end of a child.
#[derive(Debug, PartialEq)]
pub(crate) enum End {
    Done,
    /// The child failed. The text has its status and lines of its standard error.
    Failed(String),
    /// The child was ended after this time.
    TimedOut(Duration),
}

/// Runs the command in a process group of its own, and passes each line of its standard output to
/// `each`. Ends the child after `limit`. Then ends all processes that the child has left running.
///
/// # Errors
/// The command cannot be started.
pub(crate) fn run(
    command: &mut Command,
    limit: Duration,
    mut each: impl FnMut(&str),
) -> io::Result<End> {
    let mark = mark();
    let mut child = command
        .env(MARK, &mark)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    let deadline = Instant::now() + limit;
    let (sender, lines) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        read_lines(output, move |line| drop(sender.send(line)));
    }
    let (sender, complaints) = mpsc::channel();
    if let Some(errors) = child.stderr.take() {
        read_lines(errors, move |line| drop(sender.send(line)));
    }
    let mut status = None;
    let timed_out = loop {
        match lines.recv_timeout(Duration::from_millis(20)) {
            Ok(line) => each(&line),
            // A descendant may keep the pipe open after the end of the child.
            Err(RecvTimeoutError::Timeout) if status.is_some() => break false,
            Err(RecvTimeoutError::Disconnected) if status.is_some() => break false,
            Err(RecvTimeoutError::Disconnected) => thread::sleep(Duration::from_millis(5)),
            Err(RecvTimeoutError::Timeout) => {}
        }
        if status.is_none() {
            status = child.try_wait()?;
        }
        if Instant::now() > deadline {
            break status.is_none();
        }
    };
    if timed_out {
        end(&mut child)?;
        lines.try_iter().for_each(|line| each(&line));
    }
    sweep(&mark);
    Ok(match status {
        _ if timed_out => End::TimedOut(limit),
        Some(status) if status.success() => End::Done,
        status => {
            let how = match status.and_then(|status| status.signal()) {
                Some(signal) => format!("signal {signal}"),
                None => format!(
                    "exit status {}",
                    status.and_then(|s| s.code()).unwrap_or(-1)
                ),
            };
            let mut said: Vec<String> = complaints.try_iter().collect();
            if said.len() > 2 * SHOWN {
                said.drain(SHOWN..said.len() - SHOWN);
            }
            End::Failed(format!("{how}: {}", said.join(" / ")))
        }
    })
}

/// Returns a mark that differs from the marks of all other children of all processes.
fn mark() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    format!("{}-{}", process::id(), now.map_or(0, |now| now.as_nanos()))
}

fn read_lines(from: impl Read + Send + 'static, mut each: impl FnMut(String) + Send + 'static) {
    thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            each(line);
        }
    });
}

/// Sends SIGTERM to the child's group, and SIGKILL after [`GRACE`].
fn end(child: &mut Child) -> io::Result<()> {
    let group = Pid::from_child(child);
    // An error means that the group is gone.
    let _ = kill_process_group(group, Signal::TERM);
    let patience = Instant::now() + GRACE;
    while child.try_wait()?.is_none() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(10));
    }
    let _ = kill_process_group(group, Signal::KILL);
    child.wait().map(drop)
}

/// Ends all processes with this mark. Only descendants of the child have it.
fn sweep(mark: &str) {
    let patience = Instant::now() + GRACE;
    while !marked(mark).is_empty() && Instant::now() < patience {
        thread::sleep(Duration::from_millis(50));
    }
    for pid in marked(mark) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

fn marked(mark: &str) -> Vec<Pid> {
    let wanted = format!("{MARK}={mark}");
    let bears = |pid: &Pid| {
        let place = format!("/proc/{}/environ", pid.as_raw_pid());
        // The file of a process that is gone, or belongs to another user, cannot be read.
        let environ = fs::read(place).unwrap_or_default();
        environ
            .split(|&byte| byte == 0)
            .any(|entry| entry == wanted.as_bytes())
    };
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter_map(Pid::from_raw).filter(bears).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration) -> (End, Vec<String>) {
        let mut lines = Vec::new();
        let mut command = Command::new("sh");
        let ended = run(command.args(["-c", script]), limit, |line| {
            lines.push(line.to_owned())
        });
        (ended.unwrap(), lines)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn all_lines_arrive() {
        let (end, lines) = shell("echo one; sleep 0.1; echo two", LONG);
        assert_eq!(
            (end, lines),
            (End::Done, vec!["one".to_owned(), "two".to_owned()])
        );
    }

    #[test]
    fn a_failure_says_what_the_program_said() {
        let (end, lines) = shell("echo row; echo the reason >&2; sleep 0.1; exit 3", LONG);
        let End::Failed(how) = end else {
            panic!("{end:?}")
        };
        assert!(how.contains('3') && how.contains("the reason"), "{how}");
        assert_eq!(lines, ["row"]);
    }

    #[test]
    fn what_hangs_is_ended() {
        let limit = Duration::from_millis(300);
        let start = Instant::now();
        let (end, lines) = shell("echo row; sleep 60", limit);
        assert_eq!((end, lines), (End::TimedOut(limit), vec!["row".to_owned()]));
        assert!(start.elapsed() < LONG);
    }

    /// Ray's daemons are in sessions of their own and outlive the process that started them. This
    /// child leaves such a process.
    #[test]
    fn nothing_is_left_behind() {
        let (end, lines) = shell("setsid sleep 61 >/dev/null 2>&1 & echo $!; sleep 0.2", LONG);
        assert_eq!(end, End::Done);
        let pid = Pid::from_raw(lines[0].parse().unwrap()).unwrap();
        let place = format!("/proc/{}/cmdline", pid.as_raw_pid());
        // The kernel may take a moment to remove the process.
        let patience = Instant::now() + GRACE;
        while fs::read(&place).is_ok_and(|line| !line.is_empty()) {
            assert!(Instant::now() < patience, "process {pid:?} goes on");
            thread::sleep(Duration::from_millis(10));
        }
    }

    #[test]
    fn a_program_that_is_not_there_is_an_error() {
        let mut command = Command::new("/nonexistent/program");
        assert!(run(&mut command, LONG, |_| ()).is_err());
    }
}
