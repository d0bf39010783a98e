//! Patients of JHE's, taken in without a browser: name and consents come from there, and the OW user is the one
//! that OW knows by JHE's number of the user.

use std::sync::Arc;

use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::say;
use crate::common::time::Timestamp;
use crate::jhe::client::{Jhe, Who};
use crate::jhe::error::JheError;
use crate::model::account::Actor;
use crate::model::consent_reconciliation::Snapshot;
use crate::model::jhe_consents::Person;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::ow::connector::Connector;
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::patient::{NewPatient, Relink};
use crate::store::people::{jhe_consent, patient};
use crate::store::privacy::{audit, erased_identifiers};

/// Who did it, in the audit.
const ACTOR: Actor = Actor::CommandLine;

/// `patient add --jhe-patient N`.
pub(crate) async fn take_in(
    session: &Session,
    jhe_id: i64,
    ow_user: Option<OwUser>,
    time_zone: String,
) -> Result<(), Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    let snapshot = connected(session)?.consents(Who::Daemon, jhe_id, &session.clock).await;
    let snapshot = snapshot.map_err(|error| not_taken(jhe_id, &error))?;
    let ow_user = match ow_user {
        Some(user) => Some(user),
        None => find_ow_user(session, snapshot.seen.patient.jhe_user_id).await?,
    };
    if ow_user.is_none() {
        eprintln!("OW has no user for JHE patient {jhe_id} yet: link one later with jhe-ow patient link");
    }
    say(keep(&store, snapshot, ow_user, time_zone, now).await?)
}

/// `patient import`.
pub(crate) async fn import(session: &Session, time_zone: &str) -> Result<(), Failure> {
    let (store, jhe, now) = (session.store()?, connected(session)?, session.clock.now());
    let people = people(&jhe).await?;
    let known: Vec<Option<i64>> =
        store.read(patient::list).await?.into_iter().map(|one| one.jhe_id).collect();
    for person in people {
        let (jhe_id, name) = (person.id, person.name());
        if known.contains(&Some(jhe_id)) {
            say(format_args!("jhe:{jhe_id}  {name}: here already"))?;
            continue;
        }
        if let Err(StoreError::Refused(why)) =
            store.read(move |db| erased_identifiers::refuse_jhe(db, jhe_id)).await
        {
            say(format_args!("jhe:{jhe_id}  {name}: left out, {why}"))?;
            continue;
        }
        let Some(user) = find_ow_user(session, person.jhe_user_id).await? else {
            say(format_args!(
                "jhe:{jhe_id}  {name}: left out, OW has no user of external_user_id {}",
                person.jhe_user_id
            ))?;
            continue;
        };
        let snapshot = jhe.consents(Who::Daemon, jhe_id, &session.clock).await;
        let snapshot = snapshot.map_err(|error| not_taken(jhe_id, &error))?;
        let id = keep(&store, snapshot, Some(user.clone()), time_zone.to_owned(), now).await?;
        say(format_args!("jhe:{jhe_id}  {name}: patient {id}, linked to {user}"))?;
    }
    Ok(())
}

/// JHE's patients in reach.
pub(crate) async fn people(jhe: &Jhe) -> Result<Vec<Person>, Failure> {
    jhe.patients().await.map_err(|error| {
        Failure::failed(
            format!("the patients of JHE cannot be listed: {error}"),
            "see JHE_BASE_URL and the client key",
        )
    })
}

/// The JHE that is configured; without one there is nothing to do.
pub(crate) fn connected(session: &Session) -> Result<Arc<Jhe>, Failure> {
    Jhe::of(&session.config)?.ok_or_else(|| {
        Failure::usage("there is no JHE to take patients from", "set JHE_BASE_URL and JHE_CLIENT_KEY")
    })
}

fn not_taken(jhe_id: i64, error: &JheError) -> Failure {
    Failure::failed(format!("JHE patient {jhe_id} cannot be taken in: {error}"), error.next_of_patient())
}

async fn find_ow_user(session: &Session, jhe_user_id: i64) -> Result<Option<OwUser>, Failure> {
    let (Some(url), Some(key)) = (&session.config.ow_api_url, &session.config.ow_api_key) else {
        return Ok(None);
    };
    Connector::new(url, key)?.find_user(&jhe_user_id.to_string()).await.map_err(|error| {
        Failure::failed(
            format!("OW could not be asked for the user: {error}"),
            "try again, or give --ow-user UUID",
        )
    })
}

/// All or nothing: the patient, the link, the consents.
async fn keep(
    store: &Store,
    snapshot: Snapshot,
    ow_user: Option<OwUser>,
    time_zone: String,
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    let write = move |db: &rusqlite::Connection| {
        let person = &snapshot.seen.patient;
        let (jhe_id, user_id) = (person.id, person.jhe_user_id.to_string());
        let new = NewPatient { name: person.name(), email: person.email.clone(), time_zone };
        let id = patient::add_of_jhe(db, &new, jhe_id, &user_id, now)?;
        audit::record(db, now, ACTOR, "patient.add", Some(id), "")?;
        if let Some(user) = ow_user {
            let patient = patient::find(db, PatientRef::Own(id))?;
            patient::link(db, &patient, &user, Relink::Unsaid, now)?;
            audit::record(db, now, ACTOR, "patient.link", Some(id), &user.to_string())?;
        }
        jhe_consent::apply(db, id, &snapshot)?;
        Ok(id)
    };
    store.write(write).await
}
