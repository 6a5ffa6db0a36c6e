//! What the hardware and the system take for the same, without us: measured in the same run as
//! what stands beside it, since machines differ from minute to minute.

mod copy;
mod fresh;
mod handing;
mod indexed;
mod ping_pong;
mod pinned;
mod program;
mod ring;

pub use copy::{Copying, copy};
pub use fresh::touch_fresh;
pub use handing::Handing;
pub use ping_pong::{cold_ping_pong, ping_pong};
pub use pinned::Pinned;
pub use program::program;
pub use ring::{Rings, message_game, message_ping_pong};

/// Makes this process the second player of a floor if it was started as such; does not return then.
pub fn enter_if_peer() {
    ping_pong::enter();
    ring::enter();
}
