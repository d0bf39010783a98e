//! The bytes of an object, unpacked where they are packed, on their way to its records.

use std::io::Write;

use flate2::write::MultiGzDecoder;

use crate::raw::body_error::{BodyError, LARGEST};
use crate::raw::records::Records;

/// With these bytes a gzip stream begins, and no JSON does: a header that says otherwise is wrong.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Packed bytes that are unpacked at a time: at most a thousand times as much comes out, and a record has two bytes at
/// least.
const PACKED_STEP: usize = 64;
/// The same of bytes that are not packed.
const PLAIN_STEP: usize = 32 * 1024;

/// What reads an object's bytes.
#[derive(Debug)]
pub struct Body {
    /// The first bytes, until there are enough to tell whether they are packed.
    head: Vec<u8>,
    reader: Option<Reader>,
}

#[derive(Debug)]
enum Reader {
    Plain(Unpacked),
    Packed(Box<MultiGzDecoder<Unpacked>>),
}

impl Default for Body {
    fn default() -> Self {
        Self::new()
    }
}

impl Body {
    /// Nothing read yet.
    pub fn new() -> Self {
        Self { head: Vec::new(), reader: None }
    }

    /// How many bytes of a chunk are to be taken at a time, so that little comes out: as long as nobody knows whether
    /// they are packed, just enough to tell.
    pub fn step(&self) -> usize {
        match &self.reader {
            None => GZIP.len(),
            Some(Reader::Packed(_)) => PACKED_STEP,
            Some(Reader::Plain(_)) => PLAIN_STEP,
        }
    }

    /// Whether it is packed: then its bytes are sound only once all of them were read.
    pub fn is_packed(&self) -> bool {
        matches!(self.reader, Some(Reader::Packed(_)))
    }

    /// Takes the next bytes. What records end in them is in [`Body::take`], also where this fails.
    ///
    /// # Errors
    /// Why the object cannot be read any further.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if self.reader.is_some() {
            return self.read(chunk);
        }
        self.head.extend_from_slice(chunk);
        if self.head.len() < GZIP.len() {
            return Ok(());
        }
        let head = std::mem::take(&mut self.head);
        self.reader = Some(Reader::of(&head));
        self.read(&head)
    }

    /// Ends the object; answers whether there was a list of records at all.
    ///
    /// # Errors
    /// Where it has not come to its end, or that is not sound.
    pub fn finish(&mut self) -> Result<bool, BodyError> {
        if self.reader.is_none() {
            let head = std::mem::take(&mut self.head);
            self.reader = Some(Reader::of(&[]));
            self.read(&head)?;
        }
        match &mut self.reader {
            Some(Reader::Plain(unpacked)) => unpacked.records.finish(),
            Some(Reader::Packed(decoder)) => {
                decoder.try_finish().map_err(|error| damaged(decoder.get_mut(), &error))?;
                decoder.get_mut().records.finish()
            }
            None => Err(BodyError::CutShort),
        }
    }

    /// The whole of the object, where it has no list of records and may be one record itself. Only for after
    /// [`Body::finish`].
    pub fn take_object(&mut self) -> Option<Vec<u8>> {
        match &mut self.reader {
            Some(Reader::Plain(unpacked)) => unpacked.records.take_object(),
            Some(Reader::Packed(decoder)) => decoder.get_mut().records.take_object(),
            None => None,
        }
    }

    /// The records that were found and not taken yet.
    pub fn take(&mut self) -> Found {
        match &mut self.reader {
            Some(Reader::Plain(unpacked)) => std::mem::take(&mut unpacked.found),
            Some(Reader::Packed(decoder)) => std::mem::take(&mut decoder.get_mut().found),
            None => Found::default(),
        }
    }

    fn read(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        match &mut self.reader {
            Some(Reader::Plain(unpacked)) => unpacked.take(chunk),
            Some(Reader::Packed(decoder)) => {
                decoder.write_all(chunk).map_err(|error| damaged(decoder.get_mut(), &error))
            }
            None => Ok(()),
        }
    }
}

impl Reader {
    fn of(head: &[u8]) -> Self {
        if head.starts_with(&GZIP) {
            return Self::Packed(Box::new(MultiGzDecoder::new(Unpacked::new())));
        }
        Self::Plain(Unpacked::new())
    }
}

