//! Parses FHIR's search parameters (<https://hl7.org/fhir/R5/search.html>). An unknown one is an error that names it,
//! unless the client asks for lenient handling.

use crate::model::study::StudyId;

/// Resources of a page where a search names no number.
const DEFAULT_COUNT: usize = 100;
/// Resources of a page at most: about a megabyte.
pub const MAX_COUNT: usize = 1000;
/// The parameters that choose resources by their source, as JHE has them.
pub const SOURCE: &[&str] = &["_source", "_source:below"];
/// The `meta.source` of JHE's own resources, and of those here.
pub const OWN_SOURCE: &str = "https://jupyterhealth.org/jhe";

/// The reason why a search is refused, with the parameter's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParameterError(pub String);

impl ParameterError {
    pub fn bad_cursor() -> Self {
        Self("_cursor: this cursor was not made by this server; follow the link 'next' as it is".to_owned())
    }

    pub fn unknown(name: &str) -> Self {
        let name: String = name.chars().take(64).collect();
        let text = match name.as_str() {
            "_page" => {
                "_page: pages have no numbers here; follow the link 'next' of the page before".to_owned()
            }
            _ => format!(
                "{name}: this parameter is not known here; leave it out, or send Prefer: handling=lenient"
            ),
        };
        Self(text)
    }
}

/// A parameter of a search.
#[derive(Debug, Clone, Copy)]
pub struct GivenParameter<'a> {
    pub name: &'a str,
    pub value: &'a str,
}

impl GivenParameter<'_> {
    pub fn bad(&self, why: &str) -> ParameterError {
        ParameterError(format!("{}: {why}", self.name))
    }
}

/// The parameters that a search has used, for its link `self`.
pub type ParsedParameters = Vec<(String, String)>;

/// The number of resources and the form of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Paging {
    pub count: usize,
    /// Only the number of matches is wanted.
    pub is_summary: bool,
    /// The number of matches is wanted too.
    pub has_total: bool,
    pub cursor: Option<String>,
    pub is_pretty: bool,
}

impl Paging {
    /// Parses all parameters. `accept` takes those of the resource and returns false for a name that it does not know.
    pub fn parse(
        pairs: &[(String, String)],
        is_lenient: bool,
        mut accept: impl FnMut(&GivenParameter<'_>) -> Result<bool, ParameterError>,
    ) -> Result<(Self, ParsedParameters), ParameterError> {
        let mut paging = Self {
            count: DEFAULT_COUNT,
            is_summary: false,
            has_total: false,
            cursor: None,
            is_pretty: false,
        };
        let mut used = Vec::with_capacity(pairs.len());
        for (name, value) in pairs {
            let given = GivenParameter { name, value: value.trim() };
            if paging.accept(&given)? || accept(&given)? {
                used.push((name.clone(), value.clone()));
            } else if !is_lenient {
                return Err(ParameterError::unknown(name));
            }
        }
        Ok((paging, used))
    }

    fn accept(&mut self, given: &GivenParameter<'_>) -> Result<bool, ParameterError> {
        match (given.name, given.value) {
            ("_count", "0") | ("_summary", "count") => self.is_summary = true,
            ("_count", text) => {
                // More digits than a number can have are a large number too.
                let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
                let number = is_number.then(|| text.parse().unwrap_or(MAX_COUNT));
                self.count =
                    number.ok_or_else(|| given.bad("give a whole number of resources"))?.clamp(1, MAX_COUNT);
            }
            // `_totalMethod` is fhirpy's word beside `_count=0`.
            ("_summary", "false") | ("_total", "none" | "estimate") | ("_totalMethod", "count") => {}
            ("_summary", _) => return Err(given.bad("only count and false are supported")),
            ("_total", "accurate") => self.has_total = true,
            ("_total", _) => return Err(given.bad("give none, estimate or accurate")),
            ("_cursor", text) => self.cursor = Some(text.to_owned()),
            ("_format", text) if is_json(text) => {}
            ("_format", _) => return Err(given.bad("only JSON is supported: application/fhir+json")),
            ("_pretty", text) => self.is_pretty = text == "true",
            _ => return Ok(false),
        }
        Ok(true)
    }
}

/// Returns true for a media type of FHIR's JSON, or FHIR's short word for it.
pub fn is_json(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    // A plus sign that was not encoded arrives as a space.
    let json = ["json", "application/json", "text/json", "application/fhir+json", "application/fhir json"];
    json.iter().any(|one| essence.eq_ignore_ascii_case(one))
}

/// A code with or without its system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// None: any system. Empty: no system.
    system: Option<String>,
    /// Empty: any code of the system.
    code: String,
}

