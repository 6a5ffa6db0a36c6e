//! The refs of a stream's items.

use std::fmt;

use mobula_protocol::Result;

use super::ObjectStream;
use crate::ObjectRef;

/// The refs of a stream's items, in the order in which they are made. [`ObjectStream::refs`]
/// returns it.
///
/// # Examples
/// ```
/// # use mobula::prelude::*;
/// #[remote]
/// fn words(text: String) -> impl Iterator<Item = String> {
///     let words: Vec<_> = text.split(' ').map(str::to_owned).collect();
///     words.into_iter()
/// }
///
/// #[remote]
/// fn length(word: &str) -> usize {
///     word.len()
/// }
///
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(2).start()?;
/// let words = words::remote("the quick brown fox").spawn();
/// let lengths = words.refs().map(|word| Ok(length::remote(word?).spawn()));
/// let lengths: Vec<_> = lengths.collect::<mobula::Result<_>>()?;
/// assert_eq!(rt.get(&lengths)?, [3, 5, 5, 3]);
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct ItemRefs<T>(ObjectStream<T>);

impl<T> ItemRefs<T> {
    pub(super) fn new(stream: ObjectStream<T>) -> ItemRefs<T> {
        ItemRefs(stream)
    }
}

impl<T> Iterator for ItemRefs<T> {
    type Item = Result<ObjectRef<T>>;

    fn next(&mut self) -> Option<Result<ObjectRef<T>>> {
        self.0.wait_next_ref()
    }
}

impl<T> fmt::Debug for ItemRefs<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ItemRefs").field(&self.0).finish()
    }
}
