//! The state that a thread has of the calls that it runs [within](super::nested) others.

use std::cell::Cell;

/// Threads that run tasks have this many bytes of stack beyond the bytes that a task may use. A
/// call runs within another one only while at most this many bytes are in use. So each call has as
/// much stack as a task has.
pub(super) const STACK: usize = 8 << 20;

thread_local! {
    /// Where the stack of this thread begins.
    static STACK_BEGIN: Cell<usize> = const { Cell::new(0) };
    /// How many calls this thread runs within others.
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// How many reasons there are for this thread to run no call within the present one.
    static BARS: Cell<u32> = const { Cell::new(0) };
}

/// Returns an address in the present frame.
#[inline(never)]
fn stack_address() -> usize {
    let here = 0_u8;
    std::hint::black_box(&raw const here).addr()
}

/// Notes that the stack of this thread begins here.
pub(super) fn begin_stack() {
    STACK_BEGIN.set(stack_address());
}

/// Returns how many calls this thread runs within others.
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

/// While this lives, the calls of this thread's task go to the driver.
///
/// There are two reasons for that. A value is lent to the thread, and a call on this thread could
/// want to borrow the value too. Or the thread polls a future, and other futures beside it may have
/// to go on.
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
