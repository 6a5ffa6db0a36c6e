//! Places of calls in a runtime that limits pending calls.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use mobula_protocol::{Call, Engine, Error, ObjectHandle, Result};

use super::turn::in_turn;
use crate::promise::ENGINE;

/// Starts a call of a function of this name, if a place is free at once.
///
/// # Errors
/// No place is free, or the called actor has its `max_pending_calls`.
pub(super) fn submit_at_once(
    name: &str,
    call: Call,
    engine: &Arc<dyn Engine>,
) -> Result<Arc<ObjectHandle>> {
    let handle = match engine.admission() {
        None => engine.submit(call),
        Some(admission) if admission.try_place() => admission.submit_placed(call),
        Some(admission) => {
            return Err(Error::backpressure(format!(
                "`{name}` was not called: {} calls have not ended, which is the `max_pending` of the runtime; \
                 wait for some of them, or use `spawn` or `spawn_async`, which wait",
                admission.most()
            )));
        }
    };
    match handle.outcome() {
        Some(Err(error)) if error.is_backpressure() => Err(error.clone()),
        _ => Ok(handle),
    }
}

/// Waits for a place, and starts the call.
pub(super) async fn submit_in_turn(call: Call, engine: &Arc<dyn Engine>) -> Arc<ObjectHandle> {
    let Some(place) = Place::ask(engine) else {
        return engine.submit(call);
    };
    if let Some(asked) = &place.asked
        && let Err(error) = poll_fn(|context| poll_ready(asked, context)).await
    {
        return ObjectHandle::failed(error);
    }
    place.submit(call)
}

/// A place that a call waits for, or has. The drop of an unused place gives it to other calls.
struct Place<'e> {
    engine: &'e Arc<dyn Engine>,
    asked: Option<Arc<ObjectHandle>>,
    used: bool,
}

impl<'e> Place<'e> {
    /// Asks for a place. Returns `None` if the engine has no limit.
    fn ask(engine: &'e Arc<dyn Engine>) -> Option<Place<'e>> {
        let admission = engine.admission()?;
        let asked = match admission.try_place() {
            true => None,
            false => Some(admission.ask_for_place()),
        };
        Some(Place {
            engine,
            asked,
            used: false,
        })
    }

    fn submit(mut self, call: Call) -> Arc<ObjectHandle> {
        self.used = true;
        match self.engine.admission() {
            Some(admission) => admission.submit_placed(call),
            None => self.engine.submit(call),
        }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if !self.used
            && let Some(admission) = self.engine.admission()
        {
            admission.give_up_place(self.asked.as_ref().map(|asked| asked.id()));
        }
    }
}

fn poll_ready(asked: &Arc<ObjectHandle>, context: &mut Context<'_>) -> Poll<Result<()>> {
    in_turn(context, |context| {
        if asked.outcome().is_none() {
            let Some(engine) = asked.engine(ENGINE) else {
                return Poll::Ready(Err(Error::shutdown()));
            };
            if asked.subscribe(context.waker()) {
                asked.watch(&*engine);
                return Poll::Pending;
            }
        }
        Poll::Ready(match asked.outcome() {
            Some(Err(error)) => Err(error.clone()),
            _ => Ok(()),
        })
    })
}
