use std::{sync::Arc, time::Duration};

use mobula_store::Block;
use proptest::prelude::*;

use super::{
    FUNCTION,
    calls::{BatchWriter, Calls},
    results::{BatchResults, ResultWriter},
};
use mobula_protocol::{
    Attachment, CallArg, CallOptions, Error, Format, FunctionIndex, Input, ObjectHandle, ObjectId,
    Payload, Result, Shape, TaskOptions, TypeTag, Value, WorkerId,
};

fn payload(format: Format, bytes: &[u8], attachments: Vec<Attachment>) -> Payload {
    let block = Block::copy_of(bytes, format.align());
    Payload {
        format,
        block,
        attachments,
    }
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 0..2 * Block::SMALL),
        prop::collection::vec(any::<u8>(), 0..200)
    ]
}

fn plain() -> impl Strategy<Value = Payload> {
    let packed = (0..3_u64, bytes())
        .prop_map(|(of, bytes)| payload(Format::Packed { of: TypeTag(of) }, &bytes, vec![]));
    let text = "[a-zé]{0,40}".prop_map(|text| payload(Format::Text, text.as_bytes(), vec![]));
    let flat = (0..3_u64, bytes()).prop_map(|(elem, bytes)| {
        let shape = [bytes.len() as u64, 1][..].into();
        let elem = TypeTag(elem);
        payload(Format::Flat { elem, shape }, &bytes, vec![])
    });
    prop_oneof![packed, text, flat]
}

fn array(bytes: &[u8]) -> Attachment {
    let format = Format::Flat {
        elem: TypeTag(9),
        shape: Shape::of_vec(bytes.len() as u64),
    };
    Attachment::array(Block::copy_of(bytes, 64), format)
}

fn result() -> impl Strategy<Value = Result<Payload, String>> {
    let large = (300..2_000_usize).prop_map(|len| {
        let Attachment::Array(array) = array(&vec![7; len]) else {
            unreachable!()
        };
        Payload {
            format: array.format,
            block: array.block,
            attachments: Vec::new(),
        }
    });
    let with_attachments =
        (bytes(), prop::collection::vec(bytes(), 1..4)).prop_map(|(bytes, arrays)| {
            let attachments = arrays.iter().map(|bytes| array(bytes)).collect();
            payload(Format::Packed { of: TypeTag(5) }, &bytes, attachments)
        });
    prop_oneof![
        4 => plain().prop_map(Ok),
        1 => large.prop_map(Ok),
        1 => with_attachments.prop_map(Ok),
        1 => "[a-z]{1,20}".prop_map(Err),
    ]
}

/// Returns the facts that two payloads must have in common.
fn shown(payload: &Payload) -> String {
    let attachments: Vec<_> = payload
        .attachments
        .iter()
        .map(|attachment| match attachment {
            Attachment::Array(array) => format!("{:?} {:?}", array.format, array.block.bytes()),
            Attachment::Ref(entry) => format!("{:?}", entry.id()),
        })
        .collect();
    format!(
        "{:?} {:?} {attachments:?}",
        payload.format,
        payload.block.bytes()
    )
}

fn object(seq: u64) -> Arc<ObjectHandle> {
    let value = Value {
        format: Format::Text,
        body: mobula_protocol::Body::Inline(Block::copy_of(&seq.to_ne_bytes(), 1)),
        attachments: vec![],
    };
    let id = ObjectId {
        origin: WorkerId(7),
        seq,
    };
    ObjectHandle::unowned(id, Ok(Arc::new(value)))
}

/// Returns the objects of the batch as the worker gets them.
fn resolved(args: &[CallArg]) -> Vec<(Payload, Option<ObjectId>)> {
    let one = |arg: &CallArg| match arg {
        CallArg::Object(entry) => (entry.payload().unwrap(), Some(entry.id())),
        _ => panic!("the objects of a batch"),
    };
    args.iter().map(one).collect()
}

#[derive(Clone, Debug)]
enum Arg {
    Value(Payload),
    Object(u64),
    Gather(Vec<u64>),
}

