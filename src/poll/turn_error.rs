//! The errors of a patient's turn, and the sentences that pages and commands show for them.

use crate::model::catalog::series_type::{OwEndpoint, SeriesType};
use crate::model::error_kind::ErrorKind;
use crate::ow::error::OwError;
use crate::poll::windows::Window;
use crate::raw::error::RawError;
use crate::store::{error::StoreError, operations::poll_plan::PatientPlan};

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnError {
    #[error(transparent)]
    Ow(#[from] OwError),
    /// Some windows could not be read; the others were.
    #[error("OW did not return all requested data")]
    Windows(Vec<FailedWindow>),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Raw(#[from] RawError),
    #[error("the tick was stopped")]
    Stopped,
}

impl TurnError {
    /// Returns whether the turns of all other patients would fail in the same way.
    pub(crate) fn ends_tick(&self) -> bool {
        match self {
            Self::Ow(error) => *error == OwError::Unauthorized,
            Self::Store(error) => {
                !matches!(error, StoreError::ConsentEnded | StoreError::Erased | StoreError::Refused(_))
            }
            Self::Windows(_) | Self::Raw(RawError::Patient(_)) => false,
            Self::Raw(_) | Self::Stopped => true,
        }
    }

    pub(crate) fn kind(&self) -> Option<ErrorKind> {
        match self {
            Self::Ow(error) => Some(ow_error_kind(error)),
            Self::Windows(failed) => failed.first().map(|failed| ow_error_kind(&failed.error)),
            Self::Store(_) => Some(ErrorKind::Store),
            Self::Raw(_) => Some(ErrorKind::Bucket),
            Self::Stopped => None,
        }
    }

    /// Returns what happened and what comes next. The caller adds the patient's name.
    pub(crate) fn describe(&self, plan: &PatientPlan) -> String {
        match self {
            Self::Ow(OwError::UnknownUser) => format!(
                "OW does not know {} any more; invite the patient again, or link anew: jhe-ow patient link {} --ow-user UUID",
                plan.ow_user, plan.patient
            ),
            Self::Ow(error) if !self.ends_tick() => format!("{error}; {}", next_step(error)),
            Self::Windows(failed) => describe_all(failed),
            other => other.to_string(),
        }
    }
}

fn ow_error_kind(error: &OwError) -> ErrorKind {
    match error {
        OwError::Unavailable(_) | OwError::Transient(_) => ErrorKind::OwSilent,
        OwError::Permanent(_) | OwError::UnknownTypes(_) => ErrorKind::OwAnswer,
        OwError::UnknownUser => ErrorKind::OwUser,
        OwError::Unauthorized => ErrorKind::OwKey,
    }
}

const RETRIED: &str = "the next tick tries again";
const BLOCKED: &str = "newer data are not stored until OW answers correctly; the next tick tries again";

fn next_step(error: &OwError) -> &'static str {
    if matches!(error, OwError::Permanent(_)) { BLOCKED } else { RETRIED }
}

/// A window that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FailedWindow {
    series: Vec<&'static SeriesType>,
    error: OwError,
}

impl FailedWindow {
    /// Returns `error` itself as the error if it concerns more than this window.
    pub(crate) fn new(window: &Window, error: TurnError) -> Result<Self, TurnError> {
        match error {
            TurnError::Ow(error @ (OwError::Transient(_) | OwError::Permanent(_))) => {
                Ok(Self { series: window.series.clone(), error })
            }
            other => Err(other),
        }
    }

    /// Returns whether a later window must not be read. One of the same types would move their marks past the
    /// gap. After a transient error, such as a timeout, all windows of the same endpoint are skipped, so that
    /// the tick does not wait for each of them.
    pub(crate) fn blocks(&self, later: &Window) -> bool {
        let is_transient = matches!(self.error, OwError::Transient(_));
        later.series.iter().any(|one| {
            self.series
                .iter()
                .any(|own| own == one || (is_transient && own.origin.shares_request(one.origin)))
        })
    }

    fn data_name(&self) -> &'static str {
        match self.series.first().map(|series| series.origin) {
            Some(OwEndpoint::Sleep) => "sleep",
            Some(OwEndpoint::Workouts) => "workouts",
            Some(OwEndpoint::Activity) => "the activity of days",
            Some(OwEndpoint::Timeseries(_)) | None => "samples",
        }
    }
}

/// Describes each distinct error once, with the data that it affects.
fn describe_all(failed: &[FailedWindow]) -> String {
    let mut errors: Vec<(&OwError, Vec<&str>)> = Vec::new();
    for one in failed {
        match errors.iter_mut().find(|(error, _)| **error == one.error) {
            Some((_, names)) if names.contains(&one.data_name()) => {}
            Some((_, names)) => names.push(one.data_name()),
            None => errors.push((&one.error, vec![one.data_name()])),
        }
    }
    let sentence = |(error, names): &(&OwError, Vec<&str>)| {
        format!("{error}, when asked for {}; {}", names.join(", "), next_step(error))
    };
    errors.iter().map(sentence).collect::<Vec<_>>().join(". ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::SERIES;

    #[test]
    fn an_error_is_described_once_with_all_data_that_it_affects() {
        let failed = |is_of: fn(OwEndpoint) -> bool, error: &OwError| FailedWindow {
            series: SERIES.iter().filter(|series| is_of(series.origin)).collect(),
            error: error.clone(),
        };
        let transient = OwError::Transient("OW answered 500".into());
        let permanent = OwError::Permanent("OW answered {".into());
        let samples = failed(|origin| matches!(origin, OwEndpoint::Timeseries(_)), &transient);
        let described = describe_all(&[
            samples.clone(),
            failed(|origin| matches!(origin, OwEndpoint::Sleep), &transient),
            failed(|origin| matches!(origin, OwEndpoint::Workouts), &permanent),
            samples,
        ]);
        let sentences = format!(
            "OW answered 500, when asked for samples, sleep; {RETRIED}. OW answered {{, when asked for workouts; {BLOCKED}"
        );
        assert_eq!(described, sentences);
    }
}
