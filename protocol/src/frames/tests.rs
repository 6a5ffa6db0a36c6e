//! Messages arrive unchanged, and bytes that are no message are errors.

use std::sync::Arc;

use mobula_store::{Block, Loc, SegmentId};
use proptest::prelude::*;

use super::*;
use crate::{
    ids::{Attempt, TaskSlot},
    message::{ArgSpec, FromWorker, TaskSpec, ToWorker},
    registry::Registry,
    shape::Shape,
    value::{Body, Format, TypeTag, Value, WireAttachment},
};

inventory::submit! { crate::Registered(&crate::PYTHON) }

fn id(seq: u64) -> ObjectId {
    ObjectId { origin: OWN, seq }
}

fn stored(offset: u64, len: u64) -> Value {
    Value {
        format: Format::Flat {
            elem: TypeTag(7),
            shape: Shape::of_vec(len),
        },
        body: Body::Stored(Loc {
            segment: SegmentId(3),
            offset,
            len,
        }),
        attachments: Vec::new(),
    }
}

/// Returns a value with all kinds of parts that a receiver replaces.
fn rich() -> Value {
    let mut small = stored(0, 2);
    small.body = Body::Inline(Block::copy_of(&[1, 2], 64));
    Value {
        format: Format::Packed { of: TypeTag(5) },
        body: Body::Inline(Block::copy_of(&[9, 8], 1)),
        attachments: vec![
            WireAttachment::Ref { id: id(4) },
            WireAttachment::InlineArray(Arc::new(small)),
            WireAttachment::Array {
                id: id(5),
                value: Arc::new(stored(128, 640)),
            },
        ],
    }
}

#[test]
fn a_value_arrives_with_the_objects_and_places_that_the_peer_says() {
    let said = PeerValue::of(&rich()).unwrap();
    assert!(said.places.is_empty());
    let refs: Vec<_> = said.refs.iter().map(|r| (r.id.0, r.is_array)).collect();
    assert_eq!(refs, [((1 << 40) | 4, false), ((1 << 40) | 5, true)]);

    let mut told = said.clone();
    told.refs[0].id = PeerId((2 << 40) | 1);
    told.refs[1].id = PeerId((2 << 40) | 2);
    told.places.push(Place {
        segment: 9,
        offset: 64,
        len: 640,
    });
    let value = told.value().unwrap();
    let ids: Vec<_> = value.nested().map(|id| (id.origin.0, id.seq)).collect();
    assert_eq!(ids, [(2, 1), (2, 2)]);
    let WireAttachment::Array { value: array, .. } = &value.attachments[2] else {
        panic!("{value:?}");
    };
    let Body::Stored(loc) = array.body else {
        panic!("{array:?}");
    };
    assert_eq!((loc.segment.0, loc.offset, loc.len), (9, 64, 640));

    // Each list that does not fit is an error.
    for spoil in [
        |value: &mut PeerValue| value.refs.truncate(1),
        |value: &mut PeerValue| value.refs.push(value.refs[0]),
        |value: &mut PeerValue| value.refs[0].is_array = true,
        |value: &mut PeerValue| value.places.clear(),
        |value: &mut PeerValue| value.places[0].len = 1,
        |value: &mut PeerValue| value.places.push(value.places[0]),
    ] {
        let mut spoiled = told.clone();
        spoil(&mut spoiled);
        assert!(spoiled.value().unwrap_err().is_codec());
    }
}

#[test]
fn frames_have_one_form_each_way() {
    let frames = [
        FromPeer::Hello(VERSION, 17, 4.0, "a peer".to_owned(), "10.0.0.2".to_owned()),
        FromPeer::Ready(
            PeerId(3),
            PeerOutcome::Failure("crash".to_owned(), None, "gone".to_owned(), None),
        ),
        FromPeer::Ready(
            PeerId(4),
            PeerOutcome::Failure(
                "codec".to_owned(),
                Some(PeerFunction::Name("pkg.fn".to_owned())),
                "no".to_owned(),
                None,
            ),
        ),
        FromPeer::Ready(PeerId(5), raised()),
        FromPeer::Free(vec![Extent { offset: 1, len: 2 }]),
        FromPeer::Task(TaskFrame {
            run: 8,
            function: 0,
            args: vec![PeerArg::Value(PeerValue::of(&rich()).unwrap())],
            options: None,
            retries: 2,
        }),
        FromPeer::Shutdown,
    ];
    for frame in frames {
        let bytes = frame.encode().unwrap();
        let header = bytes[..HEADER].try_into().unwrap();
        assert_eq!(length(header).unwrap(), bytes.len() - HEADER);
        assert_eq!(FromPeer::decode(&bytes[HEADER..]).unwrap(), frame);
        // A frame's body without its last byte, or with a further byte, is no message.
        assert!(FromPeer::decode(&bytes[HEADER..bytes.len() - 1]).is_err());
        let longer = [&bytes[HEADER..], &[0]].concat();
        assert!(FromPeer::decode(&longer).is_err());
    }
    assert!(length([0xff; HEADER]).is_err());
}

/// Returns the outcome of a Python function that has raised an exception.
fn raised() -> PeerOutcome {
    PeerOutcome::Raised(
        "pkg.mod.fn".to_owned(),
        "ValueError: no".to_owned(),
        "Traceback: ..".to_owned(),
        7,
        "10.0.0.2".to_owned(),
    )
}

