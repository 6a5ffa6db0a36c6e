//! The results of a whole iterator of items.

use std::{collections::VecDeque, fmt, iter::Fuse};

use mobula_protocol::Result;

use super::assignments::Assignments;
use crate::{ActorRef, UnspawnedCall, Value, typed::Actor};

/// Items on their way, for both orders.
struct Items<'a, A: Actor, R, I: Iterator, F> {
    assignments: &'a mut Assignments<A, R>,
    call: F,
    items: Fuse<I>,
    /// Items on their way, in order.
    numbers: VecDeque<u64>,
    /// Whether the iterator has no more items.
    over: bool,
}

impl<A, R, I, F> Items<'_, A, R, I, F>
where
    A: Actor,
    I: Iterator,
    F: FnMut(&ActorRef<A>, I::Item) -> UnspawnedCall<R>,
{
    /// Gives idle actors items. At most [`AHEAD`] results for each actor wait to be fetched. With
    /// more, actors have to wait.
    fn fill(&mut self) {
        self.assignments.look();
        while self.numbers.len() < AHEAD * self.assignments.actors().max(1) {
            let (call, items, over) = (&mut self.call, &mut self.items, &mut self.over);
            let number = self.assignments.submit_now(|| {
                let item = items.next();
                *over = item.is_none();
                let item = item?;
                Some(move |actor: &ActorRef<A>| call(actor, item))
            });
            match number {
                Some(number) => self.numbers.push_back(number),
                None => return,
            }
        }
    }
}

/// The most results of each actor that may wait for a result before them.
const AHEAD: usize = 64;

impl<A: Actor, R, I: Iterator, F> Drop for Items<'_, A, R, I, F> {
    fn drop(&mut self) {
        self.assignments.give_up(self.numbers.drain(..));
    }
}

/// Results in the order of their items. [`ActorPool::map`](super::ActorPool::map) returns it.
///
/// If it is dropped, calls that run go on, and their actors take other work when they are done.
///
/// # Examples
/// ```
/// use mobula::{ActorPool, prelude::*};
/// # struct Squares;
/// #
/// # #[remote]
/// # impl Squares {
/// #     fn new() -> Self {
/// #         Squares
/// #     }
/// #
/// #     fn of(&self, n: u64) -> u64 {
/// #         n * n
/// #     }
/// # }
/// #
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
/// let mut pool = ActorPool::new(actors);
/// let mut squares = pool.map(|actor, n| actor.of(n), [3, 4]);
/// assert_eq!(squares.next().unwrap()?, 9);
/// assert_eq!(squares.next().unwrap()?, 16);
/// assert!(squares.next().is_none());
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct PoolMap<'a, A: Actor, R, I: Iterator, F>(Items<'a, A, R, I, F>);

/// Results in the order in which they become ready.
/// [`ActorPool::map_unordered`](super::ActorPool::map_unordered) returns it.
///
/// If it is dropped, calls that run go on, and their actors take other work when they are done.
///
/// # Examples
/// ```
/// use mobula::{ActorPool, prelude::*};
/// # struct Squares;
/// #
/// # #[remote]
/// # impl Squares {
/// #     fn new() -> Self {
/// #         Squares
/// #     }
/// #
/// #     fn of(&self, n: u64) -> u64 {
/// #         n * n
/// #     }
/// # }
/// #
/// # fn main() -> mobula::Result<()> {
/// # mobula::init();
/// # let rt = Runtime::builder().workers(1).start()?;
/// let actors = (0..2).map(|_| rt.spawn_actor(Squares::remote()));
/// let mut pool = ActorPool::new(actors);
/// let found = pool.map_unordered(|actor, n| actor.of(n), 0..).find(|n| matches!(n, Ok(49)));
/// assert_eq!(found.unwrap()?, 49);
/// # Ok(())
/// # }
/// ```
#[must_use = "iterators do nothing unless they are consumed"]
pub struct PoolMapUnordered<'a, A: Actor, R, I: Iterator, F>(Items<'a, A, R, I, F>);

macro_rules! maps {
    ($($map:ident: $find:expr;)*) => { $(
        impl<'a, A: Actor, R, I: Iterator, F> $map<'a, A, R, I, F> {
            pub(super) fn new(assignments: &'a mut Assignments<A, R>, call: F, items: I) -> Self {
                $map(Items {
                    assignments,
                    call,
                    items: items.fuse(),
                    numbers: VecDeque::new(),
                    over: false,
                })
            }
        }

        impl<A, R, I, F> Iterator for $map<'_, A, R, I, F>
        where
            A: Actor,
            R: Value,
            I: Iterator,
            F: FnMut(&ActorRef<A>, I::Item) -> UnspawnedCall<R>,
        {
            type Item = Result<R>;

            fn next(&mut self) -> Option<Result<R>> {
                let items = &mut self.0;
                let find: fn(&VecDeque<u64>, &Assignments<A, R>) -> Option<usize> = $find;
                loop {
                    items.fill();
                    if let Some(at) = find(&items.numbers, items.assignments) {
                        let number = items.numbers.remove(at)?;
                        let result = items.assignments.take(number);
                        // Gives the idle actor a further item before the caller handles the result.
                        items.fill();
                        return result;
                    }
                    if items.numbers.is_empty() && items.over {
                        return None;
                    }
                    items.assignments.wait_for_one_more();
                }
            }
        }

        impl<A: Actor, R, I: Iterator, F> fmt::Debug for $map<'_, A, R, I, F> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct(stringify!($map))
                    .field("actors", &self.0.assignments.actors())
                    .field("under_way", &self.0.numbers.len())
                    .finish_non_exhaustive()
            }
        }
    )* };
}

maps! {
    PoolMap: |numbers, assignments| assignments.has_landed(*numbers.front()?).then_some(0);
    PoolMapUnordered: |numbers, assignments| numbers.iter().position(|n| assignments.has_landed(*n));
}
