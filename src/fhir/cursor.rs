//! Cursors: the place at which the next page begins, as an opaque text. A row that is inserted meanwhile moves no other
//! row, since a cursor names a place and counts nothing.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::common::time::Timestamp;

/// The place of an observation in a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The patient whose observations are read; 0 where those of all patients are sorted together.
    pub patient: i64,
    pub instant: Timestamp,
    pub stream: i64,
    /// Revisions of this observation that earlier pages had or, in a search by `_id`, the ids that they had.
    pub skip: i64,
}

impl Cursor {
    pub fn encode(self) -> String {
        encode([self.patient, self.instant.micros(), self.stream, self.skip])
    }

    /// Parses the text of [`Cursor::encode`].
    pub fn decode(text: &str) -> Option<Self> {
        let [patient, instant, stream, skip] = decode(text)?;
        Some(Self { patient, instant: Timestamp::from_micros(instant), stream, skip })
    }
}

/// Encodes numbers as a text for an address.
pub fn encode<const N: usize>(numbers: [i64; N]) -> String {
    URL_SAFE_NO_PAD.encode(numbers.map(|number| number.to_string()).join("."))
}

/// Parses the text of [`encode`].
pub fn decode<const N: usize>(text: &str) -> Option<[i64; N]> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let numbers: Vec<i64> = text.split('.').map(str::parse).collect::<Result<_, _>>().ok()?;
    numbers.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        let cursor = Cursor { patient: 7, instant: Timestamp::from_micros(-5), stream: 12, skip: 1 };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        for bad in ["", "x", "%%%", &encode([1, 2]), &encode([1, 2, 3, 4, 5])] {
            assert_eq!(Cursor::decode(bad), None, "{bad}");
        }
    }
}
