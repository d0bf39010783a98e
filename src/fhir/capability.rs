//! The `CapabilityStatement` of a base address, from the lists that the searches themselves use.

use serde_json::{Value, json};

use crate::fhir::base::Base;
use crate::fhir::observation_query;

/// A parameter's name and FHIR's type of it.
type Parameter = (&'static str, &'static str);

/// The parameters with which patients are searched.
pub const PATIENT_PARAMETERS: &[Parameter] =
    &[("_id", "token"), ("identifier", "token"), ("_lastUpdated", "date"), ("_source", "uri")];
/// The parameters with which devices are searched.
pub const DEVICE_PARAMETERS: &[Parameter] = &[("_id", "token"), ("patient", "reference"), ("_source", "uri")];
/// The parameters with which groups are searched.
pub const GROUP_PARAMETERS: &[Parameter] = &[("_id", "token"), ("_source", "uri")];
/// The day on which the statement last changed.
const DATE: &str = "2026-11-29";

/// The types, with their parameters and the definition of their bulk export.
pub const TYPES: &[(&str, &[Parameter], Option<&str>)] = &[
    ("Observation", observation_query::PARAMETERS, None),
    ("Patient", PATIENT_PARAMETERS, Some("patient-export")),
    ("Device", DEVICE_PARAMETERS, None),
    ("Group", GROUP_PARAMETERS, Some("group-export")),
];

/// Builds the statement. `url` is the base address as clients reach it.
pub fn statement(base: Base, url: &str) -> Value {
    let resource = |(kind, parameters, export): &(&str, &[Parameter], Option<&str>)| {
        let parameters: Vec<Value> =
            parameters.iter().map(|(name, kind)| json!({ "name": name, "type": kind })).collect();
        let mut resource = json!({
            "type": kind,
            "interaction": [{ "code": "read" }, { "code": "search-type" }],
            "versioning": "no-version",
            "readHistory": false,
            "conditionalRead": "not-match",
            "searchParam": parameters,
        });
        if let Some(name) = export {
            resource["operation"] = json!([{
                "name": "export",
                "definition": format!("http://hl7.org/fhir/uv/bulkdata/OperationDefinition/{name}"),
            }]);
        }
        resource
    };
    let security = json!({ "description": "A study's read token: Authorization: Bearer …" });
    json!({
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": DATE,
        "kind": "instance",
        "software": { "name": "jhe-ow", "version": env!("CARGO_PKG_VERSION") },
        "implementation": { "description": "Wearable observations of one study", "url": url },
        "fhirVersion": base.version(),
        "format": ["application/fhir+json", "json"],
        "instantiates": ["http://hl7.org/fhir/uv/bulkdata/CapabilityStatement/bulk-data"],
        "rest": [{
            "mode": "server",
            "documentation": "Searches also take _count, _summary=count, _total, _format and _pretty, those for observations \
                              _sort (date, -date, _id). Pages are linked by 'next'. patient._has:Group:member:_id names a study. \
                              A search may be a form, with POST to _search.",
            "security": security,
            "operation": [{
                "name": "export",
                "definition": "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/export",
            }],
            "resource": TYPES.iter().map(resource).collect::<Vec<_>>(),
        }],
    })
}
