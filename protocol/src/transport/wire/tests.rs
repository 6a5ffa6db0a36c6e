//! Tests that every message comes back unchanged, and that no bytes make the decoder panic.

use std::{sync::Arc, time::Duration};

use mobula_store::{Block, Loc, SegmentId};
use proptest::{collection::vec, option, prelude::*};

use super::*;
use crate::{
    ActorOptions, Error,
    ids::{Attempt, FunctionIndex, ObjectId, TaskSlot, WorkerId},
    message::{Arg, ArgSpec, FromWorker, TaskMessage, TaskSpec, ToWorker},
    messagepack,
    options::{CallOptions, CancelOptions, TaskOptions},
    progress::TaskProgress,
    resources::{Amount, Demand, Resources},
    shape::Shape,
    value::{Body, Format, Outcome, PartRange, SharedKind, TypeTag, Value, WireAttachment},
};

fn ids() -> impl Strategy<Value = ObjectId> {
    (number32(), number()).prop_map(|(origin, seq)| ObjectId {
        origin: WorkerId(origin),
        seq,
    })
}

/// Returns numbers of every length.
fn number() -> impl Strategy<Value = u64> {
    (any::<u64>(), 0_u32..64).prop_map(|(n, shift)| n >> shift)
}

fn number32() -> impl Strategy<Value = u32> {
    (any::<u32>(), 0_u32..32).prop_map(|(n, shift)| n >> shift)
}

fn locs() -> impl Strategy<Value = Loc> {
    (number32(), number(), number()).prop_map(|(segment, offset, len)| Loc {
        segment: SegmentId(segment),
        offset,
        len,
    })
}

fn formats() -> impl Strategy<Value = Format> {
    prop_oneof![
        (any::<u64>(), vec(number(), 0..4)).prop_map(|(elem, shape)| Format::Flat {
            elem: TypeTag(elem),
            shape: shape.into(),
        }),
        Just(Format::Text),
        any::<u64>().prop_map(|of| Format::Packed { of: TypeTag(of) }),
        (0..SharedKind::ALL.len(), any::<u64>(), vec(number(), 0..4)).prop_map(
            |(kind, of, shape)| Format::Shared {
                kind: SharedKind::ALL[kind],
                of: TypeTag(of),
                shape: shape.into(),
            }
        ),
    ]
}

fn ranges() -> impl Strategy<Value = PartRange> {
    prop_oneof![
        (number(), number()).prop_map(|(start, end)| PartRange::Span { start, end }),
        ((number(), number()), (number(), number()), number()).prop_map(
            |(rows, columns, width)| PartRange::Tile {
                rows,
                columns,
                width,
            }
        ),
    ]
}

fn bodies() -> impl Strategy<Value = Body> {
    prop_oneof![
        vec(any::<u8>(), 0..300).prop_map(|bytes| Body::Inline(Block::copy_of(&bytes, 64))),
        locs().prop_map(Body::Stored),
    ]
}

fn plain() -> impl Strategy<Value = Arc<Value>> {
    (formats(), bodies()).prop_map(|(format, body)| {
        Arc::new(Value {
            format,
            body,
            attachments: Vec::new(),
        })
    })
}

fn attachments() -> impl Strategy<Value = WireAttachment> {
    prop_oneof![
        plain().prop_map(WireAttachment::InlineArray),
        (ids(), plain()).prop_map(|(id, value)| WireAttachment::Array { id, value }),
        ids().prop_map(|id| WireAttachment::Ref { id }),
    ]
}

fn values() -> impl Strategy<Value = Arc<Value>> {
    let packed =
        (any::<u64>(), bodies(), vec(attachments(), 0..5)).prop_map(|(of, body, attachments)| {
            Arc::new(Value {
                format: Format::Packed { of: TypeTag(of) },
                body,
                attachments,
            })
        });
    let part = (any::<u64>(), ranges(), bodies(), vec(attachments(), 0..2)).prop_map(
        |(of, range, body, attachments)| {
            Arc::new(Value {
                format: Format::Part {
                    of: TypeTag(of),
                    range: range.into(),
                },
                body,
                attachments,
            })
        },
    );
    prop_oneof![plain(), packed, part]
}

