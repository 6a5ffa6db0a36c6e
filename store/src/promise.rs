//! The promise of the engine, since no process can check it alone.

/// Shows that a caller is the engine of Mobula, and keeps the promises that are listed under
/// [whose promise](crate#whose-promise).
///
/// The result of a function of this crate can rest on more than the function can check. Examples:
/// memory is freed after its last reader only, or no other code has the elements. Such a function
/// takes an `EnginePromise`, and names the promise. Only `unsafe` code can make one:
///
/// ```compile_fail,E0133
/// let engine = mobula_store::EnginePromise::new();
/// ```
///
/// ```compile_fail,E0423
/// let engine = mobula_store::EnginePromise(());
/// ```
#[derive(Clone, Copy, Debug)]
pub struct EnginePromise(());

impl EnginePromise {
    /// # Safety
    /// The caller, or code that gets the result from the caller, may pass it to a function.
    /// Wherever that happens, the promises must hold that the documentation of that function names.
    /// So a crate keeps it private.
    pub const unsafe fn new() -> EnginePromise {
        EnginePromise(())
    }
}
