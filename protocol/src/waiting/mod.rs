#![doc = include_str!("README.md")]

mod apart;
mod spin;
mod switches;
mod yields;

use std::time::Duration;

pub use spin::{Spin, Spun};
pub use switches::{Mechanism, WITHOUT};
pub use yields::Yields;

/// The number of looks in each round of a [`Spin`] on a core that others want.
pub const FEW_LOOKS: u32 = 5;

/// The number of looks in each round of a [`Spin`] on a core that no other thread wants.
pub const MANY_LOOKS: u32 = 60;

/// The time for which a [`Spin`] looks on a core that others want.
pub const SPIN: Duration = Duration::from_micros(12);

/// The time for which a [`Spin`] looks on a core that no other thread wants. A sleep and a wake-up
/// together take about as long. So a wait costs at most twice as much as the better of the two.
pub const SPIN_FREE: Duration = Duration::from_micros(60);

/// The time for which a [`Spin`] looks if a yield would take long.
pub const SPIN_ALONE: Duration = Duration::from_micros(3);

/// A yield that took no longer has found no other thread to run.
pub const FREE: Duration = Duration::from_nanos(1_000);

/// A yield of the driver that took no longer has passed the core to a thread that waits, too.
pub const SHORT_YIELD: Duration = Duration::from_micros(300);

/// After a longer yield no thread of the driver yields for this many times its length.
pub const REST: u32 = 50;

/// The limit of a short yield ([`SHORT_YIELD`]) for a worker. The driver may use the worker's core
/// to hand out tasks. A wake-up for each of them would cost more than a wait for the driver's end.
pub const SHORT_YIELD_OF_A_WORKER: Duration = Duration::from_millis(2);

/// The factor of the rest after a long yield ([`REST`]) for a worker.
pub const REST_OF_A_WORKER: u32 = 8;

/// This many answers in a row that came in yields show that a worker shares its core with the
/// driver.
pub const APART_AFTER: u32 = 32;

/// The time after a worker has left a core for which it leaves no other one.
pub const APART_REST: Duration = Duration::from_millis(10);

/// A mechanism that has failed this many times more often than it has succeeded is no longer tried
/// each time.
pub const UNLUCKY: u32 = 4;

/// A caller whose spinning has mostly failed spins once in this many waits.
pub const SPIN_ONCE_IN: u32 = 16;

/// The time for which a future's first poll waits in place. A wake-up of its task would take
/// longer.
pub const LINGER: Duration = Duration::from_micros(6);

/// The time for which a first poll waits in place after most such waits have failed. A wake-up of
/// its task and of a worker takes about as long.
pub const LINGER_LONG: Duration = Duration::from_micros(30);

/// A future's first poll waits in place once in this many polls if most such waits have failed.
pub const LINGER_ONCE_IN: u32 = 32;

/// The time for which a first poll looks without yields. The answer of a short task on another core
/// comes within this time.
pub const QUICK: Duration = Duration::from_nanos(2_500);

/// The length of a timed park of the background thread. The system adds about 50 us to it.
pub const TIMED_PARK: Duration = Duration::from_micros(50);

/// The longest sleep for answers. It bounds the harm of a stray write to the doorbell.
pub const WATCHFUL: Duration = Duration::from_millis(500);

/// A caller that submits calls reads the rings once in this many calls.
pub const LOOK_EVERY: u32 = 16;

/// The number of messages that are read from one worker before the others get their turn.
pub const BATCH: usize = 512;

/// This many calls of a list are submitted under one lock. Workers then begin with them while the
/// caller prepares the next ones. New calls replace those that have ended.
pub const AT_ONCE: usize = 8;

/// The longest duration of a short task. A wake-up of a worker and the reload of its caches take
/// about as long.
pub const SHORT: Duration = Duration::from_micros(10);

/// The number of ended tasks between two readings of the clock.
pub const ENDS: u32 = 64;

/// The time for which tasks wait for active workers that end none.
pub const STUCK: Duration = Duration::from_millis(1);

/// The shortest length of a round. Each active worker should end a task in a round.
pub const ROUND: Duration = Duration::from_millis(1);

/// An active worker that has ended no task for this many rounds is stuck.
pub const STUCK_ROUNDS: u8 = 4;

/// The time for which a thread waits for a lock before it bars later threads.
pub const LONG: Duration = Duration::from_millis(1);

/// The length of a sleep in which a task keeps its turn while it waits for a lock. A task sleeps so
/// after it came too late, since another task had the turn. A short critical section ends within
/// this time. If the owner of the lock is a task of this worker, it waits for so long.
pub const KEEP_TURN: Duration = Duration::from_millis(2);

/// The number of yields of a worker with a full lane before it sleeps. The driver takes some tens
/// of microseconds for a full lane.
pub const LANE_YIELDS: u32 = 64;

/// The length of the first of these sleeps. Each sleep is longer by this than the one before, up to
/// [`LANE_SLEEPS`] times this.
pub const LANE_SLEEP: Duration = Duration::from_micros(50);

/// The limit of the sleeps, in units of [`LANE_SLEEP`].
pub const LANE_SLEEPS: u32 = 20;
