//! The `OpenAPI` description of `/api/v1`, from the handlers and the types of their answers.

use http::StatusCode;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::{Modify, OpenApi};

use crate::app::state::App;
use crate::web::api;
use crate::web::fhir::answer::public_base;
use crate::web::jhe_api::types::Detail;
use crate::web::jhe_api::{patients, studies};
use crate::web::patient_access::Anyone;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, json};

#[derive(OpenApi)]
#[openapi(
    info(title = "jhe-ow", description = "Reads the data of one study with its read token, as the API of JupyterHealth \
        Exchange does, and connects a patient's device with the patient's token. Observations are at /FHIR/R5 and \
        /FHIR/R4; /FHIR/R5/metadata describes them."),
    paths(
        api::create_user, api::authorize, studies::profile, studies::list_studies, studies::show_study,
        studies::list_organizations, studies::show_organization, studies::list_data_sources, patients::list,
        patients::show, patients::look_up, patients::consents, show,
    ),
    modifiers(&Bearer),
    security(("bearer" = [])),
)]
struct Description;

struct Bearer;

impl Modify for Bearer {
    fn modify(&self, description: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
        let components = description.components.get_or_insert_default();
        components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    }
}

/// This description.
#[utoipa::path(get, operation_id = "get_openapi", path = "/api/v1/openapi.json", tag = "Description", security(()), responses(
    (status = 200, description = "An OpenAPI 3.1 document", content_type = "application/json", body = Object),
    (status = 429, body = Detail)))]
pub(crate) async fn show(app: &App, request: &Request, _: &Anyone) -> HandlerResult {
    let mut description = Description::openapi();
    description.servers = Some(vec![utoipa::openapi::Server::new(public_base(app, request))]);
    let body = serde_json::to_value(description).unwrap_or_default();
    Ok(json(StatusCode::OK, &body))
}
