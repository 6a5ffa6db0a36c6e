//! Panics of task code become errors that say what happened, where and why.
//!
//! A panic is reported three times. The driver finds it in the mailbox, in case the process does
//! not survive it. A hook that the user has set is called. If the panic unwinds to the task's end,
//! it becomes the task's error.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    cell::{Cell, RefCell},
    hint,
    panic::{self, AssertUnwindSafe, PanicHookInfo},
    sync::{Arc, Once, OnceLock},
};

use parking_lot::Mutex;

use super::backtrace::trimmed;
use mobula_protocol::{Error, ProcessName, Result, mailbox::WorkerPanicked};

struct Captured {
    location: String,
    message: String,
    backtrace: String,
}

/// Completed once the hook of [`install_hook`] is there.
static INSTALLED: Once = Once::new();

/// Where the driver looks when this process is dead.
static TOLD: OnceLock<Mutex<WorkerPanicked>> = OnceLock::new();

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static ANY_CAPTURED: Cell<bool> = const { Cell::new(false) };
    static CAPTURED: RefCell<Option<Captured>> = const { RefCell::new(None) };
}

type Hook = Box<dyn Fn(&PanicHookInfo<'_>) + Send + Sync>;

/// Installs a hook that keeps panics inside [`catch`] for the error and tells the driver at once. A
/// hook of the user's is called as in any program. The standard library's hook prints. It is not
/// called where the text goes into the error. To be called after the user's own set-up, which may
/// set a hook.
pub(crate) fn install_hook(told: Option<WorkerPanicked>) {
    INSTALLED.call_once(|| {
        if let Some(told) = told {
            let _ = TOLD.set(Mutex::new(told));
        }
        let previous = panic::take_hook();
        let prints = is_default(&previous);
        panic::set_hook(Box::new(move |info| {
            let running = RUNNING.get();
            if running || cfg!(panic = "abort") {
                tell(info);
            }
            // A second panic while the first one unwinds ends the process, so the user must see it.
            // Or the function has caught the first panic, and this panic is the one that counts.
            if !prints || !running || CAPTURED.with_borrow(Option::is_some) {
                previous(info);
            }
            if running {
                ANY_CAPTURED.set(true);
                CAPTURED.set(Some(capture(info)));
            }
        }));
    });
}

/// Calls a set-up function of the user. A panic inside [`catch`] is kept for the error. The hook of
/// the process is called, too. A hook that the function sets stays. Once the hook of
/// [`install_hook`] is there, that hook does all this.
pub(super) fn in_set_up<T>(f: impl FnOnce() -> T) -> T {
    if INSTALLED.is_completed() {
        return f();
    }
    let outer: Arc<Hook> = Arc::new(panic::take_hook());
    let inner = outer.clone();
    let hook: Hook = Box::new(move |info| {
        if RUNNING.get() {
            ANY_CAPTURED.set(true);
            CAPTURED.set(Some(capture(info)));
        }
        inner(info);
    });
    let own = (&raw const *hook).cast::<()>();
    panic::set_hook(hook);
    let result = f();
    let now = panic::take_hook();
    if (&raw const *now).cast::<()>() == own {
        drop(now);
        if let Ok(outer) = Arc::try_unwrap(outer) {
            panic::set_hook(outer);
        }
    } else {
        panic::set_hook(now);
    }
    result
}

/// Whether this hook is the standard library's own.
fn is_default(hook: &Hook) -> bool {
    // No hook is set at the moment, so this hook is one of the standard library's. Such hooks have
    // no state, so they differ from other hooks in their code alone.
    let default: Hook = panic::take_hook();
    // Two tables of functions may differ that stand for one hook. Then the hook prints once too
    // often.
    std::ptr::eq(&raw const **hook, &raw const *default)
}

/// Tells the driver of the panic before anything else happens.
fn tell(info: &PanicHookInfo<'_>) {
    // If another thread panics now, its report is enough.
    let Some(told) = TOLD.get().and_then(Mutex::try_lock) else {
        return;
    };
    let message = text(info.payload());
    if !told.is_empty() {
        // Messages of the standard library, which aborts after the panic that counts.
        let follows = [
            "panic in a function that cannot unwind",
            "panic in a destructor during cleanup",
        ];
        if follows.contains(&message.as_str()) {
            return;
        }
        told.add("; then at ");
    }
    told.add(&format!("{}: {message}", location(info)));
}

fn capture(info: &PanicHookInfo<'_>) -> Captured {
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => {
            let in_full = std::env::var("RUST_BACKTRACE").is_ok_and(|value| value == "full");
            trimmed(&backtrace.to_string(), in_full)
        }
        _ => String::new(),
    };
    Captured {
        location: location(info),
        message: text(info.payload()),
        backtrace,
    }
}

