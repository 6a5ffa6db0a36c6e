//! Workers and the terminal that their driver was started from.

use std::{
    ffi::CStr,
    fs::File,
    io::Read,
    os::{fd::AsRawFd, unix::process::CommandExt},
};

use crate::{programs::Program, support::skip};

/// A new pseudo-terminal: the end that stands for the user, and the path of the other end.
pub(crate) fn terminal() -> Option<(File, String)> {
    unsafe extern "C" {
        fn grantpt(fd: i32) -> i32;
        fn unlockpt(fd: i32) -> i32;
        fn ptsname_r(fd: i32, buffer: *mut i8, len: usize) -> i32;
    }
    let user = File::options()
        .read(true)
        .write(true)
        .open("/dev/ptmx")
        .ok()?;
    let mut name = [0_u8; 128];
    // SAFETY: the descriptor is open, and the buffer is as long as is said.
    let made = unsafe {
        let fd = user.as_raw_fd();
        grantpt(fd) == 0
            && unlockpt(fd) == 0
            && ptsname_r(fd, name.as_mut_ptr().cast(), name.len()) == 0
    };
    let name = CStr::from_bytes_until_nul(&name).ok()?.to_str().ok()?;
    made.then(|| (user, name.to_owned()))
}

#[test]
fn tasks_have_none() {
    let Some((user, name)) = terminal() else {
        return skip("no pseudo-terminal to be had");
    };
    let mut command = Program::command("programs::program", "terminal");
    // SAFETY: system calls only.
    unsafe {
        command.pre_exec(move || {
            rustix::process::setsid()?;
            let flags = rustix::fs::OFlags::RDWR;
            let own = rustix::fs::open(name.as_str(), flags, rustix::fs::Mode::empty())?;
            Ok(rustix::process::ioctl_tiocsctty(&own)?)
        });
    }
    let mut child = command.spawn().unwrap();
    let mut said = String::new();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    drop(user);
    assert!(
        status.success() && said.contains("terminal: true false false"),
        "of the program, a task, a command: {said}"
    );
}
