//! What a thread knows of the calls that it runs [within](super::nested) others.

use std::cell::Cell;

/// Threads that run tasks have so many bytes more for their stacks than a task may use. A call runs
/// within another one only while no more than this is in use: so each has as much as a task has.
pub(super) const STACK: usize = 8 << 20;

thread_local! {
    /// Where the stack of this thread begins.
    static STACK_BEGIN: Cell<usize> = const { Cell::new(0) };
    /// How many calls this thread runs within others.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// How many reasons there are for this thread to run no call within the present one.
    static BARS: Cell<u32> = const { Cell::new(0) };
}

/// An address in the present frame.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

/// Says that the stack of this thread begins here.
pub(super) fn begin_stack() {
    STACK_BEGIN.set(stack_address());
}

/// How many calls this thread runs within others.
#[inline]
pub(super) fn depth() -> u32 {
    DEPTH.get()
}

/// Whether this thread runs a call within another one.
#[inline]
pub(super) fn is_within() -> bool {
    depth() > 0
}

/// Whether this thread has enough of its stack left for a task.
#[inline]
pub(super) fn has_stack() -> bool {
    STACK_BEGIN.get().saturating_sub(stack_address()) <= STACK
}

/// Whether the calls of this thread's task go to the driver.
#[inline]
pub(super) fn is_barred() -> bool {
    BARS.get() > 0
}

/// While it lives, the calls of this thread's task go to the driver.
///
/// A value is lent to the thread, which a call on this thread could want to borrow too. Or the
/// thread polls a future, which may have others beside it that have to go on.
pub(crate) struct Barred(());

impl Barred {
    pub(crate) fn enter() -> Barred {
        BARS.set(BARS.get() + 1);
        Barred(())
    }
}

impl Drop for Barred {
    fn drop(&mut self) {
        BARS.set(BARS.get() - 1);
    }
}

/// A call that this thread runs within another one, until this is dropped.
pub(super) struct Within(());

impl Within {
    pub(super) fn enter() -> Within {
        DEPTH.set(DEPTH.get() + 1);
        Within(())
    }
}

impl Drop for Within {
    fn drop(&mut self) {
        DEPTH.set(DEPTH.get() - 1);
    }
}