fn errors() -> impl Strategy<Value = Error> {
    (any::<String>(), option::of(any::<String>()), any::<bool>()).prop_map(
        |(message, cause, panic)| {
            let error = if panic {
                Error::panic("f", 7, "a.rs:1:2", &message)
            } else {
                Error::internal(message)
            };
            match cause {
                Some(cause) => error.context(cause),
                None => error,
            }
        },
    )
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    prop_oneof![values().prop_map(Ok), errors().prop_map(Err)]
}

fn args() -> impl Strategy<Value = Arg> {
    prop_oneof![
        values().prop_map(|value| Arg::Value(Box::new((*value).clone()))),
        (ids(), values()).prop_map(|(id, value)| Arg::Object((id, value))),
        vec((ids(), values()), 0..4).prop_map(Arg::Gather),
    ]
}

fn arg_specs() -> impl Strategy<Value = ArgSpec> {
    prop_oneof![
        values().prop_map(|value| ArgSpec::Value(Box::new((*value).clone()))),
        ids().prop_map(ArgSpec::Object),
        vec(ids(), 0..200).prop_map(ArgSpec::Gather),
    ]
}

fn options() -> impl Strategy<Value = ActorOptions> {
    (
        option::of(any::<String>()),
        (number32(), number32(), number32()),
        vec((any::<String>(), number32()), 0..4),
        option::of(number32()),
        (number(), 0..1_000_000_000_u32),
        (vec(demand(), 0..4), option::of(".{0,8}")),
    )
        .prop_map(
            |(name, numbers, groups, max_pending_calls, grace, (demands, node))| {
                let (max_restarts, max_call_retries, max_concurrency) = numbers;
                ActorOptions {
                    name,
                    max_restarts,
                    max_call_retries,
                    max_concurrency,
                    groups,
                    max_pending_calls,
                    grace: Duration::new(grace.0, grace.1),
                    resources: demands.into(),
                    node: node.map(String::into_boxed_str),
                }
            },
        )
}

fn call_options() -> impl Strategy<Value = CallOptions> {
    let limits = (
        any::<Option<Duration>>(),
        any::<Option<Duration>>(),
        any::<Option<Duration>>(),
    );
    let numbers = (
        option::of(number32()),
        any::<Option<i32>>(),
        option::of(number32()),
    );
    let resources = vec(demand(), 0..4).prop_map(Resources::from);
    let flags = any::<(bool, bool, bool, bool)>();
    let placed = (resources, option::of(".{0,8}"));
    let options = (numbers, flags, limits, placed).prop_map(
        |(numbers, (retry_errors, retry_timeouts, split, spread), limits, (resources, node))| {
            let (retries, priority, max_calls) = numbers;
            let (timeout, deadline, grace) = limits;
            Arc::new(TaskOptions {
                retries,
                retry_errors,
                priority,
                timeout,
                deadline,
                retry_timeouts,
                grace,
                max_calls,
                resources,
                split,
                node: node.map(String::into_boxed_str),
                spread,
            })
        },
    );
    option::of(options)
}

fn demand() -> impl Strategy<Value = Demand> {
    (".{0,8}", any::<u64>(), vec(any::<u32>(), 0..3)).prop_map(|(name, parts, units)| Demand {
        name: name.into(),
        amount: Amount::of_parts(parts),
        units,
        variable: Default::default(),
    })
}

