//! A table of arrays for a pool of processes, with `create`, `get` and `free`. Other programs share
//! buffers by name, and a manager process keeps the list of them.
//!
//! Each place of the table has an array under a lock, and a generation, which is odd while the
//! array is in use. A handle is two plain numbers, the place and the generation. So a stale handle
//! is recognized:
//! - `create` makes the generation of a free place odd.
//! - `free` makes the generation even, in one step, if it is still the handle's. So only the first
//!   of several calls frees the array. The others return `false`.
//! - `get` locks the array for one writer or many readers, and then checks the generation. So a
//!   process keeps an array that is freed meanwhile until it drops the guard. The next owner waits.
//!
//! All of this is in shared memory, without a manager that could die. The table goes to tasks in
//! any value. An array that a dead process has created stays in use until another process frees it.
//! If the process died while it wrote, the next `get` fails.
//!
//! `cargo run --release -p mobula-examples --example handle_table [-- --small]`

use std::{
    collections::HashSet,
    hint::black_box,
    sync::{
        Mutex, PoisonError, RwLock,
        atomic::{
            AtomicU32,
            Ordering::{AcqRel, Acquire},
        },
    },
    thread,
};

use anyhow::{Context, Result, ensure};
use mobula::{
    AtomicArray, SharedReadGuard, SharedRwLock, SharedSemaphore, SharedWriteGuard, prelude::*,
};
use mobula_examples::{
    compare::{Times, faster, shown, small},
    table,
};
use serde::{Deserialize, Serialize};

/// A handle of an array: its place, and the generation of the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
struct Handle(u32, u32);

#[derive(Clone, Serialize, Deserialize)]
struct Table {
    arrays: Vec<SharedRwLock<[f64]>>,
    generations: AtomicArray<AtomicU32>,
}

impl Table {
    fn new(rt: &Runtime, places: usize, len: usize) -> mobula::Result<Table> {
        let array = |_| rt.shared_rwlock_slice(&vec![0.0; len]);
        Ok(Table {
            arrays: (0..places).map(array).collect::<mobula::Result<_>>()?,
            generations: rt.atomic_array(places)?,
        })
    }

    /// Takes a free array with its old contents. Returns `None` if all arrays are in use.
    fn create(&self) -> Option<Handle> {
        let mut places = (0..).zip(&self.generations[..]);
        places.find_map(|(place, generation)| {
            let free = generation.load(Acquire);
            let change = |new| generation.compare_exchange(free, new, AcqRel, Acquire);
            (free % 2 == 0 && change(free + 1).is_ok()).then_some(Handle(place, free + 1))
        })
    }

    /// Locks the array for reading. Returns `None` if it was freed.
    fn get(&self, handle: Handle) -> mobula::Result<Option<SharedReadGuard<'_, [f64]>>> {
        let guard = self.arrays[handle.0 as usize].read()?;
        Ok(self.has(handle).then_some(guard))
    }

    /// Locks the array for writing. Returns `None` if it was freed.
    fn get_mut(&self, handle: Handle) -> mobula::Result<Option<SharedWriteGuard<'_, [f64]>>> {
        let guard = self.arrays[handle.0 as usize].write()?;
        Ok(self.has(handle).then_some(guard))
    }

    fn has(&self, Handle(place, generation): Handle) -> bool {
        self.generations[place as usize].load(Acquire) == generation
    }

    /// Frees the array. Returns whether this call has freed it, which only the first call does.
    fn free(&self, Handle(place, generation): Handle) -> bool {
        let place = &self.generations[place as usize];
        place
            .compare_exchange(generation, generation.wrapping_add(1), AcqRel, Acquire)
            .is_ok()
    }
}

/// Creates, fills, checks and frees arrays while other tasks do the same. Returns the first
/// mistake.
#[remote]
fn works(
    table: &Table,
    places: &SharedSemaphore,
    id: u32,
    times: u32,
) -> mobula::Result<Option<String>> {
    for turn in 0..times {
        // A task that waits here lets other tasks run. A task in a loop of attempts would not.
        let _place = places.acquire()?;
        let handle = loop {
            // A place is free, but other tasks may have taken or freed places during the search.
            match table.create() {
                Some(handle) => break handle,
                None => thread::yield_now(),
            }
        };
        let value = f64::from(id) + f64::from(turn) / f64::from(times);
        match table.get_mut(handle)? {
            None => return Ok(Some(format!("{handle:?} is new, and not there"))),
            Some(mut array) => array.fill(value),
        }
        // From here on, any process with the handle could write to the array.
        thread::yield_now();
        let array = table.get(handle)?;
        let whole = array.is_some_and(|array| array.iter().all(|element| *element == value));
        if !whole {
            return Ok(Some(format!("somebody else wrote to {handle:?}")));
        }
        if !table.free(handle) || table.free(handle) {
            return Ok(Some(format!("{handle:?} was not freed exactly once")));
        }
    }
    Ok(None)
}

/// Frees all arrays. Returns for each whether this task has freed it.
#[remote]
fn frees(table: &Table, handles: Vec<Handle>) -> Vec<bool> {
    handles
        .into_iter()
        .map(|handle| table.free(handle))
        .collect()
}

