//! Measures round trips of a ball between two processes through shared memory.

use std::{
    env, hint, io,
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Stdio, exit},
    sync::{
        Arc,
        atomic::{
            AtomicU32,
            Ordering::{Acquire, Release},
        },
    },
    thread,
    time::{Duration, Instant},
};

use mobula_store::{Backing, SegmentFile, SharedWords};
use rustix::thread::futex;

use super::pinned::Pinned;
use crate::{
    promise::ENGINE,
    sampling::{Plan, measure, timed},
    table::Floor,
};

/// The first argument of the second process.
const PEER: &str = "--ping-pong-peer";

/// The time that a player waits for the other before it gives up. No round takes as long, so the
/// other player has ended.
const PATIENCE: Duration = Duration::from_secs(10);

/// The ball that ends the game.
const STOP: u32 = u32::MAX;

const FILE_BYTES: u64 = 8192;

/// The words that the players write. Each has a pair of cache lines of its own.
const THERE: usize = 0;
const BACK: usize = 256;

/// The way in which a player waits for the ball.
#[derive(Clone, Copy, Debug)]
enum Waiting {
    /// The player spins.
    Spin,
    /// The player spins, and yields to other processes in between.
    Yield,
    /// The player sleeps until the other wakes it.
    Sleep,
}

impl Waiting {
    const ALL: [(Waiting, &str); 3] = [
        (Waiting::Spin, "spin"),
        (Waiting::Yield, "yield"),
        (Waiting::Sleep, "sleep"),
    ];

    /// Returns whether players are pinned to cores of their own. Players that spin are. The system
    /// chooses the core of a player that sleeps.
    fn core(self, number: usize) -> Option<Pinned> {
        match self {
            Waiting::Spin | Waiting::Yield => Pinned::to(number),
            Waiting::Sleep => None,
        }
    }

    /// Waits until the word is not `old` any more. Returns `None` when the patience ends.
    fn wait(self, word: &AtomicU32, old: u32) -> Option<u32> {
        /// The number of reads of the word between two readings of the clock.
        const ROUNDS: u32 = 1000;
        let start = Instant::now();
        loop {
            for _ in 0..ROUNDS {
                let new = word.load(Acquire);
                if new != old {
                    return Some(new);
                }
                match self {
                    Waiting::Spin => hint::spin_loop(),
                    Waiting::Yield => thread::yield_now(),
                    Waiting::Sleep => {
                        let limit = futex::Timespec::try_from(PATIENCE).ok()?;
                        // The player was woken or interrupted, or the word changed before the
                        // sleep. It looks again.
                        let slept = futex::wait(word, futex::Flags::empty(), old, Some(&limit));
                        if slept == Err(rustix::io::Errno::TIMEDOUT) {
                            return None;
                        }
                    }
                }
            }
            if start.elapsed() > PATIENCE {
                return None;
            }
        }
    }

    fn send(self, word: &AtomicU32, ball: u32) {
        word.store(ball, Release);
        if let Waiting::Sleep = self {
            // The call fails only for a bad address.
            let _ = futex::wake(word, futex::Flags::empty(), 1);
        }
    }
}

/// The number of games. If other programs want the cores, both players may share a core for a whole
/// game. Such a game measures the scheduler and not the memory.
const GAMES: u32 = 3;

/// Returns the seconds of a round trip between this process and another, one for each way to wait:
/// spinning, spinning with yields, and sleeping. There is no fourth way to wait, so nothing that
/// crosses processes is faster than the fastest of these. The number is the median of the best of
/// three games. Each game takes a third of the plan's time.
///
/// The program must begin with [`enter_if_peer`](super::enter_if_peer), since the second process is
/// the program again.
///
/// # Errors
/// The second process cannot be started, or ends.
pub fn ping_pong(plan: Plan) -> io::Result<Vec<Floor>> {
    let plan = Plan {
        time: plan.time / GAMES,
        ..plan
    };
    let best = |(waiting, name)| {
        let mut value = f64::INFINITY;
        for _ in 0..GAMES {
            value = value.min(Game::start(waiting, name)?.play(plan)?);
        }
        Ok(Floor { name, value })
    };
    Waiting::ALL.into_iter().map(best).collect()
}

