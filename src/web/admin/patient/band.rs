//! The first thing on a patient's page: the state in a sentence, its cause, and the next action.

use maud::{Markup, html};

use crate::app::enrolment_stage::{self, EnrolmentStage};
use crate::common::time::Timestamp;
use crate::model::account::Role;
use crate::model::silence::{Silence, SilenceCause};
use crate::store::operations::patient_status::PatientOverview;
use crate::web::access::VisiblePatient;
use crate::web::admin::staff::invitations_of;
use crate::web::layout::{ago, foreign, form, length};

/// The state of a patient, for people who wonder what to do.
#[derive(Debug, PartialEq, Eq)]
struct PatientState {
    /// `good`, `warn`, `bad` or `idle`: the colour, beside a mark of its own shape.
    tone: &'static str,
    title: String,
    text: String,
    action: NextAction,
}

/// The action that the state calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum NextAction {
    None,
    Invite,
    Sync,
}

const WITHDRAWN: &str = "Withdrawn";
const UNKNOWN: &str = "Unknown to Open Wearables";

/// Renders the state, with the action for those who may take it.
pub(crate) fn render_band(
    patient: &VisiblePatient,
    line: &PatientOverview,
    silence: Option<&Silence>,
    now: Timestamp,
) -> Markup {
    let state = find_state(line, silence, now);
    let may_act = patient.may(Role::Coordinator);
    let mark = match state.tone {
        "good" => "●",
        "idle" => "○",
        _ => "▲",
    };
    html! {
        div class={ "band " (state.tone) } {
            span.mark aria-hidden="true" { (mark) }
            div {
                h2 { (state.title) }
                p {
                    @if let Some(silence) = silence { "Newest data: " (ago(now, line.newest.map(|_| silence.since))) ". " }
                    @else if let Some(newest) = line.newest { "Newest measurement " (ago(now, Some(newest))) ". " }
                    (foreign(&state.text))
                }
            }
            @if may_act {
                @match state.action {
                    NextAction::Invite => a.button href=(invitations_of(patient.id())) { "Invite again" },
                    NextAction::Sync => (form(&format!("/admin/patients/{}/poll", patient.id()), patient.staff().token(), &html! {
                        button type="submit" { "Sync now" }
                    })),
                    NextAction::None => {}
                }
            }
        }
    }
}

fn find_state(line: &PatientOverview, silence: Option<&Silence>, now: Timestamp) -> PatientState {
    let stage = EnrolmentStage::of(line);
    let next = stage.next_step(line);
    let state = |tone, title: &str, text: &str, action| PatientState {
        tone,
        title: title.to_owned(),
        text: if text.is_empty() || text.ends_with('.') { text.to_owned() } else { format!("{text}.") },
        action,
    };
    match (stage, silence, enrolment_stage::describe_problem(line)) {
        (EnrolmentStage::Completed, ..) => {
            state("idle", "Completed", "The collection has ended; nothing more is read", NextAction::None)
        }
        (_, Some(silence), problem) => {
            let cause = format!("Likely cause: {}. {}", silence.cause.label(), silence.cause.remedy());
            let text = problem.map_or(cause.clone(), |problem| format!("{cause} The last sync: {problem}"));
            let silent = format!("Silent for {}", length(now.since(silence.since)));
            let (tone, title, action) = match silence.cause {
                SilenceCause::ConsentWithdrawn => ("idle", WITHDRAWN, NextAction::None),
                SilenceCause::UserGone => ("bad", UNKNOWN, NextAction::Invite),
                SilenceCause::LinkRevoked => ("warn", silent.as_str(), NextAction::Invite),
                SilenceCause::OwDown
                | SilenceCause::NotRead
                | SilenceCause::OwNotPulling
                | SilenceCause::NotWorn => ("warn", silent.as_str(), NextAction::Sync),
            };
            state(tone, title, &text, action)
        }
        (EnrolmentStage::Withdrawn, ..) => state("idle", WITHDRAWN, next, NextAction::None),
        (EnrolmentStage::NeedsRelink, ..) => state("bad", UNKNOWN, next, NextAction::Invite),
        (_, None, Some(problem)) => state("bad", "Data do not come in", &problem, NextAction::Sync),
        (EnrolmentStage::Added, ..) => state("idle", "Not invited yet", next, NextAction::None),
        (EnrolmentStage::Invited, ..) => state("idle", "Invited", next, NextAction::None),
        (EnrolmentStage::Consented, ..) => state("warn", "Agreed, no device", next, NextAction::Invite),
        (EnrolmentStage::Authorizing, ..) => state("idle", "Connecting a device", next, NextAction::None),
        (EnrolmentStage::Connected, ..) if line.newest.is_none() => state(
            "idle",
            "Connected",
            "No data yet. They arrive once the maker of the device has some",
            NextAction::None,
        ),
        (EnrolmentStage::Connected, ..) => state("good", "Sending data", "", NextAction::None),
    }
}
