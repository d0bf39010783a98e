//! Finds the records in the bytes of a payload as they come, and holds one record at a time. Pure.
//!
//! A payload is `{"data": [record, …], …}`, a bare list of records, or one record. What lies between two records is checked to be
//! JSON here; a record is handed out as it stands, and whoever reads it sees whether it is JSON.

use crate::raw::body_error::{BodyError, LARGEST_RECORD};

/// What may come next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The list, or the object that has it.
    Root,
    /// A key, or the end of the object where it is empty.
    KeyOrEnd,
    /// A key after a comma.
    Key,
    /// A colon after a key.
    Colon,
    /// The value of a key.
    Value,
    /// A comma, or the end of the object.
    CommaOrEnd,
    /// A record, or the end of the list where it is empty.
    RecordOrEnd,
    /// A record after a comma.
    Record,
    /// A comma, or the end of the list.
    CommaOrListEnd,
    /// Nothing.
    Nothing,
}

/// What is being gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Key,
    Value,
    Record,
}

/// How far into a value the bytes have come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Inside {
    /// A number, `true`, `false` or `null`: ends before what cannot belong to it.
    Word,
    /// A string; whether the next byte is escaped.
    Text { escaped: bool },
    /// Lists and objects, so many deep, of which `text` says whether a string is open.
    Nested { depth: u32, text: Option<bool> },
}

/// The state between two chunks.
#[derive(Debug)]
pub(crate) struct Records {
    next: Next,
    gathering: Option<(Part, Inside)>,
    /// The bytes of what is being gathered.
    bytes: Vec<u8>,
    /// Whether the key that was read last is that of the records.
    is_data: bool,
    /// Whether the root is an object.
    in_object: bool,
    has_list: bool,
    /// All bytes of an object, as long as it has no list and may be a record itself.
    object: Option<Vec<u8>>,
}

impl Records {
    pub(crate) fn new() -> Self {
        Self {
            next: Next::Root,
            gathering: None,
            bytes: Vec::new(),
            is_data: false,
            in_object: false,
            has_list: false,
            object: Some(Vec::new()),
        }
    }

    /// Takes the next bytes, and hands out each record that ends in them.
    pub(crate) fn feed(
        &mut self,
        chunk: &[u8],
        found: &mut impl FnMut(&[u8]) -> Result<(), BodyError>,
    ) -> Result<(), BodyError> {
        let mut rest = chunk;
        while let Some((byte, after)) = rest.split_first() {
            let before = rest;
            rest = match self.gathering {
                Some((part, inside)) => self.gather(part, inside, rest, found)?,
                None if byte.is_ascii_whitespace() => after,
                None => self.begin(*byte, rest)?,
            };
            if self.object.is_some() {
                self.keep(&before[..before.len() - rest.len()]);
            }
        }
        Ok(())
    }

    /// Keeps bytes of what may be one record.
    fn keep(&mut self, bytes: &[u8]) {
        let is_none = self.has_list || !(self.in_object || self.next == Next::Root);
        match &mut self.object {
            Some(object) if !is_none && object.len() + bytes.len() <= LARGEST_RECORD => {
                object.extend_from_slice(bytes);
            }
            object => *object = None,
        }
    }

    /// The object that the payload is, where it has no list of records and is no larger than a record. Only for after
    /// [`Records::finish`].
    pub(crate) fn take_object(&mut self) -> Option<Vec<u8>> {
        self.object.take().filter(|object| !object.is_empty())
    }

    /// Ends the payload; answers whether there was a list of records.
    pub(crate) fn finish(&self) -> Result<bool, BodyError> {
        match (self.next, self.gathering) {
            (Next::Nothing, None) => Ok(self.has_list),
            (Next::Root, None) => Err(BodyError::NotJson("it is empty".to_owned())),
            _ => Err(BodyError::CutShort),
        }
    }

