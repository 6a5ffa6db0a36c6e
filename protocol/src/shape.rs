//! The lengths of an array along its dimensions.

use std::{fmt, ops::Deref};

/// A list of lengths. The one length of a vector needs no allocation, since each value of plain
/// elements has such a list. Every process that knows the value has it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Shape(Lengths);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Lengths {
    One(u64),
    /// No length, or several.
    Other(Box<[u64]>),
}

impl Shape {
    /// Returns the shape of a vector.
    pub fn of_vec(len: u64) -> Shape {
        Shape(Lengths::One(len))
    }
}

impl From<&[u64]> for Shape {
    fn from(lengths: &[u64]) -> Shape {
        Shape(match lengths {
            [len] => Lengths::One(*len),
            lengths => Lengths::Other(lengths.into()),
        })
    }
}

impl From<Vec<u64>> for Shape {
    fn from(lengths: Vec<u64>) -> Shape {
        match lengths[..] {
            [len] => Shape::of_vec(len),
            _ => Shape(Lengths::Other(lengths.into())),
        }
    }
}

impl FromIterator<u64> for Shape {
    fn from_iter<I: IntoIterator<Item = u64>>(lengths: I) -> Shape {
        let mut lengths = lengths.into_iter();
        let (first, second) = (lengths.next(), lengths.next());
        match (first, second) {
            (Some(len), None) => Shape::of_vec(len),
            (first, second) => {
                let all = first.into_iter().chain(second).chain(lengths);
                Shape(Lengths::Other(all.collect()))
            }
        }
    }
}

impl Deref for Shape {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        match &self.0 {
            Lengths::One(len) => std::slice::from_ref(len),
            Lengths::Other(lengths) => lengths,
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_is_its_lengths_however_it_came_about() {
        assert_eq!(size_of::<Shape>(), 16);
        for lengths in [&[][..], &[7], &[2, 3], &[1, 2, 3, 4]] {
            let shape = Shape::from(lengths);
            assert_eq!(&*shape, lengths);
            assert_eq!(shape, Shape::from(lengths.to_vec()));
            assert_eq!(shape, lengths.iter().copied().collect());
            assert_eq!(format!("{shape:?}"), format!("{lengths:?}"));
        }
        assert_eq!(Shape::of_vec(7), Shape::from(&[7][..]));
        assert_ne!(Shape::of_vec(7), Shape::from(&[7, 1][..]));
    }
}
