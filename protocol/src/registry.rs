//! The remote functions of this program, the same list in the driver and in every worker.

mod inputs;

use std::{
    any::TypeId,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{Error, Result, ids::FunctionIndex, options::TaskOptions, payload::Payload};

pub use inputs::{Gathered, Input, Inputs};

/// A remote function, as `#[remote]` registers it.
pub struct RemoteFn {
    /// `CARGO_PKG_NAME` where it is defined.
    pub package: &'static str,
    /// `CARGO_PKG_VERSION` where it is defined.
    pub version: &'static str,
    /// `module_path!()`.
    pub module: &'static str,
    /// The function's name; of an actor's with the type before it, as in `Counter::add`.
    pub name: &'static str,
    /// `file!()`.
    pub file: &'static str,
    /// `line!()`.
    pub line: u32,
    /// `column!()`.
    pub column: u32,
    /// The signature as it is written: changes when the meaning of the arguments may have changed.
    pub signature: &'static str,
    /// Whether it is an `async fn`: then several calls can run in one worker at a time.
    pub asynchronous: bool,
    /// What it is to an actor.
    pub role: Role,
    /// The options of its calls, unless a call has its own.
    pub options: TaskOptions,
    /// The type that belongs to it: its own, or the actor's. Tells functions apart that a macro has
    /// put into several blocks, with one name at one place.
    pub owner: fn() -> TypeId,
    /// Decodes the arguments, runs the function, encodes the result.
    pub run: fn(&mut Inputs) -> Result<Payload>,
    /// Filled in when the registry is built.
    pub index: IndexCell,
}

/// What a remote function is to an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Nothing: it runs in any worker.
    Function,
    /// It makes the actor's value and installs it where it runs. Its result is a packed value
    /// without bytes whose type stands for the actor's.
    Constructor {
        /// Whether the value stays on the thread that made it, since it is not `Send + Sync`.
        bound: bool,
    },
    /// It borrows the actor's value, where that is.
    Method {
        /// Whether it takes `&mut self`: then no other method may run at the same time.
        exclusive: bool,
        /// The group whose limit of calls at a time holds for it, in place of the actor's.
        group: Option<&'static str>,
    },
}

/// The number of a registered function, once it is known: makes a call's dispatch a load.
#[derive(Debug)]
pub struct IndexCell(AtomicU32);

impl IndexCell {
    /// Not numbered yet.
    // A constant is what a static's initialiser can name; each static gets a cell of its own.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NEW: IndexCell = IndexCell(AtomicU32::new(u32::MAX));
}

/// What a program submits for each remote function.
#[derive(Debug)]
pub struct Registered(pub &'static RemoteFn);

inventory::collect!(Registered);

impl RemoteFn {
    fn owner(&self) -> TypeId {
        (self.owner)()
    }

    /// What tells the function from others, but for those that differ in their
    /// [`owner`](RemoteFn::owner).
    fn key(
        &self,
    ) -> (
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        &'static str,
        u32,
        u32,
    ) {
        (
            self.package,
            self.version,
            self.module,
            self.name,
            self.file,
            self.line,
            self.column,
        )
    }
}

impl fmt::Debug for RemoteFn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}::{} at {}:{}:{}",
            self.module, self.name, self.file, self.line, self.column
        )
    }
}

/// All remote functions of the program, sorted and numbered.
#[derive(Debug)]
pub struct Registry {
    functions: Vec<&'static RemoteFn>,
    fingerprint: u64,
}

impl Registry {
    /// The registry of this program, built at the first call.
    ///
    /// # Errors
    /// Two functions cannot be told apart; the message has both places.
    pub fn get() -> Result<&'static Registry> {
        static REGISTRY: OnceLock<Result<Registry>> = OnceLock::new();
        REGISTRY
            .get_or_init(|| {
                Registry::new(
                    inventory::iter::<Registered>
                        .into_iter()
                        .map(|r| r.0)
                        .collect(),
                )
            })
            .as_ref()
            .map_err(Clone::clone)
    }

    fn new(mut functions: Vec<&'static RemoteFn>) -> Result<Registry> {
        // The types' order is that of this program, and all processes run the same one.
        functions.sort_by(|a, b| {
            a.key()
                .cmp(&b.key())
                .then_with(|| a.owner().cmp(&b.owner()))
        });
        for pair in functions.windows(2) {
            if pair[0].key() == pair[1].key() && pair[0].owner() == pair[1].owner() {
                return Err(Error::setup(format!(
                    "two remote functions have one identity: {:?} and {:?}; give one of them another name",
                    pair[0], pair[1]
                )));
            }
        }
        let mut hash = Fnv(0xcbf2_9ce4_8422_2325);
        for function in &functions {
            let (package, version, module, name, file, line, column) = function.key();
            for text in [package, version, module, name, file, function.signature] {
                hash.write(text.as_bytes());
            }
            hash.write(&line.to_le_bytes());
            hash.write(&column.to_le_bytes());
            hash.write(format!("{:?}", function.role).as_bytes());
        }
        for (n, function) in functions.iter().enumerate() {
            function.index.0.store(n as u32, Ordering::Relaxed);
        }
        Ok(Registry {
            functions,
            fingerprint: hash.0,
        })
    }

    /// A number that two programs share only if they have the same functions with the same
    /// signatures.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// How many functions there are.
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Whether there is no function.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// The number of a function.
    ///
    /// # Errors
    /// It is not registered.
    pub fn index_of(&self, function: &'static RemoteFn) -> Result<FunctionIndex> {
        match function.index.0.load(Ordering::Relaxed) {
            u32::MAX => Err(Error::internal(format!("{function:?} is not registered"))),
            n => Ok(FunctionIndex(n)),
        }
    }

    /// The function with this number.
    pub fn function(&self, index: FunctionIndex) -> Option<&'static RemoteFn> {
        self.functions.get(index.0 as usize).copied()
    }

    /// The function's name, for messages.
    pub fn name(&self, index: FunctionIndex) -> &'static str {
        self.function(index)
            .map_or("an unknown function", |function| function.name)
    }
}

