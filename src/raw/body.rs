//! Decodes the bytes of an object: decompresses them if needed, and cuts them into records.

use std::io::{self, ErrorKind, Write};

use flate2::write::MultiGzDecoder;

use crate::raw::body_error::{BodyError, LARGEST};
use crate::raw::records::RecordScanner;

/// The first bytes of a gzip stream. No JSON begins with them, so the decoder checks them and ignores
/// Content-Encoding.
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// Compressed bytes that are decoded at a time. They expand to at most a thousand times as much, and a record
/// has at least two bytes: one step gives at most some 32,000 records.
const GZIP_STEP: usize = 64;
/// Plain bytes that are decoded at a time.
const PLAIN_STEP: usize = 32 * 1024;

#[derive(Debug, Default)]
pub struct PayloadDecoder {
    /// The first bytes, until there are enough of them to recognize gzip.
    head: Vec<u8>,
    encoding: Option<Encoding>,
}

#[derive(Debug)]
enum Encoding {
    Plain(RecordSink),
    Gzip(Box<MultiGzDecoder<RecordSink>>),
}

impl PayloadDecoder {
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns how many bytes to feed at a time so that a bounded number of records comes out: until the
    /// encoding is known, just enough to recognize it.
    pub fn step(&self) -> usize {
        match &self.encoding {
            None => GZIP.len(),
            Some(Encoding::Gzip(_)) => GZIP_STEP,
            Some(Encoding::Plain(_)) => PLAIN_STEP,
        }
    }

    /// Returns true for a compressed object. Its checksum is at its end, so its records are sound only after
    /// that.
    pub fn is_gzip(&self) -> bool {
        matches!(self.encoding, Some(Encoding::Gzip(_)))
    }

    /// Decodes the next bytes. [`PayloadDecoder::take_records`] returns the records that end in them, even
    /// after an error.
    pub fn feed(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        if self.encoding.is_some() {
            return self.decode(chunk);
        }
        self.head.extend_from_slice(chunk);
        if self.head.len() < GZIP.len() { Ok(()) } else { self.decode_head() }
    }

    /// Ends the object; returns true if it had a list of records. Fails if it is cut short or damaged.
    pub fn finish(&mut self) -> Result<bool, BodyError> {
        if self.encoding.is_none() {
            self.decode_head()?;
        }
        if let Some(Encoding::Gzip(decoder)) = &mut self.encoding {
            decoder.try_finish().map_err(|error| body_error(decoder.get_mut(), &error))?;
        }
        self.sink().map_or(Err(BodyError::CutShort), |sink| sink.scanner.finish())
    }

    /// Returns the whole object if it has no list of records and may be a record itself. Call it after
    /// [`PayloadDecoder::finish`].
    pub fn take_object(&mut self) -> Option<Vec<u8>> {
        self.sink()?.scanner.take_object()
    }

    /// Returns the records that were found since the last call.
    pub fn take_records(&mut self) -> RecordBatch {
        self.sink().map(|sink| std::mem::take(&mut sink.found)).unwrap_or_default()
    }

    fn sink(&mut self) -> Option<&mut RecordSink> {
        match self.encoding.as_mut()? {
            Encoding::Plain(sink) => Some(sink),
            Encoding::Gzip(decoder) => Some(decoder.get_mut()),
        }
    }

    fn decode_head(&mut self) -> Result<(), BodyError> {
        let head = std::mem::take(&mut self.head);
        let sink = RecordSink::default();
        self.encoding = Some(if head.starts_with(&GZIP) {
            Encoding::Gzip(Box::new(MultiGzDecoder::new(sink)))
        } else {
            Encoding::Plain(sink)
        });
        self.decode(&head)
    }

    fn decode(&mut self, chunk: &[u8]) -> Result<(), BodyError> {
        match &mut self.encoding {
            Some(Encoding::Plain(sink)) => sink.add(chunk),
            Some(Encoding::Gzip(decoder)) => {
                decoder.write_all(chunk).map_err(|error| body_error(decoder.get_mut(), &error))
            }
            None => Ok(()),
        }
    }
}

/// Records in one buffer.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct RecordBatch {
    bytes: Vec<u8>,
    /// The end of each record in `bytes`.
    ends: Vec<usize>,
}

impl RecordBatch {
    /// Returns the bytes of each record, unparsed.
    pub fn records(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(from, until)| &self.bytes[from..*until])
    }
}

/// The destination of plain or decompressed bytes.
#[derive(Debug, Default)]
struct RecordSink {
    scanner: RecordScanner,
    found: RecordBatch,
    /// Bytes so far.
    count: usize,
    /// The reason of a failed write, stored here because `Write` can return only an `io::Error`.
    error: Option<BodyError>,
}

impl RecordSink {
    fn add(&mut self, bytes: &[u8]) -> Result<(), BodyError> {
        self.count += bytes.len();
        if self.count > LARGEST {
            return Err(BodyError::TooLarge);
        }
        let found = &mut self.found;
        self.scanner.feed(bytes, &mut |record| {
            found.bytes.extend_from_slice(record);
            found.ends.push(found.bytes.len());
        })
    }
}

impl Write for RecordSink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(bytes).map(|()| bytes.len()).map_err(|error| {
            self.error = Some(error);
            io::Error::other("refused")
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn body_error(sink: &mut RecordSink, error: &io::Error) -> BodyError {
    sink.error.take().unwrap_or_else(|| match error.kind() {
        ErrorKind::UnexpectedEof => BodyError::CutShort,
        _ => BodyError::Damaged(error.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn read(body: &[u8], size: usize) -> Result<(Vec<Vec<u8>>, bool), BodyError> {
        let (mut reader, mut all) = (PayloadDecoder::new(), Vec::new());
        for chunk in body.chunks(size) {
            reader.feed(chunk)?;
            all.extend(reader.take_records().records().map(<[u8]>::to_vec));
        }
        let has_list = reader.finish()?;
        all.extend(reader.take_records().records().map(<[u8]>::to_vec));
        Ok((all, has_list))
    }

    fn packed(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn plain_and_gzip_give_the_same_records() {
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
    fn a_damaged_gzip_stream_is_refused() {
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
            let (mut reader, mut rest, mut most) = (PayloadDecoder::new(), &body[..], 0);
            while !rest.is_empty() {
                let (step, after) = rest.split_at(reader.step().min(rest.len()));
                reader.feed(step).unwrap();
                most = most.max(reader.take_records().records().count());
                rest = after;
            }
            assert!(reader.finish().unwrap());
            assert!(most > 1000 && most < 70_000, "{most}");
        }
    }

    #[test]
    fn records_before_a_fault_are_found() {
        let mut reader = PayloadDecoder::new();
        assert!(reader.feed(br#"[{"bpm":60},{"bpm":61} <"#).is_err());
        assert_eq!(reader.take_records().records().count(), 2);
    }

    #[test]
    fn an_object_of_one_byte_or_none_is_an_error() {
        assert!(matches!(read(b"", 1), Err(BodyError::NotJson(_))));
        assert_eq!(read(b"[", 1), Err(BodyError::CutShort));
    }
}
