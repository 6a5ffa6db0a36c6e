//! What the engine promises, since no process can check it alone.

/// Shows that a caller is the engine of Mobula, and keeps the promises that are listed under
/// [whose promise](crate#whose-promise).
///
/// What a function of this crate gives out can rest on more than what the function can check: that
/// memory is freed after its last reader only, or that nobody else has the same elements. Such a
/// function takes one of these, and names the promise. There is no way to make one without
/// `unsafe`:
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
    /// Wherever the caller, or whoever the caller hands the result to, passes it to a function, the
    /// promises hold that the documentation of that function names. So a crate keeps it private.
    pub const unsafe fn new() -> EnginePromise {
        EnginePromise(())
    }
}
