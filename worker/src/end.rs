//! The end of a worker's process that cannot go on.

use std::fmt;

use mobula_protocol::Result;

/// Exit status of a worker that could not be set up, or whose mailbox is damaged (`EX_SOFTWARE`).
const BROKEN: i32 = 70;

/// Exit status of a worker that could not be set up because a limit of the system is reached
/// (`EX_TEMPFAIL`).
pub const SHORT: i32 = 75;

/// The text that a worker writes before it ends with one of these.
pub const CANNOT_GO_ON: &str = "this worker cannot go on";

pub(crate) fn end(ended: Result<()>) -> ! {
    match ended {
        Ok(()) => std::process::exit(0),
        Err(error) if error.is_resource_limit() => {
            say_why(&format!("{error:#}"));
            std::process::exit(SHORT)
        }
        Err(error) => die(&format!("{error:#}")),
    }
}

/// Writes the reason to standard error, which the driver shows, and ends the process.
pub(crate) fn die(why: &str) -> ! {
    say_why(why);
    std::process::exit(BROKEN)
}

/// Ends the process: a damaged link brings no messages any more. The driver must take this worker
/// for dead.
pub(crate) fn unusable(error: &dyn fmt::Display) -> ! {
    die(&format!(
        "the mailbox cannot be used any more: {error}; something wrote over shared memory"
    ))
}

fn say_why(why: &str) {
    eprintln!("mobula: {CANNOT_GO_ON}: {why}");
}
