//! Receives Ctrl-C (`SIGINT`) and `SIGTERM` as events.

use std::{
    future::poll_fn,
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    task::Poll,
    time::Duration,
};

use mobula_protocol::{Error, Result};
use tokio::signal::unix::{SignalKind, signal};

/// The receiver of `SIGINT` and `SIGTERM`, which end this process no more.
#[derive(Debug)]
pub(super) struct Interrupts(Receiver<()>);

impl Interrupts {
    /// Starts to listen. Until then the signals end the process as usual.
    ///
    /// # Errors
    /// The system refuses a thread or a descriptor.
    pub(super) fn listen() -> Result<Interrupts> {
        let failed = |error| Error::setup(format!("cannot listen for interrupts: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(failed)?;
        let (mut interrupt, mut terminate) = {
            let _inside = runtime.enter();
            let interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
            (interrupt, signal(SignalKind::terminate()).map_err(failed)?)
        };
        let (sender, receiver) = channel();
        let listen = move || {
            runtime.block_on(async {
                loop {
                    let came = poll_fn(|context| {
                        let interrupted = interrupt.poll_recv(context).is_ready();
                        match interrupted || terminate.poll_recv(context).is_ready() {
                            true => Poll::Ready(()),
                            false => Poll::Pending,
                        }
                    });
                    came.await;
                    if sender.send(()).is_err() {
                        return;
                    }
                }
            });
        };
        std::thread::Builder::new()
            .name("mobula-signals".to_owned())
            .spawn(listen)
            .map_err(failed)?;
        Ok(Interrupts(receiver))
    }

    /// Blocks until the next signal comes, for up to `time`.
    pub(super) fn within(&self, time: Duration) -> Result<(), RecvTimeoutError> {
        self.0.recv_timeout(time)
    }
}
