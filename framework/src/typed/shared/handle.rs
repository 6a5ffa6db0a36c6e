//! The common part of all handles of shared memory.

use std::sync::Arc;

use mobula_protocol::{
    Body, Engine, Error, Format, ObjectHandle, Result, SharedKind, TypeTag, Value, WorkerId,
};
use mobula_store::{
    Building, Region,
    codec::{Handle, HandleKind, deserialize_handle, serialize_handle, type_tag},
};
use serde::{Deserializer, Serializer, de};

use crate::promise::ENGINE;

/// A ref to an object of shared memory, and the memory.
#[derive(Clone, Debug)]
pub(super) struct SharedHandle {
    entry: Arc<ObjectHandle>,
    region: Region,
}

impl SharedHandle {
    /// Makes shared memory of `bytes` bytes. `fill` gets the memory first, which is zero.
    ///
    /// # Errors
    /// The store has no room, or the runtime has ended.
    pub(super) fn create(
        engine: &Arc<dyn Engine>,
        (kind, of): (SharedKind, u64),
        shape: &[usize],
        bytes: usize,
        fill: impl FnOnce(&mut Building) -> Result<()>,
    ) -> Result<SharedHandle> {
        let mut building = engine.store().heap().reserve_shared(bytes)?;
        fill(&mut building)?;
        let format = Format::Shared {
            kind,
            of: TypeTag(of),
            shape: shape.iter().map(|n| *n as u64).collect(),
        };
        let extent = building.seal();
        let mut made = None;
        let _ = extent.adopt(|loc| {
            let entry = engine.store().register(Value {
                format,
                body: Body::Stored(loc),
                attachments: Vec::new(),
            });
            made = Some(entry.clone());
            entry
        });
        let entry = made.ok_or_else(|| Error::internal("new memory that was an object already"))?;
        if let Some(Err(error)) = entry.outcome() {
            return Err(error.clone());
        }
        let region = engine.need_shared_memory()?.region(&entry)?;
        Ok(SharedHandle { entry, region })
    }

    /// Returns a handle of the memory of an object, and its shape. Fails unless the memory is of
    /// that kind and type.
    pub(super) fn open(
        entry: Arc<ObjectHandle>,
        (kind, of): (SharedKind, u64),
    ) -> Result<(SharedHandle, Vec<usize>)> {
        let value = match entry.outcome() {
            Some(Ok(value)) => value.clone(),
            Some(Err(error)) => return Err(error.clone()),
            None => return Err(Error::internal("shared memory that is not there yet")),
        };
        let Format::Shared {
            kind: found,
            of: tag,
            shape,
        } = &value.format
        else {
            return Err(Error::type_mismatch(
                "expected shared memory, found another object",
            ));
        };
        if *found != kind || *tag != TypeTag(of) {
            return Err(Error::type_mismatch(format!(
                "expected shared memory used as {kind:?}, found {found:?}, or one of another type"
            )));
        }
        let engine = entry.engine(ENGINE).ok_or_else(Error::shutdown)?;
        let region = engine.need_shared_memory()?.region(&entry)?;
        let shape = shape.iter().map(|n| *n as usize).collect();
        Ok((SharedHandle { entry, region }, shape))
    }

    pub(super) fn entry(&self) -> &Arc<ObjectHandle> {
        &self.entry
    }

    /// Returns the ref alone. The handle's region is dropped.
    pub(super) fn into_entry(self) -> Arc<ObjectHandle> {
        self.entry
    }

    pub(super) fn region(&self) -> &Region {
        &self.region
    }

    /// Returns the engine of the memory.
    ///
    /// # Errors
    /// The runtime has ended.
    pub(super) fn engine(&self) -> Result<Arc<dyn Engine>> {
        self.entry.engine(ENGINE).ok_or_else(Error::shutdown)
    }

    pub(super) fn is_same(&self, other: &SharedHandle) -> bool {
        self.entry.is_same_object(&other.entry)
    }

    /// Returns a number that no other memory of the runtime has.
    pub(super) fn number(&self) -> (WorkerId, u64) {
        let id = self.entry.id();
        (id.origin, id.seq)
    }

    /// Writes the handle of an `H`.
    pub(super) fn serialize<H: 'static, S: Serializer>(
        &self,
        serializer: S,
    ) -> std::result::Result<S::Ok, S::Error> {
        let handle = Handle::Ref(Arc::clone(&self.entry) as _);
        serialize_handle(serializer, HandleKind::Ref, type_tag::<H>(), handle)
    }

    /// Reads the handle of an `H`, whose memory is of that kind and element type.
    pub(super) fn deserialize<'de, H: 'static, D: Deserializer<'de>>(
        deserializer: D,
        kind: (SharedKind, u64),
    ) -> std::result::Result<(SharedHandle, Vec<usize>), D::Error> {
        match deserialize_handle(deserializer, HandleKind::Ref, type_tag::<H>())? {
            Handle::Ref(entry) => match entry.downcast::<ObjectHandle>() {
                Ok(entry) => SharedHandle::open(entry, kind).map_err(de::Error::custom),
                Err(_) => Err(de::Error::custom("a ref that is not one of this engine's")),
            },
            Handle::Array(_) => Err(de::Error::custom("an array where a ref should be")),
        }
    }
}