/// Returns the seconds of a round trip after one idle second. Both players sleep, so the system has
/// to wake each of them.
///
/// # Errors
/// The errors of [`ping_pong`].
pub fn cold_ping_pong(rounds: usize) -> io::Result<Vec<f64>> {
    let mut game = Game::start(Waiting::Sleep, "sleep")?;
    let round = |_| {
        thread::sleep(Duration::from_secs(1));
        let mut played = Ok(());
        let seconds = timed(|| played = game.round());
        played.map(|()| seconds)
    };
    (0..rounds).map(round).collect()
}

struct Game {
    waiting: Waiting,
    words: Arc<SharedWords>,
    peer: Child,
    ball: u32,
    _core: Option<Pinned>,
}

impl Game {
    fn start(waiting: Waiting, name: &str) -> io::Result<Game> {
        let file =
            SegmentFile::create(FILE_BYTES, FILE_BYTES, Backing::Auto).map_err(io::Error::other)?;
        let words = SharedWords::map(&file).map_err(io::Error::other)?;
        let descriptor = file
            .read_write_fd(ENGINE)
            .ok_or(io::ErrorKind::Unsupported)?
            .try_clone_to_owned()?;
        // The second process has the memory as its standard input.
        let peer = Command::new("/proc/self/exe")
            .args([PEER, name])
            .stdin(Stdio::from(descriptor))
            .spawn()?;
        let mut game = Game {
            waiting,
            words,
            peer,
            ball: 0,
            // The thread is pinned after the start of the second process, which would inherit the
            // core.
            _core: waiting.core(0),
        };
        // The first round takes as long as the start of the second process.
        game.round()?;
        Ok(game)
    }

    /// Returns the median time of a round.
    fn play(&mut self, plan: Plan) -> io::Result<f64> {
        let rounds = measure(plan, || {
            let mut played = Ok(());
            let seconds = timed(|| played = self.round());
            played.map(|()| seconds)
        })?;
        Ok(rounds.median)
    }

    fn round(&mut self) -> io::Result<()> {
        let words = self.words.narrow_words();
        let last = self.ball;
        self.ball = (last + 1) % STOP;
        self.waiting.send(&words[THERE], self.ball);
        match self.waiting.wait(&words[BACK], last) {
            Some(_) => Ok(()),
            None => Err(io::Error::other(
                "the second process of the ping-pong has gone",
            )),
        }
    }
}

impl Drop for Game {
    fn drop(&mut self) {
        self.waiting.send(&self.words.narrow_words()[THERE], STOP);
        // The second process ends by itself, at the latest when its patience ends.
        let _ = self.peer.wait();
    }
}

/// Makes this process the second player if it was started as the second player. Then does not
/// return.
pub(super) fn enter() {
    let mut args = env::args().skip(1);
    if args.next().as_deref() != Some(PEER) {
        return;
    }
    let name = args.next();
    let waiting = Waiting::ALL
        .into_iter()
        .find(|(_, known)| name.as_deref() == Some(*known));
    match waiting.map(|(waiting, _)| play(waiting)) {
        Some(Ok(())) => exit(0),
        _ => exit(1),
    }
}

fn play(waiting: Waiting) -> io::Result<()> {
    let descriptor = || -> io::Result<OwnedFd> { io::stdin().as_fd().try_clone_to_owned() };
    let file =
        SegmentFile::from_descriptors(descriptor()?, Some(descriptor()?), FILE_BYTES, ENGINE)
            .map_err(io::Error::other)?;
    let shared = SharedWords::map(&file).map_err(io::Error::other)?;
    let words = shared.narrow_words();
    let _core = waiting.core(1);
    let mut ball = 0;
    while let Some(next) = waiting.wait(&words[THERE], ball) {
        if next == STOP {
            return Ok(());
        }
        ball = next;
        waiting.send(&words[BACK], ball);
    }
    Err(io::ErrorKind::TimedOut.into())
}
