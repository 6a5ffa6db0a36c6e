//! The peers, the places of their programs, and their installation.

use std::{
    env,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

/// The program of a peer.
#[derive(Clone, Copy, Debug)]
enum Program {
    /// A script of `peers/`, and the module that it needs.
    Python {
        script: &'static str,
        module: &'static str,
    },
    /// A program of `peers/rust`.
    Rust(&'static str),
}

/// A peer's program.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer {
    /// The peer's name in the lines that its program prints.
    pub(crate) name: &'static str,
    program: Program,
    /// The time limit of the program.
    pub(crate) limit: Duration,
}

const fn rust(name: &'static str) -> Peer {
    Peer {
        name,
        program: Program::Rust(name),
        limit: Duration::from_secs(120),
    }
}

const fn python(name: &'static str, script: &'static str, module: &'static str) -> Peer {
    Peer {
        name,
        program: Program::Python { script, module },
        limit: Duration::from_secs(180),
    }
}

impl Peer {
    /// Changes the time limit.
    const fn within(self, seconds: u64) -> Peer {
        Peer {
            limit: Duration::from_secs(seconds),
            ..self
        }
    }
}

/// The programs in the order of their runs and tables.
pub(crate) const PEERS: [Peer; 11] = [
    rust("rayon"),
    rust("tokio"),
    rust("procspawn"),
    python("multiprocessing.Pool", "multiprocessing_pool.py", "numpy"),
    python("multiprocessing.RawArray", "rawarray.py", "numpy"),
    python(
        "ProcessPoolExecutor",
        "process_pool_executor.py",
        "concurrent.futures",
    ),
    python("joblib", "loky_joblib.py", "joblib"),
    python("dask", "dask_local.py", "distributed"),
    python("Ray", "ray_local.py", "ray"),
    python("Ray", "ray_actors.py", "ray"),
    // The program cancels 10,000 calls twice, and starts Ray twice.
    python("Ray", "ray_control.py", "ray").within(400),
];

/// Returns the names of the peers. A peer with several programs is named once.
pub(crate) fn names() -> Vec<&'static str> {
    let mut names = PEERS.map(|peer| peer.name).to_vec();
    names.dedup();
    names
}

/// The folder of the benchmarks.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    benches: PathBuf,
}

impl Places {
    /// Finds the folder. Cargo names it to programs that it runs. Otherwise it is the folder of the
    /// build.
    pub(crate) fn find() -> Places {
        let said = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
        let benches = said
            .filter(|folder| folder.join("peers").is_dir())
            .unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        Places { benches }
    }

    pub(crate) fn results(&self) -> PathBuf {
        self.benches.join("results")
    }

    fn peers(&self) -> PathBuf {
        self.benches.join("peers")
    }

    fn python(&self) -> PathBuf {
        self.peers().join(".venv/bin/python")
    }
}

/// The command that installs all Python peers.
const INSTALL: &str = "install with `python3 -m venv benches/peers/.venv && \
    benches/peers/.venv/bin/pip install -r benches/peers/requirements.txt`";

const BUILD: &str =
    "build with `cargo build --release --manifest-path benches/peers/rust/Cargo.toml` to see why";

/// Returns the target folder of the Rust peers, beside this program's build.
fn built() -> Option<PathBuf> {
    let program = env::current_exe().ok()?;
    Some(program.parent()?.parent()?.join("peers"))
}

/// Builds the Rust peers if they have changed. Returns whether the build succeeded.
pub(crate) fn build_rust(places: &Places) -> bool {
    let Some(target) = built() else { return false };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let built = Command::new(cargo)
        .args(["build", "--release", "--locked", "--manifest-path"])
        .arg(places.peers().join("rust/Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        // The variables of this program's build are wrong for another workspace.
        .env_remove("CARGO_MANIFEST_DIR")
        .status();
    built.is_ok_and(|status| status.success())
}

impl Peer {
    /// Returns whether this lower-case name is the peer's name or its program's name. A peer may
    /// have several programs.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        let program = match self.program {
            Program::Python { script, .. } => script.trim_end_matches(".py"),
            Program::Rust(name) => name,
        };
        self.name.to_lowercase() == name || program == name
    }

    pub(crate) fn is_rust(&self) -> bool {
        matches!(self.program, Program::Rust(_))
    }

    /// Returns the command that runs the program.
    ///
    /// # Errors
    /// The program cannot run. The error says why, and what helps.
    pub(crate) fn command(&self, places: &Places, quick: bool) -> Result<Command, String> {
        let mut command = match self.program {
            Program::Rust(name) => {
                let program = built().map(|target| target.join("release").join(name));
                let program = program.filter(|program| program.is_file()).ok_or(BUILD)?;
                Command::new(program)
            }
            Program::Python { script, module } => {
                let python = places.python();
                if !has_module(&python, module) {
                    return Err(INSTALL.into());
                }
                let mut command = Command::new(python);
                command
                    .arg(places.peers().join(script))
                    .current_dir(places.peers())
                    .env("PYTHONDONTWRITEBYTECODE", "1")
                    // A worker of Mobula works with one thread, so a peer's worker does, too.
                    .env("OMP_NUM_THREADS", "1");
                command
            }
        };
        if quick {
            command.arg("--quick");
        }
        Ok(command)
    }
}

fn has_module(python: &Path, module: &str) -> bool {
    let script =
        format!("import importlib.util as u, sys; sys.exit(u.find_spec({module:?}) is None)");
    Command::new(python)
        .args(["-c", &script])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_programs_of_all_peers_are_there() {
        let peers = Places::find().peers();
        for peer in PEERS {
            let file = match peer.program {
                Program::Python { script, .. } => peers.join(script),
                Program::Rust(name) => peers.join(format!("rust/src/bin/{name}.rs")),
            };
            assert!(file.is_file(), "{}", file.display());
        }
    }

    #[test]
    fn a_peer_has_one_name() {
        let names = names();
        let unique: std::collections::HashSet<_> = names.iter().collect();
        assert_eq!(
            unique.len(),
            names.len(),
            "programs of one peer stand apart"
        );
    }

    #[test]
    fn programs_are_called_by_the_peer_or_by_their_names() {
        let called = |name| PEERS.iter().filter(|peer| peer.is_called(name)).count();
        let counts = ["ray", "ray_actors", "rayon", "ray_"].map(called);
        assert_eq!(counts, [3, 1, 1, 0]);
    }

    #[test]
    fn a_peer_that_is_not_installed_says_how_to_install_it() {
        let places = Places {
            benches: "/nonexistent".into(),
        };
        let ray = PEERS.iter().find(|peer| peer.name == "Ray").unwrap();
        let error = ray.command(&places, false).unwrap_err();
        assert!(
            error.contains("pip install -r benches/peers/requirements.txt"),
            "{error}"
        );
    }
}
