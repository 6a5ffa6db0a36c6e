//! The limit of pending calls.

use std::sync::Arc;

use super::Call;
use crate::{ids::ObjectId, object_handle::ObjectHandle};

/// The operations of an engine that has a limit of pending calls. Each call needs a place.
pub trait Admission {
    /// Returns the number of places.
    fn most(&self) -> usize;

    /// Takes a place if one is free, and returns whether it has. Does not block.
    fn try_place(&self) -> bool;

    /// Returns an object that is ready when the caller has a place.
    fn ask_for_place(&self) -> Arc<ObjectHandle>;

    /// Gives up the place that the caller has, or has asked for by this object.
    fn give_up_place(&self, asked: Option<ObjectId>);

    /// Starts a call. The call has the caller's place from now on.
    fn submit_placed(&self, call: Call) -> Arc<ObjectHandle>;
}
