#![doc = include_str!("README.md")]

mod apart;
mod spin;
mod switches;
mod yields;

use std::time::Duration;

pub use spin::{Spin, Spun};
pub use switches::{Mechanism, WITHOUT};
pub use yields::Yields;

/// Looks of each round of a [`Spin`] on a core that others want.
pub const FEW_LOOKS: u32 = 5;

/// Looks of each round of a [`Spin`] on a core that nobody else wants.
pub const MANY_LOOKS: u32 = 60;

/// For how long a [`Spin`] looks on a core that others want.
pub const SPIN: Duration = Duration::from_micros(12);

/// For how long a [`Spin`] looks on a core that nobody else wants: about what a sleep and a wake-up
/// take together, so that at most twice as much is spent as with the better of the two (Karlin et
/// al., "Competitive snoopy caching", 1988).
pub const SPIN_FREE: Duration = Duration::from_micros(60);

/// For how long a [`Spin`] looks where a yield would take long.
pub const SPIN_ALONE: Duration = Duration::from_micros(3);

/// A yield that took no longer has found nobody else to run.
pub const FREE: Duration = Duration::from_nanos(1_000);

/// A yield of the driver that took no longer has passed the core on to somebody who waits, too.
pub const SHORT_YIELD: Duration = Duration::from_micros(300);

/// After a longer one no thread of the driver yields for so many times as long.
pub const REST: u32 = 50;

/// As [`SHORT_YIELD`], of a worker. The driver may be at work on its core, handing out tasks, and
/// to be woken for each of them would cost more than to wait for its end.
pub const SHORT_YIELD_OF_A_WORKER: Duration = Duration::from_millis(2);

/// As [`REST`], of a worker.
pub const REST_OF_A_WORKER: u32 = 8;

/// So many answers in a row that came in yields show that a worker shares its core with the driver.
pub const APART_AFTER: u32 = 32;

/// For so long after it has left a core a worker leaves none.
pub const APART_REST: Duration = Duration::from_millis(10);

/// What has failed so much more often than it has succeeded is no longer tried each time.
pub const UNLUCKY: u32 = 4;

/// A caller whose spinning has mostly failed spins once in so many waits.
pub const SPIN_ONCE_IN: u32 = 16;

/// For how long a future's first poll waits on the spot: less than waking its task would cost.
pub const LINGER: Duration = Duration::from_micros(6);

/// For how long it does where that has mostly failed: about what waking its task and a worker cost.
pub const LINGER_LONG: Duration = Duration::from_micros(30);

/// A future whose waiting on the spot has mostly failed does so once in so many polls.
pub const LINGER_ONCE_IN: u32 = 32;

/// For how long a first poll looks without yields. An answer from another core is there by then, if
/// the task is short.
pub const QUICK: Duration = Duration::from_nanos(2_500);

/// A nap of the background thread. The system adds some 50 us to it.
pub const NAP: Duration = Duration::from_micros(50);

/// How long a sleep for answers lasts at most, in case something wrote over the bell.
pub const WATCHFUL: Duration = Duration::from_millis(500);

/// A caller that spawns looks at the rings after each so many calls.
pub const LOOK_EVERY: u32 = 16;

/// Messages that are read from one worker before others get their turn.
pub const BATCH: usize = 512;

/// With no more workers than this, all of them are looked at each time.
pub const FEW_WORKERS: usize = 8;

/// With more, all of them are looked at each so many times, and otherwise those that had something
/// to say lately or were sent something.
pub const ALL_EVERY: u32 = 16;

/// So many calls of a list are submitted under one lock: then workers begin with them, and get more
/// in place of those that they have done, while the next are prepared.
pub const AT_ONCE: usize = 8;

/// A task that takes no longer is short: about what it costs to wake a worker and to have it find
/// its way back into the caches.
pub const SHORT: Duration = Duration::from_micros(10);

/// Ends of tasks between two looks at the clock.
pub const ENDS: u32 = 64;

/// How long tasks wait for active workers that end none.
pub const STUCK: Duration = Duration::from_millis(1);

/// How long a round takes at least, in which each active worker should end a task.
pub const ROUND: Duration = Duration::from_millis(1);

/// An active worker that has ended nothing for so many rounds is stuck.
pub const STUCK_ROUNDS: u8 = 4;

/// How long a thread waits for a lock before it bars those who come later.
pub const LONG: Duration = Duration::from_millis(1);

/// How long a task that waits for a lock sleeps with its turn, once it has come too late because
/// another task had the turn. Long enough for a short critical section; the owner of the lock may
/// be a task of this worker, which then waits for so long.
pub const KEEP_TURN: Duration = Duration::from_millis(2);

/// How often a worker whose lane is full yields before it sleeps. The driver needs some tens of
/// microseconds for a full one.
pub const LANE_YIELDS: u32 = 64;

/// What each such sleep is longer than the one before, up to [`LANE_SLEEPS`] times this.
pub const LANE_SLEEP: Duration = Duration::from_micros(50);

/// See [`LANE_SLEEP`].
pub const LANE_SLEEPS: u32 = 20;
