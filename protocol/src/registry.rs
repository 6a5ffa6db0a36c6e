//! The remote functions of this program. The driver and every worker have the same list.

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
    /// `CARGO_PKG_NAME` of the package that defines the function.
    pub package: &'static str,
    /// `CARGO_PKG_VERSION` of the package that defines the function.
    pub version: &'static str,
    /// `module_path!()`.
    pub module: &'static str,
    /// The function's name. A function of an actor has the type before it, like `Counter::add`.
    pub name: &'static str,
    /// `file!()`.
    pub file: &'static str,
    /// `line!()`.
    pub line: u32,
    /// `column!()`.
    pub column: u32,
    /// The text of the signature. It changes when the meaning of the arguments may have changed.
    pub signature: &'static str,
    /// Whether the function is an `async fn`. Several calls of such a function can run in one
    /// worker at a time.
    pub asynchronous: bool,
    /// The function's role for an actor.
    pub role: Role,
    /// The options of the function's calls. A call's own options replace them.
    pub options: TaskOptions,
    /// The type that owns the function: a type of its own, or the actor's type. A macro may put
    /// functions into several blocks, with one name at one place. Only the owner tells these
    /// functions apart.
    pub owner: fn() -> TypeId,
    /// Decodes the arguments, runs the function, encodes the result.
    pub run: fn(&mut Inputs) -> Result<Payload>,
    /// Filled in when the registry is built.
    pub index: IndexCell,
}

/// The role of a remote function for an actor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// The function belongs to no actor. It runs in any worker.
    Function,
    /// The function makes the actor's value and installs it in its worker. The result is a packed
    /// value without bytes. The type of that value stands for the actor's type.
    Constructor {
        /// Whether the actor's value stays on the thread that made it, since it is not `Send +
        /// Sync`.
        bound: bool,
    },
    /// The function borrows the actor's value in the actor's worker.
    Method {
        /// Whether it takes `&mut self`. No other method may run at the same time then.
        exclusive: bool,
        /// The group of the method. The group's limit of calls at a time then replaces the actor's
        /// limit.
        group: Option<&'static str>,
    },
}

/// The number of a registered function, or none yet. A call reads its function's number with one
/// load.
#[derive(Debug)]
pub struct IndexCell(AtomicU32);

impl IndexCell {
    /// A cell without a number.
    // The initialiser of a static names this constant. Each static has a cell of its own.
    #[allow(clippy::declare_interior_mutable_const)]
    pub const NEW: IndexCell = IndexCell(AtomicU32::new(u32::MAX));
}

/// The item that a program submits for each remote function.
#[derive(Debug)]
pub struct Registered(pub &'static RemoteFn);

inventory::collect!(Registered);

impl RemoteFn {
    fn owner(&self) -> TypeId {
        (self.owner)()
    }

    /// Returns the identity of the function. Functions that differ only in their
    /// [`owner`](RemoteFn::owner) have the same one.
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
    /// Returns the registry of this program. The first call builds it.
    ///
    /// # Errors
    /// Fails if two functions cannot be told apart. The message has both places.
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
        // The order of the types holds for this program only. All processes of a runtime run the
        // same program.
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

    /// Returns a number for the functions and their signatures. Two programs share it only if they
    /// have the same functions with the same signatures.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the number of functions.
    pub fn len(&self) -> usize {
        self.functions.len()
    }

    /// Returns whether there is no function.
    pub fn is_empty(&self) -> bool {
        self.functions.is_empty()
    }

    /// Returns the number of a function.
    ///
    /// # Errors
    /// Fails if the function is not registered.
    pub fn index_of(&self, function: &'static RemoteFn) -> Result<FunctionIndex> {
        match function.index.0.load(Ordering::Relaxed) {
            u32::MAX => Err(Error::internal(format!("{function:?} is not registered"))),
            n => Ok(FunctionIndex(n)),
        }
    }

    /// Returns the function with this number.
    pub fn function(&self, index: FunctionIndex) -> Option<&'static RemoteFn> {
        self.functions.get(index.0 as usize).copied()
    }

    /// Returns the function's name, for messages.
    pub fn name(&self, index: FunctionIndex) -> &'static str {
        self.function(index)
            .map_or("an unknown function", |function| function.name)
    }
}

struct Fnv(u64);

impl Fnv {
    /// Hashes the length first, so two neighbouring texts cannot trade letters.
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
