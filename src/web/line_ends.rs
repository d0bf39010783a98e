//! Watches how the lines of requests' heads end. Hyper takes a bare line feed; a proxy may not, and then the two disagree
//! where a head ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a head on this connection had a line that ended with a bare line feed.
#[derive(Debug, Clone, Default)]
pub(crate) struct LineEnds(Arc<AtomicBool>);

impl LineEnds {
    pub(crate) fn is_broken(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns the watch of the connection's bytes.
    pub(crate) fn watch(&self) -> Watch {
        Watch { found: self.clone(), line: Vec::new(), last: 0, body: Some(0), left: 0 }
    }
}

/// Bytes kept of a line: enough for the names of the headers that frame a body, and its length.
const KEPT: usize = 48;

pub(crate) struct Watch {
    found: LineEnds,
    /// The beginning of the current line.
    line: Vec<u8>,
    last: u8,
    /// The length of the body after this head; none if the head does not say it. The watch ends there.
    body: Option<u64>,
    /// Bytes of a body that are still to come.
    left: u64,
}

impl Watch {
    /// Reads the next bytes of the connection.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) {
        loop {
            let body = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            self.left -= body as u64;
            bytes = &bytes[body..];
            let [byte, rest @ ..] = bytes else { return };
            bytes = rest;
            if *byte != b'\n' {
                if self.line.len() < KEPT {
                    self.line.push(*byte);
                }
                self.last = *byte;
            } else if self.last == b'\r' {
                self.end_line();
            } else {
                self.found.0.store(true, Ordering::Relaxed);
                return;
            }
        }
    }

    fn end_line(&mut self) {
        let line = String::from_utf8_lossy(&self.line).to_ascii_lowercase();
        if line == "\r" {
            // A body without a length is read to the end of the connection here.
            self.left = self.body.replace(0).unwrap_or(u64::MAX);
        } else if line.starts_with("transfer-encoding:") {
            self.body = None;
        } else if let Some(length) = line.strip_prefix("content-length:") {
            // A line that is cut off says no length.
            self.body =
                self.body.and(length.strip_suffix('\r')).and_then(|length| length.trim().parse().ok());
        }
        self.line.clear();
        self.last = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_broken(pieces: &[&str]) -> bool {
        let line_ends = LineEnds::default();
        let mut watch = line_ends.watch();
        for piece in pieces {
            watch.read(piece.as_bytes());
        }
        line_ends.is_broken()
    }

    #[test]
    fn heads_end_their_lines_with_both_characters_and_bodies_are_free() {
        assert!(!is_broken(&["GET / HTTP/1.1\r", "\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n"]));
        assert!(is_broken(&["GET / HTTP/1.1\n"]));
        assert!(is_broken(&["GET / HTTP/1.1\r\nHost: a\r\n\n"]));
        let post = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\na\nb\n";
        assert!(!is_broken(&[post, "GET / HTTP/1.1\r\n\r\n"]));
        assert!(is_broken(&[post, "GET / HTTP/1.1\n\r\n"]), "the next request of the connection");
        assert!(!is_broken(&["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "2\r\na\n\r\n"]));
    }
}
