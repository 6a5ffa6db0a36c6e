//! A limit of the calls that are pending.

use std::sync::Arc;

use super::Call;
use crate::{ids::ObjectId, object_handle::ObjectHandle};

/// What an engine with a limit of pending calls has. A call needs a place.
pub trait Admission {
    /// How many places there are.
    fn most(&self) -> usize;

    /// Takes a place, if there is one. Does not block.
    fn try_place(&self) -> bool;

    /// An object that is ready when the caller has a place.
    fn ask_for_place(&self) -> Arc<ObjectHandle>;

    /// The caller does not want the place that it has, or has asked for by this object.
    fn give_up_place(&self, asked: Option<ObjectId>);

    /// Starts a call, which has the caller's place from here on.
    fn submit_placed(&self, call: Call) -> Arc<ObjectHandle>;
}
