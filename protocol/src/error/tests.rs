use super::{text::MAX_TEXT, *};
use crate::messagepack;
use std::error::Error as _;

#[test]
fn an_application_error_keeps_its_chain_and_its_value() {
    let typed = mobula_store::codec::encode(&7_u32).unwrap().bytes;
    let error = Error::from_application(
        "outer".into(),
        vec!["middle".into(), "inner".into()],
        Some((mobula_store::codec::type_tag::<u32>(), typed)),
    )
    .in_task("score", 17);
    assert!(error.is_application());
    assert_eq!(error.to_string(), "`score` failed (pid 17): outer");
    assert_eq!(
        format!("{error:#}"),
        "`score` failed (pid 17): outer: middle: inner"
    );
    assert_eq!(error.source().unwrap().to_string(), "middle");
    assert_eq!(error.root().to_string(), "inner");
    assert_eq!(error.application::<u32>(), Some(7));
    assert_eq!(error.application::<u64>(), None);
}

#[test]
fn a_row_of_dependents_names_the_first_failure_only() {
    let root = Error::panic("first", 1, "a.rs:1:1", "boom");
    let mut error = root.clone();
    for _ in 0..10_000 {
        error = Error::dependency("next", &error);
    }
    assert!(error.is_dependency() && !error.is_panic());
    assert_eq!(error.root().to_string(), root.to_string());
    assert!(
        error
            .to_string()
            .contains("`first` panicked at a.rs:1:1 (pid 1): boom")
    );
    assert!(error.to_string().len() < 200);
}

#[test]
fn a_panic_is_one_line_and_the_rest_is_kept() {
    let message = "assertion `left == right` failed\n  left: 1\n right: 2";
    let error = Error::panic("f", 7, "a.rs:1:2", message);
    let line =
        "`f` panicked at a.rs:1:2 (pid 7): assertion `left == right` failed; left: 1; right: 2";
    assert_eq!(error.to_string(), line);
    assert_eq!(error.backtrace(), None);
    let error = error.with_backtrace("   0: f".to_owned());
    let error = Error::dependency("g", &error);
    assert!(error.to_string().ends_with(line));
    assert_eq!(error.backtrace(), Some("   0: f"));
    let all = format!("{error:?}");
    assert!(
        all.contains(message) && all.ends_with("Stack backtrace:\n   0: f"),
        "{all}"
    );
    let bytes = messagepack::to_vec(&error).unwrap();
    let back: Error = messagepack::from_slice(&bytes).unwrap();
    assert_eq!(format!("{back:?}"), all);
}

#[test]
fn a_call_of_a_dead_actor_tells_why() {
    let typed = mobula_store::codec::encode(&7_u32).unwrap().bytes;
    let typed = Some((mobula_store::codec::type_tag::<u32>(), typed));
    let why = Error::from_application("no disk".into(), vec![], typed).in_task("Counter::new", 17);
    let error = Error::actor_dead("Counter::add", &why);
    assert!(error.is_actor_dead() && !error.is_application());
    assert!(error.to_string().contains("no disk"), "{error}");
    assert!(error.root().is_application());
    assert_eq!(error.application::<u32>(), Some(7));
    let killed = Error::actor("the actor `c` was killed", None);
    assert!(
        Error::actor_dead("Counter::add", &killed)
            .root()
            .is_actor_dead()
    );
    assert!(Error::dependency("sum", &error).is_dependency());
}

#[test]
fn a_long_chain_keeps_its_ends() {
    let mut error = Error::panic("deepest", 1, "a.rs:1:1", "boom");
    for depth in 0..1000 {
        error = Error::wrap_application(error).in_task(&format!("f{depth}"), 1);
    }
    assert!(error.to_string().starts_with("`f999` failed"));
    assert!(error.root().is_panic());
    // One step names the first failure, not all steps before it.
    let text = error.to_string();
    assert!(text.len() < 300 && text.contains("boom"), "{text}");
    assert!(!text.contains("`f998`"), "{text}");
    let bytes = messagepack::to_vec(&error).unwrap();
    assert!(bytes.len() < 300 * (MAX_STEPS + 1), "{}", bytes.len());
    assert!(std::iter::successors(error.source(), |&cause| cause.source()).count() <= MAX_STEPS);
}

#[test]
fn a_text_that_grows_is_bounded() {
    let mut error = Error::panic("f", 1, "a.rs:1:1", &"é".repeat(20_000));
    for n in 0..1_000 {
        error = error.at(format!("call {n} of a map"));
    }
    let text = error.to_string();
    assert!(text.len() <= MAX_TEXT && text.len() > MAX_TEXT / 2);
    assert!(text.starts_with("call 999 of a map: ") && text.ends_with('é'));
    assert!(text.contains("bytes left out"), "{text}");
    let long = "x".repeat(MAX_TEXT);
    assert_eq!(bounded(long.clone()), long);
}

#[test]
fn errors_travel() {
    let error = Error::dependency(
        "b",
        &Error::crash("a", 3, "signal 9 (SIGKILL)", "last words"),
    );
    let bytes = messagepack::to_vec(&error).unwrap();
    let back: Error = messagepack::from_slice(&bytes).unwrap();
    assert_eq!(format!("{back:?}"), format!("{error:?}"));
    assert!(back.root().is_crash());
}
