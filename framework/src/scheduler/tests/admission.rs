//! Tests of the places for pending calls.

use mobula_protocol::ObjectId;

use super::{
    super::admission::Admission,
    env::{D, Env, W1, d, good, spec},
};

fn env(places: usize) -> Env {
    let mut env = Env::new(1, 8);
    env.scheduler.admission = Admission::new(Some(places));
    env
}

impl Env {
    fn submit_placed(&mut self, seq: u64) -> ObjectId {
        let id = self.submit(seq, vec![]);
        self.scheduler.use_place(id, &mut self.host);
        self.scheduler.sanity_check();
        id
    }

    fn ask(&mut self, seq: u64) -> ObjectId {
        let host = &mut self.host;
        self.scheduler.ask_for_place(d(seq), host).unwrap();
        self.scheduler.sanity_check();
        d(seq)
    }

    fn has_place(&self, asked: ObjectId) -> bool {
        matches!(self.scheduler.outcome(asked), Some(Ok(_)))
    }

    fn give_place_up(&mut self, asked: ObjectId) {
        self.scheduler.give_up_place(asked, &mut self.host);
        self.scheduler.sanity_check();
        self.release(asked);
    }
}

#[test]
fn places_go_to_those_that_wait_in_their_order() {
    let mut env = env(2);
    assert!(env.scheduler.try_take_place() && env.scheduler.try_take_place());
    assert!(!env.scheduler.try_take_place());
    env.submit_placed(1);
    env.submit_placed(2);
    let (first, second) = (env.ask(10), env.ask(11));
    assert!(!env.has_place(first));
    env.run(W1, d(1), good(1));
    assert!(env.has_place(first) && !env.has_place(second));
    env.run(W1, d(2), good(2));
    assert!(env.has_place(second) && !env.scheduler.try_take_place());
    env.release(first);
    env.submit_placed(3);
    // The other place is given up.
    env.give_place_up(second);
    assert!(env.scheduler.try_take_place() && !env.scheduler.try_take_place());
    env.scheduler.leave_place(&mut env.host);
    env.run(W1, d(3), good(3));
    env.completed();
    (1..=3).for_each(|seq| env.release(d(seq)));
    assert_eq!(env.scheduler.admission.admitted, 0);
    env.assert_over();
}

#[test]
fn who_gives_up_before_there_is_a_place_takes_none() {
    let mut env = env(1);
    assert!(env.scheduler.try_take_place());
    env.submit_placed(1);
    let (first, second) = (env.ask(10), env.ask(11));
    env.give_place_up(first);
    env.run(W1, d(1), good(1));
    assert!(env.has_place(second));
    env.give_place_up(second);
    assert!(env.scheduler.try_take_place());
    env.completed();
    env.release(d(1));
    env.assert_over();
}

#[test]
fn a_call_that_fails_at_once_gives_its_place_back() {
    let mut env = env(1);
    assert!(env.scheduler.try_take_place());
    let unknown = mobula_protocol::message::ArgSpec::Object(d(99));
    let call = spec(d(1), vec![unknown]);
    env.scheduler.submit(call, D, &mut env.host).unwrap();
    env.scheduler.use_place(d(1), &mut env.host);
    assert!(env.scheduler.try_take_place());
    env.completed();
    env.release(d(1));
    env.assert_over();
}

#[test]
fn the_end_of_the_runtime_ends_the_wait_for_a_place() {
    let mut env = env(1);
    assert!(env.scheduler.try_take_place());
    env.submit_placed(1);
    let asked = env.ask(10);
    let why = mobula_protocol::Error::shutdown();
    env.scheduler.fail_all(why, &mut env.host);
    env.scheduler.sanity_check();
    assert!(matches!(env.scheduler.outcome(asked), Some(Err(_))));
    let late = env.ask(11);
    assert!(matches!(env.scheduler.outcome(late), Some(Err(_))));
}