fn to_worker() -> impl Strategy<Value = ToWorker> {
    let numbers = (number32(), number(), number32(), number32(), any::<bool>());
    let task = (ids(), numbers, call_options(), vec(args(), 0..5)).prop_map(
        |(id, (slot, attempt, function, retries, revocable), options, args)| {
            ToWorker::Task(TaskMessage {
                id,
                slot: TaskSlot(slot),
                attempt: Attempt(attempt),
                function: FunctionIndex(function),
                args: args.into(),
                options,
                retries,
                revocable,
            })
        },
    );
    prop_oneof![
        task,
        (ids(), outcomes()).prop_map(|(id, outcome)| ToWorker::Ready { id, outcome }),
        vec(locs(), 0..200).prop_map(ToWorker::Free),
        number().prop_map(|bytes| ToWorker::Grant(Ok(bytes))),
        errors().prop_map(|error| ToWorker::Grant(Err(error))),
        (number32(), number()).prop_map(|(id, len)| ToWorker::Segment {
            id: SegmentId(id),
            len,
        }),
        number32().prop_map(|id| ToWorker::DropSegment(SegmentId(id))),
        (number32(), number()).prop_map(|(id, len)| ToWorker::Writable {
            id: SegmentId(id),
            len,
        }),
        locs().prop_map(ToWorker::Close),
        number32().prop_map(|threads| ToWorker::Actor { threads }),
        ids().prop_map(ToWorker::Forget),
        (number(), any::<bool>()).prop_map(|(attempt, calls)| ToWorker::Cancel {
            run: Attempt(attempt),
            calls,
        }),
        Just(ToWorker::Share),
        option::of(number32()).prop_map(|n| ToWorker::Title(n.map(FunctionIndex))),
        Just(ToWorker::Trim),
        Just(ToWorker::Shutdown),
    ]
}

fn queues() -> impl Strategy<Value = FromWorker> {
    prop_oneof![
        (ids(), number32()).prop_map(|(id, capacity)| FromWorker::CreateQueue { id, capacity }),
        (ids(), ids(), vec(arg_specs(), 0..5), any::<bool>()).prop_map(
            |(id, queue, values, waits)| FromWorker::QueuePut {
                id,
                queue,
                values: values.into(),
                waits,
            }
        ),
        (vec(ids(), 0..50), ids(), any::<bool>())
            .prop_map(|(ids, queue, waits)| FromWorker::QueueGet { ids, queue, waits }),
        (ids(), vec(ids(), 0..50)).prop_map(|(result, ids)| FromWorker::Split { result, ids }),
        (vec(ids(), 0..50), any::<bool>())
            .prop_map(|(ids, returns)| FromWorker::QueueGiveUp { ids, returns }),
        vec(ids(), 0..50).prop_map(FromWorker::QueueTook),
        (ids(), ids(), any::<bool>()).prop_map(|(id, queue, close)| FromWorker::QueueAsk {
            id,
            queue,
            close,
        }),
    ]
}