#[test]
fn an_exception_is_an_error_of_the_application_with_its_frames() {
    let error = raised().outcome(Registry::get().unwrap()).unwrap_err();
    assert!(error.is_application());
    let text = "`pkg.mod.fn` failed (pid 7 on node 10.0.0.2): ValueError: no";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.backtrace(), Some("Traceback: .."));
}

#[test]
fn a_failure_names_a_function_of_either_language() {
    let registry = Registry::get().unwrap();
    let named = |function| {
        let crash = PeerOutcome::Failure("crash".to_owned(), function, "gone".to_owned(), None);
        crash.outcome(registry).unwrap_err().to_string()
    };
    assert!(named(Some(PeerFunction::Name("pkg.fn".to_owned()))).contains("`pkg.fn`"));
    let index = registry.index_of(&crate::PYTHON).unwrap();
    assert!(named(Some(PeerFunction::Index(index.0))).contains("`ray::python`"));
    assert!(named(None).contains("a call"));
}

#[test]
fn a_call_of_python_has_a_frame_of_its_own() {
    let registry = Registry::get().unwrap();
    let call = crate::PythonCall {
        module: "pkg".to_owned(),
        function: "fn".to_owned(),
        result: 3,
    };
    let value = |bytes: &[u8]| {
        let mut value = rich();
        value.body = Body::Inline(Block::copy_of(bytes, 1));
        value.attachments.clear();
        ArgSpec::Value(Box::new(value))
    };
    let encoded = mobula_store::codec::encode(&call).unwrap().bytes;
    let task = TaskSpec {
        id: id(6),
        function: registry.index_of(&crate::PYTHON).unwrap(),
        args: [value(&[0xc0]), value(&encoded)].into_iter().collect(),
        options: None,
        actor: None,
    };
    let spawn = FromWorker::Spawn(task, Some(Attempt(8)).into());
    let frame = ToPeer::of(&spawn, registry).unwrap().unwrap();
    let ToPeer::Python(object, python, options, Some(8)) = &frame else {
        panic!("{frame:?}");
    };
    assert_eq!(*object, PeerId::from(id(6)));
    assert_eq!((&*python.args.0, python.stored), (&[0xc0][..], None));
    assert_eq!((&*python.module, &*python.function), ("pkg", "fn"));
    assert_eq!(options.retries, None);
    let bytes = frame.encode().unwrap();
    assert_eq!(ToPeer::decode(&bytes[HEADER..]).unwrap(), frame);
}

#[test]
fn a_task_is_named_by_its_run() {
    let frame = FromPeer::Task(TaskFrame {
        run: 6,
        function: 2,
        args: Vec::new(),
        options: None,
        retries: 1,
    });
    let registry = Registry::get().unwrap();
    let message = frame.message(registry, SegmentId(0)).unwrap();
    let Some(ToWorker::Task(task)) = message else {
        panic!("{message:?}");
    };
    assert_eq!((task.attempt, task.slot), (Attempt(6), TaskSlot(0)));
    assert_eq!(PeerId::from(task.id), PeerId::run(6));
    assert!(!task.revocable && task.retries == 1);
}

#[test]
fn failures_of_the_peer_keep_their_kinds() {
    let registry = Registry::get().unwrap();
    let failure = |kind: &str, cause| {
        PeerOutcome::Failure(kind.to_owned(), None, "it is so".to_owned(), cause)
            .outcome(registry)
            .unwrap_err()
    };
    assert!(failure("crash", None).is_crash());
    assert!(failure("cancelled", None).is_cancelled());
    assert!(failure("timeout", None).is_task_timeout());
    assert!(failure("wait", None).is_timeout());
    assert!(failure("lost", None).is_lost());
    assert!(failure("store_full", None).is_store_full());
    assert!(failure("backpressure", None).is_backpressure());
    assert!(failure("closed", None).is_closed());
    assert!(failure("usage", None).is_usage());
    let inner = PeerOutcome::Failure("crash".to_owned(), None, "first".to_owned(), None);
    let error = failure("dependency", Some(Box::new(inner.clone())));
    assert!(
        error.is_dependency() && error.root().is_crash(),
        "{error:?}"
    );
    assert!(failure("actor_dead", Some(Box::new(inner))).is_actor_dead());
}

proptest! {
    #[test]
    fn bytes_that_are_no_frame_are_errors(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let registry = Registry::get().unwrap();
        if let Ok(frame) = FromPeer::decode(&bytes) {
            let _ = frame.message(registry, SegmentId(0));
        }
        let _ = ToPeer::decode(&bytes);
    }

    #[test]
    fn a_damaged_frame_is_an_error_or_another_frame(at in 0_usize..400, with in any::<u8>()) {
        let registry = Registry::get().unwrap();
        let value = PeerValue::of(&rich()).unwrap();
        let frame = FromPeer::Ready(PeerId(1), PeerOutcome::Value(value));
        let mut bytes = frame.encode().unwrap().split_off(HEADER);
        let at = at % bytes.len();
        bytes[at] = with;
        if let Ok(frame) = FromPeer::decode(&bytes) {
            let _ = frame.message(registry, SegmentId(0));
        }
    }
}
