//! The system's figures of processes: their work and their memory.

use std::{fs, io, ops::Sub, path::Path, time::Duration};

/// The work of the threads of some processes since they started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Activity {
    /// The time on a core, in user code and in the system.
    pub cpu: Duration,
    /// The number of times that a thread went to sleep. It is about the number of wake-ups.
    pub sleeps: u64,
}

impl Sub for Activity {
    type Output = Activity;

    fn sub(self, earlier: Activity) -> Activity {
        Activity {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            sleeps: self.sleeps.saturating_sub(earlier.sleeps),
        }
    }
}

/// Returns the work of all threads of these processes, without the calling thread.
///
/// No thread of theirs should end between two calls, since its part is lost then.
///
/// # Errors
/// A process is gone, or the system does not keep these statistics.
pub fn activity(pids: impl IntoIterator<Item = u32>) -> io::Result<Activity> {
    let caller = rustix::thread::gettid().as_raw_pid().to_string();
    let mut total = Activity::default();
    for pid in pids {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            if thread.file_name() == caller.as_str() {
                continue;
            }
            total.cpu += cpu(&thread.path())?;
            total.sleeps += field(&thread.path().join("status"), "voluntary_ctxt_switches:")?;
        }
    }
    Ok(total)
}

/// Returns the bytes of memory that these processes take together. Memory that only they share
/// counts once.
///
/// # Errors
/// A process is gone, or the system does not tell.
pub fn memory(pids: impl IntoIterator<Item = u32>) -> io::Result<u64> {
    let mut total = 0;
    for pid in pids {
        total += field(Path::new(&format!("/proc/{pid}/smaps_rollup")), "Pss:")? * 1024;
    }
    Ok(total)
}

/// Returns the time of a thread on a core. It is exact to nanoseconds if the kernel counts them,
/// and to ticks otherwise.
fn cpu(thread: &Path) -> io::Result<Duration> {
    if let Some(time) = fs::read_to_string(thread.join("schedstat"))
        .ok()
        .as_deref()
        .and_then(schedstat)
    {
        return Ok(time);
    }
    let text = fs::read_to_string(thread.join("stat"))?;
    let ticks = stat(&text).ok_or_else(|| unreadable(thread))?;
    Ok(Duration::from_secs(ticks)
        / u32::try_from(rustix::param::clock_ticks_per_second()).unwrap_or(100))
}

fn schedstat(text: &str) -> Option<Duration> {
    text.split_whitespace()
        .next()?
        .parse()
        .ok()
        .map(Duration::from_nanos)
}

/// Returns the user and the system time, which are the 14th and 15th field. The second field, in
/// brackets, may hold any characters.
fn stat(text: &str) -> Option<u64> {
    let mut fields = text.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// Returns the number after a word at the beginning of a line.
fn field(file: &Path, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(file)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.ok_or_else(|| unreadable(file))
}

fn unreadable(file: &Path) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("cannot make sense of {}", file.display()),
    )
}

#[cfg(test)]
mod tests {
    use std::{
        hint::black_box,
        io::{BufRead, BufReader, Write},
        process::{Command, Stdio},
    };

    use super::*;

    #[test]
    fn fields_are_found_in_the_kernels_texts() {
        assert_eq!(schedstat("1500 77 3\n"), Some(Duration::from_nanos(1500)));
        assert_eq!(schedstat(""), None);
        let line = "12 (a name) with) S 1 2 3 4 5 6 7 8 9 10 30 12 0 0 20";
        assert_eq!(stat(line), Some(42));
        assert_eq!(stat("12 (short) S 1"), None);
    }

    /// Runs in a process of its own, since threads of this process run other tests and end.
    #[test]
    fn work_between_two_looks_is_seen() {
        let script =
            "read go; i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo done; read end";
        let mut child = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let before = activity([child.id()]).unwrap();
        writeln!(input, "go").unwrap();
        output.read_line(&mut String::new()).unwrap();
        assert!((activity([child.id()]).unwrap() - before).cpu > Duration::ZERO);
        drop(input);
        child.wait().unwrap();
    }

    #[test]
    fn memory_that_is_taken_is_seen() {
        let me = std::process::id();
        let before = memory([me]).unwrap();
        let taken = black_box(vec![1_u8; 64 << 20]);
        assert!(memory([me]).unwrap() > before + (32 << 20));
        drop(taken);
    }
}
