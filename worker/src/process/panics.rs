//! Panics of task code become errors that say what, where and why.

use std::{
    any::Any,
    backtrace::{Backtrace, BacktraceStatus},
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use crate::{Error, Result};

struct Captured {
    location: String,
    message: String,
}

thread_local! {
    static RUNNING: Cell<bool> = const { Cell::new(false) };
    static ANY_CAPTURED: Cell<bool> = const { Cell::new(false) };
    static CAPTURED: RefCell<Option<Captured>> = const { RefCell::new(None) };
}

/// Makes panics inside [`catch`] silent: their text goes into the error instead. All other panics
/// go to the hook that is there. To be called after the user's own set-up, which may set a hook.
pub(crate) fn install_hook() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A second one may come while the first unwinds, and then ends the process: it must be
            // seen. Or the function has caught the first, and this is the one that counts.
            if !RUNNING.get() || CAPTURED.with_borrow(Option::is_some) {
                previous(info);
            }
            if !RUNNING.get() {
                return;
            }
            let mut message = text(info.payload());
            let backtrace = Backtrace::capture();
            if backtrace.status() == BacktraceStatus::Captured {
                message += &format!("\nbacktrace:\n{backtrace}");
            }
            let location = info
                .location()
                .map_or_else(|| "an unknown place".to_owned(), ToString::to_string);
            ANY_CAPTURED.set(true);
            CAPTURED.set(Some(Captured { location, message }));
        }));
    });
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

/// What [`end_task`] unwinds with.
struct TaskEnd(Error);

/// Ends the task of this thread with an error, where its code has no way to return one. Calls no
/// panic hook.
pub(super) fn end_task(error: Error) -> ! {
    panic::resume_unwind(Box::new(TaskEnd(error)))
}

/// Runs `f`; a panic becomes an error that names `function`.
///
/// # Errors
/// What `f` returns, or its panic.
pub(crate) fn catch<T>(function: &str, f: impl FnOnce() -> Result<T>) -> Result<T> {
    forget();
    let outer = RUNNING.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    let result = result.unwrap_or_else(|payload| {
        let payload = match payload.downcast::<TaskEnd>() {
            Ok(end) => return Err(end.0),
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
        });
        Err(Error::panic(
            function,
            std::process::id(),
            &captured.location,
            &captured.message,
        ))
    });
    RUNNING.set(outer);
    forget();
    result
}

/// Drops what was captured, if anything was. The flag costs less to look at than the text.
fn forget() {
    if ANY_CAPTURED.take() {
        CAPTURED.set(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_an_error_with_place_and_text() {
        install_hook();
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
        install_hook();
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
        install_hook();
        let error = catch::<()>("score", || panic::panic_any(Bomb)).unwrap_err();
        assert!(error.is_panic());
    }
}
