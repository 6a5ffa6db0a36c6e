//! The names that segments have for the first microseconds of their lives.
//!
//! A process that is killed right then leaves an empty or sparse file behind, and cannot help it.
//! So the next one that makes a segment removes such files: a name of ours that is still there
//! after some seconds has nobody who would.

use std::{
    hash::{BuildHasher, Hasher},
    os::unix::fs::MetadataExt,
    path::Path,
    sync::Once,
    time::{Duration, SystemTime},
};

const PREFIX: &str = "mobula-";

/// No live process needs its name for as long as this, however busy the machine is.
const STALE: Duration = Duration::from_secs(60);

/// A name that nobody else has: the process id tells people who made it, the rest is random.
pub(crate) fn fresh() -> String {
    let random = std::hash::RandomState::new().build_hasher().finish();
    format!("/{PREFIX}{}-{random:016x}", std::process::id())
}

/// Removes what killed processes of this user have left, once in a process.
pub(crate) fn sweep(folder: &Path) {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| remove_stale(folder, SystemTime::now()));
}

fn remove_stale(folder: &Path, now: SystemTime) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    let user = rustix::process::geteuid().as_raw();
    for entry in entries.flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let stale = entry.metadata().is_ok_and(|metadata| {
            let age = metadata
                .modified()
                .ok()
                .and_then(|time| now.duration_since(time).ok());
            metadata.is_file() && metadata.uid() == user && age.is_some_and(|age| age > STALE)
        });
        if stale {
            // Another process may have been faster.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_old_files_of_ours_are_removed() {
        let folder = std::env::temp_dir().join(format!("mobula-names-{}", std::process::id()));
        std::fs::create_dir(&folder).unwrap();
        for name in ["mobula-1-00", "mobula", "other"] {
            std::fs::write(folder.join(name), "").unwrap();
        }
        let count = || std::fs::read_dir(&folder).unwrap().count();
        remove_stale(&folder, SystemTime::now());
        assert_eq!(count(), 3);
        remove_stale(&folder, SystemTime::now() + 2 * STALE);
        assert_eq!(count(), 2);
        assert!(!folder.join("mobula-1-00").exists());
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn names_differ_and_tell_the_process() {
        let (one, two) = (fresh(), fresh());
        assert_ne!(one, two);
        assert!(one.starts_with(&format!("/mobula-{}-", std::process::id())));
    }
}
