//! The Python process that joins the cluster for this program.

use std::{
    ffi::OsString,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use mobula_protocol::{Error, Result, frames::stream, link};

use crate::{cluster_address::Address, config::Config, init::worker_entry, json::quoted};

/// The Python program of the helper and of each Ray worker that runs calls.
const SHIM: &str = include_str!("shim.py");

/// The Python command that runs the shim, which is its first argument.
const BOOT: &str = "import sys; exec(compile(sys.argv[1], 'mobula_shim.py', 'exec'))";

/// The variable that names the Python to use.
const PYTHON: &str = "MOBULA_PYTHON";

/// The time that a helper has to end by itself, before it is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pause between two looks whether the helper has ended.
const LOOK: Duration = Duration::from_millis(5);

/// This process' ends of the helper's connections.
pub(super) struct Ends {
    pub(super) stream: OwnedFd,
    pub(super) socket: OwnedFd,
}

/// The helper process.
#[derive(Debug)]
pub(super) struct Helper {
    child: Child,
    python: PathBuf,
    ended: Option<ExitStatus>,
}

impl Helper {
    /// Starts the process. It joins the cluster in the background.
    ///
    /// # Errors
    /// There is no Python, or the system refuses a socket or a process.
    pub(super) fn start(config: &Config, address: &Address) -> Result<(Helper, Ends)> {
        let python = python();
        let failed = |error: io::Error| Error::setup(format!("cannot make a socket: {error}"));
        let (stream, its_stream) = stream::pair().map_err(failed)?;
        let (socket, its_socket) = link::pair().map_err(failed)?;
        stream::pass_socket(stream.as_fd(), its_socket.as_fd()).map_err(failed)?;
        let child = Command::new(&python)
            .args(["-u", "-c", BOOT, SHIM])
            .arg(settings(config, address)?)
            .stdin(Stdio::from(its_stream))
            .env("RAY_DEDUP_LOGS", "0")
            // Mobula reports unread errors itself.
            .env("RAY_IGNORE_UNHANDLED_ERRORS", "1")
            .spawn()
            .map_err(|error| {
                Error::setup(format!(
                    "cannot start `{}`: {error}; a runtime on Ray needs Python with `ray` on this machine \
                     (`pip install ray`), found by ${PYTHON}, $VIRTUAL_ENV or as `python3`",
                    python.display()
                ))
            })?;
        let ended = None;
        let helper = Helper {
            child,
            python,
            ended,
        };
        Ok((helper, Ends { stream, socket }))
    }

    /// Returns the error of a start at which the helper has not sent its first frame. Ends the
    /// helper within 1 s, and adds its exit status if that is a failure.
    pub(super) fn failed(&mut self, error: Error) -> Error {
        let status = self.end(Duration::from_secs(1));
        let python = self.python.display();
        match status {
            Some(status) if !status.success() => Error::setup(format!(
                "{error}; the helper (`{python}`) has ended with {status}, and says why on standard error"
            )),
            _ => error,
        }
    }

    /// Waits up to `patience` for the end of the process, then kills it.
    pub(super) fn end(&mut self, patience: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + patience;
        while self.ended.is_none() {
            match self.child.try_wait() {
                Ok(Some(status)) => self.ended = Some(status),
                Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK),
                Ok(None) | Err(_) => {
                    let _ = self.child.kill();
                    self.ended = self.child.wait().ok();
                    break;
                }
            }
        }
        self.ended
    }

    /// The patience for [`end`](Helper::end) at a regular end.
    pub(super) const PATIENCE: Duration = PATIENCE;
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.end(Duration::ZERO);
    }
}

/// Returns the Python to use: `$MOBULA_PYTHON`, that of `$VIRTUAL_ENV`, or `python3`.
fn python() -> PathBuf {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    if let Some(python) = set(PYTHON) {
        return python.into();
    }
    match set("VIRTUAL_ENV") {
        Some(environment) => PathBuf::from(environment).join("bin/python"),
        None => PathBuf::from("python3"),
    }
}

/// Returns the settings that the helper needs before the first frame, as JSON.
///
/// # Errors
/// This program cannot start further processes of itself, or its file is not known.
fn settings(config: &Config, address: &Address) -> Result<String> {
    let entry = worker_entry()?;
    let program = std::env::current_exe()
        .map_err(|error| Error::setup(format!("this program's file is not known: {error}")))?;
    let mut environment: Vec<(OsString, OsString)> = config.env.clone();
    environment.extend(
        entry
            .env
            .iter()
            .map(|(name, value)| (name.into(), value.into())),
    );
    let texts = |list: &[OsString]| {
        let texts: Vec<String> = list.iter().map(|text| quoted(text)).collect();
        format!("[{}]", texts.join(","))
    };
    let pairs: Vec<String> = environment
        .iter()
        .map(|(name, value)| format!("[{},{}]", quoted(name), quoted(value)))
        .collect();
    Ok(format!(
        "{{\"address\":{},\"node\":{},\"program\":{},\"args\":{},\"env\":[{}],\"capacity\":{},\"stack\":{},\"start\":{},\"name\":{}}}",
        quoted(address.cluster.as_ref()),
        address
            .node
            .as_ref()
            .map_or("null".to_owned(), |node| quoted(node.as_ref())),
        quoted(program.as_os_str()),
        texts(&entry.args),
        pairs.join(","),
        config.capacity,
        config.stack,
        config.start_timeout.as_secs_f64(),
        quoted(config.name.as_ref()),
    ))
}
