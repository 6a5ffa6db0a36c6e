//! Floors: the cost of the same work for the hardware and the system, without Mobula.
//!
//! A floor is measured in the run of the figure beside it, since machines differ from minute to
//! minute.

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

/// Makes this process the second player of a floor if it was started as the second player. Then
/// does not return.
pub fn enter_if_peer() {
    ping_pong::enter();
    ring::enter();
}
