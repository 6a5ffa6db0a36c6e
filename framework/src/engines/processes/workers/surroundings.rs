//! The surroundings of workers: the working directory, the environment and the umask. Workers get
//! those that this process had when the runtime began, even if they have changed since.

use std::{
    ffi::OsString,
    os::fd::{AsRawFd, OwnedFd},
    path::{Path, PathBuf},
};

use mobula_protocol::{Error, Result};
use mobula_store::descriptors;
use rustix::fs::{Mode, OFlags};

/// The umask to assume where `/proc` does not tell the umask of this process.
const USUAL_UMASK: u32 = 0o022;

/// See the module's text.
#[derive(Debug)]
pub(in crate::engines::processes) struct Surroundings {
    /// A descriptor and not a path, since the directory may be moved.
    directory: OwnedFd,
    pub(in crate::engines::processes) environment: Vec<(OsString, OsString)>,
    pub(in crate::engines::processes) umask: u32,
    /// How many cores this process may use.
    pub(in crate::engines::processes) cores: usize,
}

impl Surroundings {
    /// Takes the present surroundings of this process, with another directory if one is given.
    ///
    /// # Errors
    /// The path is no directory, or the directory cannot be entered.
    pub(in crate::engines::processes) fn now(directory: Option<&Path>) -> Result<Surroundings> {
        let path = directory.unwrap_or(Path::new("."));
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = descriptors::open(path, flags, Mode::empty()).map_err(|error| {
            let path = path.display();
            Error::setup(format!(
                "`{path}` cannot be the working directory of workers: {error}; `Builder::current_dir` takes a directory that exists"
            ))
        })?;
        Ok(Surroundings {
            directory,
            environment: std::env::vars_os().collect(),
            umask: umask(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
        })
    }

    /// Returns a path to the working directory, for a process that still has this process'
    /// descriptors.
    pub(in crate::engines::processes) fn directory(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.directory.as_raw_fd()).into()
    }
}

/// Returns this process' umask. A system call that returns it would change it, and other threads
/// could see the change.
fn umask() -> u32 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Umask:"));
    line.and_then(|mask| u32::from_str_radix(mask.trim(), 8).ok())
        .unwrap_or(USUAL_UMASK)
}
