//! An engine that runs calls on a Ray cluster.
//!
//! ```text
//!   this program            helper: Python      Ray worker: Python     the same program
//!   Worker<Stream>  <---->  shim.py    <=====>  shim.py       <---->   Worker<Stream>
//!                   frames             Ray                    frames
//! ```
//!
//! To Ray, each call is a Python task or a method of a Python actor. The shim is the driver of the
//! process at the other end of its stream. It tells the process which calls to run, and answers
//! the requests of those calls ([`mobula_protocol::frames`]). The program and the processes that
//! run its calls are workers over a stream, so they need no further code.
//!
//! Values travel as bytes, which Python does not decode. Large values lie in Ray's object store,
//! which the processes map read-only.

mod control;
mod helper;

use std::sync::Arc;

use mobula_protocol::{Engine, Error, Result};
use mobula_worker::over_stream::{OverStream, Parts};
use parking_lot::Mutex;

use control::Cluster;
use helper::Helper;

use crate::{cluster_address::Address, config::Config};

/// Starts a helper, which joins the cluster. Blocks until the helper has answered the first frame.
///
/// # Errors
/// * `max_pending` is set.
/// * There is no Python with Ray.
/// * The cluster does not answer, or runs other versions.
pub(super) fn start(config: &Config, address: &Address) -> Result<Arc<dyn Engine>> {
    if config.max_pending.is_some() {
        return Err(Error::usage(
            "`Builder::max_pending` is not there on a Ray cluster; bound the calls by a map, whose calls \
             are made as results come",
        ));
    }
    let (helper, ends) = Helper::start(config, address)?;
    let helper = Arc::new(Mutex::new(helper));
    let parts = Parts {
        stream: ends.stream,
        socket: ends.socket,
        capacity: config.capacity,
        segment: config.own_segment,
        stack: config.stack,
    };
    let cluster = Arc::new(Cluster::new(config, helper.clone()));
    let (control, listener, ended) = (cluster.clone(), cluster.clone(), cluster);
    let over = OverStream::start(
        parts,
        move |over, peer| {
            control.begin(over.clone(), peer);
            control
        },
        Box::new(move |frame| listener.hear(frame)),
        move |why| ended.peer_is_gone(why),
    )
    .map_err(|error| helper.lock().failed(error))?;
    Ok(over.engine())
}
