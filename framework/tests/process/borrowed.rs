//! Values that functions borrow: decoded once per worker and object.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use mobula::{Array, prelude::*};
use serde::{Deserialize, Deserializer, Serialize};

use crate::support::{Marks, eventually, mark, nothing_is_left, runtime};

/// How many values this process has decoded.
static DECODED: AtomicU64 = AtomicU64::new(0);

/// Counts its decoding, and marks a file when it is dropped in a worker.
#[derive(Serialize, Deserialize)]
struct Counted {
    #[serde(deserialize_with = "counting")]
    marks: String,
}

fn counting<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    DECODED.fetch_add(1, Ordering::SeqCst);
    String::deserialize(deserializer)
}

impl Drop for Counted {
    fn drop(&mut self) {
        if DECODED.load(Ordering::SeqCst) > 0 {
            mark(&self.marks);
        }
    }
}

#[derive(Serialize, Deserialize)]
struct Model {
    names: HashMap<String, u64>,
    counted: Counted,
    large: Array<f64>,
    small: Array<f64>,
}

/// The sum of what the model has, and how many values its worker has decoded.
#[remote]
fn look(model: &Model, key: &str) -> (f64, u64) {
    let sum = model.large.iter().sum::<f64>() + model.small[0] + model.names[key] as f64;
    (sum, DECODED.load(Ordering::SeqCst))
}

#[remote]
fn nested(model: ObjectRef<Model>) -> mobula::Result<(f64, u64)> {
    look::remote(&model, "two").spawn().get()
}

fn model(rt: &Runtime, marks: &Marks) -> mobula::Result<ObjectRef<Model>> {
    let marks = marks.path().to_owned();
    rt.put(&Model {
        names: HashMap::from([("one".to_owned(), 1), ("two".to_owned(), 2)]),
        counted: Counted { marks },
        large: vec![1.0; 100_000].into(),
        small: vec![0.5].into(),
    })
}

#[mobula::test]
fn a_struct_with_arrays_is_decoded_once_for_all_calls() -> mobula::Result<()> {
    let rt = runtime(1);
    let marks = Marks::new();
    let model = model(&rt, &marks)?;
    let calls = (0..50).map(|n| look::remote(&model, ["one", "two"][n % 2]));
    for (n, value) in rt.map(calls).get()?.into_iter().enumerate() {
        assert_eq!(value, (100_000.5 + [1.0, 2.0][n % 2], 1));
    }
    for _ in 0..3 {
        assert_eq!(look::remote(&model, "two").spawn().get()?.1, 1);
    }
    // A task that waits hands its worker on to another thread.
    assert_eq!(rt.spawn(nested::remote(&model)).get()?.1, 1);
    assert_eq!(marks.count(), 0);
    // Arrays inside do not outlive the object because of what workers keep, though they are idle.
    drop(model);
    nothing_is_left(&rt);
    eventually("the worker has dropped its value", || marks.count() == 1);
    Ok(())
}

#[mobula::test]
fn objects_that_come_and_go_leave_no_decoded_values() -> mobula::Result<()> {
    let rt = runtime(2);
    let marks = Marks::new();
    let (mut made, mut seen) = (0, 0);
    for _ in 0..20 {
        let model = model(&rt, &marks)?;
        let results = rt.map((0..10).map(|_| look::remote(&model, "one"))).get()?;
        assert!(results.iter().all(|result| result.0 == 100_001.5));
        made += 1;
        seen = seen.max(results.iter().map(|result| result.1).max().unwrap_or(0));
    }
    nothing_is_left(&rt);
    assert!(seen <= made);
    eventually("the workers have dropped their values", || {
        marks.count() >= made
    });
    Ok(())
}

#[mobula::test]
fn a_worker_that_dies_leaves_no_decoded_values() -> mobula::Result<()> {
    #[remote]
    fn die(model: &Model) {
        assert!(model.large.len() > 1);
        std::process::abort();
    }
    let rt = runtime(1);
    let marks = Marks::new();
    let model = model(&rt, &marks)?;
    look::remote(&model, "one").spawn().get()?;
    assert!(die::remote(&model).spawn().get().unwrap_err().is_crash());
    assert_eq!(look::remote(&model, "one").spawn().get()?.1, 1);
    drop(model);
    nothing_is_left(&rt);
    Ok(())
}
