//! The machine on which the figures were measured.

use std::{
    fmt, fs,
    process::Command,
    thread,
    time::{SystemTime, UNIX_EPOCH},
};

/// The machine and the state that it is in.
#[derive(Clone, Debug)]
pub struct Machine {
    cores: usize,
    processor: String,
    kernel: String,
    rustc: String,
    date: String,
    /// The load of the last minute. With a high load, other programs influence the figures.
    load: String,
}

impl Machine {
    /// Returns this machine. A fact that cannot be found is "unknown".
    pub fn look(date: Option<String>) -> Machine {
        let unknown = || "unknown".to_owned();
        let first_word = |text: String| Some(text.split_whitespace().next()?.to_owned());
        Machine {
            cores: cores(),
            processor: processor().unwrap_or_else(unknown),
            kernel: rustix::system::uname()
                .release()
                .to_string_lossy()
                .into_owned(),
            rustc: rustc().unwrap_or_else(unknown),
            date: date.unwrap_or_else(today),
            load: fs::read_to_string("/proc/loadavg")
                .ok()
                .and_then(first_word)
                .unwrap_or_else(unknown),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Machine {
            cores,
            processor,
            kernel,
            rustc,
            date,
            load,
        } = self;
        write!(
            f,
            "{date}; {cores} cores of {processor}; Linux {kernel}; {rustc}; load at the start {load}"
        )?;
        if cfg!(debug_assertions) {
            write!(f, "; a debug build, so these figures mean nothing")?;
        }
        Ok(())
    }
}

/// Returns the number of cores that this process may use.
pub fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn processor() -> Option<String> {
    let info = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn rustc() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    let version = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!version.is_empty()).then_some(version)
}

fn today() -> String {
    let seconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_secs());
    let (year, month, day) = date_of(seconds / 86_400);
    format!("{year}-{month:02}-{day:02}")
}

/// Returns the date (UTC) that is this many days after 1 January 1970.
fn date_of(days: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let (mut year, mut left) = (1970, days);
    loop {
        let len = if is_leap(year) { 366 } else { 365 };
        if left < len {
            break;
        }
        left -= len;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let mut month = 1;
    for len in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if left < len {
            break;
        }
        left -= len;
        month += 1;
    }
    (year, month, left + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_dates() {
        assert_eq!(date_of(0), (1970, 1, 1));
        assert_eq!(date_of(58), (1970, 2, 28));
        assert_eq!(date_of(59), (1970, 3, 1));
        assert_eq!(date_of(11_016), (2000, 2, 29));
        assert_eq!(date_of(19_722), (2023, 12, 31));
        assert_eq!(date_of(19_723), (2024, 1, 1));
    }

    #[test]
    fn the_line_names_the_date_and_the_cores() {
        let line = Machine::look(Some("some day".into())).to_string();
        assert!(
            line.starts_with(&format!("some day; {} cores", cores())),
            "{line}"
        );
    }
}
