//! A request, as the pages see it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::OnceLock;

use cookie::Cookie;
use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use ipnet::IpNet;
use serde_json::json as json_value;
use warp::reply::Response;

use crate::i18n::{phrase::Phrase, texts::Texts};
use crate::model::account::Actor;
use crate::secrets::token::Token;
use crate::web::fhir::outcome::outcome;
use crate::web::reader::Reader;
use crate::web::response::{Refusal, cookie_name, json, with_retry_after};

/// Names and values of a query or a form, in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct FormFields(Vec<(String, String)>);

impl FormFields {
    /// Parses `application/x-www-form-urlencoded`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// Returns the first value of a name without the space around it; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value.trim())
    }

    /// Returns the first value of a name as it was typed: a password may begin or end with a space.
    pub(crate) fn secret(&self, name: &str) -> &str {
        self.0.iter().find(|(key, _)| key == name).map_or("", |(_, value)| value)
    }

    /// Returns all fields as they were typed.
    pub(crate) fn pairs(&self) -> &[(String, String)] {
        &self.0
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.trim())
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Returns a name that is given more than once, except those of `lists`.
    fn find_repeated(&self, lists: &[&str]) -> Option<&str> {
        let mut seen = BTreeSet::new();
        let names = self.0.iter().map(|(name, _)| name.as_str()).filter(|name| !lists.contains(name));
        names.into_iter().find(|name| !seen.insert(*name))
    }

    pub(crate) fn number(&self, name: &str) -> Option<i64> {
        self.get(name).parse().ok()
    }
}

impl From<Vec<(String, String)>> for FormFields {
    fn from(fields: Vec<(String, String)>) -> Self {
        Self(fields)
    }
}

