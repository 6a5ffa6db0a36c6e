//! Runs the whole program as a job of a Ray cluster, from a machine that is no node of it.
//!
//! This process uploads the program's file as a package. The job runs the file on the cluster with
//! the same arguments and `MOBULA_ENGINE=ray:auto`. This process shows the job's output, and ends
//! with the job's exit code.

mod api;
mod interrupts;
mod package;

use std::{
    ffi::{OsStr, OsString},
    io::Write,
    sync::mpsc::RecvTimeoutError,
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result};

use api::{Head, Job, Submission};
use interrupts::Interrupts;
use package::Package;

/// The variable that names the engine. In this process it gives the head's address, in the job the
/// cluster.
const ENGINE: &str = "MOBULA_ENGINE";

/// The text before the address of a head in [`ENGINE`].
pub(crate) const PREFIX: &str = "ray-job:";

/// The environment variables of this process that the job receives.
const PASSED_ON: [&str; 4] = [
    "MOBULA_STORE_CAPACITY",
    "RUST_BACKTRACE",
    "RUST_LOG",
    "RUST_MIN_STACK",
];

/// The pause between two requests for the job's state, at first. It grows up to `LATER`.
const SOON: Duration = Duration::from_millis(200);
const LATER: Duration = Duration::from_secs(1);

/// The longest pause between two requests, if the job has much output.
const LATEST: Duration = Duration::from_secs(30);

/// Bytes of output that lengthen the pause by one second. Each answer has all output of the job.
const OUTPUT_PER_SECOND: u32 = 4 << 20;

/// The longest time that the head may be out of reach while the job runs.
const PATIENCE: Duration = Duration::from_secs(60);

/// The exit code of a program that was interrupted.
const INTERRUPTED: i32 = 130;

/// Runs this program on the cluster if `MOBULA_ENGINE` says so. Then it ends this process.
pub(crate) fn take_over(args: &[OsString]) {
    let Ok(engine) = std::env::var(ENGINE) else {
        return;
    };
    let Some(url) = engine.trim().strip_prefix(PREFIX) else {
        return;
    };
    let code = url
        .parse()
        .and_then(|address| run(&address, args, &[]))
        .unwrap_or_else(|error| {
            eprintln!("mobula: {error}");
            1
        });
    std::process::exit(code)
}

/// Runs this program on the cluster, with these arguments and variables, and returns its exit code.
///
/// # Errors
/// The head is out of reach, or refuses the program.
pub(crate) fn run(
    address: &crate::cluster_address::HeadAddress,
    args: &[OsString],
    env: &[(&str, &str)],
) -> Result<i32> {
    let head = Head::new(address);
    let version = head.version()?;
    let package = Package::of_this_program()?;
    let name = package.name();
    if !head.has_package(&name)? {
        eprintln!(
            "mobula: uploading {} ({:.1} MB) to {address} (Ray {version})",
            package.program,
            package.zip.len() as f64 / 1e6,
        );
        head.upload(&name, &package.zip)?;
    }
    let submission = Submission {
        entrypoint: entrypoint(&package.program, args)?,
        working_dir: format!("gcs://{name}"),
        env: variables(env),
        name: package.program,
    };
    // From here on, an interrupt has to stop the job.
    let interrupts = Interrupts::listen()?;
    let id = head.submit(&submission)?;
    eprintln!("mobula: {id} runs on {address}");
    Watched { head, id, shown: 0 }.until_its_end(&interrupts)
}

/// A job that was submitted.
struct Watched {
    head: Head,
    id: String,
    /// The bytes of the job's output that were shown.
    shown: usize,
}

