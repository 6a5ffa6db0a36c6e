//! The types that may be changed by many processes at a time without a lock.

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

/// An atomic that processes can share: the standard library's integers of 8 to 64 bits, and
/// [`AtomicF32`] and [`AtomicF64`].
///
/// The list is closed: the memory must be of the atomic alone, and every bit pattern a value.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an atomic that processes can share",
    note = "there are `AtomicU8` to `AtomicU64`, `AtomicI8` to `AtomicI64`, `AtomicF32` and `AtomicF64`; for other types there is `SharedMutex<T>`"
)]
pub trait SharedAtomic: sealed::Sealed + Send + Sync + 'static {
    /// What it holds.
    type Value: bytemuck::Pod + Send + Sync;

    /// See [`AtomicU64::load`].
    fn load(&self, order: Ordering) -> Self::Value;

    /// See [`AtomicU64::store`].
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
        #[repr(transparent)]
        pub struct $name($bits);

        impl $name {
            /// A new one.
            pub const fn new(value: $value) -> $name {
                $name($bits::new(value.to_bits()))
            }

            /// What it holds.
            #[inline]
            pub fn load(&self, order: Ordering) -> $value {
                $value::from_bits(self.0.load(order))
            }

            /// Puts a value there.
            #[inline]
            pub fn store(&self, value: $value, order: Ordering) {
                self.0.store(value.to_bits(), order);
            }

            /// Puts a value there and gives the old one.
            #[inline]
            pub fn swap(&self, value: $value, order: Ordering) -> $value {
                $value::from_bits(self.0.swap(value.to_bits(), order))
            }

            /// Puts `new` there if it holds exactly the bits of `current`.
            ///
            /// # Errors
            /// What it holds instead.
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

            /// Replaces the value by `f` of it, as often as it takes; gives the old one.
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

            /// Adds, and gives the old value.
            #[inline]
            pub fn fetch_add(&self, value: $value, order: Ordering) -> $value {
                self.update(order, |old| old + value)
            }

            /// Subtracts, and gives the old value.
            #[inline]
            pub fn fetch_sub(&self, value: $value, order: Ordering) -> $value {
                self.update(order, |old| old - value)
            }

            /// The larger of both, as the type's `max`; gives the old value.
            #[inline]
            pub fn fetch_max(&self, value: $value, order: Ordering) -> $value {
                self.update(order, |old| old.max(value))
            }

            /// The smaller of both, as the type's `min`; gives the old value.
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