/// The decoded parameters of a path, by their names in the pattern.
pub(crate) type PathParameters = Vec<(&'static str, String)>;

/// The parameters that are lists, by the pattern of the path. `device` is a list everywhere.
const LISTS: &[(&str, &[&str])] = &[
    ("/admin/studies/new", &["scope", "source"]),
    ("/admin/studies/{study}/settings", &["scope", "source"]),
    ("/admin/patients/new", &["study"]),
    ("/admin/patients/{patient}/edit", &["study"]),
    ("/clients/ow/agree", &["scope", "wording", "device"]),
    ("/clients/ow/answer", &["scope", "wording", "device"]),
];

#[derive(Debug, Clone)]
pub(crate) struct Request {
    method: Method,
    pub(crate) path: String,
    /// The pattern of the route; empty until a route is found.
    pub(crate) pattern: &'static str,
    pub(crate) parameters: PathParameters,
    pub(crate) query: FormFields,
    pub(crate) headers: HeaderMap,
    /// Empty until the access check has passed, and for GET.
    pub(crate) body: Vec<u8>,
    form: OnceLock<FormFields>,
    /// The token that forms of the signed-in caller carry, and the caller.
    pub(crate) form_guard: Option<(Token, Actor)>,
    pub(crate) client: IpAddr,
    /// Browsers reach the daemon over https, so cookies have their names for https.
    pub(crate) is_https: bool,
    /// The reader of the answer, with the language.
    pub(crate) reader: Reader,
}

impl Request {
    /// Reads the head of a client's request.
    pub(crate) fn new<B>(request: &http::Request<B>, client: IpAddr) -> Self {
        let query = FormFields::parse(request.uri().query().unwrap_or_default().as_bytes());
        let path = request.uri().path().to_owned();
        let reader = Reader::of_request(&path, query.pairs(), request.headers());
        Self {
            method: request.method().clone(),
            // The answer to a form has no address of its own.
            reader: if request.method() == Method::POST { reader.at("/") } else { reader },
            path,
            query,
            headers: request.headers().clone(),
            client,
            pattern: "",
            parameters: PathParameters::new(),
            body: Vec::new(),
            form: OnceLock::new(),
            form_guard: None,
            is_https: false,
        }
    }

    pub(crate) fn is_read(&self) -> bool {
        self.method != Method::POST
    }

    /// Returns a parameter of the path, decoded; empty if the pattern has no such name.
    pub(crate) fn parameter(&self, name: &str) -> &str {
        self.parameters.iter().find(|(key, _)| *key == name).map_or("", |(_, value)| value)
    }

    /// Sets the fields of a form with a file, which is parsed as it arrives.
    pub(crate) fn set_form(&mut self, fields: FormFields) {
        self.form = OnceLock::from(fields);
    }

    /// Returns the fields of the form in the body.
    pub(crate) fn form(&self) -> &FormFields {
        self.form.get_or_init(|| FormFields::parse(&self.body))
    }

    /// Refuses parameters that are given twice: two readers may disagree which of them counts.
    pub(crate) fn check_parameters(&self, fields: &FormFields) -> Result<(), Refusal> {
        // FHIR's search parameters may repeat: each narrows the search.
        if self.pattern.starts_with("/FHIR/") {
            return Ok(());
        }
        let lists = LISTS.iter().find(|(pattern, _)| *pattern == self.pattern);
        let lists = lists.map_or(&["device"][..], |(_, lists)| lists);
        let Some(name) = fields.find_repeated(lists) else { return Ok(()) };
        let name: String = name.chars().filter(char::is_ascii_graphic).take(32).collect();
        Err(Refusal::bad(Phrase::key("error-repeated").with("name", name)))
    }

    /// Returns a refusal in the form that the caller reads: JSON for the API, an `OperationOutcome` for FHIR, else a page.
    pub(crate) fn refusal_response(&self, refusal: Refusal) -> Response {
        let text = refusal.text.render(Texts::ENGLISH);
        let response = match self.path.split('/').nth(1) {
            // JHE's clients read `detail`.
            Some("api") => json(refusal.status, &json_value!({ "error": text, "detail": text })),
            Some("FHIR") => outcome(refusal.status, &text),
            _ => return refusal.into_page(&self.reader),
        };
        refusal.retry_after.into_iter().fold(response, with_retry_after)
    }

    /// Returns the token in a cookie, if the cookie has the form of a token.
    pub(crate) fn cookie(&self, name: &str) -> Option<Token> {
        let values = self.headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let cookies = values.flat_map(Cookie::split_parse).flatten();
        let name = cookie_name(name, self.is_https);
        cookies.filter(|cookie| cookie.name() == name).find_map(|cookie| Token::parse(cookie.value()))
    }

    pub(crate) fn bearer(&self) -> Option<Token> {
        let (scheme, token) = self.header(header::AUTHORIZATION)?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| Token::parse(token.trim())).flatten()
    }

    /// Returns a header that is plain text.
    pub(crate) fn header(&self, name: header::HeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// Returns the client's address: the peer, or the address that a trusted proxy gives. A configured header
/// holds one address; `X-Forwarded-For` is believed as far back as its proxies are trusted.
pub(crate) fn client_address(
    peer: IpAddr,
    headers: &HeaderMap,
    trusted: &[IpNet],
    own_header: Option<&HeaderName>,
) -> IpAddr {
    let peer = peer.to_canonical();
    let is_trusted = |ip: IpAddr| trusted.iter().any(|net| net.contains(&ip));
    let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
    if let Some(name) = own_header {
        let given = headers.get(name).and_then(|value| parse_address(&text(value)));
        return given.filter(|_| is_trusted(peer)).map_or(peer, |given| given.to_canonical());
    }
    let mut client = peer;
    let hops: Vec<String> = headers.get_all("x-forwarded-for").iter().map(text).collect();
    for hop in hops.join(",").rsplit(',') {
        match parse_address(hop) {
            Some(before) if is_trusted(client) => client = before.to_canonical(),
            _ => break,
        }
    }
    client
}

/// Parses an address as proxies write it: alone, or with a port (`203.0.113.7:40000`, `[2001:db8::1]:1`).
fn parse_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let alone = text.trim_start_matches('[').trim_end_matches(']').parse();
    alone.or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()
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
        assert_eq!(address("127.0.0.1", "198.51.100.1:40000"), "198.51.100.1");
        for with_port in ["[2001:db8::1]:1", "[2001:db8::1]", "2001:db8::1"] {
            assert_eq!(address("127.0.0.1", with_port), "2001:db8::1");
        }
        assert_eq!(address("::ffff:127.0.0.1", "198.51.100.1"), "198.51.100.1");
    }

    #[test]
    fn fields_are_trimmed_and_may_repeat() {
        let fields = FormFields::parse(b"scope=a&scope=+b+&name=A%C3%A9");
        assert_eq!(fields.all("scope").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!((fields.get("name"), fields.get("none"), fields.has("none")), ("Aé", "", false));
    }
}
