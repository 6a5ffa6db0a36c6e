//! Actors by name.

use std::{any::type_name, sync::Arc};

use mobula_protocol::{Engine, Error, Format, ObjectHandle, Result};

use super::{Actor, ActorCall, ActorHandle, ActorRef, tag};
use crate::typed::flat::Types;

/// Returns the living actor of this name.
///
/// # Errors
/// There is none, the actor is of another type, or its constructor fails.
pub(crate) fn named<A: Actor>(engine: &Arc<dyn Engine>, name: &str) -> Result<ActorRef<A>> {
    let entry = engine.need_actors()?.named(name)?;
    checked(entry, name)
}

/// Returns the living actor of the call's name, or else a new one.
///
/// # Errors
/// The errors of [`named`], or the call is wrong.
pub(crate) fn get_or_create<A: Actor>(
    engine: &Arc<dyn Engine>,
    call: ActorCall<A>,
) -> Result<ActorRef<A>> {
    let spec = call.into_spec(engine)?;
    let Some(name) = spec.options.name.clone() else {
        return Err(Error::usage(format!(
            "an actor is found by its name; say which: `{}::remote(..).name(\"..\").get_or_create()`",
            short_name::<A>()
        )));
    };
    let entry = engine.need_actors()?.get_or_create(spec)?;
    checked(entry, &name)
}

/// Blocks until the actor is constructed. Only then its type is known in all processes.
fn checked<A: Actor>(entry: Arc<ObjectHandle>, name: &str) -> Result<ActorRef<A>> {
    entry.wait(None);
    match entry.outcome() {
        Some(Ok(value)) if value.format == (Format::Packed { of: tag::<A>() }) => {
            Ok(ActorRef::of(ActorHandle::new(entry, Some(name))))
        }
        Some(Ok(value)) => {
            let found = match &value.format {
                Format::Packed { of } => Types::all().of_tag(*of),
                _ => None,
            };
            Err(Error::type_mismatch(format!(
                "the actor {name:?} is a `{}`, not a `{}`",
                found.unwrap_or("(unknown)"),
                type_name::<A>()
            )))
        }
        Some(Err(error)) => Err(error.clone()),
        None => Err(Error::internal("a wait without a deadline has ended early")),
    }
}

/// Returns the last word of a type's name.
pub(super) fn short_name<A>() -> &'static str {
    let name = type_name::<A>();
    name.rsplit("::").next().unwrap_or(name)
}