fn from_worker() -> impl Strategy<Value = FromWorker> {
    let done =
        (ids(), number32(), number(), outcomes()).prop_map(|(id, slot, attempt, outcome)| {
            FromWorker::Done {
                id,
                slot: TaskSlot(slot),
                attempt: Attempt(attempt),
                outcome,
            }
        });
    let spawn = (
        ids(),
        number32(),
        call_options(),
        vec(arg_specs(), 0..5),
        option::of(ids()),
        option::of(number()),
    )
        .prop_map(|(id, function, options, args, actor, parent)| {
            FromWorker::Spawn(
                TaskSpec {
                    id,
                    function: FunctionIndex(function),
                    args: args.into(),
                    options,
                    actor,
                },
                parent.map(Attempt).into(),
            )
        });
    let again = (ids(), number32(), number()).prop_map(|(id, slot, attempt)| FromWorker::Again {
        id,
        slot: TaskSlot(slot),
        attempt: Attempt(attempt),
    });
    let started =
        (ids(), number32(), number()).prop_map(|(id, slot, attempt)| FromWorker::Started {
            id,
            slot: TaskSlot(slot),
            attempt: Attempt(attempt),
        });
    let progress = (number(), number(), number()).prop_map(|(run, done, total)| {
        FromWorker::Progress(Attempt(run), TaskProgress { done, total })
    });
    let cancel = (
        vec(ids(), 0..5),
        any::<bool>(),
        any::<bool>(),
        any::<Option<Duration>>(),
    )
        .prop_map(|(ids, recursive, kill, grace)| {
            let options = CancelOptions::new().recursive(recursive).kill(kill);
            FromWorker::Cancel {
                ids,
                options: grace.map_or(options, |grace| options.grace(grace)),
            }
        });
    let create = (
        ids(),
        number32(),
        vec(arg_specs(), 0..5),
        options(),
        option::of(ids()),
    )
        .prop_map(
            |(id, constructor, args, options, found)| FromWorker::CreateActor {
                id,
                constructor: FunctionIndex(constructor),
                args: args.into(),
                options: Box::new(options),
                found,
            },
        );
    prop_oneof![
        Just(FromWorker::Registered),
        done,
        again,
        started,
        progress,
        cancel,
        spawn,
        create,
        (ids(), any::<String>()).prop_map(|(id, name)| FromWorker::FindActor { id, name }),
        ids().prop_map(FromWorker::KillActor),
        (ids(), values()).prop_map(|(id, value)| FromWorker::Put { id, value }),
        (ids(), outcomes()).prop_map(|(id, outcome)| FromWorker::Ran { id, outcome }),
        Just(FromWorker::Keeps),
        ids().prop_map(FromWorker::Hold),
        ids().prop_map(FromWorker::Release),
        ids().prop_map(FromWorker::Detach),
        ids().prop_map(FromWorker::Watch),
        ids().prop_map(FromWorker::Decoded),
        Just(FromWorker::Blocked),
        Just(FromWorker::Unblocked),
        (number(), any::<bool>()).prop_map(|(attempt, paused)| FromWorker::Paused {
            attempt: Attempt(attempt),
            paused,
        }),
        any::<bool>().prop_map(FromWorker::Stalled),
        Just(FromWorker::Retire),
        Just(FromWorker::Exits),
        number().prop_map(FromWorker::NeedBytes),
        number().prop_map(FromWorker::ReturnBytes),
        (ids(), vec((ids(), ranges()), 0..50))
            .prop_map(|(array, parts)| FromWorker::Lend { array, parts }),
        (ids(), ids()).prop_map(|(id, array)| FromWorker::Settle { id, array }),
        (ids(), ids(), formats(), option::of(number())).prop_map(|(id, array, format, run)| {
            FromWorker::Seal {
                id,
                array,
                format,
                run: run.map(Attempt).into(),
            }
        }),
        locs().prop_map(FromWorker::Closed),
        queues(),
    ]
}

/// The parts of messages that `Debug` leaves out: the bytes of inline values, and the whole of
/// errors.
#[derive(Default, Debug, PartialEq)]
struct Hidden(Vec<Vec<u8>>);

impl Hidden {
    fn value(&mut self, value: &Value) {
        if let Body::Inline(block) = &value.body {
            self.0.push(block.bytes().to_vec());
        }
        for attachment in &value.attachments {
            match attachment {
                WireAttachment::InlineArray(value) | WireAttachment::Array { value, .. } => {
                    self.value(value)
                }
                WireAttachment::Ref { .. } => {}
            }
        }
    }

    fn error(&mut self, error: &Error) {
        self.0.push(messagepack::to_vec(error).unwrap());
    }

    fn outcome(&mut self, outcome: &Outcome) {
        match outcome {
            Ok(value) => self.value(value),
            Err(error) => self.error(error),
        }
    }

