//! Two processes: a MessagePack value that goes back and forth through a pair of rings, while both
//! spin. It is what a call cannot do without: encoding, the rings, decoding.

use std::{
    env, hint, io,
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Stdio, exit},
    sync::Arc,
    time::{Duration, Instant},
};

use mobula_store::{Backing, SegmentFile, SharedWords};
use mobula_worker::{
    primitive::Region,
    ring::{Consumer, Producer, Ring, ring_words},
};

use super::pinned::Pinned;
use crate::sampling::{Plan, Summary, measure, timed};

/// The first argument of the second process.
const PEER: &str = "--ring-peer";

/// How long a player waits before it gives up: far longer than any round takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// Words of data in each ring.
const CAPACITY: usize = 1024;

/// Where the second ring begins.
const BACK: usize = ring_words(CAPACITY);

/// More than both rings take: the first page belongs to futexes.
const FILE_BYTES: u64 = 64 << 10;

/// What goes there and back: an identity, a function, and an argument.
type Ball = (u64, u32, f64);

/// The function that ends the game.
const STOP: u32 = u32::MAX;

/// One player's ends of the two rings.
struct Player {
    out: Producer,
    input: Consumer,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Player {
    fn new(words: Arc<SharedWords>, first: bool) -> Player {
        let region = Region::new(words);
        let there = Ring::new(region.clone(), 0, CAPACITY);
        let back = Ring::new(region, BACK, CAPACITY);
        let (out, input) = if first { (there, back) } else { (back, there) };
        Player {
            out: out.producer(),
            input: input.consumer(),
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    fn send(&mut self, ball: Ball) -> io::Result<()> {
        self.sent.clear();
        rmp_serde::encode::write(&mut self.sent, &ball).map_err(io::Error::other)?;
        let staged = self.out.stage(&self.sent, &mut 0);
        if !staged.map_err(io::Error::other)? {
            return Err(io::Error::other("one message does not fit into a ring"));
        }
        self.out.publish();
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Ball> {
        /// Looks between two looks at the clock.
        const ROUNDS: u32 = 1000;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..ROUNDS {
                let popped = self.input.pop(&mut self.received);
                if popped.map_err(io::Error::other)? {
                    return rmp_serde::from_slice(&self.received).map_err(io::Error::other);
                }
                hint::spin_loop();
            }
        }
        Err(io::Error::other("the other process of the ring has gone"))
    }
}

/// How often a game begins anew: see [`ping_pong`](super::ping_pong).
const GAMES: u32 = 3;

/// Seconds of a round trip of a small MessagePack value through two rings: the best of three
/// games, by their medians, each of a third of the plan's time.
///
/// The program must begin with [`enter_if_peer`](super::enter_if_peer).
///
/// # Errors
/// When the second process cannot be started, or ends.
pub fn message_ping_pong(plan: Plan) -> io::Result<Summary> {
    let plan = Plan {
        time: plan.time / GAMES,
        ..plan
    };
    let mut best = play(plan)?;
    for _ in 1..GAMES {
        let next = play(plan)?;
        if next.median < best.median {
            best = next;
        }
    }
    Ok(best)
}

fn play(plan: Plan) -> io::Result<Summary> {
    let file =
        SegmentFile::create(FILE_BYTES, FILE_BYTES, Backing::Auto).map_err(io::Error::other)?;
    let words = SharedWords::map(&file).map_err(io::Error::other)?;
    let descriptor = file
        .read_write_fd()
        .ok_or(io::ErrorKind::Unsupported)?
        .try_clone_to_owned()?;
    let mut peer = Command::new("/proc/self/exe")
        .arg(PEER)
        .stdin(Stdio::from(descriptor))
        .spawn()?;
    // Only now, since the peer would inherit it.
    let _core = Pinned::to(0);
    let mut player = Player::new(words, true);
    let mut number = 0;
    let mut round = || {
        player.send((number, 7, 0.5))?;
        let (answered, _, value) = player.receive()?;
        if (answered, value) != (number, 1.0) {
            return Err(io::Error::other("the ring gave another value"));
        }
        number += 1;
        Ok(())
    };
    // The first round takes as long as the peer's start.
    let summary = round().and_then(|()| {
        measure(plan, || {
            let mut played = Ok(());
            let seconds = timed(|| played = round());
            played.map(|()| seconds)
        })
    });
    end(&mut player, &mut peer);
    summary
}

fn end(player: &mut Player, peer: &mut Child) {
    // It ends by itself, at the latest when its patience does.
    let _ = player.send((0, STOP, 0.0));
    let _ = peer.wait();
}

/// Makes this process the second player if it was started as such; does not return then.
pub(super) fn enter() {
    if env::args().nth(1).as_deref() == Some(PEER) {
        exit(if answer().is_ok() { 0 } else { 1 });
    }
}

fn answer() -> io::Result<()> {
    let _core = Pinned::to(1);
    let descriptor = || -> io::Result<OwnedFd> { io::stdin().as_fd().try_clone_to_owned() };
    let file = SegmentFile::from_descriptors(descriptor()?, Some(descriptor()?), FILE_BYTES)
        .map_err(io::Error::other)?;
    let mut player = Player::new(SharedWords::map(&file).map_err(io::Error::other)?, false);
    loop {
        let (number, function, value) = player.receive()?;
        if function == STOP {
            return Ok(());
        }
        player.send((number, function, value * 2.0))?;
    }
}
