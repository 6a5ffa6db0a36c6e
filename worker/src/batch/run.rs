//! The run of a batch, in the worker.

use std::time::Instant;

use super::{calls::Calls, results::ResultWriter};
use crate::{context, process};
use mobula_protocol::{Error, Input, Inputs, Payload, Registry, Result};

/// Runs the calls one after the other. An error or a panic of a call is the result of this call.
pub(super) fn run(inputs: &mut Inputs) -> Result<Payload> {
    let Input::Value(calls, _) = inputs.take()? else {
        return Err(Error::internal("the calls of a batch are many objects"));
    };
    let mut objects = Vec::new();
    for object in inputs.rest() {
        match object {
            Input::Value(payload, id) => objects.push((payload, id)),
            Input::Gather(_) => {
                return Err(Error::internal("an object of a batch is many objects"));
            }
        }
    }
    let began = Instant::now();
    let mut calls = Calls::new(&calls, &objects)?;
    let function = Registry::get()?
        .function(calls.function)
        .filter(|function| !std::ptr::eq(*function, &super::FUNCTION))
        .ok_or_else(|| Error::internal("a batch of calls of no function"))?;
    process::runs_function(calls.function);
    context::set_function(function);
    let mut results = ResultWriter::default();
    let mut inputs = Inputs::new(Vec::new());
    while inputs.refill(|list| calls.next(list))? {
        process::check_cancelled()?;
        let result = process::call(function, |function| (function.run)(&mut inputs));
        results.push(result);
    }
    Ok(results.finish(began.elapsed()))
}
