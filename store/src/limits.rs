//! Limits of the system: which ones may be behind a refusal, how far each is used, and how to raise
//! it.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use rustix::{
    fs::{Mode, OFlags},
    io::Errno,
    process::{Resource, getrlimit},
};

use crate::{byte_count::ByteCount, descriptors};

/// The thing that the system was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A further open file, socket or pipe.
    Descriptor,
    /// A further thread or process.
    Thread,
    /// A further mapping, or a longer one.
    Addresses,
}

/// Returns whether the system refused because a limit is reached. The request can succeed later, or
/// with a higher limit.
pub fn is_limit(error: &io::Error) -> bool {
    let limits = [
        Errno::AGAIN,
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::NOBUFS,
        Errno::TOOMANYREFS,
    ];
    limits
        .iter()
        .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Returns the limits that can be behind a refusal, with their values, and advice. Reads some files
/// in `/proc` and `/sys`.
pub fn advice(wanted: Wanted, error: &io::Error) -> String {
    let errno = error.raw_os_error();
    let is = |other: Errno| errno == Some(other.raw_os_error());
    let wanted = match wanted {
        _ if is(Errno::MFILE) || is(Errno::NFILE) => Wanted::Descriptor,
        Wanted::Descriptor if is(Errno::NOMEM) => Wanted::Addresses,
        wanted => wanted,
    };
    let mut limits = Vec::new();
    let what = match wanted {
        Wanted::Descriptor if is(Errno::NFILE) => {
            limits.extend(kernel("fs/file-max").map(|limit| format!("`fs.file-max` is {limit}")));
            "open files"
        }
        Wanted::Descriptor => {
            limits.extend(descriptors());
            "open descriptors"
        }
        Wanted::Thread => {
            limits.extend(threads());
            "threads and processes"
        }
        Wanted::Addresses => {
            limits.extend(addresses());
            "addresses"
        }
    };
    let limits = match limits.is_empty() {
        true => "none that this process can see".to_owned(),
        false => limits.join(", "),
    };
    let less = match wanted {
        Wanted::Descriptor | Wanted::Thread => "use fewer workers and actors",
        Wanted::Addresses => "use fewer workers and actors, or a smaller `store_capacity`",
    };
    format!("limits on {what}: {limits}; raise the one that is reached, or {less}")
}

fn descriptors() -> Option<String> {
    let limit = getrlimit(Resource::Nofile);
    let soft = limit.current?;
    Some(match limit.maximum {
        Some(hard) if hard > soft => format!("`ulimit -n` is {soft} (up to {hard} are allowed)"),
        _ => format!("`ulimit -n` is {soft}"),
    })
}

fn threads() -> Vec<String> {
    let mut limits = Vec::new();
    if let Some(limit) = getrlimit(Resource::Nproc).current {
        limits.push(format!(
            "`ulimit -u` is {limit} for all processes of the user"
        ));
    }
    if let Some(group) = CgroupLimit::of("pids", "pids.max", "pids.max") {
        let used = match group.read("pids.current") {
            Some(used) => format!(", of which {used} are in use"),
            None => String::new(),
        };
        limits.push(format!("`pids.max` of the cgroup is {}{used}", group.limit));
    }
    limits.extend(kernel("kernel/threads-max").map(|n| format!("`kernel.threads-max` is {n}")));
    limits.extend(address_space());
    limits.extend(mappings());
    limits
}

fn addresses() -> Vec<String> {
    address_space().into_iter().chain(mappings()).collect()
}

fn address_space() -> Option<String> {
    let limit = getrlimit(Resource::As).current?;
    Some(format!("`ulimit -v` is {}", ByteCount(limit)))
}

fn mappings() -> Option<String> {
    let limit = kernel("vm/max_map_count")?;
    let used = fs::read_to_string("/proc/self/maps").ok()?.lines().count() as u64;
    Some(format!(
        "`vm.max_map_count` is {limit}, of which {used} are in use"
    ))
}

/// Returns a number in `/proc/sys`.
fn kernel(name: &str) -> Option<u64> {
    let text = fs::read_to_string(Path::new("/proc/sys").join(name)).ok()?;
    text.trim().parse().ok()
}

/// Returns the number of bytes of addresses that this process may use. That is the limit of `ulimit
/// -v`, but at most the range that a 64-bit processor gives to programs.
pub fn address_space_bytes() -> u64 {
    const USUAL: u64 = 1 << 47;
    getrlimit(Resource::As)
        .current
        .map_or(USUAL, |limit| limit.min(USUAL))
}

/// The lowest limit of this process' control group and the groups above it, of version 2 or 1.
#[derive(Debug)]
pub struct CgroupLimit {
    /// Its value.
    pub limit: u64,
    group: PathBuf,
}

impl CgroupLimit {
    /// Returns the limit of a `controller` in the file `v2`, or in `v1` where that version is
    /// mounted. Returns `None` if there is no limit, or if it cannot be read.
    pub fn of(controller: &str, v2: &str, v1: &str) -> Option<CgroupLimit> {
        let membership = fs::read_to_string("/proc/self/cgroup").ok()?;
        let mut tightest: Option<CgroupLimit> = None;
        for line in membership.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let (root, file) = match controllers {
                "" => (PathBuf::from("/sys/fs/cgroup"), v2),
                some if some.split(',').any(|one| one == controller) => {
                    (Path::new("/sys/fs/cgroup").join(controller), v1)
                }
                _ => continue,
            };
            for path in Path::new(path.trim_start_matches('/')).ancestors() {
                let group = root.join(path);
                let limit = fs::read_to_string(group.join(file)).ok();
                let limit = limit.and_then(|text| text.trim().parse::<u64>().ok());
                if let Some(limit) = limit
                    && tightest.as_ref().is_none_or(|other| limit < other.limit)
                {
                    tightest = Some(CgroupLimit { limit, group });
                }
            }
        }
        tightest
    }

    /// Returns a number in another file of that group.
    pub fn read(&self, file: &str) -> Option<u64> {
        let text = fs::read_to_string(self.group.join(file)).ok()?;
        text.trim().parse().ok()
    }
}

