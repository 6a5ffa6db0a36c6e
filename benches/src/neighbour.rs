//! A foreign program that uses half of a core.

use std::{
    env,
    io::{self, Read},
    process::{Child, Command, Stdio, exit},
    thread,
    time::{Duration, Instant},
};

/// The first argument of the neighbour.
const NEIGHBOUR: &str = "--neighbour";

/// The time for which the neighbour computes, and then sleeps.
const HALF: Duration = Duration::from_millis(5);

/// A process that computes for 5 ms and sleeps for 5 ms in turn, at the usual priority. Dropping
/// this ends it.
///
/// The program must begin with [`enter_if_neighbour`], since the neighbour is the program again.
#[derive(Debug)]
pub struct Neighbour(Child);

impl Neighbour {
    /// Starts the neighbour.
    ///
    /// # Errors
    /// The system starts no process.
    pub fn start() -> io::Result<Neighbour> {
        let child = Command::new("/proc/self/exe")
            .arg(NEIGHBOUR)
            .stdin(Stdio::piped())
            .spawn()?;
        Ok(Neighbour(child))
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        // The neighbour also ends by itself when its standard input is closed.
        drop(self.0.stdin.take());
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Makes this process the neighbour if it was started as the neighbour. Then does not return.
pub fn enter_if_neighbour() {
    if env::args().nth(1).as_deref() != Some(NEIGHBOUR) {
        return;
    }
    thread::spawn(|| {
        // The read returns at the end of the process that started this one.
        let _ = io::stdin().read(&mut [0; 1]);
        exit(0);
    });
    loop {
        let begin = Instant::now();
        while begin.elapsed() < HALF {
            std::hint::spin_loop();
        }
        thread::sleep(HALF);
    }
}
