//! Finds the file of this program, and how to run it again.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
    process::Command,
};

use mobula_protocol::{Error, Result};

/// A link to the file that the kernel has started, also when the file was replaced or deleted.
const EXE: &str = "/proc/self/exe";

/// The key of the auxiliary vector with the address of the dynamic loader.
const AT_BASE: usize = 7;

/// Returns a command that runs this program again, without arguments.
///
/// In two cases the kernel has started another file. Under valgrind, that file is valgrind, which
/// knows the program. Or the program was started through the dynamic loader (`ld.so ./program`).
/// Then the command repeats this start with the loader's options: the loader takes its first
/// argument for a program.
///
/// # Errors
/// The program's file is not known for certain. The command never runs another file in its place.
pub(in crate::engines::processes) fn command() -> Result<Command> {
    let emulated = std::env::var_os("LD_PRELOAD")
        .is_some_and(|preload: OsString| preload.to_string_lossy().contains("vgpreload"));
    let mut command = if emulated && let Ok(exe) = std::env::current_exe() {
        Command::new(exe)
    } else if let Some(own) = started_by_loader() {
        return through_loader(&own);
    } else {
        Command::new(EXE)
    };
    if let Some(name) = std::env::args_os().next() {
        std::os::unix::process::CommandExt::arg0(&mut command, name);
    }
    Ok(command)
}

/// Returns the file of this code, if the kernel has started the dynamic loader in the place of this
/// file.
///
/// Otherwise the kernel loads the loader beside the program, if the program needs one.
fn started_by_loader() -> Option<PathBuf> {
    let exe = std::fs::read_link(EXE).ok()?;
    let vector = std::fs::read("/proc/self/auxv").ok()?;
    if loader_of(&vector)? != 0 {
        return None;
    }
    let maps = std::fs::read("/proc/self/maps").ok()?;
    let here = started_by_loader as *const () as usize;
    let own = mapped(&maps).find(|(range, _)| range.contains(&here))?.1;
    (own != exe).then(|| own.to_owned())
}

/// Returns the address of the loader that came with the program.
fn loader_of(vector: &[u8]) -> Option<usize> {
    const WORD: usize = size_of::<usize>();
    let word = |bytes: &[u8]| bytes.try_into().ok().map(usize::from_ne_bytes);
    let mut pairs = vector.chunks_exact(2 * WORD);
    let pair = pairs.find(|pair| word(&pair[..WORD]) == Some(AT_BASE))?;
    word(&pair[WORD..])
}

/// Returns the mapped files of `/proc/self/maps`, with their addresses.
fn mapped(maps: &[u8]) -> impl Iterator<Item = (std::ops::Range<usize>, &Path)> {
    maps.split(|byte| *byte == b'\n').filter_map(|line| {
        let path = line.iter().position(|byte| *byte == b'/')?;
        let range = line.split(|byte| *byte == b' ').next()?;
        let (from, to) = str::from_utf8(range).ok()?.split_once('-')?;
        let address = |text| usize::from_str_radix(text, 16).ok();
        let path = Path::new(OsStr::from_bytes(&line[path..]));
        Some((address(from)?..address(to)?, path))
    })
}

/// Returns a command with this process' loader, its options and the program's file. `own`: the file
/// of this code.
fn through_loader(own: &Path) -> Result<Command> {
    let failed = |why: &str| {
        Error::setup(format!(
            "cannot start a worker: this program was started through the dynamic loader, and {why}; start it by its own name"
        ))
    };
    let line = std::fs::read("/proc/self/cmdline")
        .map_err(|error| failed(&format!("its command line cannot be read: {error}")))?;
    let mut words = line.strip_suffix(b"\0").unwrap_or(&line).split(|b| *b == 0);
    let loader = words.next().unwrap_or_default();
    let mut words: Vec<&[u8]> = words.collect();
    // The loader has passed on its last words: the program's name and arguments.
    let options = (words.len() + 1).checked_sub(std::env::args_os().len());
    let Some(options) = options.filter(|options| *options > 0) else {
        return Err(failed("its command line was changed"));
    };
    words.truncate(options);
    let name = words.pop().unwrap_or_default();
    let file = file(Path::new(OsStr::from_bytes(name)), own)
        .ok_or_else(|| failed("its file is not there any more"))?;
    let mut command = Command::new(EXE);
    std::os::unix::process::CommandExt::arg0(&mut command, OsStr::from_bytes(loader));
    command
        .args(words.iter().map(|word| OsString::from_vec(word.to_vec())))
        .arg(file);
    Ok(command)
}

/// Returns the file of this program. That is the file to which its name leads, if this process has
/// mapped it. Otherwise it is the file of this code.
fn file(name: &Path, own: &Path) -> Option<PathBuf> {
    let maps = std::fs::read("/proc/self/maps").ok()?;
    let is_mapped = |file: &PathBuf| mapped(&maps).any(|(_, path)| path == file);
    // The path of a deleted file has a word behind it, and leads to no file.
    let own = || Some(own.to_owned()).filter(|own| own.exists());
    name.canonicalize().ok().filter(is_mapped).or_else(own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_the_kernel_has_started_is_run_by_the_link() {
        assert_eq!(started_by_loader(), None);
        assert_eq!(command().unwrap().get_program(), EXE);
    }

    #[test]
    fn mapped_files_are_found_with_spaces_and_without_names() {
        let maps = b"1000-2000 r-xp 00000000 08:01 12  /a b/c\n2000-3000 rw-p 00000000 00:00 0\n3000-4000 r--p 0 0:0 7  [vdso]\n";
        let found: Vec<_> = mapped(maps).collect();
        assert_eq!(found, [(0x1000..0x2000, Path::new("/a b/c"))]);
        assert_eq!(mapped(b"\xff- /\n-\n \n").count(), 0);
    }

    #[test]
    fn the_loader_is_found_in_the_vector() {
        let words = |words: &[usize]| -> Vec<u8> {
            words.iter().flat_map(|word| word.to_ne_bytes()).collect()
        };
        assert_eq!(loader_of(&words(&[3, 7, AT_BASE, 99, 0, 0])), Some(99));
        assert_eq!(loader_of(&words(&[3, 7, 0, 0])), None);
        assert_eq!(loader_of(&[1, 2, 3]), None);
    }
}
