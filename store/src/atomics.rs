//! Types that many processes may change at a time without a lock.

use std::{
    fmt,
    sync::atomic::{
        AtomicI8, AtomicI16, AtomicI32, AtomicI64, AtomicU8, AtomicU16, AtomicU32, AtomicU64,
        Ordering,
    },
};

mod sealed {
    pub trait Sealed {}
}

/// An atomic that processes can share: the standard library's integers of 8 to 64 bits,
/// [`AtomicF32`] and [`AtomicF64`].
///
/// The list is closed. The memory must be of the atomic alone, and every bit pattern a value.
///
/// # Examples
/// ```
/// # use mobula_store as mobula;
/// use mobula::{AtomicF64, SharedAtomic};
/// use std::sync::atomic::{AtomicU32, Ordering};
///
/// fn take<A: SharedAtomic>(from: &A, rest: A::Value) -> A::Value {
///     let value = from.load(Ordering::Relaxed);
///     from.store(rest, Ordering::Relaxed);
///     value
/// }
///
/// assert_eq!(take(&AtomicU32::new(7), 0), 7);
/// assert_eq!(take(&AtomicF64::new(0.5), 0.0), 0.5);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an atomic that processes can share",
    note = "there are `AtomicU8` to `AtomicU64`, `AtomicI8` to `AtomicI64`, `AtomicF32` and `AtomicF64`; for other types there is `SharedMutex<T>`"
)]
pub trait SharedAtomic: sealed::Sealed + Send + Sync + 'static {
    /// The type of the value that it holds.
    type Value: bytemuck::Pod + Send + Sync;

    /// Returns the value, like [`AtomicU64::load`].
    ///
    /// # Examples
    /// ```
    /// # use mobula_store as mobula;
    /// use mobula::{AtomicF32, SharedAtomic};
    /// use std::sync::atomic::{AtomicI8, Ordering};
    ///
    /// assert_eq!(SharedAtomic::load(&AtomicI8::new(-1), Ordering::Relaxed), -1);
    /// assert_eq!(SharedAtomic::load(&AtomicF32::new(0.5), Ordering::Relaxed), 0.5);
    /// ```
    fn load(&self, order: Ordering) -> Self::Value;

    /// Sets the value, like [`AtomicU64::store`].
    ///
    /// # Examples
    /// ```
    /// # use mobula_store as mobula;
    /// use mobula::SharedAtomic;
    /// use std::sync::atomic::{AtomicI8, Ordering};
    ///
    /// let atomic = AtomicI8::new(-1);
    /// SharedAtomic::store(&atomic, 5, Ordering::Relaxed);
    /// assert_eq!(atomic.into_inner(), 5);
    /// ```
    fn store(&self, value: Self::Value, order: Ordering);
}

macro_rules! integers {
    ($($atomic:ident $value:ident)*) => { $(
        impl sealed::Sealed for $atomic {}

        impl SharedAtomic for $atomic {
            type Value = $value;

            #[inline]
            fn load(&self, order: Ordering) -> $value {
                self.load(order)
            }

            #[inline]
            fn store(&self, value: $value, order: Ordering) {
                self.store(value, order);
            }
        }
    )* };
}

integers! {
    AtomicU8 u8 AtomicU16 u16 AtomicU32 u32 AtomicU64 u64
    AtomicI8 i8 AtomicI16 i16 AtomicI32 i32 AtomicI64 i64
}

