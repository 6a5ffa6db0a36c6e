//! Calls of Python functions in frames.

use mobula_store::{Block, Loc, SegmentId, codec};
use serde::{Deserialize, Serialize};

use super::{Bytes, PeerId, malformed};
use crate::{
    Error, Result,
    message::ArgSpec,
    python::PythonCall,
    value::{Body, Format, TypeTag, Value},
    wire,
};

/// A call of a Python function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonFrame {
    /// The module.
    pub module: String,
    /// The function's name in the module.
    pub function: String,
    /// The arguments as MessagePack: a list, a map of names, or nil.
    pub args: Bytes,
    /// The object whose stored bytes are the arguments, in place of `args`.
    pub stored: Option<PeerId>,
    /// The bytes around the result.
    pub form: PythonForm,
}

/// The bytes around a result, which make a value of it.
///
/// The encoded result is `begin` and the result as MessagePack. The value is `inline`, the length
/// of the encoded result, the encoded result, and `end`. With a large one, the value is `stored`,
/// the length, and `end`, and the encoded result lies elsewhere. A length has seven bits in each
/// byte, the lowest first. The eighth bit says that more bytes follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PythonForm {
    /// The first bytes of a value with its encoded result.
    pub inline: Bytes,
    /// The first bytes of a value whose encoded result lies elsewhere.
    pub stored: Bytes,
    /// The last bytes of a value.
    pub end: Bytes,
    /// The first bytes of an encoded result.
    pub begin: Bytes,
}

impl PythonFrame {
    /// Returns the call that the arguments of [`PYTHON`](crate::PYTHON) describe.
    ///
    /// # Errors
    /// They are not the arguments of [`PYTHON`](crate::PYTHON).
    pub(super) fn of(args: &[ArgSpec]) -> Result<PythonFrame> {
        let unlike = || Error::internal("a call of a Python function with other arguments");
        let [given, ArgSpec::Value(call)] = args else {
            return Err(unlike());
        };
        let call: PythonCall = codec::decode(inline(call).ok_or_else(unlike)?, &[])?;
        let form = PythonForm::of(&call)?;
        let (args, stored) = match given {
            ArgSpec::Value(value) => (inline(value).ok_or_else(unlike)?.to_vec(), None),
            ArgSpec::Object(id) => (Vec::new(), Some(PeerId::from(*id))),
            ArgSpec::Gather(_) => return Err(unlike()),
        };
        Ok(PythonFrame {
            module: call.module,
            function: call.function,
            args: Bytes(args),
            stored,
            form,
        })
    }
}

impl PythonForm {
    fn of(call: &PythonCall) -> Result<PythonForm> {
        let around = |body: Body| {
            let value = Value {
                format: Format::Packed {
                    of: TypeTag(call.result),
                },
                body,
                attachments: Vec::new(),
            };
            let mut bytes = Vec::new();
            wire::encode_value(&value, &mut bytes).map_err(malformed)?;
            // The last byte is the number of objects. The byte before it is the length.
            let end = bytes.pop().into_iter().collect();
            bytes.pop();
            Ok::<_, Error>((Bytes(bytes), Bytes(end)))
        };
        let (inline, end) = around(Body::Inline(Block::default()))?;
        let (stored, _) = around(Body::Stored(Loc {
            segment: SegmentId(0),
            offset: 0,
            len: 0,
        }))?;
        let origin = format!("the result of the Python function `{}`", call.name());
        let begin = Bytes(codec::origin(&origin));
        Ok(PythonForm {
            inline,
            stored,
            end,
            begin,
        })
    }
}

/// Returns the bytes of a value that has them.
fn inline(value: &Value) -> Option<&[u8]> {
    match &value.body {
        Body::Inline(block) => Some(block.bytes()),
        Body::Stored(_) => None,
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::ids::ObjectId;

    fn call() -> PythonCall {
        PythonCall {
            module: "pkg.mod".to_owned(),
            function: "fn".to_owned(),
            result: codec::type_tag::<String>(),
        }
    }

    fn argument(bytes: &[u8]) -> ArgSpec {
        ArgSpec::Value(Box::new(Value {
            format: Format::Text,
            body: Body::Inline(Block::copy_of(bytes, 1)),
            attachments: Vec::new(),
        }))
    }

    #[test]
    fn the_form_makes_values_of_results() {
        let form = PythonForm::of(&call()).unwrap();
        let result = [&form.begin.0[..], &codec::encode("text").unwrap().bytes].concat();
        let len = u8::try_from(result.len()).unwrap();
        let around = |before: &Bytes, result: &[u8]| {
            let bytes = [&before.0[..], &[len], result, &form.end.0].concat();
            wire::decode_value(&bytes).unwrap()
        };
        let value = around(&form.inline, &result);
        let Body::Inline(block) = &value.body else {
            panic!("{value:?}");
        };
        assert_eq!(codec::decode::<String>(block.bytes(), &[]).unwrap(), "text");
        let error = codec::decode::<f64>(block.bytes(), &[]).unwrap_err();
        assert!(error.to_string().contains("`pkg.mod.fn`"), "{error}");
        let format = Format::Packed {
            of: TypeTag(codec::type_tag::<String>()),
        };
        assert!(value.format == format && value.attachments.is_empty());

        let stored = around(&form.stored, &[]);
        let Body::Stored(loc) = &stored.body else {
            panic!("{stored:?}");
        };
        assert!(loc.len == u64::from(len) && stored.format == format);
    }

    #[test]
    fn a_frame_has_the_arguments_or_the_object_that_has_them() {
        let said = argument(&codec::encode(&call()).unwrap().bytes);
        let frame = PythonFrame::of(&[argument(b"given"), said.clone()]).unwrap();
        assert_eq!((&*frame.module, &*frame.function), ("pkg.mod", "fn"));
        assert_eq!((&*frame.args.0, frame.stored), (&b"given"[..], None));
        let id = ObjectId {
            origin: super::super::OWN,
            seq: 5,
        };
        let frame = PythonFrame::of(&[ArgSpec::Object(id), said.clone()]).unwrap();
        assert_eq!((&*frame.args.0, frame.stored), (&[][..], Some(id.into())));
        for args in [
            vec![],
            vec![said.clone()],
            vec![said.clone(), ArgSpec::Object(id)],
        ] {
            assert!(PythonFrame::of(&args).is_err());
        }
    }
}
