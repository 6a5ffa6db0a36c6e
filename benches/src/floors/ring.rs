//! Measures two processes that send a MessagePack value back and forth through a pair of rings,
//! while both spin. Each call needs this work: encoding, the rings, decoding.

use std::{
    env, hint, io,
    os::fd::{AsFd, OwnedFd},
    process::{Child, Command, Stdio, exit},
    sync::Arc,
    time::{Duration, Instant},
};

use mobula_protocol::{
    primitive::Region,
    ring::{Consumer, Producer, Ring, ring_words},
};
use mobula_store::{Backing, SegmentFile, SharedWords};

use super::{
    indexed::{self, End},
    pinned::Pinned,
};
use crate::{
    promise::ENGINE,
    sampling::{Plan, Summary, measure, timed},
};

/// The first argument of the second process.
const PEER: &str = "--ring-peer";

/// The time that a player waits before it gives up. No round takes as long.
const PATIENCE: Duration = Duration::from_secs(10);

/// The number of words of data in each ring.
const CAPACITY: usize = 1024;

/// More words than both rings take. The first page belongs to futexes.
const FILE_BYTES: u64 = 64 << 10;

/// The message that goes there and back: an identity, a function, and an argument.
type Ball = (u64, u32, f64);

/// The function that ends the game.
const STOP: u32 = u32::MAX;

/// The kind of rings between the players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rings {
    /// Textbook rings, with an index of each end in shared memory.
    Indexed,
    /// Mobula's own rings.
    Mobula,
}

impl Rings {
    /// The second argument of the second process.
    fn name(self) -> &'static str {
        match self {
            Rings::Indexed => "indexed",
            Rings::Mobula => "mobula",
        }
    }
}

/// One player's ends of the two rings.
enum Ends {
    Indexed { out: End, input: End },
    Mobula { out: Producer, input: Consumer },
}

impl Ends {
    fn new(rings: Rings, words: Arc<SharedWords>, first: bool) -> Ends {
        let in_order = |there, back| if first { (there, back) } else { (back, there) };
        match rings {
            Rings::Indexed => {
                let (out, input) = in_order(0, indexed::WORDS);
                let end = |base| End::new(words.clone(), base);
                Ends::Indexed {
                    out: end(out),
                    input: end(input),
                }
            }
            Rings::Mobula => {
                let (out, input) = in_order(0, ring_words(CAPACITY));
                let ring = |base| Ring::new(Region::new(words.clone()), base, CAPACITY);
                Ends::Mobula {
                    out: ring(out).producer(),
                    input: ring(input).consumer(),
                }
            }
        }
    }

    fn send(&mut self, message: &[u8]) -> io::Result<()> {
        match self {
            Ends::Indexed { out, .. } => out.send(message),
            Ends::Mobula { out, .. } => {
                let staged = out.stage(message, &mut 0).map_err(io::Error::other)?;
                if !staged {
                    return Err(io::Error::other("one message does not fit into a ring"));
                }
                out.publish();
                Ok(())
            }
        }
    }

    fn receive(&mut self, message: &mut Vec<u8>) -> io::Result<bool> {
        match self {
            Ends::Indexed { input, .. } => Ok(input.receive(message)),
            Ends::Mobula { input, .. } => input.pop(message).map_err(io::Error::other),
        }
    }
}

struct Player {
    ends: Ends,
    sent: Vec<u8>,
    received: Vec<u8>,
}

impl Player {
    fn new(ends: Ends) -> Player {
        Player {
            ends,
            sent: Vec::new(),
            received: Vec::new(),
        }
    }

    fn send(&mut self, ball: Ball) -> io::Result<()> {
        self.sent.clear();
        rmp_serde::encode::write(&mut self.sent, &ball).map_err(io::Error::other)?;
        self.ends.send(&self.sent)
    }

    fn receive(&mut self) -> io::Result<Ball> {
        /// The number of looks at the ring between two readings of the clock.
        const ROUNDS: u32 = 1000;
        let start = Instant::now();
        while start.elapsed() < PATIENCE {
            for _ in 0..ROUNDS {
                if self.ends.receive(&mut self.received)? {
                    return rmp_serde::from_slice(&self.received).map_err(io::Error::other);
                }
                hint::spin_loop();
            }
        }
        Err(io::Error::other("the other process of the ring has gone"))
    }
}

/// The number of games: see [`ping_pong`](super::ping_pong).
const GAMES: u32 = 3;

/// Returns the seconds of a round trip of a small MessagePack value through two rings. The number
/// is the median of the best of three games. Each game takes a third of the plan's time.
///
/// The program must begin with [`enter_if_peer`](super::enter_if_peer).
///
/// # Errors
/// The second process cannot be started, or ends.
pub fn message_ping_pong(rings: Rings, plan: Plan) -> io::Result<Summary> {
    let plan = Plan {
        time: plan.time / GAMES,
        ..plan
    };
    let mut best = message_game(rings, plan)?;
    for _ in 1..GAMES {
        let next = message_game(rings, plan)?;
        if next.median < best.median {
            best = next;
        }
    }
    Ok(best)
}

/// Plays one game of [`message_ping_pong`], whatever the machine does meanwhile.
///
/// # Errors
/// The errors of [`message_ping_pong`].
pub fn message_game(rings: Rings, plan: Plan) -> io::Result<Summary> {
    let file =
        SegmentFile::create(FILE_BYTES, FILE_BYTES, Backing::Auto).map_err(io::Error::other)?;
    let words = SharedWords::map(&file).map_err(io::Error::other)?;
    let descriptor = file
        .read_write_fd(ENGINE)
        .ok_or(io::ErrorKind::Unsupported)?
        .try_clone_to_owned()?;
    let mut peer = Command::new("/proc/self/exe")
        .args([PEER, rings.name()])
        .stdin(Stdio::from(descriptor))
        .spawn()?;
    // The thread is pinned after the start of the second process, which would inherit the core.
    let _core = Pinned::to(0);
    let mut player = Player::new(Ends::new(rings, words, true));
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
    // The first round takes as long as the start of the second process.
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
    // The second process ends by itself, at the latest when its patience ends.
    let _ = player.send((0, STOP, 0.0));
    let _ = peer.wait();
}

/// Makes this process the second player if it was started as the second player. Then does not
/// return.
pub(super) fn enter() {
    if env::args().nth(1).as_deref() == Some(PEER) {
        let named = |rings: &Rings| env::args().nth(2).as_deref() == Some(rings.name());
        let rings = [Rings::Indexed, Rings::Mobula].into_iter().find(named);
        exit(if rings.is_some_and(|rings| answer(rings).is_ok()) {
            0
        } else {
            1
        });
    }
}

fn answer(rings: Rings) -> io::Result<()> {
    let _core = Pinned::to(1);
    let descriptor = || -> io::Result<OwnedFd> { io::stdin().as_fd().try_clone_to_owned() };
    let file =
        SegmentFile::from_descriptors(descriptor()?, Some(descriptor()?), FILE_BYTES, ENGINE)
            .map_err(io::Error::other)?;
    let words = SharedWords::map(&file).map_err(io::Error::other)?;
    let mut player = Player::new(Ends::new(rings, words, false));
    loop {
        let (number, function, value) = player.receive()?;
        if function == STOP {
            return Ok(());
        }
        player.send((number, function, value * 2.0))?;
    }
}