macro_rules! floats {
    ($($name:ident $value:ident $bits:ident $doc:literal)*) => { $(
        #[doc = $doc]
        ///
        /// The methods are those of the standard library's atomics. Arithmetic is a loop of
        /// compare-and-exchange, so sums depend on the order of the additions in their last bits.
        ///
        /// # Examples
        /// ```
        /// # use mobula_store as mobula;
        /// use mobula::{AtomicF32, AtomicF64};
        /// use std::sync::atomic::Ordering::Relaxed;
        ///
        /// let (wide, narrow) = (AtomicF64::new(1.0), AtomicF32::new(1.0));
        /// wide.fetch_add(0.5, Relaxed);
        /// narrow.fetch_max(2.0, Relaxed);
        /// assert_eq!((wide.load(Relaxed), narrow.load(Relaxed)), (1.5, 2.0));
        /// ```
        #[repr(transparent)]
        pub struct $name($bits);

        impl $name {
            /// Returns an atomic with this value.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// static TOTAL: AtomicF64 = AtomicF64::new(1.5);
            /// assert_eq!(TOTAL.load(Relaxed), 1.5);
            /// assert_eq!(AtomicF32::new(1.5).load(Relaxed), 1.5);
            /// ```
            pub const fn new(value: $value) -> $name {
                $name($bits::new(value.to_bits()))
            }

            /// Returns the value.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// assert_eq!(AtomicF64::new(1.5).load(Relaxed), 1.5);
            /// assert_eq!(AtomicF32::new(1.5).load(Relaxed), 1.5);
            /// ```
            #[inline]
            pub fn load(&self, order: Ordering) -> $value {
                $value::from_bits(self.0.load(order))
            }

            /// Sets the value.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// let (wide, narrow) = (AtomicF64::new(1.5), AtomicF32::new(1.5));
            /// wide.store(2.5, Relaxed);
            /// narrow.store(3.5, Relaxed);
            /// assert_eq!((wide.load(Relaxed), narrow.load(Relaxed)), (2.5, 3.5));
            /// ```
            #[inline]
            pub fn store(&self, value: $value, order: Ordering) {
                self.0.store(value.to_bits(), order);
            }

            /// Sets the value and returns the old one.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// assert_eq!(AtomicF64::new(1.5).swap(2.5, Relaxed), 1.5);
            /// assert_eq!(AtomicF32::new(1.5).swap(2.5, Relaxed), 1.5);
            /// ```
            #[inline]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                $value::from_bits(self.0.swap(value.to_bits(), order))
            }

            /// Sets the value to `new` if it has exactly the bits of `current`, and returns the old
            /// value.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// let (wide, narrow) = (AtomicF64::new(1.5), AtomicF32::new(1.5));
            /// assert_eq!(wide.compare_exchange(1.5, 2.0, Relaxed, Relaxed), Ok(1.5));
            /// assert_eq!(narrow.compare_exchange(0.0, 2.0, Relaxed, Relaxed), Err(1.5));
            /// ```
            ///
            /// # Errors
            /// The value that it has instead.
            #[inline]
            pub fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                self.0
                    .compare_exchange(current.to_bits(), new.to_bits(), success, failure)
                    .map($value::from_bits)
                    .map_err($value::from_bits)
            }

            /// Replaces the value by `f` of it, and returns the old value. Calls `f` again if
            /// another thread has changed the value.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// let (wide, narrow) = (AtomicF64::new(1.5), AtomicF32::new(1.5));
            /// assert_eq!(wide.update(Relaxed, |value| 2.0 * value), 1.5);
            /// assert_eq!(narrow.update(Relaxed, |value| value + 1.0), 1.5);
            /// assert_eq!((wide.load(Relaxed), narrow.load(Relaxed)), (3.0, 2.5));
            /// ```
            #[inline]
            pub fn update(&self, order: Ordering, mut f: impl FnMut($value) -> $value) -> $value {
                let mut bits = self.0.load(Ordering::Relaxed);
                loop {
                    let new = f($value::from_bits(bits)).to_bits();
                    match self.0.compare_exchange_weak(bits, new, order, Ordering::Relaxed) {
                        Ok(old) => return $value::from_bits(old),
                        Err(now) => bits = now,
                    }
                }
            }

            /// Adds to the value, and returns the old one.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// let (wide, narrow) = (AtomicF64::new(1.5), AtomicF32::new(1.5));
            /// assert_eq!((wide.fetch_add(2.0, Relaxed), narrow.fetch_add(2.0, Relaxed)), (1.5, 1.5));
            /// assert_eq!((wide.load(Relaxed), narrow.load(Relaxed)), (3.5, 3.5));
            /// ```
            #[inline]
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.update(order, |old| old + value)
            }

            /// Subtracts from the value, and returns the old one.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// let (wide, narrow) = (AtomicF64::new(1.5), AtomicF32::new(1.5));
            /// assert_eq!((wide.fetch_sub(1.0, Relaxed), narrow.fetch_sub(1.0, Relaxed)), (1.5, 1.5));
            /// assert_eq!((wide.load(Relaxed), narrow.load(Relaxed)), (0.5, 0.5));
            /// ```
            #[inline]
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.update(order, |old| old - value)
            }

            /// Sets the value to the larger of both, by the type's `max`, and returns the old
            /// value.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// let (wide, narrow) = (AtomicF64::new(1.5), AtomicF32::new(1.5));
            /// assert_eq!((wide.fetch_max(2.0, Relaxed), narrow.fetch_max(1.0, Relaxed)), (1.5, 1.5));
            /// assert_eq!((wide.load(Relaxed), narrow.load(Relaxed)), (2.0, 1.5));
            /// ```
            #[inline]
            pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.update(order, |old| old.max(value))
            }

            /// Sets the value to the smaller of both, by the type's `min`, and returns the old
            /// value.
            ///
            /// # Examples
            /// ```
            /// # use mobula_store as mobula;
            /// use mobula::{AtomicF32, AtomicF64};
            /// use std::sync::atomic::Ordering::Relaxed;
            /// let (wide, narrow) = (AtomicF64::new(1.5), AtomicF32::new(1.5));
            /// assert_eq!((wide.fetch_min(2.0, Relaxed), narrow.fetch_min(1.0, Relaxed)), (1.5, 1.5));
            /// assert_eq!((wide.load(Relaxed), narrow.load(Relaxed)), (1.5, 1.0));
            /// ```
            #[inline]
            pub fn fetch_min(&self, value: $value, order: Ordering) -> $value {
                self.update(order, |old| old.min(value))
            }
        }

        impl Default for $name {
            fn default() -> $name {
                $name::new(0.0)
            }
        }

        impl From<$value> for $name {
            fn from(value: $value) -> $name {
                $name::new(value)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.load(Ordering::Relaxed).fmt(f)
            }
        }

        impl sealed::Sealed for $name {}

        impl SharedAtomic for $name {
            type Value = $value;

            #[inline]
            fn load(&self, order: Ordering) -> $value {
                self.load(order)
            }

            #[inline]
            fn store(&self, value: $value, order: Ordering) {
                self.store(value, order);
            }
        }
    )* };
}

