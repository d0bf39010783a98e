//! A request, as the pages see it.

use std::net::IpAddr;

use cookie::Cookie;
use http::{HeaderMap, HeaderName, Method, header};
use ipnet::IpNet;

use crate::secrets::token::Token;

/// Names and values of a query or a form, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The first value of this name without the space around it; empty where there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// The first value of this name as it was typed: a password may begin or end with a space.
    pub(crate) fn secret(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Every value of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim())
    }

    /// Whether there is such a name at all.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// A number of this name.
    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok()
    }
}

/// A request.
#[derive(Debug)]
pub(crate) struct Visit {
    /// HEAD counts as GET.
    pub(crate) method: Method,
    pub(crate) path: String,
    /// The query as it came, without the question mark.
    pub(crate) raw_query: String,
    pub(crate) query: Fields,
    pub(crate) form: Fields,
    pub(crate) headers: HeaderMap,
    /// Whose request it is, as far as that can be told.
    pub(crate) client: IpAddr,
}

impl Visit {
    /// The parts of the path; a slash at its end is none.
    pub(crate) fn segments(&self) -> Vec<&str> {
        self.path.split('/').filter(|part| !part.is_empty()).collect()
    }

    /// Whether it only reads.
    pub(crate) fn reads(&self) -> bool {
        self.method == Method::GET
    }

    /// The token in a cookie, where there is one that can be a token.
    pub(crate) fn cookie(&self, name: &str) -> Option<Token> {
        let values = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = values.flat_map(Cookie::split_parse).flatten();
        cookies.filter(|cookie| cookie.name() == name).find_map(|cookie| Token::parse(cookie.value()))
    }

    /// The token of an API client.
    pub(crate) fn bearer(&self) -> Option<Token> {
        let (scheme, token) = self.header(header::AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim())).flatten()
    }

    /// A header, where it is plain text.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Whose request it is: the peer, or what a trusted proxy says of it. In a header of the proxy's own that is one address;
/// `X-Forwarded-For` is believed as far back as proxies are trusted.
pub(crate) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    own_header: Option<&HeaderName>,
) -> IpAddr {
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip.to_canonical()));
    if let Some(name) = own_header {
        let said = headers.get(name).and_then(|value| value.to_str().ok()?.trim().parse::<IpAddr>().ok());
        return said.filter(|_| is_trusted(peer)).unwrap_or(peer).to_canonical();
    }
    let forwarded = headers.get_all("x-forwarded-for").iter().filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let mut client = peer.to_canonical();
    for hop in hops.iter().rev() {
        match hop.parse::<IpAddr>() {
            Ok(before) if is_trusted(client) => client = before.to_canonical(),
            _ => break,
        }
    }
    client
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(peer: &str, forwarded: &str) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse().unwrap()];
        let headers = HeaderMap::from_iter([(
            header::HeaderName::from_static("x-forwarded-for"),
            forwarded.parse().unwrap(),
        )]);
        client_address(peer.parse().unwrap(), &headers, &trusted, None).to_string()
    }

    #[test]
    fn a_proxy_with_a_header_of_its_own_is_believed_in_that_alone() {
        let name = HeaderName::from_static("fly-client-ip");
        let trusted = ["172.16.0.0/12".parse().unwrap()];
        let address = |peer: &str, said: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert("x-forwarded-for", "198.51.100.1, 203.0.113.80".parse().unwrap());
            if let Some(said) = said {
                headers.insert(&name, said.parse().unwrap());
            }
            client_address(peer.parse().unwrap(), &headers, &trusted, Some(&name)).to_string()
        };
        assert_eq!(address("172.19.0.1", Some("198.51.100.7")), "198.51.100.7");
        assert_eq!(
            address("203.0.113.9", Some("198.51.100.7")),
            "203.0.113.9",
            "a stranger says what it likes"
        );
        assert_eq!(address("172.19.0.1", Some("198.51.100.7, 1.2.3.4")), "172.19.0.1", "that is no address");
        assert_eq!(address("172.19.0.1", None), "172.19.0.1");
    }

    #[test]
    fn only_trusted_proxies_are_believed() {
        assert_eq!(address("203.0.113.9", "198.51.100.1"), "203.0.113.9", "a stranger says what it likes");
        assert_eq!(address("127.0.0.1", "198.51.100.1"), "198.51.100.1");
        assert_eq!(address("127.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.7"), "198.51.100.1");
        assert_eq!(address("127.0.0.1", "unknown"), "127.0.0.1");
        assert_eq!(address("::ffff:127.0.0.1", "198.51.100.1"), "198.51.100.1");
    }

    #[test]
    fn fields_are_trimmed_and_may_repeat() {
        let fields = Fields::parse(b"scope=a&scope=+b+&name=A%C3%A9");
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((fields.get("name"), fields.get("none"), fields.has("none")), ("Aé", "", false));
    }
}
