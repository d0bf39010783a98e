//! `jhe-ow patient import` and `add --jhe-patient`: add patients of JHE. Names and consents come from JHE;
//! OW stores its user under the number of the user at JHE.

use crate::app::session::Session;
use crate::common::{failure::Failure, stdout::print_line, time::Timestamp};
use crate::jhe::client::{Caller, Jhe};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::model::{account::Actor, consent_reconciliation::JheConsentSnapshot, jhe_consents::JhePatient};
use crate::store::people::jhe_consent;
use crate::store::people::patient::{self, NewPatient, Relink};
use crate::store::privacy::{audit, erased_identifiers};
use crate::store::{engine::store::Store, error::StoreError};

const ACTOR: Actor = Actor::CommandLine;

/// Adds one patient of JHE.
pub(crate) async fn add(
    session: &Session,
    jhe_id: i64,
    ow_user: Option<OwUser>,
    time_zone: Option<String>,
) -> Result<(), Failure> {
    let (store, now) = (session.store()?, session.clock.now());
    let jhe = session.jhe()?;
    let snapshot = fetch_consents(session, &jhe, jhe_id).await?;
    let ow_user = match ow_user {
        Some(user) => Some(user),
        None => find_ow_user(session, snapshot.consents.patient.jhe_user_id).await?,
    };
    if ow_user.is_none() {
        eprintln!("OW has no user for JHE patient {jhe_id} yet: link one later with jhe-ow patient link");
    }
    print_line(save(&store, snapshot, ow_user, time_zone, now).await?)
}

/// Adds all patients of JHE who have an OW user.
pub(crate) async fn import(session: &Session, time_zone: Option<String>) -> Result<(), Failure> {
    let (store, jhe) = (session.store()?, session.jhe()?);
    let people = list_people(&jhe).await?;
    let known: Vec<Option<i64>> =
        store.read(patient::list).await?.into_iter().map(|one| one.jhe_id).collect();
    for person in people {
        let result = if known.contains(&Some(person.id)) {
            "here already".to_owned()
        } else {
            import_one(session, &store, &jhe, &person, time_zone.clone()).await?
        };
        print_line(format_args!("jhe:{}  {}: {result}", person.id, person.name()))?;
    }
    Ok(())
}

/// Adds a person if they have an OW user and were not erased here. Returns the result in words.
async fn import_one(
    session: &Session,
    store: &Store,
    jhe: &Jhe,
    person: &JhePatient,
    time_zone: Option<String>,
) -> Result<String, Failure> {
    let (jhe_id, user_id) = (person.id, person.jhe_user_id);
    let check = move |db: &_| erased_identifiers::refuse_jhe_id(db, jhe_id);
    if let Err(StoreError::Refused(why)) = store.read(check).await {
        return Ok(format!("left out, {why}"));
    }
    let Some(user) = find_ow_user(session, user_id).await? else {
        return Ok(format!("left out, OW has no user of external_user_id {user_id}"));
    };
    let snapshot = fetch_consents(session, jhe, jhe_id).await?;
    let id = save(store, snapshot, Some(user.clone()), time_zone, session.clock.now()).await?;
    Ok(format!("patient {id}, linked to {user}"))
}

async fn fetch_consents(session: &Session, jhe: &Jhe, jhe_id: i64) -> Result<JheConsentSnapshot, Failure> {
    jhe.fetch_consents(Caller::Daemon, jhe_id, &session.clock).await.map_err(|error| {
        Failure::failed(format!("JHE patient {jhe_id} cannot be added: {error}"), error.remedy_for_patient())
    })
}

/// Lists the patients of JHE whom the client may see.
pub(crate) async fn list_people(jhe: &Jhe) -> Result<Vec<JhePatient>, Failure> {
    jhe.list_patients().await.map_err(|error| {
        Failure::failed(
            format!("the patients of JHE cannot be listed: {error}"),
            "check JHE_BASE_URL and the client key",
        )
    })
}

async fn find_ow_user(session: &Session, jhe_user_id: i64) -> Result<Option<OwUser>, Failure> {
    let Some(ow) = session.ow()? else { return Ok(None) };
    ow.find_user(&jhe_user_id.to_string()).await.map_err(|error| {
        Failure::failed(
            format!("the user cannot be looked up at OW: {error}"),
            "try again, or give --ow-user UUID",
        )
    })
}

/// Saves the patient, the link and the consents in one transaction.
async fn save(
    store: &Store,
    snapshot: JheConsentSnapshot,
    ow_user: Option<OwUser>,
    time_zone: Option<String>,
    now: Timestamp,
) -> Result<PatientId, StoreError> {
    let write = move |db: &rusqlite::Connection| {
        let person = &snapshot.consents.patient;
        let (jhe_id, user_id) = (person.id, person.jhe_user_id.to_string());
        let new = NewPatient { name: person.name(), email: person.email.clone(), time_zone };
        let id = patient::insert_from_jhe(db, &new, jhe_id, &user_id, now)?;
        audit::record(db, now, ACTOR, "patient.add", Some(id), "")?;
        if let Some(user) = ow_user {
            let patient = patient::find(db, PatientRef::Own(id))?;
            patient::link(db, &patient, &user, Relink::Unspecified, now)?;
            audit::record(db, now, ACTOR, "patient.link", Some(id), AuditDetail::default().with(user))?;
        }
        jhe_consent::apply(db, id, &snapshot)?;
        Ok(id)
    };
    store.write(write).await
}