impl Watched {
    /// Shows the output of the job until the job ends, and returns the exit code.
    ///
    /// A first interrupt stops the job. A second interrupt returns before the job has stopped.
    fn until_its_end(mut self, interrupts: &Interrupts) -> Result<i32> {
        let mut pause = SOON;
        let mut stopped = false;
        let mut reached = Instant::now();
        loop {
            match interrupts.within(pause) {
                Ok(()) if stopped => {
                    eprintln!("mobula: {} may not have stopped yet", self.id);
                    return Ok(INTERRUPTED);
                }
                Ok(()) => {
                    eprintln!(
                        "mobula: stopping {}; a second interrupt does not wait",
                        self.id
                    );
                    self.head.stop(&self.id)?;
                    stopped = true;
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            // The state is read before the output. So the output of an ended job is complete.
            let seen = self.head.job(&self.id).and_then(|job| {
                self.show()?;
                Ok(job)
            });
            match seen {
                Ok(job) => {
                    if let Some(code) = self.code(&job, stopped) {
                        return Ok(code);
                    }
                    reached = Instant::now();
                }
                Err(error) if reached.elapsed() >= PATIENCE => {
                    let id = &self.id;
                    return Err(Error::setup(format!(
                        "the job {id} was out of reach for {PATIENCE:?}, and may still run (`ray job logs {id}`): \
                         {error}"
                    )));
                }
                Err(_) => {}
            }
            let read = Duration::from_secs(1) * (self.shown as u32 / OUTPUT_PER_SECOND);
            pause = (pause * 3 / 2).min(LATER.max(read).min(LATEST));
        }
    }

    /// Shows the new part of the output.
    fn show(&mut self) -> Result<()> {
        let all = self.head.logs(&self.id)?;
        if let Some(new) = all.as_bytes().get(self.shown..) {
            let mut out = std::io::stdout().lock();
            // An error means that nothing reads standard output. The job is watched all the same.
            let _ = out.write_all(new).and_then(|()| out.flush());
            self.shown = all.len();
        }
        Ok(())
    }

    /// Returns the exit code of this program if the job has ended.
    fn code(&self, job: &Job, stopped: bool) -> Option<i32> {
        match &*job.status {
            "SUCCEEDED" => Some(0),
            "STOPPED" if stopped => Some(INTERRUPTED),
            "STOPPED" | "FAILED" => {
                let why = job.message.as_deref().unwrap_or("no reason was given");
                // The rest of the message is output that was shown already.
                let why = why.split(", last available logs").next().unwrap_or(why);
                eprintln!(
                    "mobula: {} has ended as {}: {}",
                    self.id,
                    job.status,
                    why.trim()
                );
                Some(exit_code(job.driver_exit_code))
            }
            _ => None,
        }
    }
}

/// Returns the exit code for a job that has failed or was stopped.
fn exit_code(driver: Option<i32>) -> i32 {
    match driver {
        Some(code @ 1..=255) => code,
        // A signal, in the form that shells use.
        Some(code @ -127..=-1) => 128 - code,
        _ => 1,
    }
}

/// Returns the environment variables of the job.
fn variables(env: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = PASSED_ON
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    let given = env
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let engine = (ENGINE.to_owned(), "ray:auto".to_owned());
    own.chain(given).chain([engine]).collect()
}

/// Returns the command of the job, for a shell.
///
/// # Errors
/// An argument is no UTF-8.
fn entrypoint(program: &str, args: &[OsString]) -> Result<String> {
    let mut command = format!("./{program}");
    for arg in args {
        command.push(' ');
        command.push_str(&quoted(arg)?);
    }
    Ok(command)
}

fn quoted(text: &OsStr) -> Result<String> {
    let text = text.to_str().ok_or_else(|| {
        Error::usage(format!(
            "the argument {} is no UTF-8, and arguments of a job on Ray are",
            text.display()
        ))
    })?;
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_job_has_an_exit_code_of_a_failure() {
        let codes = [Some(3), Some(-9), Some(0), Some(1000), None].map(exit_code);
        assert_eq!(codes, [3, 137, 1, 1, 1]);
    }

    #[test]
    fn arguments_reach_the_program_through_a_shell() {
        let args: Vec<OsString> = ["--n", "a b", "it's", "$HOME", ""].map(Into::into).to_vec();
        let command = entrypoint("prog", &args).unwrap();
        let shown = command.replacen("./prog", "printf '<%s>'", 1);
        let output = std::process::Command::new("sh")
            .args(["-c", &shown])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text, "<--n><a b><it's><$HOME><>");
    }
}
