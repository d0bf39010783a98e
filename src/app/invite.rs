//! Inviting a patient: a link that works once, for seven days; or one that JHE makes.

use std::time::Duration;

use rusqlite::Connection;

use crate::common::clock::Clock;
use crate::common::failure::Failure;
use crate::common::time::Timestamp;
use crate::config::load::Config;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::jhe::invitation::{InvitationCode, invitation_url};
use crate::model::account::Actor;
use crate::model::patient::PatientId;
use crate::model::study::StudyId;
use crate::secrets::token::{Token, TokenHash};
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::{invitation, patient, study};
use crate::store::privacy::audit;

/// How long an invitation can be used.
pub const VALID: Duration = Duration::from_hours(7 * 24);
/// Characters of a host that are shown: as long as names of hosts may be, with a port.
const HOST_CHARS: usize = 260;

/// The link to send: whoever opens it is taken for the patient.
pub fn link(base: &str, token: &Token) -> String {
    format!("{base}/ow/?code={}", token.expose())
}

/// Invites a patient to a study, enrolling where that is still to be done, or to every study of theirs. Answers
/// when the invitation ends.
///
/// # Errors
/// A sentence where there is no such study, or none at all to be invited to.
pub fn invite(
    db: &Connection,
    hash: TokenHash,
    whom: PatientId,
    to: Option<StudyId>,
    who: Actor,
    now: Timestamp,
) -> Result<Timestamp, StoreError> {
    patient::refuse_of_jhe(db, whom, "invite the patient")?;
    match to {
        Some(id) => enrol(db, id, whom, who, now)?,
        None if study::of_patient(db, whom)?.is_empty() => {
            let why =
                format!("patient {whom} is in no study; enrol the patient in one, or name one to invite to");
            return Err(StoreError::Refused(why));
        }
        None => {}
    }
    if let Some(known) = invitation::find(db, hash)? {
        // The form came twice: one link, not two of which the first is dead.
        return Ok(known.expires);
    }
    let expires = now.plus(VALID);
    invitation::issue(db, hash, whom, to, now, expires)?;
    audit::record(db, now, who, "invitation.issue", Some(whom), "")?;
    Ok(expires)
}

/// A link that JHE has made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JhesLink {
    /// The link to send: whoever goes on with it is taken for the patient.
    pub link: String,
    /// Whom JHE has made it for.
    pub name: String,
    /// When it ends, as JHE is set up at first.
    pub expires: Timestamp,
}

/// Whether an invitation of JHE's is of the JHE that the daemon is connected to: its launch page takes no other.
pub(crate) fn is_of_our_jhe(config: &Config, code: &InvitationCode) -> bool {
    let addresses = [config.jhe_base_url.as_ref(), config.jhe_public_base()];
    addresses.into_iter().flatten().any(|base| code.is_of(base))
}

/// The code of a link that the launch page takes.
fn taken_here(config: &Config, link: &str) -> Result<InvitationCode, Failure> {
    let code = read_code(link).ok_or_else(|| {
        Failure::failed(
            "JHE made a link whose code the launch page here cannot read; it was not handed out",
            "see that the invitationUrl of its client ends in code=CODE (docs/jhe.md)",
        )
    })?;
    if is_of_our_jhe(config, &code) {
        return Ok(code);
    }
    // It is JHE that wrote it, and a terminal that shows it.
    let host: String = code.host().chars().filter(|c| !c.is_control()).take(HOST_CHARS).collect();
    let base = config.jhe_public_base();
    let scheme = if base.is_some_and(crate::config::base_url::BaseUrl::is_https) { "https" } else { "http" };
    let base = base.map(ToString::to_string).unwrap_or_default();
    Err(Failure::failed(
        format!(
            "JHE made a link that names {host}, and the launch page here takes links of {base} only: the patient would \
             be told that the link belongs elsewhere. It was not handed out"
        ),
        format!(
            "set JHE_PUBLIC_URL to the address that browsers reach JHE at, if that is {scheme}://{host}; or have the \
             SITE_URL of JHE itself name {base}; then invite again"
        ),
    ))
}

/// Has JHE make an invitation of one of its patients; it opens the launch page of the daemon of this configuration. It
/// is noted here where the patient is here already.
///
/// # Errors
/// Where JHE does not do it, has no client that leads here, or makes links that the launch page does not take: what to
/// do about it.
pub async fn invite_through_jhe(
    jhe: &Jhe,
    store: &Store,
    config: &Config,
    jhe_id: i64,
    who: Actor,
    clock: &Clock,
) -> Result<JhesLink, Failure> {
    let (now, public_base) = (clock.now(), config.public_base());
    // First: JHE itself makes links for anybody's patients.
    let seen = jhe.consents(Who::Daemon, jhe_id, clock).await.map_err(|error| {
        let next = error.next_of_patient();
        Failure::failed(format!("JHE patient {jhe_id} cannot be invited: {error}"), next)
    })?;
    let failed = |error: JheError| {
        let next = error.next();
        let next = if next.is_empty() { "try again" } else { next };
        Failure::failed(format!("JHE made no invitation of patient {jhe_id}: {error}"), next)
    };
    let client = jhe.inviting_client(&public_base).await.map_err(failed)?;
    let client = client.ok_or_else(|| {
        Failure::failed(
            "JHE has no client whose invitations lead here",
            format!(
                "have a superuser of JHE make one whose invitationUrl is {} (docs/jhe.md)",
                invitation_url(&public_base)
            ),
        )
    })?;
    let link = jhe.invite(jhe_id, client.id).await.map_err(failed)?;
    let expires = now.plus(VALID);
    let code = taken_here(config, &link)?.hash();
    let note = move |db: &Connection| {
        let Some(patient) = patient::of_jhe(db, jhe_id)? else { return Ok(()) };
        invitation::issue(db, code, patient, None, now, expires)?;
        audit::record(db, now, who, "invitation.issue", Some(patient), "JHE's")
    };
    store.write(note).await?;
    Ok(JhesLink { link, name: seen.seen.patient.name(), expires })
}

/// What is kept of the code in a link of JHE's; none where it is not in the place that we ask for.
pub(crate) fn code_of(link: &str) -> Option<TokenHash> {
    read_code(link).map(|code| code.hash())
}

fn read_code(link: &str) -> Option<InvitationCode> {
    let (_, query) = link.split_once('?')?;
    let (_, code) = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code")?;
    InvitationCode::parse(&code)
}

/// Enrols a patient in a study, once.
///
/// # Errors
/// A sentence where there is no such study.
pub fn enrol(
    db: &Connection,
    id: StudyId,
    patient: PatientId,
    who: Actor,
    now: Timestamp,
) -> Result<(), StoreError> {
    study::require(db, id)?;
    patient::refuse_of_jhe(db, patient, "enrol the patient")?;
    if study::enrol(db, id, patient, now)? {
        audit::record(db, now, who, "study.enrol", Some(patient), &format!("study {id}"))?;
    }
    Ok(())
}
