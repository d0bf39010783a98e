//! The observations that JHE has of a patient, page by page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::common::bounded_list;
use crate::jhe::bundle;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::jhe::http::read;

/// Observations of a page: the most that JHE gives.
const PAGE: &str = "1000";
/// Entries of a page that are read: ten times what is asked for.
const MOST_ENTRIES: usize = 10_000;
/// Identifiers of an observation: it has one of each client.
const MOST_IDENTIFIERS: usize = 100;

/// A page of observations, the newest first. While it is read, others may come before it: what was on one page is
/// on the next one again then.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservationPage {
    /// How many there are on all pages.
    pub total: usize,
    /// Those of this one.
    pub observations: Vec<Observed>,
    /// Where the next one is, for [`Jhe::observations`].
    pub next: Option<String>,
}

/// An observation of JHE's.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// JHE's number of it.
    pub id: String,
    /// The systems and values that it is identified by.
    pub identifiers: Vec<(String, String)>,
    /// The data point; none where it is no JSON.
    pub document: Option<Value>,
}

#[derive(Deserialize)]
struct Bundle {
    #[serde(rename = "type")]
    kind: String,
    total: usize,
    #[serde(default, deserialize_with = "bounded_list::list::<_, _, MOST_ENTRIES>")]
    entry: Vec<Entry>,
    #[serde(default)]
    link: Vec<Link>,
}

#[derive(Deserialize)]
struct Entry {
    resource: Resource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Resource {
    id: String,
    #[serde(default, deserialize_with = "identifiers")]
    identifier: Vec<Identifier>,
    value_attachment: Option<Attachment>,
}

#[derive(Deserialize)]
struct Identifier {
    #[serde(default)]
    system: String,
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Attachment {
    data: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    relation: String,
    url: String,
}

impl Jhe {
    /// A page of what JHE has of a patient and a code (`system|code`): the first one, or the one that a page before
    /// it names as the next.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn observations(
        &self,
        patient: i64,
        code: &str,
        page: Option<&str>,
    ) -> Result<ObservationPage, JheError> {
        let mut url = self.http.url(&["FHIR", "R5", "Observation"])?;
        match page {
            Some(query) => url.set_query(Some(query)),
            None => {
                url.query_pairs_mut()
                    .append_pair("patient", &patient.to_string())
                    .append_pair("code", code)
                    .append_pair("_count", PAGE);
            }
        }
        let page = parse(&self.get(Who::Daemon, url.clone()).await?)?;
        if page.next.is_some() && page.next.as_deref() == url.query() {
            return Err(JheError::Wrong("the same page follows for ever".to_owned()));
        }
        Ok(page)
    }
}

pub(crate) fn parse(body: &[u8]) -> Result<ObservationPage, JheError> {
    let bundle: Bundle = read(body)?;
    if bundle.kind != "searchset" {
        return Err(bundle::another(&bundle.kind));
    }
    // The address that JHE gives itself may be an inner one: only what stands after it is taken.
    let next = bundle.link.iter().find(|link| link.relation == "next");
    let next = next.map(|link| Url::parse(&link.url).map_err(|error| JheError::Wrong(error.to_string())));
    Ok(ObservationPage {
        total: bundle.total,
        observations: bundle.entry.into_iter().map(|entry| observed(entry.resource)).collect(),
        next: next.transpose()?.and_then(|url| url.query().map(str::to_owned)),
    })
}

/// The identifiers of an observation; none where JHE writes `null`.
fn identifiers<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Identifier>, D::Error> {
    #[derive(Deserialize)]
    struct Listed(
        #[serde(deserialize_with = "bounded_list::list::<_, _, MOST_IDENTIFIERS>")] Vec<Identifier>,
    );
    Ok(Option::<Listed>::deserialize(from)?.map(|Listed(identifiers)| identifiers).unwrap_or_default())
}

fn observed(resource: Resource) -> Observed {
    let data = resource.value_attachment.and_then(|attachment| attachment.data);
    let document = data.and_then(|data| serde_json::from_slice(&STANDARD.decode(data).ok()?).ok());
    let identifiers = resource.identifier.into_iter().map(|one| (one.system, one.value)).collect();
    Observed { id: resource.id, identifiers, document }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(links: &str, data: &str) -> Result<ObservationPage, JheError> {
        let text = format!(
            r#"{{"resourceType":"Bundle","type":"searchset","total":4,"entry":[{{"resource":{{
                "meta":{{"lastUpdated":"2026-11-23T22:15:12.432065Z"}},"id":"143370",
                "identifier":[{{"system":"ow:normalized","value":"x"}}],"status":"final",
                "valueAttachment":{{"contentType":"application/json","data":"{data}"}},
                "resourceType":"Observation"}}}}],"link":[{links}],"meta":{{}}}}"#
        );
        parse(text.as_bytes())
    }

    #[test]
    fn a_real_page_is_read_and_leads_to_the_next_one_by_its_query() {
        let next = r#"{"relation":"self","url":"http://inner/FHIR/R5/Observation?_count=2"},
            {"relation":"next","url":"http://inner/FHIR/R5/Observation?_count=2&_page=2&code=a%7Cb&patient=40001"}"#;
        let page = page(next, &STANDARD.encode(r#"{"body":{}}"#)).unwrap();
        assert_eq!(
            (page.total, page.next.as_deref()),
            (4, Some("_count=2&_page=2&code=a%7Cb&patient=40001"))
        );
        let one = &page.observations[0];
        assert_eq!((one.id.as_str(), &one.identifiers[0].1), ("143370", &"x".to_owned()));
        assert_eq!(one.document, Some(serde_json::json!({ "body": {} })));
    }

    #[test]
    fn what_holds_no_data_point_is_an_observation_all_the_same() {
        for data in ["", "!", "bm90IGpzb24="] {
            assert_eq!(page("", data).unwrap().observations[0].document, None, "{data}");
        }
        let bare = br#"{"type":"searchset","total":1,"entry":[{"resource":{"id":"1"}}]}"#;
        assert_eq!(parse(bare).unwrap().observations[0].document, None);
        assert_eq!(parse(br#"{"type":"searchset","total":0}"#).unwrap().observations, []);
    }

    #[test]
    fn an_answer_of_another_kind_is_no_page() {
        for body in [b"<html>".as_slice(), br#"{"type":"batch-response","total":0}"#] {
            assert!(matches!(parse(body), Err(JheError::Wrong(_))));
        }
    }
}
