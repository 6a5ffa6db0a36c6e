//! Arrays inside of values.

use std::any::type_name;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::{ArrayHandle, Handle, HandleKind, deserialize_handle, serialize_handle, type_tag};
use crate::{Array, Plain};

impl<E: Plain> Serialize for Array<E> {
    /// Lists the array out of band, whatever its size. Works only inside
    /// [`encode`](crate::codec::encode), and is an error elsewhere.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let elem = type_tag::<E>();
        let handle = Handle::array(self.as_block().clone(), elem, self.len() as u64);
        serialize_handle(serializer, HandleKind::Array, elem, handle)
    }
}

impl<'de, E: Plain> Deserialize<'de> for Array<E> {
    /// Takes the array from the items, without a copy. Works only inside
    /// [`decode`](crate::codec::decode), and is an error elsewhere.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Array<E>, D::Error> {
        let fail = |why: &dyn std::fmt::Display| {
            D::Error::custom(format_args!(
                "cannot read an `Array<{}>`: {why}",
                type_name::<E>()
            ))
        };
        let handle = deserialize_handle(deserializer, HandleKind::Array, type_tag::<E>())
            .map_err(|error| fail(&error))?;
        let Handle::Array(handle) = handle else {
            return Err(fail(&"it is another kind of handle"));
        };
        let ArrayHandle { block, len, .. } = *handle;
        let array = Array::from_block(block).map_err(|error| fail(&error))?;
        if array.len() as u64 != len {
            let found = array.len();
            return Err(fail(&format_args!(
                "it has {found} elements where {len} should be"
            )));
        }
        Ok(array)
    }
}