struct Fnv(u64);

impl Fnv {
    /// Length first, so that two neighbouring texts cannot trade letters.
    fn write(&mut self, bytes: &[u8]) {
        for byte in (bytes.len() as u64).to_le_bytes().iter().chain(bytes) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn function(name: &'static str, line: u32, signature: &'static str) -> &'static RemoteFn {
        with_role(name, line, signature, Role::Function, TypeId::of::<()>)
    }

    fn with_role(
        name: &'static str,
        line: u32,
        signature: &'static str,
        role: Role,
        owner: fn() -> TypeId,
    ) -> &'static RemoteFn {
        Box::leak(Box::new(RemoteFn {
            package: "p",
            version: "1",
            module: "p::m",
            name,
            file: "src/m.rs",
            line,
            column: 1,
            signature,
            asynchronous: false,
            role,
            options: TaskOptions::DEFAULT,
            owner,
            run: |_| Err(Error::internal("not to be run")),
            index: IndexCell::NEW,
        }))
    }

    #[test]
    fn functions_are_numbered_alike_whatever_their_order() {
        let (a, b) = (function("a", 1, "()"), function("b", 2, "()"));
        let one = Registry::new(vec![a, b]).unwrap();
        let two = Registry::new(vec![b, a]).unwrap();
        assert_eq!(one.fingerprint(), two.fingerprint());
        assert_eq!(one.index_of(a).unwrap(), FunctionIndex(0));
        assert_eq!(two.index_of(b).unwrap(), FunctionIndex(1));
        assert_eq!(one.name(FunctionIndex(1)), "b");
        assert!(one.function(FunctionIndex(2)).is_none());
        assert!(one.index_of(function("c", 3, "()")).is_err());
    }

    #[test]
    fn another_signature_is_another_fingerprint() {
        let fingerprint = |signature| {
            Registry::new(vec![function("a", 1, signature)])
                .unwrap()
                .fingerprint()
        };
        assert_ne!(fingerprint("(u8)"), fingerprint("(u16)"));
        assert_ne!(
            fingerprint("()"),
            Registry::new(vec![]).unwrap().fingerprint()
        );
    }

    #[test]
    fn another_role_is_another_fingerprint() {
        let roles = [
            Role::Function,
            Role::Constructor { bound: false },
            Role::Constructor { bound: true },
            Role::Method {
                exclusive: false,
                group: None,
            },
            Role::Method {
                exclusive: true,
                group: None,
            },
            Role::Method {
                exclusive: true,
                group: Some("io"),
            },
        ];
        let fingerprints = roles.map(|role| {
            Registry::new(vec![with_role("a", 1, "()", role, TypeId::of::<()>)])
                .unwrap()
                .fingerprint()
        });
        let different: std::collections::HashSet<_> = fingerprints.into_iter().collect();
        assert_eq!(different.len(), 6);
    }

    #[test]
    fn inputs_say_where_the_actor_is() {
        let state = Arc::new(5_u8);
        let inputs = Inputs::of_actor(vec![Input::Gather(Vec::new().into())], state.clone());
        assert!(Arc::ptr_eq(&inputs.actor::<u8>().unwrap(), &state));
        assert!(inputs.actor::<u16>().is_err());
        assert!(Inputs::new(vec![]).actor::<u8>().is_err());
    }

    #[test]
    fn functions_of_one_place_are_told_apart_by_their_types() {
        let of = |owner| with_role("a", 7, "()", Role::Function, owner);
        let (a, b) = (of(TypeId::of::<u8>), of(TypeId::of::<u16>));
        let one = Registry::new(vec![a, b]).unwrap();
        let numbers = (one.index_of(a).unwrap(), one.index_of(b).unwrap());
        assert_ne!(numbers.0, numbers.1);
        let two = Registry::new(vec![b, a]).unwrap();
        assert_eq!(
            (two.index_of(a).unwrap(), two.index_of(b).unwrap()),
            numbers
        );
    }

    #[test]
    fn a_duplicate_is_an_error_with_both_places() {
        let error =
            Registry::new(vec![function("a", 7, "()"), function("a", 7, "()")]).unwrap_err();
        assert!(error.is_setup());
        assert_eq!(
            error.to_string().matches("src/m.rs:7:1").count(),
            2,
            "{error}"
        );
    }
}
