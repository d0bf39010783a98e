//! The id of a request: in the log, in its response, and on the page of an error, for people to quote.

use http::{HeaderMap, HeaderName, HeaderValue};

/// The header that proxies write and read.
const HEADER: HeaderName = HeaderName::from_static("x-request-id");
/// Characters of an id that a proxy has given; a longer one is replaced.
const LONGEST: usize = 64;

tokio::task_local! {
    static CURRENT: RequestId;
}

/// Letters, digits, `.`, `_` and `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(String);

impl RequestId {
    /// Returns the id that a proxy has given, or a new one.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(HEADER).and_then(|value| value.to_str().ok());
        let is_id = |text: &&str| {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
            (1..=LONGEST).contains(&text.len()) && text.bytes().all(is_allowed)
        };
        given.filter(is_id).map_or_else(Self::random, |text| Self(text.to_owned()))
    }

    fn random() -> Self {
        // Eight bytes: unique among the requests that anybody quotes.
        let mut bytes = [0; 8];
        // Without randomness all requests have the same id, which is no reason to fail.
        let _ = getrandom::fill(&mut bytes);
        Self(format!("{:016x}", u64::from_ne_bytes(bytes)))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Runs `work` with this id as the current one.
    pub(crate) async fn scope<T>(&self, work: impl Future<Output = T>) -> T {
        CURRENT.scope(self.clone(), work).await
    }

    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        if let Ok(value) = HeaderValue::from_str(&self.0) {
            headers.insert(HEADER, value);
        }
    }
}

/// Returns the id of the request that is being answered, if any.
pub(crate) fn current() -> Option<String> {
    CURRENT.try_with(|id| id.0.clone()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> RequestId {
        RequestId::of(&HeaderMap::from_iter([(HEADER, HeaderValue::from_str(text).unwrap())]))
    }

    #[test]
    fn a_valid_id_stays_and_another_is_replaced() {
        assert_eq!(of("fly-01HX.2_b").as_str(), "fly-01HX.2_b");
        for wrong in ["", "a b", "<script>", "a\tb", &"x".repeat(65)] {
            let id = of(wrong);
            assert!(id.0.len() == 16 && id.0 != wrong, "{id:?}");
        }
        assert_ne!(RequestId::of(&HeaderMap::new()), RequestId::of(&HeaderMap::new()));
    }
}
