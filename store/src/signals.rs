//! The signals that a thread takes.

/// The system's set of signals. No system has a larger one.
#[repr(C, align(8))]
struct Set([u8; 128]);

/// Lets this thread take all signals, and with it the threads that it starts from now on.
///
/// A process inherits the mask of the thread that started it, also over `exec`.
pub fn unblock_all() {
    /// Linux's number for "this set from now on" on all 64-bit processors but MIPS and SPARC.
    const SET_MASK: i32 = 2;
    unsafe extern "C" {
        fn pthread_sigmask(how: i32, set: *const Set, old: *mut Set) -> i32;
    }
    let none = Set([0; 128]);
    // SAFETY: the function reads a set, which is no longer than `none`, and writes nothing, since
    // the third argument is null. A set of zeros has no signal in it. A mask is a matter of what
    // runs when; no memory depends on it.
    let _ = unsafe { pthread_sigmask(SET_MASK, &raw const none, std::ptr::null_mut()) };
}
