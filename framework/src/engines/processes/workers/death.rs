//! The end of a process, in words.

use rustix::process::WaitIdStatus;

/// Returns a text such as "exit code 3" or "signal 11 (SIGSEGV)". `guess`: the text says what may
/// be the reason for a signal.
pub(in crate::engines::processes) fn describe(
    status: Option<&WaitIdStatus>,
    guess: bool,
) -> String {
    let Some(status) = status else {
        return "its exit status is unknown".to_owned();
    };
    if let Some(code) = status.exit_status() {
        return format!("exit code {code}");
    }
    let Some(signal) = status.terminating_signal() else {
        return "it ended in an unknown way".to_owned();
    };
    let core = if status.dumped() { ", core dumped" } else { "" };
    let hint = match signal {
        _ if !guess => "",
        9 => "; perhaps the system was out of memory",
        7 | 11 => "; it touched memory that it must not, for example wrote to a shared array",
        _ => "",
    };
    format!("{}{core}{hint}", self::signal(signal))
}

/// Returns a text such as "signal 11 (SIGSEGV)".
pub(in crate::engines::processes) fn signal(signal: i32) -> String {
    format!("signal {signal} ({})", name(signal))
}

fn name(signal: i32) -> &'static str {
    match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        10 => "SIGUSR1",
        11 => "SIGSEGV",
        12 => "SIGUSR2",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        19 => "SIGSTOP",
        20 => "SIGTSTP",
        21 => "SIGTTIN",
        22 => "SIGTTOU",
        24 => "SIGXCPU",
        25 => "SIGXFSZ",
        31 => "SIGSYS",
        _ => "unnamed",
    }
}
