//! Processes: what it takes to start one.

use std::{
    io,
    process::{Command, Stdio},
};

use crate::{
    sampling::{Plan, measure, timed},
    table::Floor,
};

/// Seconds from starting a small program until it has ended.
///
/// # Errors
/// When it cannot be started.
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
