//! Tests of well-formed messages in which a worker makes false claims.

use std::sync::Arc;

use mobula_protocol::{
    ActorOptions, Body, Format, FunctionIndex, ObjectId, PartRange, SharedKind, TypeTag, Value,
    WireAttachment, WorkerId,
    message::{ArgSpec, FromWorker, TaskMessage, TaskSpec},
};
use mobula_store::{Loc, SegmentId};

use super::env::{
    D, Env, W1, W2, array, array_attachment, done, good, inline, packed, refer, spawn, spec, w,
};

fn object(id: ObjectId) -> ArgSpec {
    ArgSpec::Object(id)
}

fn value(attachments: Vec<WireAttachment>) -> ArgSpec {
    ArgSpec::Value(Box::new(packed(0, attachments)))
}

fn put(seq: u64, value: Value) -> FromWorker {
    FromWorker::Put {
        id: w(W1, seq),
        value: Arc::new(value),
    }
}

/// Returns a shared array of 1,000 elements of 8 bytes.
fn shared(kind: SharedKind) -> Value {
    Value {
        format: Format::Shared {
            kind,
            of: TypeTag(1),
            shape: [1000][..].into(),
        },
        body: Body::Stored(Loc {
            segment: SegmentId(0),
            offset: 1 << 20,
            len: 8000,
        }),
        attachments: vec![],
    }
}

/// Returns a worker that runs a task with these arguments. The driver has an object beside them.
fn running(args: Vec<ArgSpec>) -> (Env, TaskMessage) {
    let mut env = Env::new(2, 1);
    let task = env.scheduler.mint();
    env.scheduler
        .submit(spec(task, args), D, &mut env.host)
        .unwrap();
    env.pump();
    let task = env.start(W1, task);
    (env, task)
}

fn put_by_driver(env: &mut Env, value: Value) -> ObjectId {
    let id = env.scheduler.mint();
    env.scheduler.put(id, Arc::new(value), D).unwrap();
    id
}

#[track_caller]
fn refused(env: &mut Env, message: FromWorker) {
    let before = format!("{:?}", env.scheduler);
    let text = format!("{message:?}");
    env.message(W1, message).expect_err(&text);
    assert_eq!(format!("{:?}", env.scheduler), before, "{text}");
}

/// Returns all kinds of messages that mention an object that they do not make.
fn mentions(task: &TaskMessage, id: ObjectId, attachment: &WireAttachment) -> Vec<FromWorker> {
    let attachments = || vec![attachment.clone()];
    let seal = Format::Flat {
        elem: TypeTag(1),
        shape: [1000][..].into(),
    };
    let call = |actor| TaskSpec {
        actor: Some(actor),
        ..spec(w(W1, 90), vec![])
    };
    vec![
        FromWorker::Hold(id),
        FromWorker::Watch(id),
        FromWorker::Decoded(id),
        FromWorker::KillActor(id),
        FromWorker::Lend {
            array: id,
            parts: vec![(w(W1, 90), PartRange::Span { start: 0, end: 1 })],
        },
        FromWorker::Settle {
            id: w(W1, 90),
            array: id,
        },
        FromWorker::Seal {
            id: w(W1, 90),
            array: id,
            format: seal,
            run: None.into(),
        },
        FromWorker::QueuePut {
            id: w(W1, 90),
            queue: id,
            values: vec![].into(),
            waits: true,
        },
        FromWorker::Split {
            result: id,
            ids: vec![w(W1, 90)],
        },
        FromWorker::QueueGet {
            ids: vec![w(W1, 90)],
            queue: id,
            waits: true,
        },
        FromWorker::QueueAsk {
            id: w(W1, 90),
            queue: id,
            close: true,
        },
        FromWorker::QueueTook(vec![id]),
        FromWorker::QueueGiveUp {
            ids: vec![id],
            returns: true,
        },
        spawn(w(W1, 90), vec![object(id)]),
        spawn(w(W1, 90), vec![ArgSpec::Gather(vec![id])]),
        spawn(w(W1, 90), vec![value(attachments())]),
        FromWorker::Spawn(call(id), None.into()),
        FromWorker::CreateActor {
            id: w(W1, 90),
            constructor: FunctionIndex(0),
            args: vec![object(id)].into(),
            options: Box::default(),
            found: None,
        },
        put(90, packed(0, attachments())),
        done(task, Ok(Arc::new(packed(0, attachments())))),
    ]
}

#[test]
fn ids_that_a_worker_was_not_told_of_are_refused() {
    let (mut env, task) = running(vec![]);
    for secret in [shared(SharedKind::Array), array(1), inline(1)] {
        let attachment = match stored(&secret) {
            true => |id, value: &Value| WireAttachment::Array {
                id,
                value: Arc::new(value.clone()),
            },
            false => |id, _: &Value| refer(id),
        };
        let id = put_by_driver(&mut env, secret.clone());
        for message in mentions(&task, id, &attachment(id, &secret)) {
            refused(&mut env, message);
        }
        // An object that another worker has is refused, too.
        env.ok_as_told(W2, id);
        refused(&mut env, FromWorker::Hold(id));
    }
}

