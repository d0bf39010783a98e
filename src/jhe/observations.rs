//! Reads JHE's observations of a patient, page by page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::common::{bounded_list, time::Timestamp};
use crate::jhe::client::{Caller, Jhe};
use crate::jhe::error::JheError;
use crate::jhe::{bundle, http};

/// Observations per page: the most that JHE gives.
const PAGE_SIZE: &str = "1000";
/// Entries of a page that are read: ten times what is asked for.
const MOST_ENTRIES: usize = 10_000;
/// Pages of one range of time that are read: a hundred days with one heart rate a minute have 144.
const MOST_PAGES: usize = 200;
/// Identifiers of an observation that are read; it has one per client.
const MOST_IDENTIFIERS: usize = 100;

/// A page of observations, newest first. If an observation is added during the reading, the next page repeats
/// the last one of this page.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservationPage {
    /// The number of observations on all pages.
    pub total: usize,
    pub observations: Vec<JheObservation>,
    /// The query of the next page, for [`Jhe::fetch_observations`].
    pub next: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct JheObservation {
    pub id: String,
    /// System and value of each.
    pub identifiers: Vec<(String, String)>,
    /// The reference to the patient.
    pub subject: Option<String>,
    /// The attached data point; none if it is not JSON.
    pub document: Option<Value>,
}

#[derive(Deserialize)]
struct SearchBundle {
    #[serde(rename = "type")]
    kind: String,
    total: usize,
    #[serde(default, deserialize_with = "bounded_list::deserialize::<_, _, MOST_ENTRIES>")]
    entry: Vec<SearchEntry>,
    #[serde(default)]
    link: Vec<BundleLink>,
}

#[derive(Deserialize)]
struct SearchEntry {
    resource: ObservationResource,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObservationResource {
    id: String,
    #[serde(default, deserialize_with = "identifiers_or_null")]
    identifier: Vec<Identifier>,
    subject: Option<Reference>,
    value_attachment: Option<Attachment>,
}

#[derive(Deserialize)]
struct Reference {
    reference: Option<String>,
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
struct BundleLink {
    relation: String,
    url: String,
}

impl Jhe {
    /// Fetches a page of a patient's observations with a code (`system|code`): the first page, or the one
    /// that [`ObservationPage::next`] of the page before names.
    pub async fn fetch_observations(
        &self,
        patient: i64,
        code: &str,
        page: Option<&str>,
    ) -> Result<ObservationPage, JheError> {
        let mut url = self.observations_url(patient, code)?;
        if page.is_some() {
            url.set_query(page);
        }
        let page = self.fetch_page(patient, url.clone()).await?;
        if page.next.is_some() && page.next.as_deref() == url.query() {
            return Err(JheError::invalid("the same page follows for ever"));
        }
        Ok(page)
    }

    /// Fetches a patient's observations with a code (`system|code`) from `from` until `until`, both included.
    pub(crate) async fn find_observations(
        &self,
        patient: i64,
        code: &str,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<JheObservation>, JheError> {
        let mut url = self.observations_url(patient, code)?;
        url.query_pairs_mut()
            .append_pair("date", &format!("ge{from}"))
            .append_pair("date", &format!("le{until}"));
        let mut found = Vec::new();
        for _ in 0..MOST_PAGES {
            let page = self.fetch_page(patient, url.clone()).await?;
            found.extend(page.observations);
            let Some(next) = page.next else { return Ok(found) };
            url.set_query(Some(&next));
        }
        Err(JheError::invalid(format!("more than {MOST_PAGES} pages of observations")))
    }

    fn observations_url(&self, patient: i64, code: &str) -> Result<Url, JheError> {
        let mut url = self.http.url(&["FHIR", "R5", "Observation"])?;
        url.query_pairs_mut()
            .append_pair("patient", &patient.to_string())
            .append_pair("code", code)
            .append_pair("_count", PAGE_SIZE);
        Ok(url)
    }

    async fn fetch_page(&self, patient: i64, url: Url) -> Result<ObservationPage, JheError> {
        let page = parse(&self.get(Caller::Daemon, url).await?)?;
        let subject = format!("Patient/{patient}");
        if page.observations.iter().any(|one| one.subject.as_ref().is_some_and(|found| *found != subject)) {
            return Err(JheError::invalid(format!("it answered with observations of others than {subject}")));
        }
        Ok(page)
    }
}

pub(crate) fn parse(body: &[u8]) -> Result<ObservationPage, JheError> {
    let bundle: SearchBundle = http::parse(body)?;
    if bundle.kind != "searchset" {
        return Err(bundle::unexpected_type(&bundle.kind));
    }
    // JHE may give itself an internal address: only the query of its link is used.
    let next = bundle.link.iter().find(|link| link.relation == "next");
    let next = next.map(|link| Url::parse(&link.url)).transpose();
    let next = next.map_err(JheError::invalid)?;
    Ok(ObservationPage {
        total: bundle.total,
        observations: bundle.entry.into_iter().map(|entry| entry.resource.into()).collect(),
        next: next.and_then(|url| url.query().map(str::to_owned)),
    })
}

/// Deserializes identifiers; JHE writes `null` for an observation without any.
fn identifiers_or_null<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Identifier>, D::Error> {
    #[derive(Deserialize)]
    struct Identifiers(
        #[serde(deserialize_with = "bounded_list::deserialize::<_, _, MOST_IDENTIFIERS>")] Vec<Identifier>,
    );
    Ok(Option::<Identifiers>::deserialize(from)?.map(|Identifiers(list)| list).unwrap_or_default())
}

impl From<ObservationResource> for JheObservation {
    fn from(resource: ObservationResource) -> Self {
        let data = resource.value_attachment.and_then(|attachment| attachment.data);
        let document = data.and_then(|data| serde_json::from_slice(&STANDARD.decode(data).ok()?).ok());
        let identifiers = resource.identifier.into_iter().map(|one| (one.system, one.value)).collect();
        let subject = resource.subject.and_then(|subject| subject.reference);
        Self { id: resource.id, identifiers, subject, document }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(links: &str, data: &str) -> Result<ObservationPage, JheError> {
        let text = format!(
            r#"{{"resourceType":"SearchBundle","type":"searchset","total":4,"entry":[{{"resource":{{
                "meta":{{"lastUpdated":"2026-11-23T22:15:12.432065Z"}},"id":"143370",
                "identifier":[{{"system":"ow:normalized","value":"x"}}],"status":"final",
                "valueAttachment":{{"contentType":"application/json","data":"{data}"}},
                "resourceType":"Observation"}}}}],"link":[{links}],"meta":{{}}}}"#
        );
        parse(text.as_bytes())
    }

    #[test]
    fn a_page_of_a_real_jhe_is_parsed_with_the_query_of_the_next_one() {
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
    fn an_observation_without_a_data_point_is_listed() {
        for data in ["", "!", "bm90IGpzb24="] {
            assert_eq!(page("", data).unwrap().observations[0].document, None, "{data}");
        }
        let bare = br#"{"type":"searchset","total":1,"entry":[{"resource":{"id":"1"}}]}"#;
        assert_eq!(parse(bare).unwrap().observations[0].document, None);
        assert_eq!(parse(br#"{"type":"searchset","total":0}"#).unwrap().observations, []);
    }

    #[test]
    fn a_bundle_of_another_type_is_refused() {
        for body in [b"<html>".as_slice(), br#"{"type":"batch-response","total":0}"#] {
            assert!(matches!(parse(body), Err(JheError::InvalidResponse(_))));
        }
    }
}
