//! The part of JSON that messages to and from Ray's programs use.

use std::ffi::OsStr;

/// Returns a text as a JSON string. Replaces bytes that are no UTF-8.
pub(crate) fn quoted(text: &OsStr) -> String {
    let mut quoted = String::from('"');
    for c in text.to_string_lossy().chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if u32::from(c) < 0x20 => quoted.push_str(&format!("\\u{:04x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(feature = "ray-job")]
pub(crate) use reading::Object;

#[cfg(feature = "ray-job")]
mod reading {
    /// The most levels of nested objects and lists. The reader refuses deeper ones.
    const DEPTH: usize = 64;

    /// The texts and whole numbers of a JSON object. The reader skips other values.
    #[derive(Debug, Default)]
    pub(crate) struct Object {
        texts: Vec<(String, String)>,
        numbers: Vec<(String, i64)>,
    }

    impl Object {
        /// Reads an object. Returns `None` if the text is something else.
        pub(crate) fn read(text: &str) -> Option<Object> {
            let mut reader = Reader { left: text };
            let mut object = Object::default();
            let mut add = |name, value| match value {
                Value::Text(text) => object.texts.push((name, text)),
                Value::Number(number) => object.numbers.push((name, number)),
                Value::Other => {}
            };
            reader.space();
            reader.object(DEPTH, &mut add)?;
            reader.space();
            reader.left.is_empty().then_some(object)
        }

        pub(crate) fn text(&self, name: &str) -> Option<&str> {
            let found = self.texts.iter().find(|(given, _)| given == name);
            found.map(|(_, text)| &**text)
        }

        pub(crate) fn number(&self, name: &str) -> Option<i64> {
            let found = self.numbers.iter().find(|(given, _)| given == name);
            found.map(|(_, number)| *number)
        }
    }

    enum Value {
        Text(String),
        Number(i64),
        Other,
    }

    struct Reader<'a> {
        left: &'a str,
    }

    impl Reader<'_> {
        fn space(&mut self) {
            self.left = self.left.trim_start_matches([' ', '\t', '\n', '\r']);
        }

        fn takes(&mut self, what: &str) -> Option<()> {
            self.left = self.left.strip_prefix(what)?;
            Some(())
        }

        fn next(&mut self) -> Option<char> {
            let mut chars = self.left.chars();
            let next = chars.next()?;
            self.left = chars.as_str();
            Some(next)
        }

        /// Reads items with commas between them, up to `end`.
        fn items(
            &mut self,
            end: &str,
            item: &mut dyn FnMut(&mut Self) -> Option<()>,
        ) -> Option<()> {
            self.space();
            if self.takes(end).is_some() {
                return Some(());
            }
            loop {
                self.space();
                item(self)?;
                self.space();
                if self.takes(end).is_some() {
                    return Some(());
                }
                self.takes(",")?;
            }
        }

        fn object(&mut self, depth: usize, add: &mut dyn FnMut(String, Value)) -> Option<()> {
            self.takes("{")?;
            self.items("}", &mut |reader| {
                let name = reader.text()?;
                reader.space();
                reader.takes(":")?;
                reader.space();
                add(name, reader.value(depth.checked_sub(1)?)?);
                Some(())
            })
        }

        fn value(&mut self, depth: usize) -> Option<Value> {
            match self.left.chars().next()? {
                '"' => self.text().map(Value::Text),
                '{' => self.object(depth, &mut |_, _| ()).map(|()| Value::Other),
                '[' => {
                    self.takes("[")?;
                    let inner = depth.checked_sub(1)?;
                    self.items("]", &mut |reader| reader.value(inner).map(drop))?;
                    Some(Value::Other)
                }
                _ => {
                    let plain = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
                    let length = self.left.find(|c| !plain(c)).unwrap_or(self.left.len());
                    let (word, left) = self.left.split_at(length);
                    self.left = left;
                    match word {
                        "" => None,
                        word => Some(word.parse().map_or(Value::Other, Value::Number)),
                    }
                }
            }
        }

        fn text(&mut self) -> Option<String> {
            self.takes("\"")?;
            let mut text = String::new();
            loop {
                let plain = self.left.find(['"', '\\'])?;
                text.push_str(&self.left[..plain]);
                self.left = &self.left[plain..];
                if self.next()? == '"' {
                    return Some(text);
                }
                text.push(match self.next()? {
                    'b' => '\u{8}',
                    'f' => '\u{c}',
                    'n' => '\n',
                    'r' => '\r',
                    't' => '\t',
                    'u' => self.code_point()?,
                    c => c,
                });
            }
        }

        /// Reads a character from four hexadecimal digits, or from a surrogate pair.
        fn code_point(&mut self) -> Option<char> {
            let first = self.unit()?;
            let mut units = vec![first];
            if (0xd800..0xdc00).contains(&first) && self.left.starts_with("\\u") {
                self.takes("\\u")?;
                units.push(self.unit()?);
            }
            let character = char::decode_utf16(units).next()?;
            Some(character.unwrap_or(char::REPLACEMENT_CHARACTER))
        }

        fn unit(&mut self) -> Option<u16> {
            let digits = self.left.get(..4)?;
            self.left = &self.left[4..];
            u16::from_str_radix(digits, 16).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_quoted_as_json_wants_it() {
        assert_eq!(quoted("a\"b\\c\n".as_ref()), r#""a\"b\\c\u000a""#);
        assert_eq!(quoted("ä".as_ref()), "\"ä\"");
    }

    #[cfg(feature = "ray-job")]
    #[test]
    fn objects_are_read_with_what_is_inside_them_left_out() {
        let text = r#" { "a" : "x\n\"\u00e4\ud83d\ude00\/", "n":-9, "f": 1.5, "no": null,
            "list": [1, {"a": "other"}, []], "o": {"n": 7}, "empty": {} } "#;
        let object = Object::read(text).unwrap();
        assert_eq!(object.text("a"), Some("x\n\"ä😀/"));
        assert_eq!(object.number("n"), Some(-9));
        assert_eq!(
            (object.number("f"), object.number("no"), object.text("list")),
            (None, None, None)
        );
        let whole = quoted("a\u{1}\"\\ä".as_ref());
        let object = Object::read(&format!("{{\"a\":{whole}}}")).unwrap();
        assert_eq!(object.text("a"), Some("a\u{1}\"\\ä"));
        // A part of the text is no object, and neither are other texts.
        for end in 0..text.trim_end().len() {
            if text.is_char_boundary(end) {
                assert!(Object::read(&text[..end]).is_none(), "{end}");
            }
        }
        let deep = format!("{{\"a\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        for bad in [
            "",
            "[]",
            "<html>",
            "{} {}",
            r#"{"a" 1}"#,
            r#"{"a": "\u12"}"#,
            &deep,
        ] {
            assert!(Object::read(bad).is_none());
        }
    }
}
