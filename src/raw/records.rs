//! Finds the records in the bytes of a payload as they arrive, with one record in memory at a time. Pure.
//!
//! A payload is `{"data": [record, …], …}`, a bare list of records, or one record. The scanner checks that
//! the values beside the records are JSON. It hands out a record as it is; whoever parses it sees if it is
//! JSON.

use crate::raw::body_error::{BodyError, LARGEST_RECORD};

/// The token that may come next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Expected {
    /// The beginning of the list, or of the object that has it.
    #[default]
    Root,
    KeyOrEnd,
    /// A key after a comma.
    Key,
    Colon,
    Value,
    CommaOrEnd,
    RecordOrListEnd,
    /// A record after a comma.
    Record,
    CommaOrListEnd,
    Nothing,
}

/// The token whose bytes are being collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonToken {
    Key,
    Value,
    Record,
}

/// The position within a JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ValueState {
    /// In a number, `true`, `false` or `null`, which end before a delimiter.
    Literal,
    Text {
        /// True if the next byte is escaped.
        escaped: bool,
    },
    /// In lists and objects.
    Nested {
        depth: u32,
        /// In a string there; true if its next byte is escaped.
        text: Option<bool>,
    },
}

#[derive(Debug)]
pub(crate) struct RecordScanner {
    expected: Expected,
    /// None between two tokens.
    current: Option<(JsonToken, ValueState)>,
    /// The bytes of the current token.
    bytes: Vec<u8>,
    /// True after the key `data`.
    is_data: bool,
    /// True if the root is an object.
    in_object: bool,
    has_list: bool,
    /// All bytes so far, as long as the payload may be one record.
    object: Option<Vec<u8>>,
}

impl Default for RecordScanner {
    fn default() -> Self {
        Self {
            expected: Expected::Root,
            current: None,
            bytes: Vec::new(),
            is_data: false,
            in_object: false,
            has_list: false,
            object: Some(Vec::new()),
        }
    }
}

impl RecordScanner {
    /// Scans the next bytes, and calls `found` for each record that ends in them.
    pub(crate) fn feed(&mut self, chunk: &[u8], found: &mut impl FnMut(&[u8])) -> Result<(), BodyError> {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            let before = rest;
            rest = match self.current {
                Some((token, state)) => self.continue_token(token, state, rest, found)?,
                None if byte.is_ascii_whitespace() => after,
                None => {
                    self.begin(*byte)?;
                    after
                }
            };
            if self.object.is_some() {
                self.add_to_object(&before[..before.len() - rest.len()]);
            }
        }
        Ok(())
    }

    fn add_to_object(&mut self, bytes: &[u8]) {
        let is_none = self.has_list || !(self.in_object || self.expected == Expected::Root);
        match &mut self.object {
            Some(object) if !is_none && object.len() + bytes.len() <= LARGEST_RECORD => {
                object.extend_from_slice(bytes);
            }
            object => *object = None,
        }
    }

    /// Returns the whole payload if it has no list of records and is no larger than a record. Call it after
    /// [`RecordScanner::finish`].
    pub(crate) fn take_object(&mut self) -> Option<Vec<u8>> {
        self.object.take().filter(|object| !object.is_empty())
    }

    /// Ends the payload; returns true if it had a list of records.
    pub(crate) fn finish(&self) -> Result<bool, BodyError> {
        match (self.expected, self.current) {
            (Expected::Nothing, None) => Ok(self.has_list),
            (Expected::Root, None) => Err(BodyError::NotJson("it is empty".to_owned())),
            _ => Err(BodyError::CutShort),
        }
    }

    /// Handles the first byte of a token.
    fn begin(&mut self, byte: u8) -> Result<(), BodyError> {
        use Expected::{
            Colon, CommaOrEnd, CommaOrListEnd, Key, KeyOrEnd, Nothing, Record, RecordOrListEnd, Root, Value,
        };
        let (token, expected) = match (self.expected, byte) {
            (Root, b'{') => {
                self.in_object = true;
                (None, KeyOrEnd)
            }
            (Root | Value, b'[') if self.expected == Root || self.is_data => {
                self.has_list = true;
                (None, RecordOrListEnd)
            }
            (Value, _) if self.is_data => return Err(BodyError::NotAList),
            (Colon, b':') => (None, Value),
            (CommaOrEnd, b',') => (None, Key),
            (CommaOrListEnd, b',') => (None, Record),
            (RecordOrListEnd | CommaOrListEnd, b']') if self.in_object => (None, CommaOrEnd),
            (KeyOrEnd | CommaOrEnd, b'}') | (RecordOrListEnd | CommaOrListEnd, b']') => (None, Nothing),
            (KeyOrEnd | Key, b'"') => (Some(JsonToken::Key), Colon),
            (Value, _) => (Some(JsonToken::Value), CommaOrEnd),
            (RecordOrListEnd | Record, _) => (Some(JsonToken::Record), CommaOrListEnd),
            _ => return Err(unexpected(byte)),
        };
        if let Some(token) = token {
            let state = match byte {
                b'"' => ValueState::Text { escaped: false },
                b'{' | b'[' => ValueState::Nested { depth: 1, text: None },
                b'-' | b'0'..=b'9' | b'a'..=b'z' => ValueState::Literal,
                other => return Err(unexpected(other)),
            };
            self.bytes.push(byte);
            self.current = Some((token, state));
        }
        self.expected = expected;
        Ok(())
    }

    /// Collects the bytes of the current token; returns the bytes after them.
    fn continue_token<'a>(
        &mut self,
        token: JsonToken,
        state: ValueState,
        rest: &'a [u8],
        found: &mut impl FnMut(&[u8]),
    ) -> Result<&'a [u8], BodyError> {
        let (taken, state) = scan_value(state, rest);
        if self.bytes.len() + taken > LARGEST_RECORD {
            return Err(BodyError::LargeRecord);
        }
        self.bytes.extend_from_slice(&rest[..taken]);
        self.current = state.map(|state| (token, state));
        if state.is_none() {
            match token {
                JsonToken::Key => {
                    let key: String =
                        serde_json::from_slice(&self.bytes).map_err(|error| not_json(&error))?;
                    self.is_data = key == "data";
                }
                JsonToken::Value => check_json(&self.bytes)?,
                JsonToken::Record => found(&self.bytes),
            }
            self.bytes.clear();
        }
        Ok(&rest[taken..])
    }
}