fn location(info: &PanicHookInfo<'_>) -> String {
    info.location()
        .map_or_else(|| "an unknown place".to_owned(), ToString::to_string)
}

fn text(payload: &(dyn Any + Send)) -> String {
    if let Some(text) = payload.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = payload.downcast_ref::<String>() {
        text.clone()
    } else {
        "(a panic without a message)".to_owned()
    }
}

/// The panic payload of [`end_task`].
struct TaskEnd(Error);

/// Ends the task of this thread with an error where its code has no way to return one. Calls no
/// panic hook.
pub(super) fn end_task(error: Error) -> ! {
    panic::resume_unwind(Box::new(TaskEnd(error)))
}

/// Runs `f`. A panic becomes an error that names `function`.
///
/// # Errors
/// `f` fails or panics.
pub(crate) fn catch<T>(function: &str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    forget();
    let outer = RUNNING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(|| __rust_begin_short_backtrace(f)));
    let result = result.unwrap_or_else(|payload| Err(caught(function, payload)));
    RUNNING.set(outer);
    forget();
    result
}

/// Returns the error for a panic of `function`, or the error that ended the task on purpose.
#[cold]
fn caught(function: &str, payload: Box<dyn Any + Send>) -> Error {
    let payload = match payload.downcast::<TaskEnd>() {
        Ok(end) => return end.0,
        Err(payload) => payload,
    };
    let fallback = text(&*payload);
    // Taken before the payload's destructor can panic in its turn.
    let captured = CAPTURED.take();
    // The payload is the user's, and so is its destructor.
    if let Err(second) = panic::catch_unwind(AssertUnwindSafe(move || drop(payload))) {
        std::mem::forget(second);
    }
    let captured = captured.unwrap_or_else(|| Captured {
        location: "an unknown place".to_owned(),
        message: fallback,
        backtrace: String::new(),
    });
    Error::panic(
        function,
        ProcessName::own(),
        &captured.location,
        &captured.message,
    )
    .with_backtrace(captured.backtrace)
}

/// Marks where backtraces of a task end. At a function of this name the standard library ends the
/// backtraces that it prints.
#[inline(never)]
fn __rust_begin_short_backtrace<T>(f: impl FnOnce() -> T) -> T {
    let result = f();
    // Otherwise the call above may become a jump, and this function would have no frame.
    hint::black_box(());
    result
}

/// Drops the captured panic, if there is one. The flag costs less to look at than the text.
fn forget() {
    if ANY_CAPTURED.take() {
        CAPTURED.set(None);
        if let Some(told) = TOLD.get() {
            told.lock().clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_place_and_text() {
        install_hook(None);
        let error = catch::<()>("score", || panic!("boom {}", 3)).unwrap_err();
        assert!(error.is_panic());
        let text = error.to_string();
        assert!(
            text.contains("`score` panicked at")
                && text.contains("panics.rs:")
                && text.contains("boom 3"),
            "{text}"
        );
        assert_eq!(catch("score", || Ok(5)).unwrap(), 5);
    }

    #[test]
    fn a_panic_that_was_caught_is_not_the_one_that_is_told() {
        install_hook(None);
        let error = catch::<()>("score", || {
            let _ = panic::catch_unwind(|| panic!("handled"));
            panic!("the real one")
        })
        .unwrap_err();
        assert!(error.to_string().contains("the real one"), "{error}");
    }

    #[test]
    fn a_task_that_is_ended_has_the_error_and_no_panic() {
        let error =
            catch::<()>("score", || end_task(Error::resource_limit("no thread"))).unwrap_err();
        assert!(error.is_resource_limit() && !error.is_panic(), "{error}");
    }

    #[test]
    fn a_payload_whose_drop_panics_is_an_error_too() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("in drop");
            }
        }
        install_hook(None);
        let error = catch::<()>("score", || panic::panic_any(Bomb)).unwrap_err();
        assert!(error.is_panic());
    }
}
