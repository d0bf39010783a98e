//! `jhe-ow patient match`: turns local patients into patients of JHE, after a person has confirmed each
//! match.

use std::collections::BTreeMap;
use std::io::IsTerminal;

use futures_util::{StreamExt, TryStreamExt};
use serde_json::{Value, json};

use crate::app::match_patients::{MatchProposal, propose};
use crate::app::session::{Session, find_optional};
use crate::cli::{patient_import::list_people, prompt};
use crate::common::stdout::{print_json, print_line};
use crate::common::visible::VisibleLine;
use crate::common::{clock::Clock, failure::Failure, time::Timestamp};
use crate::jhe::client::{Caller, Jhe};
use crate::model::audit_detail::AuditDetail;
use crate::model::patient::{OwUser, PatientId, PatientRef};
use crate::model::{account::Actor, consent_reconciliation::JheConsentSnapshot, jhe_consents::JhePatient};
use crate::ow::connector::{CallError, Connector};
use crate::store::people::patient::{self, Patient};
use crate::store::people::{consent, invitation, jhe_consent};
use crate::store::{engine::store::Store, error::StoreError, privacy::audit};

/// Concurrent requests to OW.
const CONCURRENCY: usize = 4;

/// A patient without a number in JHE, and the proposed matches.
type Unmatched = (Patient, Vec<MatchProposal>);

/// Prints the proposals.
pub(crate) async fn list(session: &Session, who: Option<PatientRef>, json: bool) -> Result<(), Failure> {
    let (store, jhe) = (session.store()?, session.jhe()?);
    let only = find_optional(&store, who).await?;
    if let Some(patient) = &only {
        patient::check_unmatched(patient)?;
    }
    let unmatched = find_unmatched(session, &store, &jhe, only.map(|patient| patient.id)).await?;
    if json {
        return unmatched.iter().try_for_each(|one| print_json(&document(one)));
    }
    if unmatched.is_empty() {
        return print_line("every patient has a number in JHE");
    }
    for (patient, proposals) in &unmatched {
        print_line(format_args!("{:>6}  {}: {}", patient.id, patient.name, describe(proposals)))?;
        for proposal in proposals {
            print_line(format_args!("        {}", confirm_command(patient.id, Some(proposal))))?;
        }
    }
    Ok(())
}

fn document((patient, proposals): &Unmatched) -> Value {
    let render = |proposal: &MatchProposal| {
        let MatchProposal { jhe_id, name, reason } = proposal;
        json!({ "jhe_id": jhe_id, "name": name, "reason": reason.as_str() })
    };
    let proposals: Vec<Value> = proposals.iter().map(render).collect();
    json!({ "patient": patient.id.get(), "name": patient.name, "proposals": proposals })
}

/// Confirms one match.
pub(crate) async fn confirm(session: &Session, who: PatientRef, jhe_id: i64) -> Result<(), Failure> {
    let (store, jhe) = (session.store()?, session.jhe()?);
    let check = move |db: &_| {
        let patient = patient::find(db, who)?;
        patient::check_unmatched(&patient)?;
        Ok(patient.id)
    };
    let id = store.read(check).await?;
    apply_match(&store, &jhe, id, jhe_id, &session.clock).await
}

/// Asks about each proposal on a terminal; elsewhere prints the command that confirms it.
pub(crate) async fn propose_all(
    session: &Session,
    store: &Store,
    jhe: &Jhe,
    only: Option<PatientId>,
) -> Result<(), Failure> {
    let is_interactive = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    for (patient, proposals) in find_unmatched(session, store, jhe, only).await? {
        if !is_interactive || proposals.is_empty() {
            eprintln!(
                "patient {} ({}) was left out, as it has no number in JHE ({}): {}",
                patient.id,
                patient.name,
                describe(&proposals),
                confirm_command(patient.id, proposals.first())
            );
            continue;
        }
        for proposal in proposals {
            if ask_to_confirm(&patient, &proposal).await? {
                apply_match(store, jhe, patient.id, proposal.jhe_id, &session.clock).await?;
                break;
            }
        }
    }
    Ok(())
}

async fn find_unmatched(
    session: &Session,
    store: &Store,
    jhe: &Jhe,
    only: Option<PatientId>,
) -> Result<Vec<Unmatched>, Failure> {
    let all = store.read(patient::list).await?;
    let taken: Vec<i64> = all.iter().filter_map(|patient| patient.jhe_id).collect();
    let is_unmatched =
        |patient: &Patient| patient.jhe_id.is_none() && only.is_none_or(|only| only == patient.id);
    let unmatched: Vec<Patient> = all.into_iter().filter(is_unmatched).collect();
    if unmatched.is_empty() {
        return Ok(Vec::new());
    }
    let mut people = list_people(jhe).await?;
    people.retain(|person| !taken.contains(&person.id));
    let is_linked = unmatched.iter().any(|patient| patient.link.is_some());
    let ow_users = if is_linked { find_ow_users(session, &people).await? } else { BTreeMap::new() };
    let with_proposals = |patient: Patient| (patient.clone(), propose(&patient, &people, &ow_users));
    Ok(unmatched.into_iter().map(with_proposals).collect())
}