/// Returns the sum of an array that another process has made.
#[remote]
fn sum(table: &Table, handle: Handle) -> mobula::Result<Option<f64>> {
    Ok(table.get(handle)?.map(|array| array.iter().sum()))
}

/// Checks that a handle works in another process, and that all processes recognize a stale handle.
fn one_array(table: &Table) -> Result<()> {
    let handle = table.create().context("the table is new")?;
    let mut array = table.get_mut(handle)?.context("the array is there")?;
    array.fill(2.0);
    let len = array.len();
    drop(array);
    let seen = sum::remote(table, handle).spawn().get()?;
    ensure!(
        seen == Some(2.0 * len as f64),
        "another process saw {seen:?}"
    );
    ensure!(table.free(handle) && !table.free(handle));
    ensure!(sum::remote(table, handle).spawn().get()?.is_none());
    let next = table.create().context("one is free")?;
    ensure!(
        next.0 == handle.0 && next != handle,
        "the freed place is used again, under another handle: {next:?} after {handle:?}"
    );
    ensure!(table.get(handle)?.is_none() && !table.free(handle) && table.free(next));
    Ok(())
}

/// Checks that each array is freed once when all tasks free all arrays.
fn freed_once(rt: &Runtime, table: &Table) -> Result<()> {
    let handles: Vec<Handle> = std::iter::from_fn(|| table.create()).collect();
    ensure!(handles.len() == table.generations.len() && table.create().is_none());
    let different: HashSet<_> = handles.iter().collect();
    ensure!(different.len() == handles.len(), "a handle was given twice");
    let calls = (0..8).map(|_| frees::remote(table, &handles));
    let mut freed = vec![0; handles.len()];
    for own in rt.get(rt.spawn_all(calls))? {
        let own = own.into_iter().map(i32::from);
        freed.iter_mut().zip(own).for_each(|(all, own)| *all += own);
    }
    ensure!(freed.iter().all(|freed| *freed == 1), "{freed:?}");
    Ok(())
}

/// Does the same in one process, with the generations under a lock of the standard library.
fn create_and_free_alone(generations: &Mutex<Vec<u32>>) -> bool {
    let lock = || generations.lock().unwrap_or_else(PoisonError::into_inner);
    let place = lock().iter_mut().position(|generation| {
        let free = *generation % 2 == 0;
        *generation += u32::from(free);
        free
    });
    place.is_some_and(|place| {
        lock()[place] += 1;
        true
    })
}

/// The number of calls in a sample.
const CALLS: u32 = 1000;

fn figures(table: &Table) -> Result<[[String; 4]; 2]> {
    let generations = Mutex::new(vec![0; table.generations.len()]);
    let private = RwLock::new(vec![0.0; 1000]);
    let handle = table.create().context("one is free")?;
    let mut times: [Times; 4] = Default::default();
    let [own, ours, own_read, our_read] = &mut times;
    for _ in 0..20 {
        let worked = own.time(|| (0..CALLS).all(|_| create_and_free_alone(&generations)));
        ensure!(worked);
        let worked = ours.time(|| {
            (0..CALLS).all(|_| {
                let handle = black_box(table).create();
                handle.is_some_and(|handle| table.free(handle))
            })
        });
        ensure!(worked);
        own_read.time(|| {
            for _ in 0..CALLS {
                let array = private.read().unwrap_or_else(PoisonError::into_inner);
                black_box(array[0]);
            }
        });
        our_read.time(|| -> Result<()> {
            for _ in 0..CALLS {
                black_box(table.get(handle)?.context("it is there")?[0]);
            }
            Ok(())
        })?;
    }
    ensure!(table.free(handle));
    let [own, ours, own_read, our_read] = times.map(|times| times.median() / f64::from(CALLS));
    let row = |what: &str, own, ours| [what.to_owned(), shown(own), shown(ours), faster(own, ours)];
    Ok([
        row("create and free", own, ours),
        row("get, read one element", own_read, our_read),
    ])
}

#[mobula::main]
fn main() -> Result<()> {
    let (tasks, times) = if small()? { (8, 100) } else { (32, 1000) };
    let rt = Runtime::start()?;
    // With fewer places than tasks, places are used again all the time.
    let arrays = tasks as usize / 4;
    let few = Table::new(&rt, arrays, 100)?;
    one_array(&few)?;
    let places = rt.shared_semaphore(arrays)?;
    let calls = rt.spawn_all((0..tasks).map(|id| works::remote(&few, &places, id, times)));
    let wrong: Vec<String> = rt.get(calls)?.into_iter().flatten().collect();
    ensure!(wrong.is_empty(), "{wrong:?}");
    let used: u32 = few.generations.to_vec().into_iter().map(|n| n / 2).sum();
    // `one_array` has created two of them.
    ensure!(used == tasks * times + 2, "{used} arrays were created");
    println!(
        "{tasks} tasks have created, used and freed {} arrays in {arrays} places",
        tasks * times
    );
    let table = Table::new(&rt, 64, 1000)?;
    freed_once(&rt, &table)?;
    let headings = [
        "one process",
        "with std::sync",
        "the table",
        "times as fast",
    ];
    table::print(headings, figures(&table)?);
    println!("All arrays were whole, and each was freed once.");
    Ok(())
}