    fn of_to_worker(message: &ToWorker) -> Hidden {
        let mut hidden = Hidden::default();
        match message {
            ToWorker::Task(task) => {
                for arg in &task.args {
                    match arg {
                        Arg::Value(value) => hidden.value(value),
                        Arg::Object((_, value)) => hidden.value(value),
                        Arg::Gather(objects) => {
                            objects.iter().for_each(|(_, value)| hidden.value(value));
                        }
                    }
                }
            }
            ToWorker::Ready { outcome, .. } => hidden.outcome(outcome),
            ToWorker::Grant(Err(error)) => hidden.error(error),
            _ => {}
        }
        hidden
    }

    fn of_from_worker(message: &FromWorker) -> Hidden {
        let mut hidden = Hidden::default();
        match message {
            FromWorker::Done { outcome, .. } | FromWorker::Ran { outcome, .. } => {
                hidden.outcome(outcome);
            }
            FromWorker::Put { value, .. } => hidden.value(value),
            FromWorker::Spawn(TaskSpec { args, .. }, _)
            | FromWorker::CreateActor { args, .. }
            | FromWorker::QueuePut { values: args, .. } => {
                for arg in args {
                    if let ArgSpec::Value(value) = arg {
                        hidden.value(value);
                    }
                }
            }
            _ => {}
        }
        hidden
    }
}

