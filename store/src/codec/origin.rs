//! The origin of a value that another program wrote. Errors of the reader name it.

/// The byte before an origin. MessagePack never uses it.
const ORIGIN: u8 = 0xc1;

/// Returns the bytes that stand before a value to say where the value comes from. Keeps the first
/// 255 bytes of `text`.
///
/// # Example
/// ```
/// use mobula_store::codec::{decode, encode, origin};
///
/// let bytes = [origin("the result of `f`"), encode("text")?.bytes].concat();
/// assert_eq!(decode::<String>(&bytes, &[])?, "text");
/// let error = decode::<u32>(&bytes, &[]).unwrap_err().to_string();
/// assert!(error.starts_with("the result of `f` does not fit `u32`: "));
/// # Ok::<(), mobula_store::codec::CodecError>(())
/// ```
pub fn origin(text: &str) -> Vec<u8> {
    let len = u8::try_from(text.len()).unwrap_or(u8::MAX);
    let mut bytes = vec![ORIGIN, len];
    bytes.extend_from_slice(&text.as_bytes()[..usize::from(len)]);
    bytes
}

/// Returns the origin before a value, if there is one, and the value.
#[inline]
pub(super) fn split(bytes: &[u8]) -> (Option<&[u8]>, &[u8]) {
    match bytes {
        [ORIGIN, len, rest @ ..] => match rest.split_at_checked(usize::from(*len)) {
            Some((origin, value)) => (Some(origin), value),
            None => (None, bytes),
        },
        _ => (None, bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_cut_and_one_that_is_cut_off_is_none() {
        let bytes = [origin("here"), vec![7]].concat();
        assert_eq!(split(&bytes), (Some(&b"here"[..]), &[7][..]));
        assert_eq!(split(&bytes[..4]), (None, &bytes[..4]));
        assert_eq!(split(&[]), (None, &[][..]));
        let long = origin(&"x".repeat(300));
        assert_eq!(split(&long), (Some(&[b'x'; 255][..]), &[][..]));
        // One origin stands before a value.
        let twice = [origin("a"), origin("b"), vec![7]].concat();
        assert!(crate::codec::decode::<u8>(&twice, &[]).is_err());
    }
}
