//! Actors: order, death, restarts, names, the end.

mod bound;
mod concurrency;
mod end;
mod failures;
mod holding;
mod names;
mod order;
mod pools;

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use mobula::{Array, prelude::*};

use crate::programs::{FILE, Program};
use crate::support::{Marks, mark};

/// A time that only a hang exceeds.
const LONG: Duration = Duration::from_secs(60);

/// Remembers what it was told, and does harm on demand.
struct Log {
    entries: Vec<u64>,
    kept: Vec<Array<f64>>,
}

#[remote]
impl Log {
    fn new() -> Self {
        Log {
            entries: Vec::new(),
            kept: Vec::new(),
        }
    }

    fn add(&mut self, n: u64) -> usize {
        self.entries.push(n);
        self.entries.len()
    }

    fn add_slowly(&mut self, n: u64) -> usize {
        std::thread::sleep(Duration::from_millis(3));
        self.add(n)
    }

    fn entries(&self) -> Vec<u64> {
        self.entries.clone()
    }

    fn keep(&mut self, array: Array<f64>) -> usize {
        self.kept.push(array);
        self.kept.len()
    }

    fn fill(&mut self, part: &mut [f64], value: f64) {
        part.fill(value);
    }

    fn forget(&mut self) {
        self.kept.clear();
    }

    fn pid(&self) -> u32 {
        std::process::id()
    }

    fn sleep(&mut self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    fn abort(&mut self) {
        std::process::abort()
    }

    fn exit(&mut self) {
        std::process::exit(0)
    }

    fn mark(&mut self, path: &str) -> u64 {
        mark(path)
    }

    /// Marks, and dies as long as there are no more marks than that.
    fn dies_at_first(&mut self, path: &str, deaths: u64) -> u64 {
        let marks = mark(path);
        if marks <= deaths {
            std::process::abort();
        }
        marks
    }

    fn refuses(&mut self, path: &str) -> Result<(), String> {
        mark(path);
        Err("as always".to_owned())
    }
}

/// Says how often it was constructed, and may not survive that.
struct Fragile {
    constructions: u64,
}

#[remote]
impl Fragile {
    fn new(path: &str, deaths: u64) -> Result<Self, String> {
        let constructions = mark(path);
        match constructions <= deaths {
            true => std::process::abort(),
            false if deaths == 0 => Err("no such thing".to_owned()),
            false => Ok(Fragile { constructions }),
        }
    }

    fn constructions(&self) -> u64 {
        self.constructions
    }
}

/// Says how many of its methods run at a time.
struct Busy {
    inside: AtomicUsize,
    most: AtomicUsize,
    threads: Mutex<std::collections::HashSet<std::thread::ThreadId>>,
}

#[remote]
impl Busy {
    fn new() -> Self {
        Busy {
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            threads: Mutex::default(),
        }
    }

    /// Blocks its thread.
    fn work(&self, ms: u64) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        self.threads
            .lock()
            .unwrap()
            .insert(std::thread::current().id());
        std::thread::sleep(Duration::from_millis(ms));
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    /// Leaves its thread to others.
    async fn wait(&self, ms: u64) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(ms)).await;
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    /// Alone, whatever the limit.
    fn alone(&mut self, ms: u64) -> usize {
        std::thread::sleep(Duration::from_millis(ms));
        *self.inside.get_mut()
    }

    fn most(&mut self) -> (usize, usize) {
        let threads = self.threads.get_mut().unwrap();
        let most = (std::mem::take(self.most.get_mut()), threads.len());
        threads.clear();
        most
    }

    #[remote(group = "io")]
    fn block(&self, ms: u64) {
        std::thread::sleep(Duration::from_millis(ms));
    }

    #[remote(group = "io")]
    fn quick(&self) -> bool {
        true
    }
}

#[test]
fn one_that_ends_itself_is_not_restarted_where_its_exit_status_is_lost() {
    let marks = Marks::new();
    let output = Program::command("programs::program", "lost exit status")
        .env(FILE, marks.path())
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("has ended itself"),
        "{text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(marks.count(), 1, "constructions");
}
