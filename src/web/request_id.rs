//! What a request is called: in the log, in its answer, and by the person who asks why a page failed.

use std::fmt::Write;

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header of it, as proxies write and read it.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of a name that somebody else gave; longer ones are none.
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: Name;
}

/// The name of a request: letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Name(String);

impl Name {
    /// The name that a proxy has given, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
        let is_name = |text: &&str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_part)
        };
        given.filter(is_name).map_or_else(Self::new, |text| Self(text.to_owned()))
    }

    /// Eight random bytes: nobody quotes one of so many requests that two share a name.
    fn new() -> Self {
        let mut bytes = [0; 8];
        // Without randomness all are called the same, which is no reason to fail.
        let _ = getrandom::fill(&mut bytes);
        Self(bytes.iter().fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        }))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Works on the request of this name.
    pub(crate) async fn within<T>(self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self, work).await
    }

    /// Names the request in its answer.
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            headers.insert(HEADER, value);
        }
    }
}

/// The name of the request that is being answered; none where there is none.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(|name| name.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> Name {
        Name::of(&HeaderMap::from_iter([(HEADER, HeaderValue::from_str(text).unwrap())]))
    }

    #[test]
    fn a_name_that_was_given_stays_and_what_is_none_is_replaced() {
        assert_eq!(of("fly-01HX.2_b").as_str(), "fly-01HX.2_b");
        for wrong in ["", "a b", "<script>", "a\tb", &"x".repeat(65)] {
            let name = of(wrong);
            assert!(name.0.len() == 16 && name.0 != wrong, "{name:?}");
        }
        assert_ne!(Name::of(&HeaderMap::new()), Name::of(&HeaderMap::new()));
    }
}
