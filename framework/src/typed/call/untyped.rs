//! A call without the type of its result. The compiler makes this code once for all calls of a
//! program.

use std::sync::Arc;

use mobula_protocol::{
    Amount, Call, CallArg, CallOptions, Engine, Error, ObjectHandle, Payload, Registry, RemoteFn,
    Result, TaskOptions,
};

use super::{
    super::{admission, bound::Bound},
    check_node,
};

/// The common part of all calls: see the [module](self).
pub(crate) struct UntypedCall {
    pub(super) bound: Bound,
    pub(super) options: CallOptions,
}

impl UntypedCall {
    // Inlined into the user's crate: see `Bound::new`.
    #[inline]
    pub(super) fn new(
        function: &'static RemoteFn,
        actor: Option<Arc<ObjectHandle>>,
    ) -> UntypedCall {
        UntypedCall {
            bound: Bound::new(function, actor),
            options: None,
        }
    }

    /// Returns the call's own options. At first they are a copy of its function's.
    pub(super) fn own_options(&mut self) -> &mut TaskOptions {
        let function = self.bound.function;
        Arc::make_mut(
            self.options
                .get_or_insert_with(|| Arc::new(function.options.clone())),
        )
    }

    /// Sets what the call needs of a resource, or fails the call if that is no amount.
    pub(super) fn needs(&mut self, name: &str, amount: f64) {
        match Amount::new(amount).filter(|_| Amount::is_amount(amount)) {
            Some(amount) => self.own_options().resources.set(name, amount),
            None => {
                let function = self.bound.function.name;
                self.bound.fail(Error::usage(format!(
                    "a call of `{function}` needs {amount} of `{name}`; an amount is a positive \
                     number, and at least 0.0001"
                )));
            }
        }
    }

    /// Adds an argument in its final form, or fails the call if the argument could not get it.
    pub(super) fn push_payload(&mut self, payload: Result<Payload>) {
        match payload {
            Ok(payload) => self.bound.args.push(CallArg::Value(payload)),
            Err(error) => self.bound.fail(error),
        }
    }

    /// Starts the call on the runtime of its refs, or else on the only one.
    pub(super) fn spawn(self) -> Arc<ObjectHandle> {
        match self.bound.engine() {
            Ok(engine) => self.spawn_on(&engine),
            Err(error) => ObjectHandle::failed(error),
        }
    }

    /// Starts the call on this engine.
    pub(super) fn spawn_on(self, engine: &Arc<dyn Engine>) -> Arc<ObjectHandle> {
        // Written without closures, since a call takes some cache lines and would be copied into
        // them.
        match self.into_spec(engine) {
            Ok(spec) => engine.submit(spec),
            Err(error) => ObjectHandle::failed(error),
        }
    }

    /// Starts the call on this engine, if the limits of pending calls allow it now.
    ///
    /// # Errors
    /// The errors of [`try_spawn`](super::UnspawnedCall::try_spawn).
    pub(super) fn try_spawn_on(self, engine: &Arc<dyn Engine>) -> Result<Arc<ObjectHandle>> {
        let name = self.bound.function.name;
        admission::submit_at_once(name, self.into_spec(engine)?, engine)
    }

    /// Starts the call on this engine, when the limits of pending calls allow it.
    pub(super) async fn spawn_async_on(self, engine: &Arc<dyn Engine>) -> Arc<ObjectHandle> {
        match self.into_spec(engine) {
            Ok(call) => admission::submit_in_turn(call, engine).await,
            Err(error) => ObjectHandle::failed(error),
        }
    }

    /// # Errors
    /// The call is wrong.
    fn check(&self, engine: &Arc<dyn Engine>) -> Result<()> {
        if let Some(options) = &self.options {
            self.check_options(options, engine)?;
        }
        self.bound.check(engine)
    }

    fn check_options(&self, options: &TaskOptions, engine: &Arc<dyn Engine>) -> Result<()> {
        for (name, limit) in [("timeout", options.timeout), ("deadline", options.deadline)] {
            if limit.is_some_and(|limit| limit.is_zero()) {
                return Err(Error::usage(format!(
                    "the `{name}` of a call of `{}` is zero: it would always fail; leave it \
                     out for a call without a limit",
                    self.bound.function.name
                )));
            }
        }
        self.check_max_calls(options)?;
        if let Some(node) = &options.node {
            self.check_node(node, engine)?;
        }
        self.check_resources(options)
    }

    fn check_max_calls(&self, options: &TaskOptions) -> Result<()> {
        let why = match (options.max_calls, &self.bound.actor) {
            (Some(0), _) => "is zero: a worker runs one call at least",
            (Some(_), Some(_)) => {
                "is set, but an actor's process is not replaced; leave it out for methods"
            }
            _ => return Ok(()),
        };
        let name = self.bound.function.name;
        Err(Error::usage(format!(
            "the `max_calls` of a call of `{name}` {why}"
        )))
    }

    /// Checks that the engine has the machine of the call.
    ///
    /// # Errors
    /// It has not, or the call is a method's.
    fn check_node(&self, node: &str, engine: &Arc<dyn Engine>) -> Result<()> {
        let name = self.bound.function.name;
        if self.bound.actor.is_some() {
            return Err(Error::usage(format!(
                "the call of `{name}` is placed on the node `{node}`, but methods run in the process of \
                 their actor; place the actor, and leave `node` out for its methods"
            )));
        }
        check_node(node, engine).map_err(|error| error.at(format_args!("a call of `{name}`")))
    }

    /// Checks that no call of a method has resources of its own.
    ///
    /// # Errors
    /// The call is a method's, and needs resources.
    fn check_resources(&self, options: &TaskOptions) -> Result<()> {
        if self.bound.actor.is_some()
            && let Some(first) = options.resources.demands().first()
        {
            return Err(Error::usage(format!(
                "the call of `{}` needs `{}`, but methods run in the process of their actor, which \
                 is there already; leave the resources out",
                self.bound.function.name, first.name
            )));
        }
        Ok(())
    }

    /// Returns the call in the form that this engine takes.
    ///
    /// # Errors
    /// The call is wrong.
    pub(super) fn into_spec(self, engine: &Arc<dyn Engine>) -> Result<Call> {
        self.check(engine)?;
        let function = Registry::get()?.index_of(self.bound.function)?;
        Ok(Call {
            function,
            args: self.bound.args,
            options: self.options,
            actor: self.bound.actor,
        })
    }

    /// Returns the parts to send to this engine.
    ///
    /// # Errors
    /// The call is wrong.
    pub(super) fn into_parts(self, engine: &Arc<dyn Engine>) -> Result<(Bound, CallOptions)> {
        self.check(engine)?;
        Ok((self.bound, self.options))
    }
}