/// Finds the OW users of these people. Without OW there are none; names and e-mails are compared all the
/// same.
async fn find_ow_users(session: &Session, people: &[JhePatient]) -> Result<BTreeMap<i64, OwUser>, Failure> {
    let Some(connector) = session.ow()? else { return Ok(BTreeMap::new()) };
    let found: Result<Vec<_>, _> = futures_util::stream::iter(people)
        .map(|person| find_ow_user(&connector, person))
        .buffer_unordered(CONCURRENCY)
        .try_collect()
        .await;
    match found {
        Ok(found) => Ok(found.into_iter().flatten().collect()),
        Err(error) => {
            eprintln!("only names and e-mails are compared, as OW cannot be reached: {}", VisibleLine(error));
            Ok(BTreeMap::new())
        }
    }
}

async fn find_ow_user(
    connector: &Connector,
    person: &JhePatient,
) -> Result<Option<(i64, OwUser)>, CallError> {
    let user = connector.find_user(&person.jhe_user_id.to_string()).await?;
    Ok(user.map(|user| (person.id, user)))
}

fn describe(proposals: &[MatchProposal]) -> String {
    let one = |MatchProposal { jhe_id, name, reason }: &MatchProposal| {
        format!("jhe:{jhe_id} {name}, {}", reason.as_str())
    };
    match proposals {
        [] => "nobody at JHE has the same OW user, e-mail or name".to_owned(),
        _ => proposals.iter().map(one).collect::<Vec<_>>().join("; "),
    }
}

fn confirm_command(patient: PatientId, proposal: Option<&MatchProposal>) -> String {
    let number = proposal.map_or_else(|| "N".to_owned(), |proposal| proposal.jhe_id.to_string());
    format!("jhe-ow patient match {patient} --jhe-patient {number}")
}

async fn ask_to_confirm(patient: &Patient, proposal: &MatchProposal) -> Result<bool, Failure> {
    let MatchProposal { jhe_id, name, reason } = proposal;
    let (id, ours, reason) = (patient.id, &patient.name, reason.as_str());
    let question = format!("Is patient {id}, {ours}, JHE's patient {jhe_id}, {name} ({reason})? [y/N] ");
    Ok(is_yes(&prompt::ask(question, "try again").await?))
}

/// Accepts nothing but a plain yes: a wrong match sends a person's data under another name.
fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_lowercase().as_str(), "y" | "yes")
}

async fn apply_match(
    store: &Store,
    jhe: &Jhe,
    id: PatientId,
    jhe_id: i64,
    clock: &Clock,
) -> Result<(), Failure> {
    let snapshot = jhe.fetch_consents(Caller::Daemon, jhe_id, clock).await.map_err(|error| {
        let message = format!("patient {id} cannot be matched with JHE patient {jhe_id}: {error}");
        Failure::failed(message, error.remedy_for_patient())
    })?;
    let (name, now) = (snapshot.consents.patient.name(), clock.now());
    let (ended, withdrawn) = store.write(move |db| save_match(db, id, &snapshot, now)).await?;
    print_line(format_args!("patient {id} is JHE's patient {jhe_id}, {name}, from now on"))?;
    for (code, is_at_jhe) in ended {
        let state = if is_at_jhe {
            "JHE's consent applies"
        } else {
            "JHE has none, so nothing is read or sent until the patient consents there"
        };
        print_line(format_args!("  the consent to {code} that was given here has ended: {state}"))?;
    }
    for code in withdrawn {
        print_line(format_args!("  {code} was withdrawn here: JHE's consent to it applies from now on"))?;
    }
    Ok(())
}

/// Scopes whose local consents have ended, each with whether JHE has an open consent to it; and the scopes that were
/// withdrawn here before.
type EndedScopes = (Vec<(String, bool)>, Vec<String>);

/// Saves the number and JHE's consents in one transaction.
fn save_match(
    db: &rusqlite::Connection,
    id: PatientId,
    snapshot: &JheConsentSnapshot,
    now: Timestamp,
) -> Result<EndedScopes, StoreError> {
    let jhe_id = snapshot.consents.patient.id;
    let patient = patient::find(db, PatientRef::Own(id))?;
    patient::claim_jhe_id(db, &patient, jhe_id)?;
    patient::set_jhe_id(db, id, jhe_id)?;
    audit::record(
        db,
        now,
        Actor::CommandLine,
        "patient.match",
        Some(id),
        AuditDetail::from("jhe").with(jhe_id),
    )?;
    // JHE invites its own patients, so local invitations end.
    invitation::revoke_open(db, id, now)?;
    let ended = jhe_consent::list_local_active_scopes(db, id)?;
    let withdrawn = jhe_consent::list_local_withdrawn_scopes(db, id)?;
    jhe_consent::apply(db, id, snapshot)?;
    let with_jhe_state = |code: String| {
        let allowed = consent::find_allowed(db, id, &code)?;
        Ok::<_, StoreError>((code, !allowed.is_empty()))
    };
    Ok((ended.into_iter().map(with_jhe_state).collect::<Result<_, _>>()?, withdrawn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_confirms() {
        assert!(is_yes("y\n") && is_yes(" Yes\r\n"));
        for no in ["", "\n", "n\n", "no\n", "yo\n", "1\n"] {
            assert!(!is_yes(no), "{no}");
        }
    }
}
