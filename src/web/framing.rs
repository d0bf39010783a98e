//! Refuses requests that a proxy in front of the daemon may read in another way: then the two disagree about whose
//! request this is, or where it ends.

use std::sync::{Arc, OnceLock};

use http::{Request, header};

/// The first fault of the heads on one connection. After it nobody knows where the next head begins.
#[derive(Debug, Clone, Default)]
pub(crate) struct Framing(Arc<OnceLock<&'static str>>);

/// Keys of texts.
const BARE_LINE_FEED: &str = "error-line-ends";
const BAD_LENGTH: &str = "error-body-length";

impl Framing {
    /// Returns the watch of the connection's bytes.
    pub(crate) fn watch(&self) -> Watch {
        Watch { framing: self.clone(), line: Vec::new(), last: 0, body: Some(0), left: 0 }
    }
}

/// Returns the fault of a request, as the key of a text for its sender.
pub(crate) fn find_fault<B>(request: &Request<B>) -> Option<&'static str> {
    if let Some(fault) = request.extensions().get::<Framing>().and_then(|framing| framing.0.get()) {
        return Some(fault);
    }
    let hosts: Vec<&[u8]> =
        request.headers().get_all(header::HOST).iter().map(http::HeaderValue::as_bytes).collect();
    match hosts[..] {
        // Load balancers ask for a health page in HTTP/1.0, which has no hosts.
        [] if request.version() == http::Version::HTTP_10 => None,
        [] => Some("error-host-missing"),
        [host] if !is_host(host) => Some("error-host-bad"),
        [host] => {
            let target = request.uri().authority().map(|target| target.as_str().as_bytes());
            let is_other = target.is_some_and(|target| !target.eq_ignore_ascii_case(host));
            is_other.then_some("error-host-other")
        }
        _ => Some("error-host-twice"),
    }
}

/// Returns whether the connection must end with the response. Where a chunked body ends is hyper's knowledge, so that
/// a head after it would not be watched.
pub(crate) fn is_last<B>(request: &Request<B>) -> bool {
    request.headers().contains_key(header::TRANSFER_ENCODING) || find_fault(request).is_some()
}

fn is_host(host: &[u8]) -> bool {
    !host.is_empty() && host.iter().all(|byte| byte.is_ascii_alphanumeric() || b".-_~%:[]".contains(byte))
}

/// Bytes kept of a line: enough for the names of the headers that frame a body, and its length.
const KEPT: usize = 48;
/// Digits of the longest length that everybody can count to.
const MOST_DIGITS: usize = 19;

/// Watches how heads end their lines and name their bodies' lengths. Hyper takes a bare line feed; a proxy may not.
pub(crate) struct Watch {
    framing: Framing,
    /// The beginning of the current line.
    line: Vec<u8>,
    last: u8,
    /// The length of the body after this head; none for a chunked one, after which the watch ends.
    body: Option<u64>,
    /// Bytes of a body that are still to come.
    left: u64,
}

impl Watch {
    /// Reads the next bytes of the connection. Returns true if they end a request; a chunked one has no such end.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> bool {
        let mut is_complete = false;
        while !bytes.is_empty() && self.framing.0.get().is_none() {
            let body = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
            if body > 0 {
                self.left -= body as u64;
                bytes = &bytes[body..];
                is_complete = self.left == 0;
                continue;
            }
            let byte = bytes[0];
            bytes = &bytes[1..];
            is_complete = false;
            if byte != b'\n' {
                if self.line.len() < KEPT {
                    self.line.push(byte);
                }
                self.last = byte;
            } else if self.last == b'\r' {
                is_complete = self.end_line();
            } else {
                self.refuse(BARE_LINE_FEED);
            }
        }
        is_complete
    }

    /// Returns true at the end of a request without a body.
    fn end_line(&mut self) -> bool {
        let line = String::from_utf8_lossy(&self.line).to_ascii_lowercase();
        let ends_head = line == "\r";
        if ends_head {
            self.left = self.body.replace(0).unwrap_or(u64::MAX);
        } else if line.starts_with("transfer-encoding:") {
            self.body = None;
        } else if let Some(length) = line.strip_prefix("content-length:") {
            // A line that is cut off says no length.
            match length.strip_suffix('\r').and_then(parse_length) {
                Some(length) => self.body = self.body.and(Some(length)),
                None => self.refuse(BAD_LENGTH),
            }
        }
        self.line.clear();
        self.last = 0;
        ends_head && self.left == 0
    }

    fn refuse(&self, fault: &'static str) {
        let _ = self.framing.0.set(fault);
    }
}

fn parse_length(text: &str) -> Option<u64> {
    let digits = text.trim_matches([' ', '\t']);
    let is_plain = digits.len() <= MOST_DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    digits.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads pieces; answers with the fault, and whether the last piece ended a request.
    fn read(pieces: &[&str]) -> (Option<&'static str>, bool) {
        let framing = Framing::default();
        let mut watch = framing.watch();
        let ends = pieces.iter().map(|piece| watch.read(piece.as_bytes())).last();
        (framing.0.get().copied(), ends.unwrap_or_default())
    }

    #[test]
    fn heads_end_their_lines_with_both_characters_and_bodies_are_free() {
        let broken = (Some(BARE_LINE_FEED), false);
        assert_eq!(read(&["GET / HTTP/1.1\r", "\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n"]), (None, true));
        assert_eq!(read(&["GET / HTTP/1.1\r\n\r\nGET / "]), (None, false));
        assert_eq!(read(&["GET / HTTP/1.1\n"]), broken);
        assert_eq!(read(&["GET / HTTP/1.1\r\nHost: a\r\n\n"]), broken);
        let post = "POST / HTTP/1.1\r\nContent-Length: 4\r\n\r\n";
        assert_eq!(read(&[post, "a\nb"]), (None, false));
        assert_eq!(read(&[post, "a\nb\n"]), (None, true));
        assert_eq!(read(&[post, "a\nb\nGET / HTTP/1.1\n\r\n"]), broken, "the next request of the connection");
        assert_eq!(
            read(&["POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", "2\r\na\n\r\n"]),
            (None, false)
        );
    }

    #[test]
    fn a_length_is_a_plain_number() {
        for good in ["4", " 4", "  4 \t", "0004"] {
            assert_eq!(read(&[&format!("POST / HTTP/1.1\r\nContent-Length:{good}\r\n")]).0, None, "{good:?}");
        }
        let (spaces, zeros) = (format!("{}4", " ".repeat(60)), format!("{}4", "0".repeat(60)));
        for bad in ["", "+4", "0x4", "4, 4", "4 4", "-1", &spaces, &zeros, &"9".repeat(20)] {
            let head = format!("POST / HTTP/1.1\r\ncontent-length:{bad}\r\n");
            assert_eq!(read(&[&head]).0, Some(BAD_LENGTH), "{bad:?}");
        }
    }
}