fn arg() -> impl Strategy<Value = Arg> {
    prop_oneof![
        3 => plain().prop_map(Arg::Value),
        1 => (0..30_u64).prop_map(Arg::Object),
        1 => prop::collection::vec(0..30_u64, 0..5).prop_map(Arg::Gather),
    ]
}

fn retries(retries: u32) -> CallOptions {
    Some(Arc::new(TaskOptions {
        retries: Some(retries),
        ..TaskOptions::DEFAULT
    }))
}

proptest! {
    #[test]
    fn calls_arrive_as_they_left(
        calls in prop::collection::vec(prop::collection::vec(arg(), 0..4), 0..40)
    ) {
        let mut writer = BatchWriter::new(FunctionIndex(3), retries(1));
        for call in &calls {
            let args: Vec<CallArg> = call.iter().map(|arg| match arg {
                Arg::Value(payload) => CallArg::Value(payload.clone()),
                Arg::Object(seq) => CallArg::Object(object(*seq)),
                Arg::Gather(seqs) => CallArg::Gather(seqs.iter().map(|seq| object(*seq)).collect()),
            }).collect();
            prop_assert!(writer.takes(&FUNCTION, FunctionIndex(3), &retries(1), &args));
            writer.push(&args);
        }
        prop_assert_eq!(writer.len(), calls.len());
        let spec = writer.finish().unwrap();
        let [CallArg::Value(first), rest @ ..] = &spec.args[..] else {
            panic!("no calls")
        };
        let objects = resolved(rest);
        let mut ids: Vec<_> = objects.iter().map(|(_, id)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        prop_assert_eq!(ids.len(), objects.len(), "each object once");

        let mut reader = Calls::new(first, &objects).unwrap();
        prop_assert_eq!(reader.function, FunctionIndex(3));
        let mut inputs = Vec::new();
        let text = |payload: &Payload| payload.block.bytes().to_vec();
        for call in &calls {
            prop_assert!(reader.next(&mut inputs).unwrap());
            prop_assert_eq!(inputs.len(), call.len());
            for (input, arg) in inputs.drain(..).zip(call) {
                match (input, arg) {
                    (Input::Value(got, None), Arg::Value(sent)) => {
                        prop_assert_eq!(shown(&got), shown(sent));
                    }
                    (Input::Value(got, Some(id)), Arg::Object(seq)) => {
                        prop_assert_eq!(id.seq, *seq);
                        prop_assert_eq!(text(&got), seq.to_ne_bytes().to_vec());
                    }
                    (Input::Gather(got), Arg::Gather(seqs)) => {
                        let sent: Vec<_> = seqs.iter().map(|seq| seq.to_ne_bytes().to_vec()).collect();
                        let got: Vec<_> = got.map(|payload| text(&payload.unwrap())).collect();
                        prop_assert_eq!(got, sent);
                    }
                    (got, sent) => prop_assert!(false, "{sent:?} became {got:?}"),
                }
            }
        }
        prop_assert!(!reader.next(&mut inputs).unwrap());
    }

    #[test]
    fn results_arrive_as_they_left(results in prop::collection::vec(result(), 0..40)) {
        let mut writer = ResultWriter::default();
        for result in &results {
            writer.push(result.clone().map_err(Error::internal));
        }
        let sent = writer.finish(Duration::from_nanos(77));
        prop_assert!(BatchResults::open(sent.clone(), results.len() + 1).is_err());
        let read = BatchResults::open(sent, results.len()).unwrap();
        prop_assert_eq!(read.took(), Duration::from_nanos(77));
        prop_assert_eq!(read.len(), results.len());
        for (got, sent) in read.zip(&results) {
            match (got, sent) {
                (Ok(got), Ok(sent)) => prop_assert_eq!(shown(&got), shown(sent)),
                (Err(got), Err(sent)) => prop_assert!(got.to_string().contains(sent)),
                (got, sent) => prop_assert!(false, "{sent:?} became {got:?}"),
            }
        }
    }

    #[test]
    fn results_are_read_where_they_are_or_not_at_all(results in prop::collection::vec(result(), 0..40)) {
        let of = TypeTag(1);
        let mut writer = ResultWriter::default();
        for result in &results {
            writer.push(result.clone().map_err(Error::internal));
        }
        let mut read = BatchResults::open(writer.finish(Duration::ZERO), results.len()).unwrap();
        let mut last = None;
        for sent in &results {
            prop_assert_eq!(read.next_packed(of, |_| None::<()>), None);
            let in_place = read.next_packed(of, |bytes| Some(bytes.to_vec()));
            let packed = sent.as_ref().ok().filter(|sent| sent.attachments.is_empty());
            let own = packed.and_then(|sent| match sent.format {
                Format::Packed { of } => Some(of),
                _ => None,
            });
            match in_place {
                Some(got) => {
                    prop_assert_eq!(own, Some(of));
                    prop_assert_eq!(Some(&got[..]), packed.map(|sent| sent.block.bytes()));
                }
                None => {
                    prop_assert!(own != Some(of) || last != own, "the first of its type at most");
                    match (read.next().unwrap(), sent) {
                        (Ok(got), Ok(sent)) => prop_assert_eq!(shown(&got), shown(sent)),
                        (Err(got), Err(sent)) => prop_assert!(got.to_string().contains(sent)),
                        (got, sent) => prop_assert!(false, "{sent:?} became {got:?}"),
                    }
                }
            }
            last = own.or(last);
        }
        prop_assert_eq!(read.next_packed(of, |_| Some(())), None);
        prop_assert!(read.next().is_none());
    }

    #[test]
    fn any_bytes_are_values_or_errors(bytes in bytes(), calls in 0..20_usize) {
        let bytes = payload(Format::Packed { of: super::TAG }, &bytes, vec![array(&[1])]);
        if let Ok(results) = BatchResults::open(bytes.clone(), calls) {
            prop_assert_eq!(results.count(), calls);
        }
        if let Ok(mut results) = BatchResults::open(bytes.clone(), calls) {
            let mut read = 0;
            while results.next_packed(TypeTag(0), |_| Some(())).is_some() || results.next().is_some() {
                read += 1;
            }
            prop_assert_eq!(read, calls);
        }
        if let Ok(mut calls) = Calls::new(&bytes, &[]) {
            let mut inputs = Vec::new();
            while let Ok(true) = calls.next(&mut inputs) {
                inputs.clear();
            }
        }
    }
}

#[test]
fn only_calls_that_cannot_hold_up_others_fit() {
    const INDEX: FunctionIndex = FunctionIndex(3);
    let writer = BatchWriter::new(INDEX, None);
    let takes = |args: &[CallArg]| writer.takes(&FUNCTION, INDEX, &None, args);
    assert!(takes(&[]) && !writer.takes(&FUNCTION, FunctionIndex(4), &None, &[]));
    assert!(!writer.takes(&FUNCTION, INDEX, &retries(1), &[]));
    let of_errors = Some(Arc::new(TaskOptions {
        retries: Some(1),
        retry_errors: true,
        ..TaskOptions::DEFAULT
    }));
    let limited = Some(Arc::new(TaskOptions {
        timeout: Some(Duration::from_secs(1)),
        ..TaskOptions::DEFAULT
    }));
    assert!(!BatchWriter::new(INDEX, limited.clone()).takes(&FUNCTION, INDEX, &limited, &[]));
    let writer_of_errors = BatchWriter::new(INDEX, of_errors.clone());
    assert!(!writer_of_errors.takes(&FUNCTION, INDEX, &of_errors, &[]));
    let with_ref = payload(Format::Text, b"", vec![Attachment::Ref(object(1))]);
    assert!(!takes(&[CallArg::Value(with_ref)]));
    let large = payload(Format::Text, &[b'a'; 5_000], vec![]);
    assert!(!takes(&[CallArg::Value(large)]));
    assert!(!takes(&[CallArg::Object(ObjectHandle::failed(
        Error::internal("failed")
    ))]));
}
