//! Packs the program's file for Ray: a ZIP archive whose name is a hash of its content.
//!
//! The archive stores the file without compression. It is a header, the bytes, and a directory with
//! one entry, so this module writes it without a library.

use std::{fmt::Write, fs, path::Path};

use mobula_protocol::{Error, Result};

/// The limit of Ray's dashboard for an archive, in bytes.
const MOST: usize = 100 << 20;

/// The archive's attributes of a regular file that its user may run. The upper half is the mode of
/// `stat`.
const MODE: u32 = 0o100_755 << 16;

/// The date in the archive: 1 January 1980, the zero of the archive's clock. A real date would
/// change the archive's name.
const DATE: u16 = (1 << 5) | 1;

/// An archive of this program.
#[derive(Debug)]
pub(super) struct Package {
    /// The name of the file in the archive.
    pub(super) program: String,
    pub(super) zip: Vec<u8>,
}

impl Package {
    /// Reads and packs this program's file.
    ///
    /// # Errors
    /// The file cannot be read, or its archive is too large for Ray.
    pub(super) fn of_this_program() -> Result<Package> {
        let failed = |error| Error::setup(format!("this program's file cannot be read: {error}"));
        let path = std::env::current_exe().map_err(failed)?;
        // This path leads to the running program even if its file was replaced since the start.
        let bytes = fs::read("/proc/self/exe")
            .or_else(|_| fs::read(&path))
            .map_err(failed)?;
        let package = Package::new(&path, &bytes);
        match package.zip.len() {
            ..MOST => Ok(package),
            length => Err(Error::setup(format!(
                "this program's file has {:.0} MB, and Ray takes {} MB; build it with `--release`, and strip it \
                 (`strip = true` in the profile)",
                length as f64 / 1e6,
                MOST / 1_000_000
            ))),
        }
    }

    fn new(path: &Path, bytes: &[u8]) -> Package {
        let plain = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
        let name = path.file_name().and_then(|name| name.to_str());
        let mut program: String = name.unwrap_or_default().chars().filter(plain).collect();
        if program.trim_start_matches('.').is_empty() {
            program = "program".to_owned();
        }
        let zip = archive(&program, bytes);
        Package { program, zip }
    }

    /// Returns the name under which Ray keeps the archive.
    pub(super) fn name(&self) -> String {
        let mut name = String::from("_ray_pkg_");
        for half in digest(&self.zip) {
            let _ = write!(name, "{half:016x}");
        }
        name + ".zip"
    }
}

fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len() as u32;
    // The common fields of the header and the directory's entry. First: version 2.0, no flags, no
    // compression, the time and the date.
    let mut common = Vec::new();
    for half in [20, 0, 0, 0, DATE] {
        common.extend(half.to_le_bytes());
    }
    for word in [crc32(bytes), length, length] {
        common.extend(word.to_le_bytes());
    }
    common.extend((name.len() as u16).to_le_bytes());
    common.extend(0_u16.to_le_bytes());

    let mut zip = Vec::with_capacity(bytes.len() + 256);
    zip.extend(b"PK\x03\x04");
    zip.extend(&common);
    zip.extend(name.as_bytes());
    zip.extend(bytes);

    let directory = zip.len() as u32;
    zip.extend(b"PK\x01\x02");
    // Made by version 2.0 on Unix, so that readers use the mode.
    zip.extend([20, 3]);
    zip.extend(&common);
    // No comment, the first disk, no internal attributes.
    zip.extend([0; 6]);
    zip.extend(MODE.to_le_bytes());
    zip.extend(0_u32.to_le_bytes());
    zip.extend(name.as_bytes());
    let end = zip.len() as u32;

    zip.extend(b"PK\x05\x06");
    zip.extend([0; 4]);
    for count in [1_u16, 1] {
        zip.extend(count.to_le_bytes());
    }
    zip.extend((end - directory).to_le_bytes());
    zip.extend(directory.to_le_bytes());
    zip.extend(0_u16.to_le_bytes());
    zip
}

/// Returns the CRC-32 that ZIP archives use.
fn crc32(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut value = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 {
                    0xedb8_8320 ^ (value >> 1)
                } else {
                    value >> 1
                };
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    let mut crc: u32 = !0;
    // The loop calls no function for each byte, since a build without optimization would be slow.
    for byte in bytes {
        crc = TABLE[(crc as u8 ^ byte) as usize] ^ (crc >> 8);
    }
    !crc
}

/// Returns a hash of 128 bits that tells programs apart. It is two hashes of 64 bits over words,
/// with different multipliers. An accidental collision of two builds is as unlikely as a broken
/// disk.
fn digest(bytes: &[u8]) -> [u64; 2] {
    let mut halves = [bytes.len() as u64, !(bytes.len() as u64)];
    let multipliers = [0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f];
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        let word = u64::from_le_bytes(word);
        for (half, multiplier) in halves.iter_mut().zip(multipliers) {
            *half = (*half ^ word).wrapping_mul(multiplier).rotate_left(29);
        }
    }
    halves.map(|half| half ^ (half >> 32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_archives() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn python_unpacks_what_ray_is_sent() {
        let package = Package::new(Path::new("/x/my prog"), b"#!/bin/sh\necho started\n");
        assert_eq!(package.program, "myprog");
        let file = std::env::temp_dir().join(format!("mobula-{}.zip", std::process::id()));
        fs::write(&file, &package.zip).unwrap();
        // The archive's checksum covers each byte. Ray sets the mode from `external_attr`, too.
        let code = "import sys, zipfile; z = zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; \
                    (i,) = z.infolist(); print(i.filename, oct(i.external_attr >> 16), z.read(i).decode()[:9])";
        let output = std::process::Command::new("python3")
            .args(["-c", code])
            .arg(&file)
            .output();
        fs::remove_file(&file).unwrap();
        // Without Python, the test compares nothing.
        if let Ok(output) = output {
            let text = String::from_utf8(output.stdout).unwrap();
            assert_eq!(
                text,
                "myprog 0o100755 #!/bin/sh\n",
                "{output:?}",
                output = output.stderr
            );
        }
    }

    #[test]
    fn names_tell_programs_apart() {
        let name = |bytes: &[u8]| Package::new(Path::new("a"), bytes).name();
        assert_eq!(name(b"one"), name(b"one"));
        assert_ne!(name(b"one"), name(b"two"));
        assert_ne!(name(b""), name(b"\0"));
        assert!(name(b"one").starts_with("_ray_pkg_") && name(b"one").ends_with(".zip"));
        assert_ne!(
            Package::new(Path::new("a"), b"one").name(),
            Package::new(Path::new("b"), b"one").name()
        );
    }
}