/// Records one after another.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Found {
    /// The records, each as it stands.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(from, until)| &self.bytes[from..*until])
    }
}

/// What unpacked bytes go to.
#[derive(Debug)]
struct Unpacked {
    records: Records,
    found: Found,
    count: usize,
    /// Why it would take no more: an `io::Error` cannot say it.
    refused: Option<BodyError>,
}

impl Unpacked {
    fn new() -> Self {
        Self { records: Records::new(), found: Found::default(), count: 0, refused: None }
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.count += bytes.len();
        if self.count > LARGEST {
            return Err(BodyError::TooLarge);
        }
        let found = &mut self.found;
        self.records.feed(bytes, &mut |record| {
            found.bytes.extend_from_slice(record);
            found.ends.push(found.bytes.len());
            Ok(())
        })
    }
}

impl Write for Unpacked {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self.take(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                self.refused = Some(error);
                Err(std::io::Error::other("refused"))
            }
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn damaged(unpacked: &mut Unpacked, error: &std::io::Error) -> BodyError {
    let refused = unpacked.refused.take();
    refused.unwrap_or_else(|| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => BodyError::CutShort,
        _ => BodyError::Damaged(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn read(body: &[u8], size: usize) -> Result<(Vec<Vec<u8>>, bool), BodyError> {
        let (mut reader, mut all) = (Body::new(), Vec::new());
        for chunk in body.chunks(size) {
            reader.feed(chunk)?;
            all.extend(reader.take().records().map(<[u8]>::to_vec));
        }
        let has_list = reader.finish()?;
        all.extend(reader.take().records().map(<[u8]>::to_vec));
        Ok((all, has_list))
    }

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn packed_or_not_the_records_are_the_same() {
        let body = br#"{"data":[{"bpm":60},{"bpm":61}]}"#;
        let plain = read(body, 7).unwrap();
        assert_eq!((plain.0.len(), plain.1), (2, true));
        for size in [1, 5, 1000] {
            assert_eq!(read(&packed(body), size), Ok(plain.clone()));
        }
        let two = [packed(b"[1,"), packed(b"2]")].concat();
        assert_eq!(read(&two, 4).unwrap().0, [b"1", b"2"]);
    }

    #[test]
    fn what_is_packed_and_damaged_is_told() {
        let body = packed(format!("[{}1]", "{\"bpm\":60},".repeat(500)).as_bytes());
        for end in [3, 12, body.len() / 2, body.len() - 1] {
            let error = read(&body[..end], 100).unwrap_err();
            assert!(matches!(error, BodyError::CutShort | BodyError::Damaged(_)), "{end}: {error:?}");
        }
        let mut changed = body.clone();
        let last = changed.len() - 6;
        changed[last] ^= 1;
        assert!(matches!(read(&changed, 100), Err(BodyError::Damaged(_))));
        let followed = [&body[..], b"more"].concat();
        assert!(read(&followed, 100).is_err());
    }

    #[test]
    fn a_small_object_that_unpacks_to_a_huge_one_is_refused() {
        let body = packed(&vec![b' '; LARGEST + 1]);
        assert!(body.len() < 128 * 1024);
        assert_eq!(read(&body, 1000), Err(BodyError::TooLarge));
    }

    #[test]
    fn a_step_brings_few_records_however_dense_they_are() {
        let dense = format!("[{}1]", "1,".repeat(2_000_000));
        for body in [packed(dense.as_bytes()), dense.into_bytes()] {
            let (mut reader, mut rest, mut most) = (Body::new(), &body[..], 0);
            while !rest.is_empty() {
                let (step, after) = rest.split_at(reader.step().min(rest.len()));
                reader.feed(step).unwrap();
                most = most.max(reader.take().records().count());
                rest = after;
            }
            assert!(reader.finish().unwrap());
            assert!(most > 1000 && most < 70_000, "{most}");
        }
    }

    #[test]
    fn what_stands_before_a_fault_is_found() {
        let mut reader = Body::new();
        assert!(reader.feed(br#"[{"bpm":60},{"bpm":61} <"#).is_err());
        assert_eq!(reader.take().records().count(), 2);
    }

    #[test]
    fn an_object_of_one_byte_or_none_is_an_error() {
        assert!(matches!(read(b"", 1), Err(BodyError::NotJson(_))));
        assert_eq!(read(b"[", 1), Err(BodyError::CutShort));
    }
}
