//! Why a patient's turn ended early, or left something unread.

use crate::model::catalog::series_type::{Origin, Series};
use crate::model::error_kind::Kind;
use crate::ow::error::OwError;
use crate::poll::windows::Window;
use crate::raw::error::RawError;
use crate::store::error::StoreError;
use crate::store::operations::poll_plan::Due;

/// What went wrong in a patient's turn.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TurnError {
    /// OW would not, or could not.
    #[error(transparent)]
    Ow(#[from] OwError),
    /// OW gave some of what it was asked for, and the rest not.
    #[error("OW did not give all that it was asked for")]
    Parts(Vec<Failed>),
    /// The store would not, or could not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// S3 would not, or could not.
    #[error(transparent)]
    Raw(#[from] RawError),
    /// The tick is to stop.
    #[error("the tick was stopped")]
    Stopped,
}

impl TurnError {
    /// Whether every other patient's turn would fail alike.
    pub(crate) fn ends_tick(&self) -> bool {
        !matches!(
            self,
            Self::Ow(OwError::UnknownUser | OwError::Away(_) | OwError::Later(_) | OwError::Wrong(_))
                | Self::Parts(_)
                | Self::Raw(RawError::Patient(_))
                | Self::Store(StoreError::ConsentEnded | StoreError::Erased | StoreError::Refused(_))
        )
    }

    /// Whose part it was; none where nothing went wrong.
    pub(crate) fn kind(&self) -> Option<Kind> {
        match self {
            Self::Ow(error) => Some(of_ow(error)),
            Self::Parts(failed) => failed.first().map(|failed| of_ow(&failed.error)),
            Self::Store(_) => Some(Kind::Store),
            Self::Raw(_) => Some(Kind::Bucket),
            Self::Stopped => None,
        }
    }

    /// What happened and what next, for the page and the command line; the patient is named by whoever
    /// shows it.
    pub(crate) fn describe(&self, due: &Due) -> String {
        match self {
            Self::Ow(OwError::UnknownUser) => format!(
                "OW does not know {} any more; invite the patient again, or link anew: jhe-ow patient link {} --ow-user UUID",
                due.ow_user, due.patient
            ),
            Self::Ow(OwError::Away(what) | OwError::Later(what)) => format!("{what}; {LATER}"),
            Self::Ow(OwError::Wrong(what)) => format!("{what}; {WRONG}"),
            Self::Parts(failed) => describe_all(failed),
            other => other.to_string(),
        }
    }
}

fn of_ow(error: &OwError) -> Kind {
    match error {
        OwError::Away(_) | OwError::Later(_) => Kind::OwSilent,
        OwError::Wrong(_) => Kind::OwAnswer,
        OwError::UnknownUser => Kind::OwUser,
        OwError::Unauthorized => Kind::OwKey,
    }
}

const LATER: &str = "the next tick tries again";
const WRONG: &str = "nothing newer is kept until OW answers well, the next tick tries again";

/// A window that could not be read to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    series: Vec<&'static Series>,
    error: OwError,
}

impl Failed {
    /// Notes what became of a window.
    ///
    /// # Errors
    /// The same error, where it is no trouble of this window alone.
    pub(crate) fn of(window: &Window, error: TurnError) -> Result<Self, TurnError> {
        match error {
            TurnError::Ow(error @ (OwError::Later(_) | OwError::Wrong(_))) => {
                Ok(Self { series: window.series.clone(), error })
            }
            other => Err(other),
        }
    }

    /// Whether a later window is left unread. One of the same types would move their marks past the gap; and an endpoint
    /// that hangs would keep the tick waiting once more.
    pub(crate) fn holds_up(&self, later: &Window) -> bool {
        let hangs = matches!(self.error, OwError::Later(_));
        later.series.iter().any(|one| {
            self.series.iter().any(|own| own == one || (hangs && own.origin.shares_request(one.origin)))
        })
    }

    /// What was asked for.
    fn asked(&self) -> &'static str {
        match self.series.first().map(|series| series.origin) {
            Some(Origin::Sleep) => "sleep",
            Some(Origin::Workouts) => "workouts",
            Some(Origin::Activity) => "the activity of days",
            Some(Origin::Timeseries(_)) | None => "samples",
        }
    }
}

/// Each error once, with everything that met it.
fn describe_all(failed: &[Failed]) -> String {
    let mut told: Vec<(&OwError, Vec<&str>)> = Vec::new();
    for one in failed {
        match told.iter_mut().find(|(error, _)| **error == one.error) {
            Some((_, asked)) if asked.contains(&one.asked()) => {}
            Some((_, asked)) => asked.push(one.asked()),
            None => told.push((&one.error, vec![one.asked()])),
        }
    }
    let sentence = |(error, asked): &(&OwError, Vec<&str>)| {
        let next = if matches!(error, OwError::Later(_)) { LATER } else { WRONG };
        format!("{error}, when asked for {}; {next}", asked.join(", "))
    };
    told.iter().map(sentence).collect::<Vec<_>>().join(". ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::catalog::series::SERIES;

    #[test]
    fn an_error_is_told_once_with_everything_that_met_it() {
        let failed = |is_of: fn(Origin) -> bool, error: &OwError| Failed {
            series: SERIES.iter().filter(|series| is_of(series.origin)).collect(),
            error: error.clone(),
        };
        let (later, wrong) =
            (OwError::Later("OW answered 500".into()), OwError::Wrong("OW answered {".into()));
        let samples = failed(|origin| matches!(origin, Origin::Timeseries(_)), &later);
        let told = describe_all(&[
            samples.clone(),
            failed(|origin| matches!(origin, Origin::Sleep), &later),
            failed(|origin| matches!(origin, Origin::Workouts), &wrong),
            samples,
        ]);
        let sentences = format!(
            "OW answered 500, when asked for samples, sleep; {LATER}. OW answered {{, when asked for workouts; {WRONG}"
        );
        assert_eq!(told, sentences);
    }
}
