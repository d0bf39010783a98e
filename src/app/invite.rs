//! Invites a patient with our own link, which works for seven days or until a device is connected, or with a link that
//! JHE creates.

use rusqlite::Connection;

use crate::common::{clock::Clock, failure::Failure, time::Timestamp};
use crate::config::load::Config;
use crate::jhe::client::{Caller, Jhe};
use crate::jhe::error::JheError;
use crate::jhe::invitation::{InvitationCode, invitation_url};
use crate::model::audit_detail::AuditDetail;
use crate::model::{account::Actor, patient::PatientId, study::StudyId};
use crate::secrets::token::TokenHash;
use crate::store::people::{invitation, patient, study};
use crate::store::{engine::store::Store, error::StoreError, privacy::audit};

/// The longest host name that DNS allows, with a port, in characters.
const MAX_HOST_CHARS: usize = 260;

/// Enrols a patient in a study and issues an invitation to it. Without a study, the invitation covers all
/// studies of the patient. Returns the time at which the invitation expires.
pub fn invite(
    db: &Connection,
    hash: TokenHash,
    patient: PatientId,
    study: Option<StudyId>,
    actor: Actor,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    patient::check_is_local(db, patient, "invite the patient")?;
    match study {
        Some(id) => enrol(db, id, patient, actor, now)?,
        None if study::list_of_patient(db, patient)?.is_empty() => {
            let why =
                format!("patient {patient} is in no study; enrol the patient, or name a study to invite to");
            return Err(StoreError::Refused(why));
        }
        None => {}
    }
    if let Some(known) = invitation::find(db, hash)? {
        // The form was submitted twice. A second invitation would revoke the first link, which the operator
        // may have copied.
        return Ok(known.expires);
    }
    let expires = now.plus(invitation::LIFETIME);
    invitation::issue(db, hash, patient, study, now, expires)?;
    audit::record(db, now, actor, "invitation.issue", Some(patient), "")?;
    Ok(expires)
}

/// An invitation that JHE has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JheInvitation {
    pub link: String,
    /// The patient's name at JHE.
    pub name: String,
    /// Estimated from our lifetime, which is also JHE's default: JHE's answer does not contain it.
    pub expires: Timestamp,
}

/// Checks that an invitation code names the configured JHE. The launch page refuses all other codes.
pub(crate) fn is_from_configured_jhe(config: &Config, code: &InvitationCode) -> bool {
    let addresses = [config.jhe_base_url.as_ref(), config.jhe_public_base()];
    addresses.into_iter().flatten().any(|base| code.is_of(base))
}

/// Returns the code in a link from JHE, or the reason why our launch page would refuse it.
fn check_link(config: &Config, link: &str) -> Result<InvitationCode, Failure> {
    let code = parse_code(link).ok_or_else(|| {
        Failure::failed(
            "JHE created a link without a code that the daemon can read, so the link is not shown",
            "check that the invitationUrl of the JHE client ends in code=CODE (docs/jhe.md)",
        )
    })?;
    if is_from_configured_jhe(config, &code) {
        return Ok(code);
    }
    // The message may be printed to a terminal, so control characters are removed.
    let host: String = code.host().chars().filter(|c| !c.is_control()).take(MAX_HOST_CHARS).collect();
    let base = config.jhe_public_base();
    let scheme = if base.is_some_and(crate::config::base_url::BaseUrl::is_https) { "https" } else { "http" };
    let base = base.map(ToString::to_string).unwrap_or_default();
    Err(Failure::failed(
        format!(
            "JHE created a link to {host}, but the daemon accepts links to {base} only. The link \
             is not shown"
        ),
        format!(
            "set JHE_PUBLIC_URL to {scheme}://{host} if browsers reach JHE there; otherwise set SITE_URL at \
             JHE to {base}; then invite again"
        ),
    ))
}

/// Creates an invitation at JHE that opens this daemon's launch page. Stores the hash of its code if the
/// database has the patient.
pub async fn invite_through_jhe(
    jhe: &Jhe,
    store: &Store,
    config: &Config,
    jhe_id: i64,
    actor: Actor,
    clock: &Clock,
) -> Result<JheInvitation, Failure> {
    let (now, public_base) = (clock.now(), config.public_base());
    // JHE creates invitations even for patients that our client may not see, so check access first.
    let seen = jhe.fetch_consents(Caller::Daemon, jhe_id, clock).await.map_err(|error| {
        let next = error.remedy_for_patient();
        Failure::failed(format!("JHE patient {jhe_id} cannot be invited: {error}"), next)
    })?;
    let failed = |error: JheError| {
        let next = error.remedy();
        let next = if next.is_empty() { "try again" } else { next };
        Failure::failed(format!("JHE did not create an invitation for patient {jhe_id}: {error}"), next)
    };
    let client = jhe.find_inviting_client(&public_base).await.map_err(failed)?;
    let client = client.ok_or_else(|| {
        Failure::failed(
            "JHE has no client whose invitations open this daemon",
            format!(
                "ask a JHE superuser to create a client with the invitationUrl {} (docs/jhe.md)",
                invitation_url(&public_base)
            ),
        )
    })?;
    let link = jhe.create_invitation(jhe_id, client.id).await.map_err(failed)?;
    let expires = now.plus(invitation::LIFETIME);
    let code = check_link(config, &link)?.hash();
    let write = move |db: &Connection| {
        let Some(patient) = patient::find_by_jhe_id(db, jhe_id)? else { return Ok(()) };
        invitation::issue(db, code, patient, None, now, expires)?;
        audit::record(db, now, actor, "invitation.issue", Some(patient), "JHE's")
    };
    store.write(write).await?;
    Ok(JheInvitation { link, name: seen.consents.patient.name(), expires })
}

/// Returns the hash of the code in a link from JHE; none if the `code` parameter is missing or malformed.
pub(crate) fn hash_code_in(link: &str) -> Option<TokenHash> {
    parse_code(link).map(|code| code.hash())
}

fn parse_code(link: &str) -> Option<InvitationCode> {
    let (_, query) = link.split_once('?')?;
    let (_, code) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code")?;
    InvitationCode::parse(&code)
}

/// Enrols a patient in a study. Changes nothing if the patient is already enrolled.
pub fn enrol(
    db: &Connection,
    id: StudyId,
    patient: PatientId,
    actor: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    study::find(db, id)?;
    patient::check_is_local(db, patient, "enrol the patient")?;
    if study::enrol(db, id, patient, now)? {
        audit::record(db, now, actor, "study.enrol", Some(patient), AuditDetail::from("study").with(id))?;
    }
    Ok(())
}
