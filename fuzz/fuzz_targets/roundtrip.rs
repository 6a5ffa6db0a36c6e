//! Values grown from the input: each comes back as it left.

#![no_main]

mod value;

use libfuzzer_sys::fuzz_target;
use mobula_store::codec::{decode, encode};
use value::{Flat, Tagged, Untagged, Value};

/// Takes decisions and contents from the input, and zeros when it is used up.
struct Source<'a>(&'a [u8]);

impl Source<'_> {
    fn byte(&mut self) -> u8 {
        self.take::<1>()[0]
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut taken = [0; N];
        let len = N.min(self.0.len());
        taken[..len].copy_from_slice(&self.0[..len]);
        self.0 = &self.0[len..];
        taken
    }

    fn option<T>(&mut self, some: impl FnOnce(&mut Self) -> T) -> Option<T> {
        (self.byte() & 1 == 1).then(|| some(self))
    }

    fn some_of<T>(&mut self, most: u8, mut each: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.byte() % (most + 1)).map(|_| each(self)).collect()
    }

    fn bytes(&mut self) -> Vec<u8> {
        self.some_of(40, Self::byte)
    }

    fn text(&mut self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    fn options(&mut self) -> Option<Option<u8>> {
        self.option(|source| source.option(Self::byte))
    }

    fn value(&mut self, depth: u8) -> Value {
        let kinds = if depth == 0 { 14 } else { 20 };
        match self.byte() % kinds {
            0 => Value::Unit,
            1 => Value::Nothing(()),
            2 => Value::Bool(self.byte() & 1 == 1),
            3 => Value::Signed(i64::from_le_bytes(self.take())),
            4 => Value::Unsigned(u64::from_le_bytes(self.take())),
            5 => Value::Wide(
                i128::from_le_bytes(self.take()),
                u128::from_le_bytes(self.take()),
            ),
            6 => Value::Single(f32::from_le_bytes(self.take())),
            7 => Value::Double(f64::from_le_bytes(self.take())),
            8 => Value::Text(self.text(), char::from(self.byte())),
            9 => Value::Bytes(self.bytes()),
            10 => Value::Array(self.take()),
            11 => {
                let [a, b, c, d] = self.take();
                Value::Mixed(a, b, c, d, self.option(Self::byte))
            }
            12 => Value::Options(self.some_of(5, |source| source.option(Self::options))),
            13 => Value::Units(self.some_of(5, |source| source.option(|_| ()))),
            14 => Value::Option(self.option(|s| s.option(|s| Box::new(s.value(depth - 1))))),
            15 => Value::List(self.some_of(5, |source| source.value(depth - 1))),
            16 => Value::Map(
                self.some_of(4, |source| {
                    let key = (source.byte() as i8, source.option(|s| s.byte() & 1 == 1));
                    (key, source.value(depth - 1))
                })
                .into_iter()
                .collect(),
            ),
            17 => Value::Named {
                left: Box::new(self.value(depth - 1)),
                right: self.option(|source| Box::new(source.value(depth - 1))),
            },
            18 => Value::Tagged(self.tagged(depth - 1)),
            _ => Value::Untagged(self.untagged(depth - 1)),
        }
    }

    fn tagged(&mut self, depth: u8) -> Tagged {
        match self.byte() % if depth == 0 { 1 } else { 3 } {
            0 => Tagged::Unit,
            1 => {
                let id = self.options();
                // The names of fields beside it begin with a letter.
                let rest = self.some_of(4, |source| {
                    (format!("-{}", source.text()), source.untagged(depth - 1))
                });
                Tagged::Flat(Flat::new(id, rest.into_iter().collect()))
            }
            _ => Tagged::Named {
                next: self.option(|source| Box::new(source.tagged(depth - 1))),
                options: self.option(|source| source.option(|_| ())),
                bytes: self.bytes(),
            },
        }
    }

    fn untagged(&mut self, depth: u8) -> Untagged {
        match self.byte() % if depth == 0 { 7 } else { 9 } {
            0 => Untagged::Nothing,
            1 => Untagged::Flag(self.byte() & 1 == 1),
            2 => Untagged::Number(i64::from_le_bytes(self.take())),
            3 => Untagged::Double(f64::from_le_bytes(self.take())),
            4 => Untagged::Text(self.text()),
            5 => Untagged::Options {
                options: self.some_of(5, Self::options),
            },
            6 => Untagged::Bytes {
                bytes: self.bytes(),
                array: self.take(),
            },
            7 => Untagged::Tagged {
                tagged: Box::new(self.tagged(depth - 1)),
            },
            _ => Untagged::List(self.some_of(5, |source| source.untagged(depth - 1))),
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    let value = Source(bytes).value(12);
    let encoded = encode(&value).expect("it is not too deep");
    let back = decode::<Value>(&encoded.bytes, &encoded.items).expect("it comes back");
    // The text tells all but the bits of NaN, which the bytes tell.
    assert_eq!(format!("{back:?}"), format!("{value:?}"));
    assert_eq!(
        encode(&back).expect("it was written before").bytes,
        encoded.bytes
    );
});