/// Returns how many of the bytes belong to a value and, if it does not end in them, the position within it.
fn scan_value(mut state: ValueState, bytes: &[u8]) -> (usize, Option<ValueState>) {
    use ValueState::{Literal, Nested, Text};
    for (position, byte) in bytes.iter().enumerate() {
        state = match (state, byte) {
            (Literal, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t') => return (position, None),
            (Literal, _) => Literal,
            (Text { escaped: false }, b'"') => return (position + 1, None),
            (Text { escaped }, byte) => Text { escaped: !escaped && *byte == b'\\' },
            (Nested { depth, text: Some(false) }, b'"') => Nested { depth, text: None },
            (Nested { depth, text: Some(escaped) }, byte) => {
                Nested { depth, text: Some(!escaped && *byte == b'\\') }
            }
            (Nested { depth, text: None }, b'"') => Nested { depth, text: Some(false) },
            (Nested { depth, .. }, b'{' | b'[') => Nested { depth: depth + 1, text: None },
            (Nested { depth: 1, .. }, b'}' | b']') => return (position + 1, None),
            (Nested { depth, .. }, b'}' | b']') => Nested { depth: depth - 1, text: None },
            (nested, _) => nested,
        };
    }
    (bytes.len(), Some(state))
}

/// Checks that bytes are one JSON value, with numbers of any size.
pub(crate) fn check_json(bytes: &[u8]) -> Result<(), BodyError> {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).map(drop).map_err(|error| not_json(&error))
}

fn not_json(error: &serde_json::Error) -> BodyError {
    BodyError::NotJson(error.to_string())
}

