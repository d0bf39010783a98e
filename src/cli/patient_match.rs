//! `jhe-ow patient match`: patients who were kept here alone become patients of JHE's, as somebody confirms.

use std::collections::BTreeMap;
use std::io::{BufRead, IsTerminal, Write};

use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::app::match_patients::{Proposal, propose};
use crate::app::session::Session;
use crate::cli::patient_import::{connected, people};
use crate::common::clock::Clock;
use crate::common::failure::Failure;
use crate::common::stdout::{say, say_json};
use crate::common::time::Timestamp;
use crate::jhe::client::{Jhe, Who};
use crate::model::account::Actor;
use crate::model::consent_reconciliation::Snapshot;
use crate::model::jhe_consents::Person;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::ow::connector::{CallError, Connector};
use crate::store::engine::store::Store;
use crate::store::error::StoreError;
use crate::store::people::patient::Patient;
use crate::store::people::{consent, invitation, jhe_consent, patient};
use crate::store::privacy::audit;

/// Users that OW is asked for at the same time.
const AT_ONCE: usize = 4;

/// A patient without a number in JHE, and who it may be.
type Unmatched = (Patient, Vec<Proposal>);

/// `patient match [ID]`: who may be whom.
pub(crate) async fn list(session: &Session, who: Option<PatientRef>, json: bool) -> Result<(), Failure> {
    let (store, jhe) = (session.store()?, connected(session)?);
    let only = store.read(move |db| who.map(|who| patient::find(db, who)).transpose()).await?;
    if let Some(patient) = &only {
        patient::refuse_matched(patient)?;
    }
    let unmatched = unmatched(session, &store, &jhe, only.map(|patient| patient.id)).await?;
    if json {
        return unmatched.iter().try_for_each(|one| say_json(&document(one)));
    }
    if unmatched.is_empty() {
        return say("every patient has a number in JHE");
    }
    for (patient, proposals) in &unmatched {
        say(format_args!("{:>6}  {}: {}", patient.id, patient.name, proposed(proposals)))?;
        for proposal in proposals {
            say(format_args!("        {}", command(patient.id, Some(proposal))))?;
        }
    }
    Ok(())
}

fn document((patient, proposals): &Unmatched) -> Value {
    let proposal = |Proposal { jhe_id, name, reason }: &Proposal| json!({ "jhe_id": jhe_id, "name": name, "reason": reason.as_str() });
    let proposals: Vec<Value> = proposals.iter().map(proposal).collect();
    json!({ "patient": patient.id.get(), "name": patient.name, "proposals": proposals })
}

/// `patient match ID --jhe-patient N`.
pub(crate) async fn confirm(session: &Session, who: PatientRef, jhe_id: i64) -> Result<(), Failure> {
    let (store, jhe) = (session.store()?, connected(session)?);
    let id = store
        .read(move |db| {
            let patient = patient::find(db, who)?;
            patient::refuse_matched(&patient)?;
            Ok(patient.id)
        })
        .await?;
    confirm_one(&store, &jhe, id, jhe_id, &session.clock).await
}

/// Before everything is queued: on a terminal each proposal is asked for, elsewhere it is said how to confirm it.
pub(crate) async fn offer(
    session: &Session,
    store: &Store,
    jhe: &Jhe,
    only: Option<PatientId>,
) -> Result<(), Failure> {
    let asks = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    for (patient, proposals) in unmatched(session, store, jhe, only).await? {
        if !asks || proposals.is_empty() {
            eprintln!(
                "patient {} ({}) was left out, as it has no number in JHE ({}): {}",
                patient.id,
                patient.name,
                proposed(&proposals),
                command(patient.id, proposals.first())
            );
            continue;
        }
        for proposal in proposals {
            if ask(&patient, &proposal).await? {
                confirm_one(store, jhe, patient.id, proposal.jhe_id, &session.clock).await?;
                break;
            }
        }
    }
    Ok(())
}

async fn unmatched(
    session: &Session,
    store: &Store,
    jhe: &Jhe,
    only: Option<PatientId>,
) -> Result<Vec<Unmatched>, Failure> {
    let all = store.read(patient::list).await?;
    let taken: Vec<i64> = all.iter().filter_map(|patient| patient.jhe_id).collect();
    let is_asked = |patient: &Patient| patient.jhe_id.is_none() && only.is_none_or(|only| only == patient.id);
    let alone: Vec<Patient> = all.into_iter().filter(is_asked).collect();
    if alone.is_empty() {
        return Ok(Vec::new());
    }
    let mut people = people(jhe).await?;
    people.retain(|person| !taken.contains(&person.id));
    let is_linked = alone.iter().any(|patient| patient.link.is_some());
    let ow_users = if is_linked { ow_users(session, &people).await? } else { BTreeMap::new() };
    let propose = |patient: Patient| {
        let proposals = propose(&patient, &people, &ow_users);
        (patient, proposals)
    };
    Ok(alone.into_iter().map(propose).collect())
}

