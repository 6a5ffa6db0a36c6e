//! The comparison and the encoding of a queue's handle.

use std::{any::type_name, fmt, marker::PhantomData};

use mobula_store::codec::type_tag;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Queue;
use crate::ObjectRef;

/// Stands for the type of the object that a queue is.
struct Kept;

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Queue<T> {
        Queue {
            entry: self.entry.clone(),
            ..*self
        }
    }
}

impl<T> PartialEq for Queue<T> {
    /// Returns whether both handles are of the same queue.
    fn eq(&self, other: &Queue<T>) -> bool {
        self.entry.is_same_object(&other.entry)
    }
}

impl<T> Eq for Queue<T> {}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Queue<{}>({})", type_name::<T>(), self.capacity)
    }
}

impl<T: 'static> Serialize for Queue<T> {
    /// Works for values that go through Mobula only; elsewhere it is an error.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let object = ObjectRef::<Kept>::from_entry(self.entry.clone());
        (object, self.capacity, type_tag::<T>()).serialize(serializer)
    }
}

impl<'de, T: 'static> Deserialize<'de> for Queue<T> {
    /// Works for values that come through Mobula only; elsewhere it is an error, as it is for a
    /// queue of values of another type.
    fn deserialize<D: Deserializer<'de>>(
        deserializer: D,
    ) -> std::result::Result<Queue<T>, D::Error> {
        let (object, capacity, tag) = <(ObjectRef<Kept>, _, u64)>::deserialize(deserializer)?;
        if tag != type_tag::<T>() {
            return Err(de::Error::custom(format_args!(
                "a queue of values that are no `{}`",
                type_name::<T>()
            )));
        }
        Ok(Queue {
            entry: object.into_entry(),
            capacity,
            item: PhantomData,
        })
    }
}