proptest! {
    #[test]
    fn messages_to_workers_come_back(message in to_worker()) {
        let mut bytes = Vec::new();
        encode_to_worker(&message, &mut bytes).unwrap();
        let back = decode_to_worker(&bytes).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{message:?}"));
        prop_assert_eq!(Hidden::of_to_worker(&back), Hidden::of_to_worker(&message));
        prop_assert!(decode_from_worker(&bytes).is_err(), "the wrong lane");
    }

    #[test]
    fn messages_to_the_driver_come_back(message in from_worker()) {
        let mut bytes = Vec::new();
        encode_from_worker(&message, &mut bytes).unwrap();
        let back = decode_from_worker(&bytes).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{message:?}"));
        prop_assert_eq!(Hidden::of_from_worker(&back), Hidden::of_from_worker(&message));
        prop_assert!(decode_to_worker(&bytes).is_err(), "the wrong lane");
    }

    #[test]
    fn a_part_of_a_message_is_an_error(to in to_worker(), from in from_worker(), cut in any::<prop::sample::Index>()) {
        let mut bytes = Vec::new();
        encode_to_worker(&to, &mut bytes).unwrap();
        prop_assert!(decode_to_worker(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(decode_to_worker(&bytes).is_err());

        bytes.clear();
        encode_from_worker(&from, &mut bytes).unwrap();
        prop_assert!(decode_from_worker(&bytes[..cut.index(bytes.len())]).is_err());
        bytes.push(0);
        prop_assert!(decode_from_worker(&bytes).is_err());
    }

    #[test]
    fn a_damaged_message_is_an_error_or_another_message(
        to in to_worker(),
        from in from_worker(),
        damage in vec((any::<prop::sample::Index>(), prop_oneof![Just(0), any::<u8>()]), 1..4),
    ) {
        let mut bytes = Vec::new();
        encode_to_worker(&to, &mut bytes).unwrap();
        for (at, byte) in &damage {
            *at.get_mut(&mut bytes) = *byte;
        }
        check_form(&bytes);

        bytes.clear();
        encode_from_worker(&from, &mut bytes).unwrap();
        for (at, byte) in &damage {
            *at.get_mut(&mut bytes) = *byte;
        }
        check_form(&bytes);
    }

    #[test]
    fn arbitrary_bytes_are_an_error_or_a_message_in_its_one_form(first in 0_u8..90, rest in vec(prop_oneof![0_u8..4, any::<u8>()], 0..200)) {
        let bytes = [&[first][..], &rest].concat();
        check_form(&bytes);
    }
}

/// Checks the form of a message, if `bytes` are one. It must be written as `bytes`. A message with
/// MessagePack may be written otherwise, but then those bytes must be read and written as
/// themselves.
fn check_form(bytes: &[u8]) {
    fn written(bytes: &[u8]) -> Option<(Vec<u8>, bool)> {
        let mut written = Vec::new();
        let message = if let Ok(message) = decode_to_worker(bytes) {
            encode_to_worker(&message, &mut written).unwrap();
            format!("{message:?}")
        } else {
            let message = decode_from_worker(bytes).ok()?;
            encode_from_worker(&message, &mut written).unwrap();
            format!("{message:?}")
        };
        let packed = ["Err(", "CreateActor", "options: Some", "CancelOptions"];
        let one_form = !packed.iter().any(|part| message.contains(part));
        Some((written, one_form))
    }
    let Some((once, one_form)) = written(bytes) else {
        return;
    };
    if one_form {
        assert_eq!(once, bytes);
    } else {
        assert_eq!(written(&once).map(|(twice, _)| twice), Some(once));
    }
}

#[test]
fn options_end_where_their_length_says() {
    let message = FromWorker::Cancel {
        ids: Vec::new(),
        options: CancelOptions::default(),
    };
    let mut bytes = Vec::new();
    encode_from_worker(&message, &mut bytes).unwrap();
    let mut packed = Vec::new();
    fields::write_packed(&mut packed, &CancelOptions::default()).unwrap();
    let start = 1;
    assert_eq!(bytes[start..start + packed.len()], packed);

    bytes[start] += 1;
    bytes.insert(start + packed.len(), 0);
    let error = decode_from_worker(&bytes).unwrap_err();
    assert!(error.to_string().contains("how to cancel"), "{error}");
}

/// `fuzz/corpus/messages` has the same bytes.
#[test]
fn a_task_that_says_how_often_it_runs_again_does_run_again() {
    const NEVER: &[u8] = b"\x01\x01\0\0\xff6666666666666\0\0\0\0\0\0\0\0\0\0\0";
    check_form(NEVER);
    let error = decode_to_worker(NEVER).unwrap_err();
    assert!(
        error.to_string().contains("how often to run again"),
        "{error}"
    );
    let mut once = NEVER.to_vec();
    once[26] = 1;
    let ToWorker::Task(task) = decode_to_worker(&once).unwrap() else {
        panic!("not a task");
    };
    assert_eq!(task.retries, 1);
    check_form(&once);
}

#[test]
fn a_list_is_not_believed_to_be_as_long_as_it_says() {
    let mut bytes = vec![3];
    writer::number(&mut bytes, u64::MAX);
    let error = decode_to_worker(&bytes).unwrap_err();
    assert_eq!(
        error,
        WireError::Malformed {
            what: "extents",
            at: bytes.len()
        }
    );
    assert!(error.to_string().contains("byte 11"));
}

#[test]
fn names_are_text_and_what_may_be_missing_says_whether_it_is() {
    let id = ObjectId {
        origin: WorkerId(1),
        seq: 2,
    };
    let mut bytes = Vec::new();
    let name = "é".to_owned();
    encode_from_worker(&FromWorker::FindActor { id, name }, &mut bytes).unwrap();
    assert!(decode_from_worker(&bytes).is_ok());
    bytes.pop();
    bytes.push(b'e');
    let cut = decode_from_worker(&bytes).unwrap_err();
    assert!(matches!(cut, WireError::Malformed { what: "a name", .. }));

    bytes.clear();
    let task = TaskSpec {
        id,
        function: FunctionIndex(0),
        args: Default::default(),
        options: None,
        actor: Some(id),
    };
    encode_from_worker(&FromWorker::Spawn(task, None.into()), &mut bytes).unwrap();
    // Before the id of the actor there are the flag for a parent and the number of arguments.
    let mut alone = Vec::new();
    writer::id(&mut alone, id);
    let flag = bytes.len() - 2 - alone.len() - 1;
    assert_eq!(bytes[flag], 1);
    bytes[flag] = 2;
    let flag = decode_from_worker(&bytes).unwrap_err();
    assert!(
        flag.to_string().contains("whether there is an id"),
        "{flag}"
    );
}

#[test]
fn numbers_have_one_form() {
    let number = |bytes: &[u8]| Reader::new(bytes).number("a number");
    assert_eq!(number(&[0x80, 1]), Ok(128));
    assert!(number(&[0x80, 0]).is_err(), "longer than necessary");
    let mut most = vec![0xff; 9];
    most.push(1);
    assert_eq!(number(&most), Ok(u64::MAX));
    most[9] = 2;
    assert!(number(&most).is_err(), "65 bits");
    assert!(number(&[0xff; 20]).is_err());
}

#[test]
fn inline_bytes_arrive_aligned() {
    let message = FromWorker::Put {
        id: ObjectId {
            origin: WorkerId(1),
            seq: 2,
        },
        value: Arc::new(Value {
            format: Format::Flat {
                elem: TypeTag(1),
                shape: Shape::of_vec(4),
            },
            body: Body::Inline(Block::copy_of(b"text", 1)),
            attachments: Vec::new(),
        }),
    };
    let mut bytes = Vec::new();
    encode_from_worker(&message, &mut bytes).unwrap();
    let Ok(FromWorker::Put { value, .. }) = decode_from_worker(&bytes) else {
        panic!("not a put");
    };
    let Body::Inline(block) = &value.body else {
        panic!("not inline");
    };
    assert_eq!(block.bytes(), b"text");
    assert!(block.bytes().as_ptr().addr().is_multiple_of(64));
}

#[test]
fn long_chains_of_causes_do_not_exhaust_small_stacks() {
    let on_a_small_stack = |bytes: Vec<u8>| {
        std::thread::Builder::new()
            .stack_size(STACK)
            .spawn(move || decode_to_worker(&bytes).map(|message| format!("{message:?}")))
            .unwrap()
            .join()
            .unwrap()
    };
    let inner = Error::internal("inner");
    let typed = Some((7_u64, vec![1; 40]));
    let application = Error::from_application("own".into(), vec!["cause".into()], typed);
    for inner in [inner.clone(), application] {
        let longest = (0..1000).fold(inner, |error, _| error.context("outer"));
        let longest = ToWorker::Grant(Err(longest));
        let mut bytes = Vec::new();
        encode_to_worker(&longest, &mut bytes).unwrap();
        assert_eq!(on_a_small_stack(bytes), Ok(format!("{longest:?}")));
    }

    // This cannot be an `Error`. An error without a cause ends with "nil", and another error may
    // stand there.
    let encoded = messagepack::to_vec(&inner).unwrap();
    let (nil, start) = encoded.split_last().unwrap();
    assert_eq!(*nil, 0xc0);
    let deep = [&start.repeat(5000)[..], &encoded].concat();
    let mut bytes = vec![to_worker::kind::NO_GRANT];
    writer::bytes(&mut bytes, &deep);
    let result = on_a_small_stack(bytes);
    assert!(
        matches!(result, Err(WireError::Malformed { .. })),
        "{result:?}"
    );
}

#[test]
fn attachments_of_attachments_are_refused() {
    let with = |format, attachments| {
        Arc::new(Value {
            format,
            body: Body::Inline(Block::default()),
            attachments,
        })
    };
    let id = ObjectId {
        origin: WorkerId(1),
        seq: 2,
    };
    let packed = Format::Packed { of: TypeTag(1) };
    let inner = with(packed.clone(), vec![WireAttachment::Ref { id }]);
    let wrong = [
        with(Format::Text, vec![WireAttachment::Ref { id }]),
        with(
            packed.clone(),
            vec![WireAttachment::InlineArray(inner.clone())],
        ),
        with(packed, vec![WireAttachment::Array { id, value: inner }]),
    ];
    for value in wrong {
        let result = encode_from_worker(&FromWorker::Put { id, value }, &mut Vec::new());
        assert!(
            matches!(result, Err(WireError::Unencodable { .. })),
            "{result:?}"
        );
    }
}
