//! The token's user, its study, the study's organization and its data sources.

use http::StatusCode;
use serde::Serialize;
use serde_json::json;
use warp::reply::Response;

use crate::app::state::App;
use crate::store::people::data_source;
use crate::web::jhe_api::types::{
    self, DataSource, Detail, Organization, Page, Profile, ProfileSettings, StudyObject,
};
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, json as json_response};
use crate::web::study_reader::StudyReader;

/// Answers with an object.
pub(crate) fn answer(body: &impl Serialize) -> HandlerResult {
    let body = serde_json::to_value(body).map_err(|error| {
        tracing::error!("an answer could not be rendered: {error}");
        Refusal::of_key(StatusCode::SERVICE_UNAVAILABLE, "error-not-now", "error-not-now-text")
    });
    Ok(json_response(StatusCode::OK, &body?))
}

/// Answers that there is nothing with an id, as JHE does.
pub(crate) fn no_such(kind: &str) -> Response {
    json_response(StatusCode::NOT_FOUND, &json!({ "detail": format!("No {kind} matches the given query.") }))
}

/// The study of the token as a user's profile.
#[utoipa::path(get, operation_id = "get_profile", path = "/api/v1/users/profile", tag = "Reading", responses(
    (status = 200, body = Profile), (status = 401, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn profile(app: &App, _: &Request, reader: &StudyReader) -> HandlerResult {
    let (token, study) = (reader.token(), reader.study().id.get());
    reader.record_read(app, "profile", 0).await?;
    answer(&Profile {
        id: token.id,
        email: None,
        first_name: "Read token".to_owned(),
        last_name: token.name.clone(),
        patient: None,
        user_type: "practitioner",
        is_superuser: false,
        settings: ProfileSettings { current_study_id: study, current_organization_id: study },
    })
}

/// The study of the token, as a list.
#[utoipa::path(get, path = "/api/v1/studies", tag = "Reading", params(
    ("organization_id" = Option<i64>, Query, description = "Only studies of this organization")),
    responses((status = 200, body = Page<StudyObject>), (status = 400, body = Detail), (status = 401, body = Detail),
        (status = 429, body = Detail)))]
pub(crate) async fn list_studies(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let organization = number(request, "organization_id")?;
    let is_wanted = organization.is_none_or(|id| id == reader.study().id.get());
    reader.record_read(app, "studies", usize::from(is_wanted)).await?;
    answer(&Page::of(is_wanted.then(|| types::study_object(reader.study())).into_iter().collect()))
}

/// The study of the token.
#[utoipa::path(get, operation_id = "get_study", path = "/api/v1/studies/{study}", tag = "Reading", params(
    ("study" = i64, Path, description = "Number of the study")),
    responses((status = 200, body = StudyObject), (status = 401, body = Detail), (status = 403, body = Detail),
        (status = 429, body = Detail)))]
pub(crate) async fn show_study(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let is_own = request.parameter("study") == reader.study().id.to_string();
    reader.record_read(app, "studies", usize::from(is_own)).await?;
    if !is_own {
        // JHE's status for a study of others, and for one that does not exist.
        let text = "This token reads another study.";
        return Ok(json_response(StatusCode::FORBIDDEN, &json!({ "detail": text })));
    }
    answer(&types::study_object(reader.study()))
}

/// The organization of the study, as a list.
#[utoipa::path(get, path = "/api/v1/organizations", tag = "Reading", responses(
    (status = 200, body = Page<Organization>), (status = 401, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn list_organizations(app: &App, _: &Request, reader: &StudyReader) -> HandlerResult {
    reader.record_read(app, "organizations", 1).await?;
    answer(&Page::of(vec![types::organization(reader.study())]))
}

/// The organization of the study. It has the study's number.
#[utoipa::path(get, operation_id = "get_organization", path = "/api/v1/organizations/{organization}", tag = "Reading", params(
    ("organization" = i64, Path, description = "Number of the organization")),
    responses((status = 200, body = Organization), (status = 401, body = Detail), (status = 404, body = Detail),
        (status = 429, body = Detail)))]
pub(crate) async fn show_organization(app: &App, request: &Request, reader: &StudyReader) -> HandlerResult {
    let is_own = request.parameter("organization") == reader.study().id.to_string();
    reader.record_read(app, "organizations", usize::from(is_own)).await?;
    if is_own { answer(&types::organization(reader.study())) } else { Ok(no_such("Organization")) }
}

/// The data sources that the study accepts.
#[utoipa::path(get, path = "/api/v1/data_sources", tag = "Reading", responses(
    (status = 200, body = Page<DataSource>), (status = 401, body = Detail), (status = 429, body = Detail)))]
pub(crate) async fn list_data_sources(app: &App, _: &Request, reader: &StudyReader) -> HandlerResult {
    let study = reader.study().id;
    let sources = reader.read(app, move |db| data_source::list(db, study)).await?;
    reader.record_read(app, "data_sources", sources.len()).await?;
    answer(&Page::of(sources.into_iter().map(types::data_source).collect()))
}

/// Returns a parameter that is a number; none if it is not given.
pub(crate) fn number(request: &Request, name: &str) -> Result<Option<i64>, Refusal> {
    if !request.query.has(name) {
        return Ok(None);
    }
    let parsed = request.query.get(name).parse();
    parsed.map(Some).map_err(|_| Refusal::bad(format!("{name}: give a whole number.")))
}
