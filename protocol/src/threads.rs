//! The types that threads of one process share, for code that has a loom model. In a model they are
//! loom's.

#[cfg(not(all(test, loom)))]
pub(crate) use std::sync::{OnceLock, atomic::AtomicBool};

#[cfg(not(all(test, loom)))]
pub(crate) use parking_lot::Mutex;

#[cfg(all(test, loom))]
pub(crate) use loom::sync::atomic::AtomicBool;
#[cfg(all(test, loom))]
pub(crate) use model::{Mutex, OnceLock};

#[cfg(all(test, loom))]
mod model {
    use loom::sync::{
        MutexGuard,
        atomic::{AtomicBool, Ordering},
    };

    /// A mutex without poison, like the one of `parking_lot`.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Mutex<T> {
            Mutex(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap()
        }

        pub(crate) fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap()
        }
    }

    /// A cell that is set once. The value lies in a cell of the standard library, which loom does
    /// not see. A flag that loom sees guards each read of the value.
    #[derive(Debug)]
    pub(crate) struct OnceLock<T> {
        value: std::sync::OnceLock<T>,
        is_there: AtomicBool,
        setting: Mutex<()>,
    }

    impl<T> OnceLock<T> {
        pub(crate) fn new() -> OnceLock<T> {
            OnceLock {
                value: std::sync::OnceLock::new(),
                is_there: AtomicBool::new(false),
                setting: Mutex::default(),
            }
        }

        pub(crate) fn get(&self) -> Option<&T> {
            match self.is_there.load(Ordering::Acquire) {
                true => self.value.get(),
                false => None,
            }
        }

        pub(crate) fn set(&self, value: T) -> Result<(), T> {
            let _setting = self.setting.lock();
            self.value.set(value)?;
            self.is_there.store(true, Ordering::Release);
            Ok(())
        }
    }
}