floats! {
    AtomicF32 f32 AtomicU32 "A floating-point number that can be shared between threads and processes."
    AtomicF64 f64 AtomicU64 "A floating-point number that can be shared between threads and processes."
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    #[test]
    fn additions_are_not_lost() {
        let sum = AtomicF64::new(0.5);
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    (0..1000).for_each(|_| {
                        sum.fetch_add(1.0, Ordering::Relaxed);
                    })
                });
            }
        });
        assert_eq!(sum.load(Ordering::Relaxed), 4000.5);
    }

    #[test]
    fn floats_behave_as_the_integers_do() {
        let x = AtomicF32::from(2.0);
        assert_eq!(x.swap(3.0, Ordering::SeqCst), 2.0);
        assert_eq!(x.fetch_max(7.0, Ordering::SeqCst), 3.0);
        assert_eq!(x.fetch_min(f32::NAN, Ordering::SeqCst), 7.0);
        assert_eq!(x.fetch_sub(0.5, Ordering::SeqCst), 7.0);
        let exchanged = x.compare_exchange(1.0, 9.0, Ordering::SeqCst, Ordering::SeqCst);
        assert_eq!(exchanged, Err(6.5));
        assert_eq!(format!("{x:?} {:?}", AtomicF64::default()), "6.5 0.0");
    }
}
