//! A task that closes descriptors of its worker, or puts files of its own in their place, harms
//! neither those files nor the tasks after it.

use std::{
    fs::{self, File, OpenOptions},
    os::{
        fd::IntoRawFd,
        unix::{fs::MetadataExt, net::UnixDatagram},
    },
    path::PathBuf,
};

use mobula::prelude::*;

use crate::support::{Marks, runtime, whole};

const LOST: &str = "descriptors that are not its own";

unsafe extern "C" {
    fn close(fd: i32) -> i32;
    fn dup2(old: i32, new: i32) -> i32;
}

/// The numbers of this process' descriptors, and what they stand for.
fn descriptors() -> Vec<(i32, PathBuf)> {
    let entries = fs::read_dir("/proc/self/fd").unwrap();
    let numbers = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let links = numbers.filter_map(|number| {
        let link = fs::read_link(format!("/proc/self/fd/{number}")).ok()?;
        Some((number.parse().unwrap(), link))
    });
    links.filter(|(number, _)| *number >= 3).collect()
}

/// Puts `own` in the place of all descriptors whose files have one of these in their names.
fn replace(own: impl IntoRawFd, names: &[&str]) {
    let own = own.into_raw_fd();
    for (number, link) in descriptors() {
        let link = link.to_string_lossy().into_owned();
        if number != own && names.iter().any(|name| link.contains(name)) {
            // SAFETY: this is what a task must not do; nothing of the descriptors is used here.
            unsafe { dup2(own, number) };
        }
    }
}

fn open(path: &str) -> File {
    OpenOptions::new()
        .read(true)
        .write(true)
        .open(path)
        .unwrap()
}

#[remote]
fn replaces_memory(path: &str) -> u32 {
    replace(open(path), &["memfd:", "/dev/shm/"]);
    std::process::id()
}

#[remote]
fn replaces_sockets() -> u32 {
    let (own, peer) = UnixDatagram::pair().unwrap();
    peer.send(b"for somebody else").unwrap();
    let _ = peer.into_raw_fd();
    replace(own, &["socket:"]);
    std::process::id()
}

/// Closes all, and opens the file until it has their numbers.
#[remote]
fn replaces_all(path: &str) -> u32 {
    let last = descriptors().last().map_or(3, |(number, _)| *number);
    for (number, _) in descriptors() {
        // SAFETY: as there.
        unsafe { close(number) };
    }
    while open(path).into_raw_fd() <= last {}
    std::process::id()
}

#[remote]
fn large(len: usize) -> Vec<u8> {
    vec![5; len]
}

#[remote]
fn length(bytes: &[u8]) -> usize {
    bytes.len()
}

#[remote]
fn pid() -> u32 {
    std::process::id()
}

const LARGE: usize = 32 << 20;

#[mobula::test]
fn a_worker_does_not_change_a_file_that_a_task_has_put_in_the_place_of_its_memory() {
    let rt = runtime(1);
    let file = Marks::new();
    let content = vec![7; 1 << 20];
    fs::write(file.path(), &content).unwrap();
    let blocks = |path| fs::metadata(path).unwrap().blocks();
    let before = blocks(file.path());
    rt.spawn(replaces_memory::remote(file.path()))
        .get()
        .unwrap();
    let error = rt.spawn(large::remote(LARGE)).get().unwrap_err();
    assert!(error.is_crash(), "{}", whole(&error));
    assert!(whole(&error).contains(LOST), "{}", whole(&error));
    assert!(fs::read(file.path()).unwrap() == content);
    assert_eq!(blocks(file.path()), before);
    assert_eq!(rt.spawn(large::remote(LARGE)).view().unwrap().len(), LARGE);
}

#[mobula::test]
fn a_worker_does_not_read_from_a_socket_that_a_task_has_put_in_the_place_of_its_own() {
    let rt = runtime(1);
    let first = rt.spawn(replaces_sockets::remote()).get().unwrap();
    // Its memory's descriptor comes through the socket.
    let data = rt.put(&vec![1_u8; 1 << 20]).unwrap();
    match rt.spawn(length::remote(&data)).get() {
        // It had not begun.
        Ok(length) => assert_eq!(length, 1 << 20),
        Err(error) => assert!(error.is_crash() && whole(&error).contains(LOST), "{error}"),
    }
    assert_eq!(rt.spawn(length::remote(&data)).get().unwrap(), 1 << 20);
    assert_ne!(rt.spawn(pid::remote()).get().unwrap(), first);
}

#[mobula::test]
fn a_worker_ends_behind_a_task_that_has_closed_its_descriptors() {
    let rt = runtime(1);
    let file = Marks::new();
    let first = rt.spawn(replaces_all::remote(file.path()));
    let others = rt.spawn_all((0..20).map(|_| pid::remote()));
    let first = first.get().unwrap();
    for other in others {
        assert_ne!(other.get().unwrap(), first);
    }
    assert_eq!(file.count(), 0);
}
