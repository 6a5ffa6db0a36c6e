//! The promise of the engine, for floors that use the store alone.
#![expect(
    unsafe_code,
    reason = "the one place in this crate that vouches for what the compiler does not check"
)]

use mobula_store::EnginePromise;

// SAFETY: the floors share one file at a time with one further process of this program. Both see it
// as words only (`SharedWords`), and neither cuts it.
pub(crate) const ENGINE: EnginePromise = unsafe { EnginePromise::new() };
