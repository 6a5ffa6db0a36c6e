//! Values that a lock between processes protects, behind the words of the lock.

use std::{any::type_name, marker::PhantomData, sync::Arc};

use mobula_protocol::{Engine, Error, Result, SharedKind};
use mobula_store::{LentRef, SharedRef};
use serde::{Deserializer, Serializer, de};

use super::{
    cell::{Cell, Layout},
    data::SharedData,
};
use crate::{promise::ENGINE, typed::shared::handle::SharedHandle};

/// The memory of a lock over a `T`.
pub(super) struct Protected<T: ?Sized> {
    pub(super) cell: Cell,
    layout: Layout,
    elements: usize,
    data: PhantomData<fn() -> Box<T>>,
}

impl<T: SharedData + ?Sized> Protected<T> {
    /// Makes new memory, with a copy of the elements.
    ///
    /// # Errors
    /// The store has no room, the runtime has ended, or the elements cannot lie there.
    pub(super) fn create(
        engine: &Arc<dyn Engine>,
        kind: SharedKind,
        layout: Layout,
        elements: &[T::Element],
    ) -> Result<Protected<T>> {
        let data = bytemuck::cast_slice(elements);
        let kind = (kind, T::tag());
        let cell = Cell::create(engine, kind, layout, data, elements.len())?;
        Protected::new(cell, layout, elements.len())
    }

    fn new(cell: Cell, layout: Layout, elements: usize) -> Result<Protected<T>> {
        let protected = Protected {
            cell,
            layout,
            elements,
            data: PhantomData,
        };
        match protected.shared() {
            Some(_) => Ok(protected),
            None => Err(Error::usage(format!(
                "a lock between processes cannot protect `{}`: its alignment is more than 64",
                type_name::<T::Element>()
            ))),
        }
    }

    /// Gives access to a holder that may read.
    #[inline]
    pub(super) fn shared(&self) -> Option<SharedRef<'_, T::Element>> {
        let region = self.cell.region();
        region.share(self.layout.data_at(), self.elements, ENGINE)
    }

    /// Gives access to the one holder that may write.
    #[inline]
    pub(super) fn lent(&self) -> Option<LentRef<'_, T::Element>> {
        let region = self.cell.region();
        region.lend_ref(self.layout.data_at(), self.elements, ENGINE)
    }

    /// Writes the handle of the lock, which is an `L`.
    pub(super) fn serialize<L: 'static, S: Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        self.cell.handle.serialize::<L, S>(serializer)
    }

    /// Reads the handle of a lock, which is an `L`.
    pub(super) fn deserialize<'de, L: 'static, D: Deserializer<'de>>(
        deserializer: D,
        kind: SharedKind,
        layout: Layout,
    ) -> std::result::Result<Protected<T>, D::Error> {
        let (handle, shape) = SharedHandle::deserialize::<L, D>(deserializer, (kind, T::tag()))?;
        let elements = shape.iter().product();
        Cell::new(handle, layout)
            .and_then(|cell| Protected::new(cell, layout, elements))
            .map_err(de::Error::custom)
    }
}

impl<T: ?Sized> Clone for Protected<T> {
    fn clone(&self) -> Protected<T> {
        Protected {
            cell: self.cell.clone(),
            ..*self
        }
    }
}

/// Implements the common part of all locks over data. The lock has a field `protected` and a
/// function `of`, which makes the lock of this field.
macro_rules! lock_over_data {
    ($lock:ident, $kind:expr, $layout:expr) => {
        impl<T: ?Sized> PartialEq for $lock<T> {
            /// Returns whether both handles are of the same lock.
            fn eq(&self, other: &$lock<T>) -> bool {
                let handle = &self.protected.cell.handle;
                handle.is_same(&other.protected.cell.handle)
            }
        }

        impl<T: ?Sized> Eq for $lock<T> {}

        impl<T: ?Sized> std::fmt::Debug for $lock<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}<{}>", stringify!($lock), std::any::type_name::<T>())
            }
        }

        impl<T: SharedData + ?Sized> serde::Serialize for $lock<T> {
            /// Works for values that go through Mobula only; elsewhere it is an error.
            fn serialize<S: serde::Serializer>(
                &self,
                serializer: S,
            ) -> std::result::Result<S::Ok, S::Error> {
                self.protected.serialize::<$lock<T>, S>(serializer)
            }
        }

        impl<'de, T: SharedData + ?Sized> serde::Deserialize<'de> for $lock<T> {
            /// Works for values that go through Mobula only; elsewhere it is an error.
            fn deserialize<D: serde::Deserializer<'de>>(
                deserializer: D,
            ) -> std::result::Result<$lock<T>, D::Error> {
                let protected =
                    Protected::deserialize::<$lock<T>, D>(deserializer, $kind, $layout)?;
                $lock::of(protected).map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(super) use lock_over_data;

/// Implements the common part of all guards: of guards that stay on their thread, and of others.
/// The former have their data and cause in fields. A guard with `.held` has them in the fields of
/// its field `held`, and gives mutable access.
macro_rules! guards {
    (here: $($here:ident $(.$held:ident)?)*; anywhere: $($anywhere:ident)*;) => {
        $(impl<T: SharedData + ?Sized> Caused for $here<'_, T> {
            fn cause(&self) -> Option<Cause> {
                self$(.$held)?.cause
            }
        })*

        $(impl<T: SharedData + ?Sized> std::ops::Deref for $here<'_, T> {
            type Target = T;

            #[inline]
            fn deref(&self) -> &T {
                T::of(self$(.$held)?.data.as_deref().unwrap_or(&[]))
            }
        })*

        $($(impl<T: SharedData + ?Sized> std::ops::DerefMut for $here<'_, T> {
            #[inline]
            fn deref_mut(&mut self) -> &mut T {
                T::of_mut(self.$held.data.as_deref_mut().unwrap_or(&mut []))
            }
        })?)*

        $(impl<T: SharedData + std::fmt::Debug + ?Sized> std::fmt::Debug for $here<'_, T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        })*

        $(impl<T: SharedData + ?Sized> std::fmt::Debug for $anywhere<T> {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.debug_struct(stringify!($anywhere)).finish_non_exhaustive()
            }
        })*
    };
}
pub(super) use guards;
