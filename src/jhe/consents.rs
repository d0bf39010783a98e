//! A patient's consents, as JHE shows them at the moment.

use crate::common::clock::Clock;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::jhe::http::read;
use crate::model::consent_reconciliation::Snapshot;

impl Jhe {
    /// The present consents of a patient, and when they were asked for.
    ///
    /// # Errors
    /// As [`JheError`] says.
    pub async fn consents(&self, who: Who<'_>, patient: i64, clock: &Clock) -> Result<Snapshot, JheError> {
        let asked = clock.now();
        let url = self.http.url(&["api", "v1", "patients", &patient.to_string(), "consents"])?;
        Ok(Snapshot { seen: read(&self.get(who, url).await?)?, asked })
    }
}

#[cfg(test)]
mod tests {

    use crate::model::jhe_consents::Consents;

    #[test]
    fn a_real_answer_is_read() {
        let consents: Consents = serde_json::from_str(
            r#"{"patient":{"id":40001,"jheUserId":10006,"nameFamily":"Randall","nameGiven":"Peter","telecomEmail":"p@example.com"},
                "consolidatedConsentedScopes":[],"studiesPendingConsent":[],
                "studies":[{"id":30001,"name":"BP & HR","description":"Both","organization":{"id":20003,"name":"Lifespan Lab","type":"laboratory"},
                  "dataSources":[{"id":70004,"name":"Oura","type":"personal_device","supportedScopes":[]}],
                  "scopeConsents":[{"code":{"id":50004,"codingSystem":"https://w3id.org/openmhealth","codingCode":"omh:heart-rate:2.0","text":"Heart Rate"},
                    "consented":true,"consentedTime":"2026-11-23T22:06:42.875158Z"}]}]}"#,
        )
        .unwrap();
        assert_eq!(
            (consents.patient.name().as_str(), consents.patient.jhe_user_id),
            ("Peter Randall", 10006)
        );
        let scope = &consents.studies[0].scope_consents[0];
        assert_eq!((scope.code.coding_code.as_str(), scope.consented), ("omh:heart-rate:2.0", Some(true)));
        assert_eq!(scope.consented_time.unwrap().to_string(), "2026-11-23T22:06:42.875158Z");
    }
}
