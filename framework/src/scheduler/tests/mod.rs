//! The scheduler's tests. They drive the scheduler without processes and check every invariant
//! after each step.

mod actors;
mod admission;
mod cancel;
mod claims;
mod dice;
mod dispatch;
mod end;
mod env;
mod events;
mod host;
mod keepers;
mod lending;
mod messages;
mod objects;
mod peer;
mod priority;
mod progress;
mod queues;
mod random;
mod recycle;
mod resources;
mod sanity;
mod scale;
mod shortage;
mod split;
mod streams;
mod tasks;
mod unread;
mod workers;
mod world;

pub(super) use dice::Dice;
