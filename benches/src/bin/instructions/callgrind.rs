//! Runs the measured program once under callgrind, and reads the files that callgrind writes.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::{
    MEASURED, Result,
    code::Code,
    flows::{FLOWS, Flow},
    record::Counts,
};

/// The option that names the function whose call ends a phase.
const PHASE_ENDS: &str = "--dump-before=*flows::phase_ends*";

/// The option that adds the addresses of instructions to the files.
const ADDRESSES: &str = "--dump-instr=yes";

/// A folder that its drop removes.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder> {
        let folder = env::temp_dir().join(format!("mobula-instructions-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Folder(folder))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Returns the counts per unit, one entry for each flow.
pub(crate) fn run() -> Result<Vec<Counts>> {
    let [driver, worker] = phases(&[], total)?;
    Ok(places()
        .map(|(flow, at)| {
            let units = (flow.sizes[1] - flow.sizes[0]) as f64;
            let each = |phases: &[u64]| (phases[at + 1] as f64 - phases[at] as f64) / units;
            Counts {
                driver: each(&driver),
                worker: if flow.null { 0.0 } else { each(&worker) },
            }
        })
        .collect())
}

/// Returns the code that each unit runs in the driver and in the worker, for each flow.
pub(crate) fn code() -> Result<Vec<[Code; 2]>> {
    let [driver, worker] = phases(&[ADDRESSES], |text| Some(text.to_owned()))?;
    places()
        .map(|(flow, at)| {
            let units = flow.sizes[1];
            let worker = match flow.null {
                true => Code::default(),
                false => Code::of_phase(&worker[at + 1], units)?,
            };
            Ok([Code::of_phase(&driver[at + 1], units)?, worker])
        })
        .collect()
}

/// Runs the measured program. Returns what `take` takes out of the file of each phase of the driver
/// and of the worker.
fn phases<T>(options: &[&str], take: impl Fn(&str) -> Option<T>) -> Result<[Vec<T>; 2]> {
    pin()?;
    let folder = Folder::new()?;
    let driver = measure(&folder.0, options)?;
    let mut phases = read(&folder.0, take)?;
    let driver = phases.remove(&driver).unwrap_or_default();
    let worker = match (phases.pop_first(), phases.is_empty()) {
        (Some((_, worker)), true) => worker,
        _ => return Err("there is not exactly one worker".into()),
    };
    let of_processes = FLOWS.iter().filter(|flow| !flow.null).count();
    let null = FLOWS.len() - of_processes;
    // Each flow has two phases. One warm-up phase comes before all of them.
    let expected = [1 + 2 * of_processes + 1 + 2 * null, 1 + 2 * of_processes];
    if [driver.len(), worker.len()] != expected {
        let found = [driver.len(), worker.len()];
        return Err(format!("there are {found:?} phases and not {expected:?}").into());
    }
    Ok([driver, worker])
}

/// Returns each flow with the number of its first phase.
fn places() -> impl Iterator<Item = (&'static Flow, usize)> {
    let (mut at, mut was_null) = (1, false);
    FLOWS.iter().map(move |flow| {
        at += usize::from(flow.null && !was_null);
        was_null = flow.null;
        at += 2;
        (flow, at - 2)
    })
}

/// Restricts this process and its children to one core.
fn pin() -> Result<()> {
    let allowed = sched_getaffinity(None)?;
    let mut only = CpuSet::new();
    only.set(
        (0..CpuSet::MAX_CPU)
            .find(|core| allowed.is_set(*core))
            .unwrap_or(0),
    );
    Ok(sched_setaffinity(None, &only)?)
}

/// Runs the measured program. Returns the process id of the driver.
fn measure(folder: &Path, options: &[&str]) -> Result<u32> {
    let log = folder.join("log");
    let log = |pid| log.with_extension(pid);
    let child = Command::new("valgrind")
        .args(["--tool=callgrind", "--trace-children=yes", PHASE_ENDS])
        .args(options)
        .arg(format!(
            "--callgrind-out-file={}",
            folder.join("counts.%p").display()
        ))
        .arg(format!("--log-file={}", log("%p").display()))
        .arg(env::current_exe()?)
        .arg(MEASURED)
        .env_remove("MOBULA_WORKERS")
        .env_remove("MOBULA_STORE_CAPACITY")
        .stdin(Stdio::null())
        .spawn()
        .map_err(|error| {
            format!("valgrind does not run ({error}); install it: apt-get install valgrind")
        })?;
    // Valgrind replaces itself by the program, so the process id stays the same.
    let pid = child.id();
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = fs::read_to_string(log(&pid.to_string())).unwrap_or_default();
        return Err(format!("the measured program failed: {}\n{said}", output.status).into());
    }
    Ok(pid)
}

/// Returns what `take` takes out of the file of each phase, by process.
fn read<T>(folder: &Path, take: impl Fn(&str) -> Option<T>) -> Result<BTreeMap<u32, Vec<T>>> {
    let mut found: BTreeMap<u32, BTreeMap<u32, T>> = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        // The file of a process after its last phase has no phase number.
        if let Some((pid, phase)) = numbers(&name) {
            let taken = take(&fs::read_to_string(&path)?)
                .ok_or_else(|| format!("{name} holds no total"))?;
            found.entry(pid).or_default().insert(phase, taken);
        }
    }
    Ok(found
        .into_iter()
        .map(|(pid, phases)| (pid, phases.into_values().collect()))
        .collect())
}

/// Returns process and phase of a file name `counts.<process>.<phase>`.
fn numbers(name: &str) -> Option<(u32, u32)> {
    let (pid, phase) = name.strip_prefix("counts.")?.split_once('.')?;
    Some((pid.parse().ok()?, phase.parse().ok()?))
}

/// Returns the total of instructions in a file of callgrind.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:"))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_phases_are_told_from_others() {
        assert_eq!(numbers("counts.17.3"), Some((17, 3)));
        assert_eq!(numbers("counts.17"), None);
        assert_eq!(numbers("log.17"), None);
    }

    #[test]
    fn totals_are_found() {
        let text = "version: 1\nevents: Ir\nfn=(1) main\n3 5\n\ntotals: 1234\n";
        assert_eq!(total(text), Some(1234));
        assert_eq!(total("events: Ir\n"), None);
    }
}
