//! Handles of objects in a process, and values made ready to travel.

pub(crate) mod lower;
pub(crate) mod object_handle;
pub(crate) mod park;
pub(crate) mod payload;
pub(crate) mod released;
pub(crate) mod waiters;
