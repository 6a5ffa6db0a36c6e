//! The outcomes of calls in frames.

use serde::{Deserialize, Serialize};

use super::{Bytes, PeerValue, malformed};
use crate::{
    Error, ProcessName,
    ids::FunctionIndex,
    messagepack,
    registry::Registry,
    value::{Outcome, Value},
};

/// The function of a call that has failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PeerFunction {
    /// A remote function of this program.
    Index(u32),
    /// A function of the peer's language.
    Name(String),
}

/// The outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PeerOutcome {
    /// The call has returned this value.
    Value(PeerValue),
    /// The state of a queue: its length, whether it is closed, and how many values it has accepted.
    Queue(u64, bool, u64),
    /// The call has failed. The field is an error of this program, encoded.
    Error(Bytes),
    /// The call has failed for a reason that the peer knows. The fields are the kind, the function,
    /// the message, and the cause.
    Failure(
        String,
        Option<PeerFunction>,
        String,
        Option<Box<PeerOutcome>>,
    ),
    /// A function of the peer's language has raised an exception. The fields are the function, the
    /// type and the message of the exception, the frames, the process id, and the node.
    Raised(String, String, String, u32, String),
}

impl PeerOutcome {
    /// Returns the frame's form of an outcome. A value that has none becomes an error that says so.
    pub fn of(outcome: &Outcome) -> PeerOutcome {
        let formed = match outcome {
            Ok(value) => PeerValue::of(value),
            Err(error) => return PeerOutcome::error(error),
        };
        formed.map_or_else(|error| PeerOutcome::error(&error), PeerOutcome::Value)
    }

    fn error(error: &Error) -> PeerOutcome {
        match messagepack::to_vec(error) {
            Ok(bytes) => PeerOutcome::Error(Bytes(bytes)),
            Err(why) => {
                let text = format!("{error} (and the error cannot be encoded: {why})");
                PeerOutcome::Failure("internal".to_owned(), None, text, None)
            }
        }
    }

    /// Returns whether all bytes of the outcome are in the frame.
    pub fn is_in_the_frame(&self) -> bool {
        match self {
            PeerOutcome::Value(value) => value.places.is_empty(),
            PeerOutcome::Queue(..) | PeerOutcome::Error(_) | PeerOutcome::Raised(..) => true,
            PeerOutcome::Failure(.., cause) => {
                cause.as_ref().is_none_or(|cause| cause.is_in_the_frame())
            }
        }
    }

    /// Returns the outcome that has arrived. A malformed outcome becomes an error.
    pub fn outcome(&self, registry: &Registry) -> Outcome {
        match self {
            PeerOutcome::Value(value) => value.value().map(Value::share),
            PeerOutcome::Queue(length, closed, accepted) => {
                Value::queue_state((*length, *closed, *accepted)).map(Value::share)
            }
            PeerOutcome::Error(bytes) => match messagepack::from_slice(&bytes.0) {
                Ok(error) => Err(error),
                Err(why) => Err(malformed(why)),
            },
            PeerOutcome::Failure(kind, function, message, cause) => {
                let name = match function {
                    None => "a call",
                    Some(PeerFunction::Index(index)) => registry.name(FunctionIndex(*index)),
                    Some(PeerFunction::Name(name)) => name,
                };
                let cause = cause
                    .as_ref()
                    .and_then(|cause| cause.outcome(registry).err());
                Err(failure(kind, name, message, cause))
            }
            PeerOutcome::Raised(function, message, frames, pid, node) => {
                let error = Error::from_application(message.clone(), Vec::new(), None);
                let process = ProcessName::of(*pid, node);
                Err(error
                    .in_task(function, process)
                    .with_backtrace(frames.clone()))
            }
        }
    }
}

/// Returns the error of the kind that the peer names.
fn failure(kind: &str, name: &str, message: &str, cause: Option<Error>) -> Error {
    let cause = || cause.unwrap_or_else(|| Error::internal(message));
    match kind {
        "crash" => Error::lost_worker(format!("the process that ran `{name}` died: {message}")),
        "cancelled" => Error::cancelled(name),
        "timeout" => Error::task_timeout(format!("`{name}` {message}")),
        "dependency" => Error::dependency(name, &cause()),
        "actor_dead" => Error::actor_dead(name, &cause()),
        "actor" => Error::actor(message, None),
        "lost" => Error::lost(format!("the value of `{name}` is lost: {message}")),
        "store_full" => Error::store_is_full(message),
        "resource_limit" => Error::resource_limit(message),
        "backpressure" => Error::backpressure(message),
        "closed" => Error::closed(message),
        "wait" => Error::timeout(message),
        "usage" => Error::usage(message),
        "codec" => Error::codec(message),
        "setup" => Error::setup(message),
        "shutdown" => Error::shutdown(),
        _ => Error::internal(format!("`{name}`: {message}")),
    }
}
