//! Any bytes, read as each of JHE's answers: for [`crate::fuzz::targets`].

use tokio::time::Instant;

use crate::jhe::client::{DataSource, Found, Page};
use crate::jhe::http::{Granted, read, words};
use crate::jhe::invitation::{Invited, InvitingClient, Redeemed};
use crate::jhe::practitioner::{Held, Profile};
use crate::jhe::setup::Scope;
use crate::jhe::{bundle, observations};
use crate::model::catalog::code::CODES;
use crate::model::jhe_consents::{Consents, Organization, Person, Standing};
use crate::omh::read;

/// Reads bytes as whatever JHE may be asked for.
///
/// # Panics
/// Where what was read breaks a promise of its reader.
pub(crate) fn read_any(body: &[u8]) {
    assert!(words(body, []).chars().count() <= 300);
    for sent in [1, 4] {
        assert!(bundle::parse(body, sent).map_or(true, |entries| entries.len() == sent));
    }
    if let Ok(page) = observations::parse(body) {
        for document in page.observations.iter().filter_map(|one| one.document.as_ref()) {
            for code in CODES {
                let measured = read::measured(code.code, document);
                assert!(measured.is_none_or(|(_, value)| value.is_finite()), "{document}");
            }
        }
    }
    if let Ok(consents) = read::<Consents>(body) {
        for study in consents.all() {
            for scope in &study.scope_consents {
                assert_ne!(consents.standing(study.id, &scope.code.coding_code), Standing::NotAsked);
            }
        }
        assert!(!consents.patient.name().is_empty());
    }
    if let Ok(granted) = read::<Granted>(body) {
        // Whoever keeps a token reckons with its life.
        let grant = granted.of_person(String::new());
        assert!(Instant::now().checked_add(grant.life * 100).is_some(), "{:?}", grant.life);
    }
    let lists = (
        read::<Page<Person>>(body).is_ok(),
        read::<Page<DataSource>>(body).is_ok(),
        read::<Page<InvitingClient>>(body).is_ok(),
        read::<Vec<Organization>>(body).is_ok(),
        read::<Vec<Scope>>(body).is_ok(),
    );
    let singles = (
        read::<Found>(body).is_ok(),
        read::<Profile>(body).is_ok(),
        read::<Held>(body).is_ok(),
        read::<Redeemed>(body).is_ok(),
        read::<Invited>(body).is_ok(),
    );
    // What is read of these is used as it stands.
    let _ = (lists, singles);
}
