//! Fuzz entry point: parses arbitrary bytes as every JHE response type.

use tokio::time::Instant;

use crate::jhe::client::{JheDataSource, ListCount, ListPage};
use crate::jhe::http::{TokenResponse, error_text, parse};
use crate::jhe::invitation::{InvitationResponse, InvitingClient, RedeemResponse};
use crate::jhe::practitioner::{OwnRole, UserProfile};
use crate::jhe::setup::JheScope;
use crate::jhe::{bundle, observations};
use crate::model::catalog::code::CODES;
use crate::model::jhe_consents::{AnswerStatus, JheConsents, JhePatient, Organization};
use crate::omh::read;

/// Parses `body` as each response type, and panics if a parsed value breaks a promise of its parser.
pub(crate) fn parse_any(body: &[u8]) {
    assert!(error_text(body, []).chars().count() <= 300);
    for sent in [1, 4] {
        assert!(bundle::parse(body, sent).map_or(true, |entries| entries.len() == sent));
    }
    if let Ok(page) = observations::parse(body) {
        for document in page.observations.iter().filter_map(|one| one.document.as_ref()) {
            for code in CODES {
                let measurement = read::parse_measurement(code.code, document);
                assert!(measurement.is_none_or(|(_, value)| value.is_finite()), "{document}");
            }
        }
    }
    if let Ok(consents) = parse::<JheConsents>(body) {
        for study in consents.all_studies() {
            for scope in &study.scope_consents {
                assert_ne!(consents.answer_status(study.id, &scope.code.coding_code), AnswerStatus::NotAsked);
            }
        }
        assert!(!consents.patient.name().is_empty());
    }
    if let Ok(granted) = parse::<TokenResponse>(body) {
        // The cache of tokens adds a multiple of their life to the current instant.
        let tokens = granted.for_person(String::new());
        assert!(Instant::now().checked_add(tokens.life * 100).is_some(), "{:?}", tokens.life);
    }
    // The values of these types are used as they are; parsing them must not panic.
    let _ = (
        parse::<ListPage<JhePatient>>(body).is_ok(),
        parse::<ListPage<JheDataSource>>(body).is_ok(),
        parse::<ListPage<InvitingClient>>(body).is_ok(),
        parse::<ListCount>(body).is_ok(),
        parse::<Vec<Organization>>(body).is_ok(),
        parse::<Vec<JheScope>>(body).is_ok(),
        parse::<UserProfile>(body).is_ok(),
        parse::<OwnRole>(body).is_ok(),
        parse::<RedeemResponse>(body).is_ok(),
        parse::<InvitationResponse>(body).is_ok(),
    );
}
