//! What the threads of one process share in the pieces that have a model: loom's types there.

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

    /// Without poison, as `parking_lot`'s.
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

    /// The value lies in a cell of the standard library, which loom does not see; it is looked at
    /// only behind a flag that loom does see.
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
