//! A row of a million tasks that are queued while all workers are busy, and then run.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process, thread,
    time::{Duration, Instant},
};

use mobula::prelude::*;
use mobula_benches::{processes::memory, sampling::Summary};

use super::{Out, WORKERS, many::batch, nothing, runtime};
use crate::Result;

/// Keeps its worker until the file is gone.
#[remote]
fn hold(file: &str) {
    while Path::new(file).exists() {
        thread::sleep(Duration::from_millis(1));
    }
}

/// A file that its drop removes.
struct Gate(PathBuf);

impl Gate {
    fn close() -> Result<Gate> {
        let file = env::temp_dir().join(format!("mobula-gate-{}", process::id()));
        fs::write(&file, "")?;
        Ok(Gate(file))
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        // An error means that the file, or the temporary folder, is already gone.
        let _ = fs::remove_file(&self.0);
    }
}

pub(crate) fn measure(out: &Out) -> Result<()> {
    let tasks = out.size(1_000_000, 100_000);
    let rt = runtime()?;
    batch(&rt, 1000)?;
    let gate = Gate::close()?;
    let file = gate.0.to_string_lossy().into_owned();
    let held = rt.spawn_all((0..WORKERS).map(|_| hold::remote(&file)));
    thread::sleep(Duration::from_millis(200));

    let before = memory([process::id()])?;
    let start = Instant::now();
    let refs = rt.spawn_all((0..tasks).map(|_| nothing::remote()));
    let queueing = start.elapsed();
    let taken = memory([process::id()])?.saturating_sub(before);
    if refs.iter().any(ObjectRef::is_ready) {
        return Err("a task ran although all workers were held".into());
    }

    drop(gate);
    rt.get(held)?;
    let start = Instant::now();
    rt.get(&refs)?;
    drop(refs);
    let seconds = (queueing + start.elapsed()).as_secs_f64();
    let note = format!(
        "{tasks} tasks, {:.0} % of the time to queue them",
        100.0 * queueing.as_secs_f64() / seconds
    );
    out.row_with("queued", Summary::single(tasks as f64 / seconds), note);
    out.row(
        "queued_memory",
        Summary::single(taken as f64 / tasks as f64),
    );
    Ok(())
}