/// Returns the stack size for a thread with `bytes` left for calls. glibc takes the memory of
/// thread-local variables from the stack. Reads the program's file once.
pub fn stack_for(bytes: usize) -> usize {
    static THREAD_LOCALS: OnceLock<usize> = OnceLock::new();
    let thread_locals = *THREAD_LOCALS.get_or_init(|| {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let program = descriptors::open("/proc/self/exe", flags, Mode::empty());
        let size = program.ok().and_then(|program| {
            let mut file: fs::File = program.into();
            thread_locals_of(&mut file)
        });
        size.unwrap_or(0)
    });
    bytes.saturating_add(thread_locals.next_multiple_of(4096))
}

/// Returns the bytes of a program's thread-local variables, from its `PT_TLS` header.
fn thread_locals_of(program: &mut (impl io::Read + io::Seek)) -> Option<usize> {
    const TLS: u32 = 7;
    let mut header = [0; 64];
    program.read_exact(&mut header).ok()?;
    // The file must be ELF of 64 bits, in the byte order of this machine.
    let order = if cfg!(target_endian = "little") { 1 } else { 2 };
    if header[..6] != [0x7f, b'E', b'L', b'F', 2, order] {
        return None;
    }
    let u16_at = |at: usize| Some(u16::from_ne_bytes(header.get(at..at + 2)?.try_into().ok()?));
    let table = u64::from_ne_bytes(header[32..40].try_into().ok()?);
    let (size, count) = (usize::from(u16_at(54)?), u16_at(56)?);
    program.seek(io::SeekFrom::Start(table)).ok()?;
    let mut entry = vec![0; size];
    for _ in 0..count {
        program.read_exact(&mut entry).ok()?;
        let kind = u32::from_ne_bytes(entry.get(..4)?.try_into().ok()?);
        if kind == TLS {
            let bytes = u64::from_ne_bytes(entry.get(40..48)?.try_into().ok()?);
            return usize::try_from(bytes).ok().filter(|bytes| *bytes < 1 << 30);
        }
    }
    Some(0)
}

/// A refusal of the system, in words.
pub(crate) struct Refusal<'e> {
    pub(crate) wanted: Wanted,
    pub(crate) error: &'e io::Error,
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.error)?;
        if is_limit(self.error) {
            write!(f, "; {}", advice(self.wanted, self.error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    fn error(errno: Errno) -> io::Error {
        errno.into()
    }

    #[test]
    fn advice_names_the_limit_and_its_value() {
        let files = advice(Wanted::Thread, &error(Errno::MFILE));
        let limit = getrlimit(Resource::Nofile).current.unwrap();
        assert!(
            files.contains(&format!("`ulimit -n` is {limit}")),
            "{files}"
        );
        let threads = advice(Wanted::Thread, &error(Errno::AGAIN));
        assert!(threads.contains("kernel.threads-max"), "{threads}");
        let addresses = advice(Wanted::Addresses, &error(Errno::NOMEM));
        assert!(
            addresses.contains("vm.max_map_count") && addresses.contains("store_capacity"),
            "{addresses}"
        );
        assert!(!is_limit(&error(Errno::NOENT)));
    }

    #[test]
    fn a_stack_has_room_beside_thread_locals() {
        thread_local! {
            static LARGE: Cell<[u8; 400_000]> = const { Cell::new([1; 400_000]) };
        }
        assert_eq!(LARGE.get()[7], 1);
        let bytes = 256 << 10;
        assert!((400_000..16 << 20).contains(&(stack_for(bytes) - bytes)));
        // Without the addition, the thread would have some KiB, and die of an overflow.
        let thread = std::thread::Builder::new().stack_size(stack_for(bytes));
        let used = thread.spawn(|| std::hint::black_box([1_u8; 32 << 10]).len());
        assert_eq!(used.unwrap().join().unwrap(), 32 << 10);
    }

    #[test]
    fn what_is_no_program_has_no_thread_locals() {
        for bytes in [&b""[..], b"#!/bin/sh\n", &[0x7f; 64]] {
            assert_eq!(thread_locals_of(&mut io::Cursor::new(bytes)), None);
        }
    }
}