    /// Takes a byte with which something begins; answers what is left.
    fn begin<'a>(&mut self, byte: u8, rest: &'a [u8]) -> Result<&'a [u8], BodyError> {
        use crate::raw::records::Next::Colon;
        use crate::raw::records::Next::CommaOrEnd;
        use crate::raw::records::Next::CommaOrListEnd;
        use crate::raw::records::Next::Key;
        use crate::raw::records::Next::KeyOrEnd;
        use crate::raw::records::Next::Nothing;
        use crate::raw::records::Next::Record;
        use crate::raw::records::Next::RecordOrEnd;
        use crate::raw::records::Next::Root;
        use crate::raw::records::Next::Value;
        let part = match (self.next, byte) {
            (Root, b'{') => {
                self.in_object = true;
                return Ok(self.then(KeyOrEnd, rest));
            }
            (Root, b'[') => {
                self.has_list = true;
                return Ok(self.then(RecordOrEnd, rest));
            }
            (Value, b'[') if self.is_data => {
                self.has_list = true;
                return Ok(self.then(RecordOrEnd, rest));
            }
            (Value, _) if self.is_data => return Err(BodyError::NotAList),
            (Colon, b':') => return Ok(self.then(Value, rest)),
            (CommaOrEnd, b',') => return Ok(self.then(Key, rest)),
            (KeyOrEnd | CommaOrEnd, b'}') => return Ok(self.then(Nothing, rest)),
            (CommaOrListEnd, b',') => return Ok(self.then(Record, rest)),
            (RecordOrEnd | CommaOrListEnd, b']') => {
                let next = if self.in_object { CommaOrEnd } else { Nothing };
                return Ok(self.then(next, rest));
            }
            (KeyOrEnd | Key, b'"') => Part::Key,
            (Value, _) => Part::Value,
            (RecordOrEnd | Record, _) => Part::Record,
            _ => return Err(unexpected(byte)),
        };
        let inside = match byte {
            b'"' => Inside::Text { escaped: false },
            b'{' | b'[' => Inside::Nested { depth: 1, text: None },
            b'-' | b'0'..=b'9' | b'a'..=b'z' => Inside::Word,
            other => return Err(unexpected(other)),
        };
        self.bytes.push(byte);
        self.gathering = Some((part, inside));
        Ok(&rest[1..])
    }

    fn then<'a>(&mut self, next: Next, rest: &'a [u8]) -> &'a [u8] {
        self.next = next;
        &rest[1..]
    }

    /// Takes the bytes that belong to what is being gathered; answers what is left.
    fn gather<'a>(
        &mut self,
        part: Part,
        inside: Inside,
        rest: &'a [u8],
        found: &mut impl FnMut(&[u8]) -> Result<(), BodyError>,
    ) -> Result<&'a [u8], BodyError> {
        let (taken, inside) = walk(inside, rest);
        if self.bytes.len() + taken > LARGEST_RECORD {
            return Err(BodyError::LargeRecord);
        }
        self.bytes.extend_from_slice(&rest[..taken]);
        match inside {
            Some(inside) => self.gathering = Some((part, inside)),
            None => self.end(part, found)?,
        }
        Ok(&rest[taken..])
    }

    fn end(
        &mut self,
        part: Part,
        found: &mut impl FnMut(&[u8]) -> Result<(), BodyError>,
    ) -> Result<(), BodyError> {
        self.gathering = None;
        match part {
            Part::Key => {
                let key: String = serde_json::from_slice(&self.bytes).map_err(|error| not_json(&error))?;
                self.is_data = key == "data";
                self.next = Next::Colon;
            }
            Part::Value => {
                is_json(&self.bytes)?;
                self.next = Next::CommaOrEnd;
            }
            Part::Record => {
                found(&self.bytes)?;
                self.next = Next::CommaOrListEnd;
            }
        }
        self.bytes.clear();
        Ok(())
    }
}

/// How many of the bytes belong to a value; where it does not end in them, how far into it they lead.
fn walk(mut inside: Inside, bytes: &[u8]) -> (usize, Option<Inside>) {
    for (place, byte) in bytes.iter().enumerate() {
        inside = match (inside, byte) {
            (Inside::Word, b',' | b']' | b'}' | b' ' | b'\n' | b'\r' | b'\t') => return (place, None),
            (Inside::Word, _) => Inside::Word,
            (Inside::Text { escaped: false }, b'"') => return (place + 1, None),
            (Inside::Text { escaped }, byte) => Inside::Text { escaped: !escaped && *byte == b'\\' },
            (Inside::Nested { depth, text: Some(false) }, b'"') => Inside::Nested { depth, text: None },
            (Inside::Nested { depth, text: Some(escaped) }, byte) => {
                Inside::Nested { depth, text: Some(!escaped && *byte == b'\\') }
            }
            (Inside::Nested { depth, text: None }, b'"') => Inside::Nested { depth, text: Some(false) },
            (Inside::Nested { depth, .. }, b'{' | b'[') => Inside::Nested { depth: depth + 1, text: None },
            (Inside::Nested { depth: 1, .. }, b'}' | b']') => return (place + 1, None),
            (Inside::Nested { depth, .. }, b'}' | b']') => Inside::Nested { depth: depth - 1, text: None },
            (nested, _) => nested,
        };
    }
    (bytes.len(), Some(inside))
}

/// Checks that bytes are one JSON value. What numbers it holds does not matter.
pub(crate) fn is_json(bytes: &[u8]) -> Result<(), BodyError> {
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
        let (mut records, mut all) = (Records::new(), Vec::new());
        let mut found = |record: &[u8]| {
            is_json(record)?;
            all.push(String::from_utf8_lossy(record).into_owned());
            Ok(())
        };
        let (mut rest, mut sizes) = (body, sizes.iter().cycle());
        while !rest.is_empty() {
            let (chunk, after) = rest.split_at((*sizes.next().unwrap()).min(rest.len()));
            if let Err(error) = records.feed(chunk, &mut found) {
                return (all, Err(error));
            }
            rest = after;
        }
        (all, records.finish())
    }

    fn whole(body: &str) -> Read {
        read(body.as_bytes(), &[body.len().max(1)])
    }

    #[test]
    fn records_are_found_in_either_form_whatever_stands_beside_them() {
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
    fn what_is_cut_short_is_told_from_what_is_no_json() {
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
    fn nothing_grows_without_bound() {
        let body = format!(r#"[{{"a":"{}"}}]"#, "x".repeat(LARGEST_RECORD));
        assert_eq!(read(body.as_bytes(), &[1000]).1, Err(BodyError::LargeRecord));
        let body = format!(r#"{{"{}":1}}"#, "x".repeat(LARGEST_RECORD));
        assert_eq!(read(body.as_bytes(), &[1000]).1, Err(BodyError::LargeRecord));
    }

    #[test]
    fn an_object_without_a_list_is_one_record_where_it_is_no_larger() {
        let object = |body: &str, size: usize| {
            let mut records = Records::new();
            for chunk in body.as_bytes().chunks(size) {
                records.feed(chunk, &mut |_| Ok(())).unwrap();
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
