//! Actors with names.

use std::sync::{Arc, Mutex};

use mobula::prelude::*;

use super::{Fragile, Log, Marks, mark};
use crate::support::{eventually, runtime};

#[mobula::test]
fn racing_callers_get_one_actor() {
    let rt = runtime(2);
    let marks = Marks::new();
    let found: Arc<Mutex<Vec<ActorRef<Fragile>>>> = Arc::default();
    mark(marks.path());
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let call = Fragile::remote(marks.path(), 1).name("the one");
                    let actor = rt.get_or_create_actor(call).unwrap();
                    found.lock().unwrap().push(actor);
                }
            });
        }
    });
    let found = std::mem::take(&mut *found.lock().unwrap());
    assert_eq!(found.len(), 100);
    assert!(found.iter().all(|actor| *actor == found[0]));
    assert_eq!(found[0].constructions().spawn().get().unwrap(), 2);
    assert_eq!(marks.count(), 2);
    assert_eq!(rt.actor::<Fragile>("the one").unwrap(), found[0]);
    assert!(rt.actor::<Log>("the one").unwrap_err().is_type_mismatch());
    // The name lives as long as the actor.
    drop(found);
    eventually("the name is free", || {
        rt.actor::<Fragile>("the one").is_err()
    });
}

#[remote]
fn find(name: &str) -> mobula::Result<usize> {
    Runtime::current()?.actor::<Log>(name)?.add(1).spawn().get()
}

#[remote]
fn create(name: &str) -> mobula::Result<ActorRef<Log>> {
    Log::remote().name(name).get_or_create()
}

#[mobula::test]
fn tasks_find_and_create_actors() {
    let rt = runtime(2);
    let log = rt.spawn(create::remote("log")).get().unwrap();
    assert_eq!(rt.spawn(find::remote("log")).get().unwrap(), 1);
    assert_eq!(rt.spawn(create::remote("log")).get().unwrap(), log);
    assert_eq!(log.add(1).spawn().get().unwrap(), 2);
    assert!(rt.spawn(find::remote("nobody")).get().is_err());
}
