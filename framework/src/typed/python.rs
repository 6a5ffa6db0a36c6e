//! Calls of Python functions on a Ray cluster.

use std::marker::PhantomData;

use mobula_protocol::{Format, PYTHON, Payload, PythonCall, Registered, Result, python_arguments};
use mobula_store::codec;
use serde::Serialize;

use super::{UnspawnedCall, Value, bytes::tag, place::Place};

inventory::submit! { Registered(&PYTHON) }

/// Names a Python function of a module. Nothing is looked up: the Ray worker that runs a call
/// imports the module.
///
/// `module` has dots for packages. `function` has dots for what lies in a class, like
/// `Model.load`.
///
/// # Examples
/// ```
/// use mobula::{prelude::*, ray};
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let mean = ray::python("statistics", "mean").call::<f64>((vec![1.0, 2.0, 3.0],));
/// match rt.spawn(mean).get() {
///     Ok(mean) => assert_eq!(mean, 2.0),
///     Err(error) => assert!(error.is_usage()), // this runtime is not on a Ray cluster
/// }
/// # Ok(())
/// # }
/// ```
pub fn python(module: impl Into<String>, function: impl Into<String>) -> PythonFunction {
    PythonFunction {
        module: module.into(),
        function: function.into(),
    }
}

/// A Python function that a Ray cluster runs: see [`python`].
///
/// # Examples
/// ```
/// use mobula::ray::{self, PythonFunction};
///
/// let hypot: PythonFunction = ray::python("math", "hypot");
/// let calls: Vec<_> = (0..3).map(|n| hypot.call::<f64>((3.0, n))).collect();
/// assert_eq!(calls.len(), 3); // nothing has happened so far
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PythonFunction {
    module: String,
    function: String,
}

impl PythonFunction {
    /// Returns a call of the function, which gives a `T`.
    ///
    /// The arguments are a tuple or a vector, whose elements are the positional arguments. A struct
    /// or a map with text keys gives arguments by name. `()` is no argument. A call with one
    /// argument takes a tuple of one element: `(7,)`.
    ///
    /// Values travel as MessagePack. Python gets structs and maps as `dict`s, sequences and tuples
    /// as `list`s, `Vec<u8>` as `bytes` (an empty one as an empty `list`), `u128` and `i128` as
    /// their 16 `bytes`, `None` and `()` as `None`, variants without data as
    /// `str`s, and other variants as a `dict` of one name. A `T` is read from the same forms. What
    /// has a method `tolist`, such as an array of `numpy`, is read as its list.
    ///
    /// The call has the options of other calls, and its result is an ordinary
    /// [`ObjectRef`](crate::ObjectRef), which remote functions take as an argument. These options
    /// differ:
    ///
    /// * `timeout` and `spawn_split` are usage errors. `deadline` is there.
    /// * [`Cancel`](crate::Cancel) and `deadline` fail the call at once. A function that has begun
    ///   runs to its end all the same, and so does one that waits for a worker.
    /// * `retry_errors` runs the function again after an exception, up to `retries` times. If a
    ///   worker dies, the call begins anew, with as many runs.
    ///
    /// # Errors
    /// The result fails with these errors:
    ///
    /// * [`is_usage`](crate::Error::is_usage): the runtime is not on a Ray cluster, or the node has
    ///   no such module or function.
    /// * [`is_application`](crate::Error::is_application): the function has raised an exception.
    ///   The text has its type and message. [`backtrace`](crate::Error::backtrace) has Python's
    ///   traceback.
    /// * [`is_codec`](crate::Error::is_codec): the arguments or the result have no form in
    ///   MessagePack, such as a ref or a Python `set`, or the result is no `T`.
    /// * [`is_crash`](crate::Error::is_crash): the Ray worker or its node has died.
    ///
    /// # Cost
    /// Encodes the arguments, which Python decodes. Arrays of numbers cost a conversion of each
    /// element. Otherwise a call costs what a Python task of Ray costs.
    ///
    /// # Examples
    /// ```
    /// use mobula::{prelude::*, ray};
    /// use std::collections::BTreeMap;
    ///
    /// #[derive(serde::Serialize)]
    /// struct Options {
    ///     obj: BTreeMap<String, u32>,
    ///     sort_keys: bool,
    /// }
    ///
    /// # fn main() -> mobula::Result<()> {
    /// # mobula::init();
    /// # let rt = Runtime::builder().workers(1).start()?;
    /// let obj = BTreeMap::from([("b".to_owned(), 1), ("a".to_owned(), 2)]);
    /// let by_name = Options { obj, sort_keys: true };
    /// let json: ObjectRef<String> =
    ///     rt.spawn(ray::python("json", "dumps").call(by_name).num_cpus(0.5).retries(2));
    /// match json.get() {
    ///     Ok(json) => assert_eq!(json, r#"{"a": 2, "b": 1}"#),
    ///     Err(error) => assert!(error.is_usage()), // this runtime is not on a Ray cluster
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn call<T: Value>(&self, arguments: impl Serialize) -> UnspawnedCall<T> {
        let call = PythonCall {
            module: self.module.clone(),
            function: self.function.clone(),
            result: tag::<T>().0,
        };
        let arguments = python_arguments(&call.name(), &arguments);
        let mut unspawned = UnspawnedCall::new(&PYTHON);
        unspawned.push_payload(arguments.and_then(|bytes| payload(&bytes)));
        unspawned.push_payload(described(&call));
        unspawned
    }
}

/// Returns the payload of what only the peer and the protocol read.
fn payload(bytes: &[u8]) -> Result<Payload> {
    Ok(Payload {
        format: Format::Packed {
            of: tag::<PhantomData<PythonCall>>(),
        },
        block: Place::Current.copy(bytes, 1)?,
        attachments: Vec::new(),
    })
}

fn described(call: &PythonCall) -> Result<Payload> {
    payload(&codec::encode(call)?.bytes)
}