impl Token {
    pub fn code(&self) -> &str {
        &self.code
    }

    pub fn matches(&self, (system, code): (&str, &str)) -> bool {
        self.system.as_deref().is_none_or(|own| own == system) && (self.code.is_empty() || self.code == code)
    }
}

/// Parses codes between commas: `8867-4`, `http://loinc.org|8867-4` or `http://loinc.org|`.
pub fn parse_tokens(given: &GivenParameter<'_>) -> Result<Vec<Token>, ParameterError> {
    let parse = |text: &str| match text.split_once('|') {
        Some((_, code)) if code.contains('|') => Err(given.bad("write a code as system|code")),
        Some(("", "")) => Err(given.bad("give a code, or system|code")),
        None if text.is_empty() => Err(given.bad("give a code, or system|code")),
        Some((system, code)) => Ok(Token { system: Some(system.to_owned()), code: code.to_owned() }),
        None => Ok(Token { system: None, code: text.to_owned() }),
    };
    given.value.split(',').map(parse).collect()
}

/// Parses the ids of patients between commas: `7` or `Patient/7`.
pub fn parse_patients(given: &GivenParameter<'_>) -> Result<Vec<i64>, ParameterError> {
    // A reference may be the whole address of the patient.
    let parse = |text: &str| match text.rsplit_once('/') {
        Some((kind, id)) if kind == "Patient" || kind.ends_with("/Patient") => id.parse(),
        _ => text.parse(),
    };
    let ids: Result<Vec<i64>, _> = given.value.split(',').map(parse).collect();
    let mut ids = ids.map_err(|_| given.bad("the ids of patients are numbers"))?;
    ids.sort_unstable();
    ids.dedup();
    Ok(ids)
}

/// Parses ids between commas; the same one counts once.
pub fn parse_ids(given: &GivenParameter<'_>) -> Vec<String> {
    let mut ids: Vec<String> = given.value.split(',').map(str::to_owned).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Narrows what is wanted to `named`: a parameter that is given twice has to match twice.
pub fn narrow<T: PartialEq>(wanted: &mut Option<Vec<T>>, mut named: Vec<T>) {
    if let Some(earlier) = wanted {
        named.retain(|one| earlier.contains(one));
    }
    *wanted = Some(named);
}

/// Parses the number of a study.
pub fn parse_study(given: &GivenParameter<'_>) -> Result<StudyId, ParameterError> {
    given.value.parse().map_err(|_| given.bad("the ids of studies are numbers"))
}

/// Returns true if the parameter asks for resources of this server.
pub fn is_own_source(given: &GivenParameter<'_>) -> bool {
    match given.name {
        "_source" => given.value == OWN_SOURCE,
        _ => OWN_SOURCE.starts_with(given.value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str, is_lenient: bool) -> Result<(Paging, ParsedParameters), ParameterError> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Paging::parse(&pairs, is_lenient, |_| Ok(false))
    }

    #[test]
    fn a_count_is_cut_to_the_limit() {
        for (text, count) in
            [("_count=5", 5), ("_count=1000000", 1000), ("_count=99999999999999999999999", 1000)]
        {
            assert_eq!(parse(text, false).unwrap().0.count, count, "{text}");
        }
        assert!(parse("_count=0", false).unwrap().0.is_summary);
        assert!(parse("_count=-1", false).is_err());
    }

    #[test]
    fn an_unknown_parameter_is_named_or_left_out() {
        let error = parse("_count=5&foo=bar", false).unwrap_err();
        assert!(error.0.starts_with("foo: "), "{}", error.0);
        let (_, used) = parse("_count=5&foo=bar", true).unwrap();
        assert_eq!(used, [("_count".to_owned(), "5".to_owned())]);
    }

    #[test]
    fn only_json_is_a_format() {
        for text in ["json", "application/fhir+json", "application/fhir json; fhirVersion=4.0"] {
            assert!(is_json(text), "{text}");
        }
        assert!(parse("_format=xml", false).is_err());
    }

    #[test]
    fn jhes_source_is_the_own_one() {
        let is_own = |name, value| is_own_source(&GivenParameter { name, value });
        assert!(is_own("_source", OWN_SOURCE));
        assert!(!is_own("_source", "https://jupyterhealth.org/fhir/fhir-source/1"));
        assert!(!is_own("_source:below", "https://jupyterhealth.org/fhir/fhir-source/"));
    }
}
