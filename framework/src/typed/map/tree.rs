//! A balanced tree of combinations, built from left to right.

use std::ops::Range;

/// Combines neighbours of equal level, as a binary counter carries. Of n parts, at most log2(n) + 1
/// wait for their neighbours at any time. No part is combined more than log2(n) + 1 times.
#[derive(Debug)]
pub(crate) struct Tree<T> {
    /// The parts that wait for their neighbours, with their levels. Levels fall from left to right.
    waiting: Vec<(u32, Part<T>)>,
    pushed: usize,
}

/// The combination of the parts at these places.
#[derive(Debug)]
pub(crate) struct Part<T> {
    pub(crate) places: Range<usize>,
    pub(crate) value: T,
}

/// Combines two neighbours, which together are the parts at these places.
pub(crate) type Combine<'a, T> = &'a mut dyn FnMut(&Range<usize>, T, T) -> T;

impl<T> Tree<T> {
    pub(crate) fn new() -> Tree<T> {
        Tree {
            waiting: Vec::new(),
            pushed: 0,
        }
    }

    /// Adds the next part, and combines the neighbours of equal level.
    pub(crate) fn push(&mut self, value: T, combine: Combine<'_, T>) {
        let places = self.pushed..self.pushed + 1;
        self.pushed += 1;
        let (mut level, mut part) = (0, Part { places, value });
        while let Some((_, left)) = self.waiting.pop_if(|(of, _)| *of == level) {
            part = join(left, part, combine);
            level += 1;
        }
        self.waiting.push((level, part));
    }

    /// Combines the waiting parts. Returns `None` if no part was pushed.
    pub(crate) fn finish(&mut self, combine: Combine<'_, T>) -> Option<T> {
        let (_, mut all) = self.waiting.pop()?;
        while let Some((_, left)) = self.waiting.pop() {
            all = join(left, all, combine);
        }
        Some(all.value)
    }
}

fn join<T>(left: Part<T>, right: Part<T>, combine: Combine<'_, T>) -> Part<T> {
    let places = left.places.start..right.places.end;
    let value = combine(&places, left.value, right.value);
    Part { places, value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The depth of each part in the combination, by its place.
    type Depths = Vec<(usize, u32)>;

    fn combined(len: usize) -> (Option<Depths>, usize) {
        let (mut tree, mut most) = (Tree::new(), 0);
        let combine: Combine<'_, Depths> = &mut |places, left, right| {
            let both: Depths = left
                .into_iter()
                .chain(right)
                .map(|(n, d)| (n, d + 1))
                .collect();
            assert!(both.iter().map(|(n, _)| *n).eq(places.clone()));
            both
        };
        for n in 0..len {
            tree.push(vec![(n, 0)], combine);
            most = most.max(tree.waiting.len());
        }
        (tree.finish(combine), most)
    }

    #[test]
    fn parts_stay_in_order_and_the_tree_is_flat() {
        assert!(combined(0).0.is_none());
        for len in 1..200_usize {
            let (all, most) = combined(len);
            let all = all.unwrap();
            assert!(all.iter().map(|(n, _)| *n).eq(0..len), "{len}");
            let levels = len.ilog2() + 1;
            let deepest = all.iter().map(|(_, depth)| *depth).max().unwrap();
            assert!(deepest <= levels, "{len} parts, {deepest} deep");
            assert!(most <= levels as usize, "{len} parts, {most} wait");
        }
    }
}