fn stored(value: &Value) -> bool {
    matches!(value.body, Body::Stored(_))
}

impl Env {
    /// The worker sends a valid message.
    #[track_caller]
    fn says(&mut self, worker: WorkerId, message: FromWorker) {
        self.message(worker, message).unwrap();
    }

    /// The worker runs a task that has the object as its argument, and keeps the object.
    fn ok_as_told(&mut self, worker: WorkerId, id: ObjectId) {
        let task = self.scheduler.mint();
        let args = vec![value(vec![refer(id)])];
        self.scheduler
            .submit(spec(task, args), D, &mut self.host)
            .unwrap();
        self.pump();
        let task = self.start(worker, task);
        self.says(worker, FromWorker::Hold(id));
        self.done(worker, &task, good(0));
    }
}

#[test]
fn a_worker_may_mention_what_its_tasks_and_their_values_refer_to() {
    let mut env = Env::new(1, 1);
    let deep = put_by_driver(&mut env, inline(1));
    let middle = put_by_driver(&mut env, packed(2, vec![refer(deep)]));
    let near = put_by_driver(&mut env, packed(3, vec![refer(middle)]));
    let beside = put_by_driver(&mut env, array(4));
    let gathered = put_by_driver(&mut env, inline(5));
    let args = vec![
        object(near),
        value(vec![array_attachment(beside, 4)]),
        ArgSpec::Gather(vec![gathered]),
    ];
    let task = env.scheduler.mint();
    env.scheduler
        .submit(spec(task, args), D, &mut env.host)
        .unwrap();
    env.pump();
    let running = env.start(W1, task);
    for id in [deep, middle, near, beside, gathered, task] {
        env.says(W1, FromWorker::Hold(id));
    }
    env.says(
        W1,
        put(1, packed(0, vec![array_attachment(beside, 4), refer(deep)])),
    );
    env.done(W1, &running, Ok(Arc::new(packed(0, vec![refer(deep)]))));
    // The worker still has the objects that it holds.
    env.says(W1, FromWorker::Watch(middle));
    env.says(W1, FromWorker::Release(deep));
    env.says(W1, FromWorker::Hold(deep));
}

/// Objects of later messages join the set of known ids. Pending objects get values.
#[test]
fn a_worker_may_mention_what_it_was_told_later() {
    let (mut env, task) = running(vec![]);
    env.says(W1, put(1, inline(1)));
    for round in 0..300_u64 {
        let ids: Vec<_> = (0..70)
            .map(|n| put_by_driver(&mut env, inline(n)))
            .collect();
        let many = put_by_driver(
            &mut env,
            packed(0, ids.iter().map(|id| refer(*id)).collect()),
        );
        let child = w(W1, 1000 + round);
        env.scheduler
            .on_message(W1, spawn(child, vec![]), &mut env.host)
            .unwrap();
        env.scheduler.pump(&mut env.host);
        let running = env.host.start(W2).unwrap();
        env.scheduler.hold(W2, many);
        env.host.end(W2, &running);
        let result = done(&running, Ok(Arc::new(packed(0, vec![refer(many)]))));
        env.scheduler.on_message(W2, result, &mut env.host).unwrap();
        let known = [ids[0], ids[69], many];
        for id in known {
            env.scheduler
                .on_message(W1, FromWorker::Hold(id), &mut env.host)
                .unwrap();
        }
    }
    let stranger = put_by_driver(&mut env, inline(0));
    env.scheduler
        .on_message(W1, FromWorker::Hold(stranger), &mut env.host)
        .unwrap_err();
    env.scheduler.sanity_check();
    env.host.end(W1, &task);
}

