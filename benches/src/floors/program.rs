//! Measures the start of a process.

use std::{
    io,
    process::{Command, Stdio},
};

use crate::{
    sampling::{Plan, measure, timed},
    table::Floor,
};

/// Returns the seconds from the start of a small program to its end.
///
/// # Errors
/// The program cannot be started.
pub fn program(plan: Plan) -> io::Result<Floor> {
    let summary = measure(plan, || {
        let mut result = Ok(());
        let seconds =
            timed(|| result = Command::new("true").stdin(Stdio::null()).status().map(drop));
        result.map(|()| seconds)
    })?;
    Ok(Floor {
        name: "start and end of `true`",
        value: summary.median,
    })
}