/// The OW users of these people. Where OW cannot be asked, there are none: names are compared all the same.
async fn ow_users(session: &Session, people: &[Person]) -> Result<BTreeMap<i64, OwUser>, Failure> {
    let (Some(url), Some(key)) = (&session.config.ow_api_url, &session.config.ow_api_key) else {
        return Ok(BTreeMap::new());
    };
    let connector = Connector::new(url, key)?;
    let found: Result<Vec<_>, _> = futures_util::stream::iter(people)
        .map(|person| find_ow_user(&connector, person))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await;
    match found {
        Ok(found) => Ok(found.into_iter().flatten().collect()),
        Err(error) => {
            eprintln!("only names and e-mails are compared, as OW could not be asked: {error}");
            Ok(BTreeMap::new())
        }
    }
}

async fn find_ow_user(connector: &Connector, person: &Person) -> Result<Option<(i64, OwUser)>, CallError> {
    let user = connector.find_user(&person.jhe_user_id.to_string()).await?;
    Ok(user.map(|user| (person.id, user)))
}

fn proposed(proposals: &[Proposal]) -> String {
    let one =
        |Proposal { jhe_id, name, reason }: &Proposal| format!("jhe:{jhe_id} {name}, {}", reason.as_str());
    match proposals {
        [] => "nobody at JHE has the same OW user, e-mail or name".to_owned(),
        _ => proposals.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

fn command(patient: PatientId, proposal: Option<&Proposal>) -> String {
    let number = proposal.map_or_else(|| "N".to_owned(), |proposal| proposal.jhe_id.to_string());
    format!("jhe-ow patient match {patient} --jhe-patient {number}")
}

async fn ask(patient: &Patient, proposal: &Proposal) -> Result<bool, Failure> {
    let Proposal { jhe_id, name, reason } = proposal;
    let question = format!(
        "Is patient {}, {}, JHE's patient {jhe_id}, {name} ({})? [y/N] ",
        patient.id,
        patient.name,
        reason.as_str()
    );
    let answer = tokio::task::spawn_blocking(move || {
        let mut line = String::new();
        let mut output = std::io::stdout().lock();
        output.write_all(question.as_bytes()).and_then(|()| output.flush())?;
        std::io::stdin().lock().read_line(&mut line).map(|_| line)
    });
    let line = answer.await.map_err(std::io::Error::other).and_then(|line| line);
    let line = line.map_err(|error| Failure::failed(format!("nobody can be asked: {error}"), "try again"))?;
    Ok(is_yes(&line))
}

/// Only what is plainly meant so: a wrong match sends somebody's data under another name.
fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

async fn confirm_one(
    store: &Store,
    jhe: &Jhe,
    id: PatientId,
    jhe_id: i64,
    clock: &Clock,
) -> Result<(), Failure> {
    let snapshot = jhe.consents(Who::Daemon, jhe_id, clock).await.map_err(|error| {
        let next = error.next_of_patient();
        Failure::failed(format!("patient {id} cannot be matched with JHE patient {jhe_id}: {error}"), next)
    })?;
    let (name, now) = (snapshot.seen.patient.name(), clock.now());
    let (ended, withdrawn) = store.write(move |db| keep(db, id, &snapshot, now)).await?;
    say(format_args!("patient {id} is JHE's patient {jhe_id}, {name}, from now on"))?;
    for (code, is_at_jhe) in ended {
        let state = if is_at_jhe {
            "JHE's own stands"
        } else {
            "JHE has none, and nothing is read or sent until the patient agrees there"
        };
        say(format_args!("  the consent to {code} that was given here has ended: {state}"))?;
    }
    for code in withdrawn {
        say(format_args!("  {code} was withdrawn here: JHE's consent to it counts from now on"))?;
    }
    Ok(())
}

/// The scopes to which consents of our own have ended, and whether JHE has one that stands; and those that had been
/// withdrawn here before.
type Ended = (Vec<(String, bool)>, Vec<String>);

/// All or nothing: the number, the consents.
fn keep(
    db: &rusqlite::Connection,
    id: PatientId,
    snapshot: &Snapshot,
    now: Timestamp,
) -> Result<Ended, StoreError> {
    let jhe_id = snapshot.seen.patient.id;
    let patient = patient::find(db, PatientRef::Own(id))?;
    patient::make_way(db, &patient, jhe_id)?;
    patient::set_jhe_id(db, id, jhe_id)?;
    audit::record(db, now, Actor::CommandLine, "patient.match", Some(id), &format!("jhe:{jhe_id}"))?;
    // JHE invites its patients.
    invitation::revoke_open(db, id, now)?;
    let ended = jhe_consent::not_of_jhe(db, id)?;
    let withdrawn = jhe_consent::withdrawn_here(db, id)?;
    jhe_consent::apply(db, id, snapshot)?;
    let stands = |code: String| {
        let allowed = consent::allowed(db, id, &code)?;
        Ok::<_, StoreError>((code, !allowed.is_empty()))
    };
    Ok((ended.into_iter().map(stands).collect::<Result<_, _>>()?, withdrawn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        assert!(is_yes("y\n") && is_yes(" Yes\r\n"));
        for no in ["", "\n", "n\n", "no\n", "yo\n", "1\n"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
