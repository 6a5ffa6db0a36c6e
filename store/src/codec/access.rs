//! Reading collections and variants.

use serde::{
    Deserialize, Deserializer as _,
    de::{
        DeserializeSeed, EnumAccess, Error, MapAccess, SeqAccess, Unexpected, VariantAccess,
        Visitor,
    },
};

use super::{error::Fault, reader::Decoder};

/// The largest number of elements that a visitor is told in advance. A visitor that trusts the hint
/// then stays within bounds. Other visitors grow.
const MAX_HINT: usize = 1 << 16;

/// The elements of an array, or the pairs of a map.
pub(super) struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    /// The number of elements that are still to be read.
    left: u32,
}

impl<'a, 'de> Elements<'a, 'de> {
    #[inline]
    pub(super) fn enter(decoder: &'a mut Decoder<'de>, len: u32) -> Result<Self, Fault> {
        decoder.enter()?;
        Ok(Elements { decoder, left: len })
    }

    /// Checks that all of `len` elements were read.
    #[inline]
    pub(super) fn finish(self, len: u32) -> Result<(), Fault> {
        self.decoder.leave();
        match self.left {
            0 => Ok(()),
            left => Err(too_many(len, left)),
        }
    }

    #[inline]
    fn read<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        let result = seed.deserialize(&mut *self.decoder);
        if result.is_err() {
            self.decoder.fail();
        }
        result
    }

    #[inline]
    fn hint(&self) -> Option<usize> {
        Some((self.left as usize).min(self.decoder.left()).min(MAX_HINT))
    }
}

#[cold]
fn too_many(len: u32, left: u32) -> Fault {
    Fault::new(format_args!(
        "{len} elements where {} should be",
        len - left
    ))
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Fault> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        self.read(seed).map(Some)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Fault> {
        self.next_element_seed(seed)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        self.read(seed)
    }

    #[inline]
    fn size_hint(&self) -> Option<usize> {
        self.hint()
    }
}

/// A variant: its name alone, or its name as the key of its data.
pub(super) struct Variant<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    unit: bool,
}

impl<'a, 'de> Variant<'a, 'de> {
    pub(super) fn unit(decoder: &'a mut Decoder<'de>) -> Variant<'a, 'de> {
        Variant {
            decoder,
            unit: true,
        }
    }

    pub(super) fn with_data(decoder: &'a mut Decoder<'de>) -> Variant<'a, 'de> {
        Variant {
            decoder,
            unit: false,
        }
    }

    fn data(self, expected: &'static str) -> Result<&'a mut Decoder<'de>, Fault> {
        if self.unit {
            return Err(Fault::invalid_type(Unexpected::UnitVariant, &expected));
        }
        Ok(self.decoder)
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;
    type Variant = Self;

    #[inline]
    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), Fault> {
        Ok((seed.deserialize(&mut *self.decoder)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;

    #[inline]
    fn unit_variant(self) -> Result<(), Fault> {
        if self.unit {
            Ok(())
        } else {
            Deserialize::deserialize(self.decoder)
        }
    }

    #[inline]
    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        seed.deserialize(self.data("a newtype variant")?)
    }

    #[inline]
    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.data("a tuple variant")?
            .deserialize_tuple(len, visitor)
    }

    #[inline]
    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.data("a struct variant")?
            .deserialize_struct("", fields, visitor)
    }
}
