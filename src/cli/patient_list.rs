//! `jhe-ow patient list`: lists patients, all or by study, state and silence.

use std::collections::BTreeMap;

use clap::Args;
use rusqlite::Connection;
use serde_json::{Value, json};

use crate::app::enrolment_stage::EnrolmentStage;
use crate::common::stdout::{print_json, print_line};
use crate::common::{failure::Failure, time::Timestamp};
use crate::model::account::VisibleTo;
use crate::model::participant::ParticipantState;
use crate::model::patient::PatientId;
use crate::store::engine::{setting, store::Store};
use crate::store::error::StoreError;
use crate::store::operations::patient_status::{self, PatientFilter, PatientOverview};
use crate::store::operations::silence;
use crate::store::people::participant;
use crate::store::people::patient::{self, Patient};
use crate::store::samples::dataset;

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    /// Only the patients of this study, by number or name
    #[arg(long)]
    study: Option<String>,
    /// Only patients in this state: sending, silent, invited, agreed, not-invited, withdrawn or completed
    #[arg(long)]
    state: Option<ParticipantState>,
    /// Only silent patients: linked, expected to deliver, and without new data
    #[arg(long)]
    silent: bool,
    /// One JSON document per line
    #[arg(long)]
    json: bool,
}

/// A listed patient.
struct ListedPatient {
    patient: Patient,
    state: ParticipantState,
    is_silent: bool,
}

pub(crate) async fn run(store: &Store, arguments: ListArguments, now: Timestamp) -> Result<(), Failure> {
    let as_json = arguments.json;
    for one in store.read(move |db| list(db, &arguments, now)).await? {
        if as_json {
            let mut document = document(&one.patient);
            document["state"] = one.state.as_str().into();
            document["silent"] = one.is_silent.into();
            print_json(&document)?;
        } else {
            print_line(format_args!("{}  ({})", summary(&one.patient), one.state.as_str()))?;
        }
    }
    Ok(())
}

fn list(
    db: &Connection,
    arguments: &ListArguments,
    now: Timestamp,
) -> Result<Vec<ListedPatient>, StoreError> {
    let silent =
        silence::list_needing_action(db, VisibleTo::Everybody, setting::read_all(db)?.silence_after(), now)?;
    let is_silent = |id: PatientId| silent.contains_key(&id);
    let states: BTreeMap<PatientId, ParticipantState> = if let Some(text) = &arguments.study {
        let participants =
            participant::list(db, dataset::find_study(db, text)?.0, VisibleTo::Everybody, now)?.into_iter();
        participants.map(|one| (one.patient, one.state(is_silent(one.patient)))).collect()
    } else {
        let overviews = patient_status::list(db, now, &everybody(), u32::MAX)?.into_iter();
        let state = |one: &PatientOverview| EnrolmentStage::of(one).participant_state(is_silent(one.patient));
        overviews.map(|one| (one.patient, state(&one))).collect()
    };
    let listed = patient::list(db)?.into_iter().filter_map(|patient| {
        let (state, is_silent) = (*states.get(&patient.id)?, is_silent(patient.id));
        let is_wanted =
            arguments.state.is_none_or(|wanted| wanted == state) && (is_silent || !arguments.silent);
        is_wanted.then_some(ListedPatient { patient, state, is_silent })
    });
    Ok(listed.collect())
}

fn everybody() -> PatientFilter {
    let (visible_to, search) = (VisibleTo::Everybody, String::new());
    PatientFilter { visible_to, after: 0, search, until: None, among: None }
}

fn summary(patient: &Patient) -> String {
    let jhe = patient.jhe_id.map_or_else(String::new, |id| format!("  jhe:{id}"));
    format!("{:>6}  {}  {}{jhe}", patient.id, describe_link(patient), patient.name)
}

pub(crate) fn describe_link(patient: &Patient) -> String {
    match &patient.link {
        Some(link) if link.needs_relink => format!("{} (unknown to OW: link again)", link.ow_user),
        Some(link) => link.ow_user.to_string(),
        None => "not linked".to_owned(),
    }
}

pub(crate) fn document(patient: &Patient) -> Value {
    let link = patient.link.as_ref();
    let link =
        link.map(|link| json!({ "ow_user": link.ow_user.to_string(), "needs_relink": link.needs_relink }));
    json!({
        "id": patient.id.get(),
        "name": patient.name,
        "email": patient.email,
        "time_zone": patient.time_zone,
        "jhe_id": patient.jhe_id,
        "link": link,
    })
}