fn unexpected(byte: u8) -> BodyError {
    BodyError::NotJson(format!("'{}' stands where it cannot", char::from(byte).escape_default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    type Read = (Vec<String>, Result<bool, BodyError>);

    /// Reads a payload in chunks of these sizes, again and again.
    fn read(body: &[u8], sizes: &[usize]) -> Read {
        let (mut scanner, mut all, mut fault) = (RecordScanner::default(), Vec::new(), None);
        let mut found = |record: &[u8]| match check_json(record) {
            Ok(()) if fault.is_none() => all.push(String::from_utf8_lossy(record).into_owned()),
            Ok(()) => {}
            Err(error) => {
                fault.get_or_insert(error);
            }
        };
        let (mut rest, mut sizes, mut scanned) = (body, sizes.iter().cycle(), Ok(()));
        while !rest.is_empty() && scanned.is_ok() {
            let (chunk, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            scanned = scanner.feed(chunk, &mut found);
            rest = after;
        }
        let end = scanned.and_then(|()| scanner.finish());
        (all, fault.map_or(end, Err))
    }

    fn whole(body: &str) -> Read {
        read(body.as_bytes(), &[body.len().max(1)])
    }

    #[test]
    fn records_are_found_in_either_form_beside_any_other_values() {
        for body in [
            r#"{"data":[{"a":1},{"b":"]}"}],"next_token":null}"#,
            "{ \"next_token\" : \"x\\\"[\", \"more\": {\"data\": [7]},\n\t\"data\" :\n[ {\"a\":1} , {\"b\":\"]}\"} ] }\n",
            r#"[{"a":1},{"b":"]}"}]"#,
        ] {
            let (records, end) = whole(body);
            assert_eq!(records, [r#"{"a":1}"#, r#"{"b":"]}"}"#], "{body}");
            assert_eq!(end, Ok(true));
        }
        assert_eq!(whole(r#"{"data":[]}"#), (Vec::new(), Ok(true)));
        assert_eq!(whole(r#"{"age":30,"email":"a"}"#), (Vec::new(), Ok(false)));
        assert_eq!(whole("[1,\"a\" ,null]").0, ["1", "\"a\"", "null"]);
    }

    #[test]
    fn a_payload_cut_short_differs_from_one_that_is_not_json() {
        let body = r#"{"data":[{"a":1},{"b":2}],"next_token":null}"#;
        for end in 1..body.len() {
            assert_eq!(whole(&body[..end]).1, Err(BodyError::CutShort), "{end}");
        }
        for body in [
            "",
            " ",
            "<html>",
            "{a:1}",
            r#"{"data":[1],}"#,
            "[1,]",
            "[1 2]",
            "[]]",
            r#"{"a":tru}"#,
            "[{]",
            "[01]",
        ] {
            assert!(matches!(whole(body).1, Err(BodyError::NotJson(_))), "{body}: {:?}", whole(body));
        }
        assert_eq!(whole(r#"{"data":{}}"#).1, Err(BodyError::NotAList));
    }

    #[test]
    fn a_record_and_a_key_are_bounded() {
        let body = format!(r#"[{{"a":"{}"}}]"#, "x".repeat(LARGEST_RECORD));
        assert_eq!(read(body.as_bytes(), &[1000]).1, Err(BodyError::LargeRecord));
        let body = format!(r#"{{"{}":1}}"#, "x".repeat(LARGEST_RECORD));
        assert_eq!(read(body.as_bytes(), &[1000]).1, Err(BodyError::LargeRecord));
    }

    #[test]
    fn an_object_without_a_list_is_one_record_if_it_is_small_enough() {
        let object = |body: &str, size: usize| {
            let mut records = RecordScanner::default();
            for chunk in body.as_bytes().chunks(size) {
                records.feed(chunk, &mut |_| ()).unwrap();
            }
            records.finish().unwrap();
            records.take_object().map(|object| String::from_utf8(object).unwrap())
        };
        let body = "\n {\"age\": 31, \"weight\":70.5,\"more\":[1]}\n";
        for size in [1, 3, 100] {
            assert_eq!(object(body, size).as_deref(), Some(body));
            assert_eq!(object(r#"{"data":[{"a":1}],"weight":70}"#, size), None);
            assert_eq!(object(r#"{"weight":70,"data":[]}"#, size), None);
            assert_eq!(object(r#"[{"weight":70}]"#, size), None);
        }
        let large = format!(r#"{{"a":"{0}","b":"{0}"}}"#, "x".repeat(LARGEST_RECORD / 2));
        assert_eq!(object(&large, 1000), None);
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\],: ū]{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 12, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"{}]{1,4}", inner, 0..3).prop_map(|map| json!(map)),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_records(
            data in prop::collection::vec(value(), 0..6),
            beside in value(),
            is_bare: bool,
            is_pretty: bool,
            data_first: bool,
            sizes in prop::collection::vec(1..9_usize, 1..6),
        ) {
            let write = |value: &Value| if is_pretty {
                serde_json::to_string_pretty(value).unwrap()
            } else {
                value.to_string()
            };
            let (list, beside) = (write(&json!(data)), write(&beside));
            let body = match (is_bare, data_first) {
                (true, _) => list,
                (false, true) => format!(r#"{{"data":{list},"next":{beside}}}"#),
                (false, false) => format!(r#"{{"next" : {beside} , "data": {list} }}"#),
            };
            let (records, end) = read(body.as_bytes(), &sizes);
            let records: Vec<Value> = records.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
            prop_assert_eq!((records, end), (data, Ok(true)));
        }

        #[test]
        fn no_bytes_break_the_reader(body: Vec<u8>, sizes in prop::collection::vec(1..9_usize, 1..4)) {
            let in_pieces = read(&body, &sizes);
            prop_assert_eq!(in_pieces, read(&body, &[body.len().max(1)]));
        }
    }
}
