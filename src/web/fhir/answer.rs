//! Answers of the FHIR API: a resource with its `ETag`, and a searchset Bundle with its links.

use std::fmt::{Display, Write};

use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};
use warp::reply::{Reply, Response};

use crate::app::state::App;
use crate::fhir::base::Base;
use crate::fhir::parameters::{Paging, ParameterError, ParsedParameters, is_json};
use crate::fhir::resources::Resource;
use crate::i18n::phrase::Phrase;
use crate::secrets::token::TokenHash;
use crate::web::fhir::outcome::FHIR_JSON;
use crate::web::request::Request;
use crate::web::response::{Refusal, with_status, with_type};

/// Returns the base address of a request, as the client reached it.
pub(crate) fn base_url(app: &App, request: &Request, base: Base) -> String {
    format!("{}{}", public_base(app, request), base.path())
}

/// Returns the configured address of the daemon. Without one, uses the request's `Host`: clients follow links only to the
/// host that they know, and only this client receives them.
pub(crate) fn public_base(app: &App, request: &Request) -> String {
    let config = app.live.config();
    let host = request.header(header::HOST).filter(|_| config.public_url.is_none());
    let is_plain =
        |host: &&str| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte));
    host.filter(is_plain).map_or_else(|| config.public_base(), |host| format!("http://{host}"))
}

/// Refuses a client that accepts no JSON.
pub(crate) fn check_accept(request: &Request) -> Result<(), Refusal> {
    // The parameter takes precedence over the header.
    let format = Some(request.query.get("_format")).filter(|format| !format.is_empty());
    let accept = format.or(request.header(header::ACCEPT)).unwrap_or_default();
    let is_any = |one: &str| {
        one.trim().is_empty() || one.trim().starts_with("*/*") || one.trim().starts_with("application/*")
    };
    if accept.split(',').any(|one| is_any(one) || is_json(one)) {
        return Ok(());
    }
    Err(refusal(StatusCode::NOT_ACCEPTABLE, "Only JSON is supported. Send Accept: application/fhir+json."))
}

/// Returns true if the client wants unknown parameters to be ignored.
pub(crate) fn is_lenient(request: &Request) -> bool {
    has_preference(request, "handling=lenient")
}

/// Returns true if the client sends this preference (RFC 7240).
pub(crate) fn has_preference(request: &Request, wanted: &str) -> bool {
    let values = request.headers.get_all("prefer").iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split([',', ';'])).any(|one| one.trim().eq_ignore_ascii_case(wanted))
}

/// Returns the parameters of a search, from the address and from the form of a search by POST.
pub(crate) fn search_parameters(request: &Request) -> Vec<(String, String)> {
    [request.query.pairs(), request.form().pairs()].concat()
}

/// Builds a refusal, which is answered as an `OperationOutcome`.
pub(crate) fn refusal(status: StatusCode, text: impl Into<Phrase>) -> Refusal {
    Refusal::new(status, "Refused", text)
}

impl From<ParameterError> for Refusal {
    fn from(ParameterError(text): ParameterError) -> Self {
        refusal(StatusCode::BAD_REQUEST, text)
    }
}

/// Returns the refusal of an id that nothing has which the token may read.
pub(crate) fn no_such(kind: &str, id: &str) -> Refusal {
    let id: String = id.chars().take(64).collect();
    refusal(StatusCode::NOT_FOUND, format!("{kind}/{id} not found."))
}

/// Returns the refusal of a study or patient that the token may not read. JHE refuses too: an empty answer would look
/// like a patient without data.
pub(crate) fn not_authorized(kind: &str, id: impl Display) -> Refusal {
    refusal(StatusCode::FORBIDDEN, format!("This token does not read {kind}/{id}."))
}

/// Answers with one resource, or with 304 if the client has this version of it.
pub(crate) fn resource(request: &Request, resource: &Resource) -> Response {
    let etag = format!("W/\"{}\"", TokenHash::of(resource.json.as_bytes()).hex());
    let known = request.header(header::IF_NONE_MATCH).unwrap_or_default();
    let is_known = known.split(',').any(|one| one.trim() == etag || one.trim() == "*");
    let mut response = if is_known {
        with_status(StatusCode::NOT_MODIFIED, warp::reply::reply().into_response())
    } else {
        with_type(FHIR_JSON, pretty(resource.json.clone(), request.query.get("_pretty") == "true"))
    };
    if let Ok(etag) = HeaderValue::try_from(etag) {
        response.headers_mut().insert(header::ETAG, etag);
    }
    response
}

/// The resources of a page of a search.
pub(crate) struct SearchPage<'a> {
    pub(crate) resources: &'a [Resource],
    pub(crate) total: Option<u64>,
    /// The cursor of the next page.
    pub(crate) next: Option<String>,
    pub(crate) paging: &'a Paging,
    pub(crate) parsed: &'a ParsedParameters,
}

/// Approximate bytes of a Bundle's entry without its resource.
const ENTRY: usize = 200;

/// Answers with a searchset.
pub(crate) fn bundle(app: &App, request: &Request, kind: &str, page: &SearchPage<'_>) -> Response {
    let base = Base::of(request.pattern);
    let url = base_url(app, request, base);
    let address = |parameters: &mut dyn Iterator<Item = (&str, &str)>| {
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish();
        if query.is_empty() { format!("{url}/{kind}") } else { format!("{url}/{kind}?{query}") }
    };
    let pairs = || page.parsed.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let mut links = vec![json!({ "relation": "self", "url": address(&mut pairs()) })];
    if let Some(cursor) = &page.next {
        let others = pairs().filter(|(name, _)| *name != "_cursor");
        let mut parameters = others.chain([("_cursor", cursor.as_str())]);
        links.push(json!({ "relation": "next", "url": address(&mut parameters) }));
    }
    let length: usize = page.resources.iter().map(|one| one.json.len() + ENTRY).sum();
    let mut body = String::with_capacity(length + ENTRY * 4);
    // Writing to memory does not fail.
    let _ = write!(body, r#"{{"resourceType":"Bundle","type":"searchset","link":{}"#, Value::from(links));
    if let Some(total) = page.total {
        let _ = write!(body, r#","total":{total}"#);
    }
    // FHIR forbids empty arrays, but JHE's own client expects `entry` to exist.
    if !page.resources.is_empty() || base == Base::R5 {
        body.push_str(r#","entry":["#);
        for (number, one) in page.resources.iter().enumerate() {
            let comma = if number == 0 { "" } else { "," };
            body.push_str(comma);
            body.push_str(r#"{"fullUrl":""#);
            for part in [&url, "/", one.kind, "/", &one.id, r#"","resource":"#, &one.json] {
                body.push_str(part);
            }
            body.push_str(r#","search":{"mode":"match"}}"#);
        }
        body.push(']');
    }
    body.push('}');
    with_type(FHIR_JSON, pretty(body, page.paging.is_pretty))
}

/// Returns the JSON with line breaks and indentation if the client wants it so.
fn pretty(json: String, is_pretty: bool) -> String {
    let parsed = is_pretty.then(|| serde_json::from_str::<Value>(&json).ok()).flatten();
    parsed.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or(json)
}
