//! The reader of a patient's page: the language, the institution that asks, and the way back to the same page.

use cookie::{Cookie, SameSite};
use http::{HeaderMap, HeaderValue, header};
use warp::reply::Response;

use crate::i18n::language::Language;
use crate::i18n::texts::Texts;
use crate::store::people::study_text::Institution;

/// The query field by which every page changes its language.
pub(crate) const LANGUAGE_FIELD: &str = "lang";
/// The cookie with the language that a visitor has chosen. It holds no secret, and ends with the browser.
const LANGUAGE_COOKIE: &str = "jhe_ow_language";

/// Fields of an address that a page needs in another language too.
const KEPT_FIELDS: &[&str] = &["device", "done", "period", "provider", "result", "what"];
/// Shorter than any token.
const LONGEST_KEPT: usize = 40;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reader {
    pub(crate) texts: Texts,
    /// The institutions of the patient's studies; empty for a visitor.
    pub(crate) institutions: Vec<Institution>,
    /// The address of the page, for the links to its other languages.
    pub(crate) here: String,
    /// The institution that runs the service, if the configuration names it.
    pub(crate) house: Option<String>,
    /// The visitor has chosen the language in this browser.
    is_chosen: bool,
}

impl Default for Reader {
    /// A reader of a staff page.
    fn default() -> Self {
        Self {
            texts: Texts::ENGLISH,
            institutions: Vec::new(),
            here: "/admin".to_owned(),
            house: None,
            is_chosen: false,
        }
    }
}

impl Reader {
    /// Reads the language from the address, the cookie or the browser's preference. Staff pages are in English.
    pub(crate) fn of_request(path: &str, query: &[(String, String)], headers: &HeaderMap) -> Self {
        let is_for_staff = path.starts_with("/admin");
        let named = query.iter().find(|(name, _)| name == LANGUAGE_FIELD);
        let named = named.and_then(|(_, language)| Language::find(language));
        let chosen = named.or_else(|| read_cookie(headers));
        let preferred = || {
            let header = headers.get(header::ACCEPT_LANGUAGE)?.to_str().ok()?;
            Language::negotiate(header)
        };
        let language = chosen.or_else(preferred).filter(|_| !is_for_staff);
        let kept = query.iter().filter(|(name, value)| is_harmless(name, value));
        let kept = form_urlencoded::Serializer::new(String::new()).extend_pairs(kept).finish();
        Self {
            texts: Texts::of(language.unwrap_or(Language::ENGLISH)),
            institutions: Vec::new(),
            here: if kept.is_empty() { path.to_owned() } else { format!("{path}?{kept}") },
            house: None,
            is_chosen: chosen.is_some(),
        }
    }

    /// Returns the reader for the patient of an invitation: the recorded language counts before the browser's, unless
    /// the visitor has chosen one. English is on record also where nobody has said anything.
    pub(crate) fn invited(&self, recorded: Language) -> Self {
        let is_said = !self.is_chosen && recorded != Language::ENGLISH;
        let texts = if is_said { Texts::of(recorded) } else { self.texts };
        Self { texts, ..self.clone() }
    }

    /// Returns the reader for a signed-in patient.
    pub(crate) fn signed_in(&self, language: Language, institutions: Vec<Institution>) -> Self {
        Self { texts: Texts::of(language), institutions, ..self.clone() }
    }

    /// Returns the reader on the page that a language is changed on, where this one answers a form.
    pub(crate) fn at(&self, here: impl Into<String>) -> Self {
        Self { here: here.into(), ..self.clone() }
    }

    /// Returns the address of this page in another language.
    pub(crate) fn here_in(&self, language: Language) -> String {
        let mark = if self.here.contains('?') { '&' } else { '?' };
        format!("{}{mark}{LANGUAGE_FIELD}={language}", self.here)
    }

    pub(crate) fn get(&self, key: &str) -> String {
        self.texts.get(key)
    }

    /// Returns a text with one or more values.
    pub(crate) fn get_with(&self, key: &str, values: &[(&'static str, &str)]) -> String {
        let values: Vec<_> = values.iter().map(|(name, value)| (*name, (*value).into())).collect();
        self.texts.get_with(key, &values)
    }

    /// Returns the names of the institutions, or of the one that runs the service.
    pub(crate) fn institution(&self) -> Option<String> {
        let mut names: Vec<&str> = self.institutions.iter().map(|one| one.name.as_str()).collect();
        names.dedup();
        if names.is_empty() { self.house.clone() } else { Some(names.join(" · ")) }
    }
}

/// Returns whether a field of an address may be in a page's links. Codes of links and what a person typed are not.
fn is_harmless(name: &str, value: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte);
    KEPT_FIELDS.contains(&name) && value.len() <= LONGEST_KEPT && value.bytes().all(is_plain)
}

fn read_cookie(headers: &HeaderMap) -> Option<Language> {
    let values = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = values.flat_map(Cookie::split_parse).flatten();
    cookies.find(|cookie| cookie.name() == LANGUAGE_COOKIE).and_then(|cookie| Language::find(cookie.value()))
}

/// Remembers the language that an address names.
pub(crate) fn remember_language(mut response: Response, named: &str, is_https: bool) -> Response {
    if let Some(language) = Language::find(named) {
        let cookie = Cookie::build((LANGUAGE_COOKIE, language.tag())).path("/").http_only(true);
        let cookie = cookie.same_site(SameSite::Lax).secure(is_https);
        if let Ok(value) = HeaderValue::from_str(&cookie.to_string()) {
            response.headers_mut().append(header::SET_COOKIE, value);
        }
    }
    response
}
