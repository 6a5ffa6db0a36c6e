//! The parts of an error: its causes, the frames of a panic, and the value that a function
//! returned.

use serde::{Serialize, de::DeserializeOwned};

use super::{Error, Kind};

impl Error {
    /// Returns the failure at the end of the chain.
    ///
    /// If a task was not run because an input had failed, this is the failure of that input.
    /// Otherwise it is the innermost cause. Costs a walk of the chain, and no allocation.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fails() -> u32 {
    ///     panic!("no data")
    /// }
    ///
    /// #[remote]
    /// fn double(n: u32) -> u32 {
    ///     2 * n
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let once = double::remote(fails::remote().spawn()).spawn();
    /// let twice = double::remote(once).spawn();
    /// assert!(twice.get().unwrap_err().root().is_panic());
    /// # drop(rt);
    /// # Ok(())
    /// # }
    /// ```
    pub fn root(&self) -> &Error {
        let mut error = self;
        while let Some(cause) = &error.0.cause {
            error = cause;
        }
        error
    }

    /// Returns the frames from the panic to the remote function, in one or two lines each.
    ///
    /// They exist if this error or a cause of it is a panic, and the worker had captured them. A
    /// worker captures them with `RUST_BACKTRACE=1` or `RUST_LIB_BACKTRACE=1` in its environment.
    /// With `RUST_BACKTRACE=full`, they include the frames of the standard library and of Mobula.
    /// An exception of a Python function has Python's traceback in their place. Costs a walk of the
    /// chain of causes.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[remote]
    /// fn fails() {
    ///     panic!("no data")
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// let rt = Runtime::builder().workers(1).worker_env("RUST_BACKTRACE", "1").start()?;
    /// let error = rt.spawn(fails::remote()).get().unwrap_err();
    /// assert!(error.backtrace().unwrap().contains("fails"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn backtrace(&self) -> Option<&str> {
        self.steps()
            .filter_map(|error| error.0.panic.as_ref())
            .map(|panic| panic.backtrace.as_str())
            .find(|backtrace| !backtrace.is_empty())
    }

    /// Returns this error and its causes.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Error> {
        std::iter::successors(Some(self), |error| error.0.cause.as_ref())
    }

    /// Returns the error value that the remote function returned.
    ///
    /// Returns `None` unless this error, or a cause of it, is an application error of type `E`. `E`
    /// must be able to travel. Decodes the value.
    ///
    /// # Examples
    /// ```
    /// # use mobula::prelude::*;
    /// #[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
    /// enum Refusal {
    ///     TooLarge { most: u32 },
    /// }
    ///
    /// # impl std::fmt::Display for Refusal {
    /// #     fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    /// #         write!(f, "{self:?}")
    /// #     }
    /// # }
    /// # impl std::error::Error for Refusal {}
    /// #
    /// #[remote]
    /// fn reserve(n: u32) -> Result<u32, Refusal> {
    ///     if n > 100 { Err(Refusal::TooLarge { most: 100 }) } else { Ok(n) }
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let error = rt.spawn(reserve::remote(101)).get().unwrap_err();
    /// assert_eq!(error.application(), Some(Refusal::TooLarge { most: 100 }));
    /// # Ok(())
    /// # }
    /// ```
    pub fn application<E: Serialize + DeserializeOwned + 'static>(&self) -> Option<E> {
        let mut error = Some(self);
        while let Some(e) = error {
            if let Kind::Application(Some(typed)) = &e.0.kind
                && typed.tag == mobula_store::codec::type_tag::<E>()
            {
                return mobula_store::codec::decode(&typed.bytes, &[]).ok();
            }
            error = e.0.cause.as_ref();
        }
        None
    }
}