#[test]
fn the_value_beside_an_id_is_that_of_the_object() {
    let mut env = Env::new(1, 1);
    let mut own = array(1);
    own.body = Body::Inline(mobula_store::Block::copy_of(&[7; 100], 1));
    let (stored, small) = (
        put_by_driver(&mut env, array(1)),
        put_by_driver(&mut env, own.clone()),
    );
    let memory = put_by_driver(&mut env, shared(SharedKind::Array));
    let task = env.scheduler.mint();
    let args = vec![
        ArgSpec::Gather(vec![stored, small]),
        value(vec![refer(memory)]),
    ];
    env.scheduler
        .submit(spec(task, args), D, &mut env.host)
        .unwrap();
    env.pump();
    let task = env.start(W1, task);
    let mut other_bytes = own.clone();
    other_bytes.body = Body::Inline(mobula_store::Block::copy_of(&[8; 100], 1));
    let mut other_type = array(1);
    other_type.format = array(2).format;
    let mut other_place = array(1);
    other_place.body = array(2).body;
    let lies = [
        (stored, other_type),
        (stored, other_place),
        (stored, own.clone()),
        (stored, shared(SharedKind::Array)),
        (small, other_bytes),
        (small, array(1)),
        (memory, shared(SharedKind::Atomics)),
        (memory, array(1)),
    ];
    for (id, lie) in lies {
        let attachment = WireAttachment::Array {
            id,
            value: Arc::new(lie),
        };
        refused(&mut env, put(1, packed(0, vec![attachment.clone()])));
        refused(
            &mut env,
            spawn(w(W1, 1), vec![value(vec![attachment.clone()])]),
        );
        refused(
            &mut env,
            done(&task, Ok(Arc::new(packed(0, vec![attachment])))),
        );
    }
    let truth = [
        (stored, array(1)),
        (small, own),
        (memory, shared(SharedKind::Array)),
    ];
    let truth = truth.map(|(id, value)| WireAttachment::Array {
        id,
        value: Arc::new(value),
    });
    env.says(W1, put(1, packed(0, truth.to_vec())));
}

#[test]
fn a_format_fits_what_it_describes() {
    let (mut env, task) = running(vec![]);
    let mut wrong_shape = array(1);
    wrong_shape.format = Format::Flat {
        elem: TypeTag(1),
        shape: [30, 11][..].into(),
    };
    let mut too_large = array(1);
    too_large.format = Format::Flat {
        elem: TypeTag(1),
        shape: [u64::MAX, 3][..].into(),
    };
    let mut nowhere = shared(SharedKind::Mutex);
    nowhere.body = Body::Inline(mobula_store::Block::copy_of(&[0; 64], 1));
    for lie in [wrong_shape, too_large, nowhere.clone()] {
        refused(&mut env, put(1, lie.clone()));
        refused(&mut env, done(&task, Ok(Arc::new(lie))));
    }
    refused(
        &mut env,
        spawn(w(W1, 1), vec![ArgSpec::Value(Box::new(nowhere))]),
    );
    let text = Value {
        format: Format::Text,
        ..inline(0)
    };
    let no_array = WireAttachment::InlineArray(Arc::new(text));
    refused(&mut env, put(1, packed(0, vec![no_array])));
}

#[test]
fn an_array_is_sealed_as_what_it_is() {
    let (mut env, _) = running(vec![]);
    env.says(W1, put(1, shared(SharedKind::Array)));
    let seal = |format| FromWorker::Seal {
        id: w(W1, 2),
        array: w(W1, 1),
        format,
        run: None.into(),
    };
    let flat = |elem, shape: &[u64]| Format::Flat {
        elem: TypeTag(elem),
        shape: shape.into(),
    };
    for lie in [
        flat(2, &[1000]),
        flat(1, &[999]),
        flat(1, &[8000]),
        flat(1, &[u64::MAX, u64::MAX]),
        Format::Text,
        Format::Packed { of: TypeTag(1) },
        shared(SharedKind::Array).format,
    ] {
        refused(&mut env, seal(lie));
    }
    // Memory that shares pages with other memory cannot be sealed, since it stays writable.
    let mut small = shared(SharedKind::Array);
    let Body::Stored(loc) = &mut small.body else {
        unreachable!()
    };
    (loc.offset, loc.len) = (64, 1000);
    env.says(W1, put(3, small));
    let array = w(W1, 3);
    refused(
        &mut env,
        FromWorker::Seal {
            id: w(W1, 2),
            array,
            format: flat(1, &[1000]),
            run: None.into(),
        },
    );
    env.says(W1, seal(flat(1, &[10, 100])));
}

#[test]
fn no_more_tasks_wait_than_there_are() {
    let (mut env, task) = running(vec![]);
    refused(&mut env, FromWorker::Unblocked);
    env.says(W1, FromWorker::Blocked);
    refused(&mut env, FromWorker::Blocked);
    env.says(W1, FromWorker::Unblocked);
    env.done(W1, &task, good(0));
    refused(&mut env, FromWorker::Blocked);
}

#[test]
fn an_actor_that_cannot_be_is_refused_before_anything_is_made() {
    let (mut env, _) = running(vec![]);
    let create = |found, max_concurrency, groups| FromWorker::CreateActor {
        id: w(W1, 1),
        constructor: FunctionIndex(0),
        args: vec![].into(),
        options: Box::new(ActorOptions {
            max_concurrency,
            groups,
            ..ActorOptions::default()
        }),
        found,
    };
    refused(&mut env, create(Some(w(W1, 1)), 1, vec![]));
    refused(&mut env, create(Some(w(W2, 1)), 1, vec![]));
    refused(&mut env, create(None, 0, vec![]));
    refused(&mut env, create(None, 1, vec![("slow".to_owned(), 0)]));
    env.says(W1, create(Some(w(W1, 2)), 1, vec![]));
}
