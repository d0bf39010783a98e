//! The settings that an operator flips while the daemon runs: what there is, what values are allowed, and
//! a typed view of what was set. Their rows are the store's.

use std::collections::HashMap;
use std::time::Duration;

use crate::common::failure::Failure;
use crate::common::suggest::nearest;
use crate::common::time::{Timestamp, parse_duration, show_duration};
use crate::model::data_source_names::Naming;
use crate::secrets::sealing;
use crate::secrets::sealing::Key;

/// A setting.
#[derive(Debug)]
pub struct Setting {
    /// Its name.
    pub key: &'static str,
    /// Its value where nobody set one.
    pub default: &'static str,
    /// What it does, for the operator.
    pub about: &'static str,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Bool,
    Choice(&'static [&'static str]),
    Text,
    Secret,
    Address,
    /// A length of time within these seconds.
    Duration(u64, u64),
    Count(u64, u64),
    /// As a duration, or off.
    Pause(u64, u64),
    /// An absolute path.
    Directory,
    /// What JHE calls which provider.
    Naming,
    /// The lock: empty or a timestamp.
    Lock,
}

const DAY: u64 = 86_400;
/// What becomes of what is kept once its consent is withdrawn.
pub const AFTER_WITHDRAWAL: &str = "data.after_withdrawal";
/// What stands for never.
const OFF: &str = "off";

const fn setting(key: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Setting {
    Setting { key, default, about, kind }
}

/// Every setting, in the order in which they are shown.
pub const ALL: &[Setting] = &[
    setting("module.ow", Kind::Bool, "false", "Master switch: polls do nothing while it is false"),
    setting(
        "ow.ingest_mode",
        Kind::Choice(&["normalized", "raw"]),
        "normalized",
        "Read OW's API (normalized), or the provider's own payloads that OW stores in S3 (raw)",
    ),
    setting(
        "ow.sync_in_progress",
        Kind::Lock,
        "",
        "When the tick that runs began; set it to \"\" to clear a lock that was left behind",
    ),
    setting(
        "ow.poll_interval",
        Kind::Duration(1, DAY),
        "15m",
        "Time from one tick of the daemon to the next",
    ),
    setting(
        "ow.concurrency",
        Kind::Count(1, 64),
        "4",
        "Patients read at the same time; an OW saturates at 4",
    ),
    setting(
        "ow.first_connect_window",
        Kind::Duration(3600, 5 * 365 * DAY),
        "1d",
        "How far back the first read of a newly linked patient goes",
    ),
    setting(
        "ow.daily_historical_sync",
        Kind::Bool,
        "true",
        "Once a day, have OW fetch the last two days from the provider again: it misses what syncs late",
    ),
    setting(
        "ow.reconcile_daily",
        Kind::Bool,
        "true",
        "Once a day, compare with OW's own counts and read five weeks again where something is missing",
    ),
    setting(
        "ow.hints",
        Kind::Pause(1, 3600),
        "1m",
        "How often OW is asked who has just synced, between ticks; they are polled at once. off: only at ticks",
    ),
    setting(
        "jhe.concurrency",
        Kind::Count(1, 8),
        "2",
        "Batches on their way to JHE at the same time: as many as it has workers",
    ),
    setting(
        "jhe.data_sources",
        Kind::Naming,
        "",
        "JHE's names of data sources, where they are not OW's: Oura = Oura Ring, Garmin = Garmin Connect",
    ),
    setting(
        "ow.export_system",
        Kind::Choice(&["current", "ow:normalized", "ow:raw"]),
        "current",
        "What JHE gets where both modes have brought samples: what the present mode brings, or always one of them",
    ),
    setting("ow.s3.endpoint_url", Kind::Address, "", "Raw mode: the address of S3 or MinIO"),
    setting("ow.s3.access_key_id", Kind::Secret, "", "Raw mode: the access key"),
    setting("ow.s3.secret_access_key", Kind::Secret, "", "Raw mode: the secret key"),
    setting("ow.s3.region", Kind::Text, "us-east-1", "Raw mode: the region of the bucket"),
    setting("ow.s3.bucket_name", Kind::Text, "", "Raw mode: the bucket"),
    setting(
        "ow.s3.key_prefix",
        Kind::Text,
        "raw-payloads/oura/api_response",
        "Raw mode: what the names of the payloads begin with",
    ),
    setting(
        AFTER_WITHDRAWAL,
        Kind::Choice(&["keep", "hide", "erase"]),
        "keep",
        "What becomes of what is kept here once its consent is withdrawn: it stays; it is shown no more; it is shown no more, and erased after data.erase_after",
    ),
    setting(
        "data.erase_after",
        Kind::Duration(3600, 10 * 365 * DAY),
        "30d",
        "How long after the withdrawal it is erased, unless the patient agrees again before",
    ),
    setting(
        "silence.after",
        Kind::Duration(3600, 60 * DAY),
        "36h",
        "A patient whose newest sample is older is silent: flagged, and told once. A ring that syncs each morning is up to 25 hours behind",
    ),
    setting(
        "alerts.when_back",
        Kind::Bool,
        "true",
        "Whether the end of a silence that was told of is told as well",
    ),
    setting(
        "backup.interval",
        Kind::Pause(3600, 365 * DAY),
        "1d",
        "How often the daemon copies the store to a file of its own; off: never",
    ),
    setting("backup.keep", Kind::Count(1, 1000), "7", "So many of these copies are kept, the newest"),
    setting(
        "backup.directory",
        Kind::Directory,
        "",
        "Where they go: another disk is better; without it backups in the data directory",
    ),
];

/// The settings that raw mode cannot do without.
const RAW_REQUIRED: &[&str] =
    &["ow.s3.endpoint_url", "ow.s3.access_key_id", "ow.s3.secret_access_key", "ow.s3.bucket_name"];

/// The setting of this name.
///
/// # Errors
/// A usage failure that names the nearest one.
pub fn find(key: &str) -> Result<&'static Setting, Failure> {
    ALL.iter().find(|setting| setting.key == key).ok_or_else(|| {
        let next = match nearest(key, ALL.iter().map(|setting| setting.key)) {
            Some(near) => format!("did you mean {near}? `jhe-ow settings list` shows all"),
            None => "`jhe-ow settings list` shows all".to_owned(),
        };
        Failure::usage(format!("there is no setting '{key}'"), next)
    })
}

impl Setting {
    /// The value in the one form in which it is kept.
    ///
    /// # Errors
    /// A usage failure that says what is allowed.
    pub fn check(&self, value: &str) -> Result<String, Failure> {
        let value = value.trim();
        let refuse = |allowed: String| {
            let what = format!("{} = '{}' is not a value it can have", self.key, self.show(value));
            Err(Failure::usage(what, allowed))
        };
        match self.kind {
            Kind::Bool => match value.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => Ok("true".to_owned()),
                "false" | "off" | "no" | "0" => Ok("false".to_owned()),
                _ => refuse("give true or false".to_owned()),
            },
            Kind::Choice(choices) if choices.contains(&value) => Ok(value.to_owned()),
            Kind::Choice(choices) => refuse(format!("give {}", choices.join(" or "))),
            Kind::Text | Kind::Secret if value.is_empty() => {
                refuse(format!("give a value, or take it away: jhe-ow settings unset {}", self.key))
            }
            Kind::Text | Kind::Secret => Ok(value.to_owned()),
            Kind::Address => match crate::config::base_url::BaseUrl::parse(value) {
                Ok(address) => Ok(address.to_string()),
                Err(allowed) => refuse(allowed),
            },
            Kind::Pause(..) if value == OFF => Ok(value.to_owned()),
            Kind::Directory if value.starts_with('/') => Ok(value.to_owned()),
            Kind::Directory => refuse("give a path that begins with /".to_owned()),
            Kind::Duration(least, most) | Kind::Pause(least, most) => match parse_duration(value) {
                Ok(length) if (least..=most).contains(&length.as_secs()) => Ok(show_duration(length)),
                Ok(_) => refuse(format!("give a time from {} to {}", seconds(least), seconds(most))),
                Err(allowed) => refuse(allowed),
            },
            Kind::Count(least, most) => match value.parse() {
                Ok(count) if (least..=most).contains(&count) => Ok(count.to_string()),
                _ => refuse(format!("give a number from {least} to {most}")),
            },
            Kind::Naming => Naming::parse(value).map(|naming| naming.to_string()).or_else(refuse),
            Kind::Lock if value.is_empty() || Timestamp::parse(value).is_ok() => Ok(value.to_owned()),
            Kind::Lock => refuse("give \"\" to clear it, or a time such as 2026-11-21T08:00:00Z".to_owned()),
        }
    }

    /// A checked value as it stands in the store: a secret only sealed.
    ///
    /// # Errors
    /// A usage failure where there is no key to seal it with.
    pub fn kept(&self, key: Option<&Key>, value: String) -> Result<String, Failure> {
        if self.is_secret() { sealing::seal_setting(key, self.key, &value) } else { Ok(value) }
    }

    /// What can be chosen, where the values can be counted.
    pub fn choices(&self) -> &'static [&'static str] {
        match self.kind {
            Kind::Bool => &["true", "false"],
            Kind::Choice(choices) => choices,
            _ => &[],
        }
    }

    /// Whether the value is only ever written, never shown.
    pub fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Whether the value is written by ticks, and only ever cleared by people.
    pub fn is_lock(&self) -> bool {
        matches!(self.kind, Kind::Lock)
    }

    /// The value as it may be shown: a secret only says whether it is set.
    pub fn show<'a>(&self, value: &'a str) -> &'a str {
        match self.kind {
            Kind::Secret if !value.is_empty() => "(set)",
            _ => value,
        }
    }
}

fn seconds(count: u64) -> String {
    show_duration(Duration::from_secs(count))
}

/// How samples come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestMode {
    /// From OW's API.
    Normalized,
    /// From the provider's own payloads in S3.
    Raw,
}

impl IngestMode {
    /// As the setting writes it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normalized => "normalized",
            Self::Raw => "raw",
        }
    }

    /// The system of the identifiers of what comes in this way.
    pub fn system(self) -> &'static str {
        match self {
            Self::Normalized => "ow:normalized",
            Self::Raw => "ow:raw",
        }
    }
}

/// The settings at one moment.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(HashMap<String, String>);

impl Snapshot {
    /// The settings of these rows.
    pub fn new(rows: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(rows.into_iter().collect())
    }

    /// What was set, where anything was.
    pub fn stored(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// What holds: what was set, else the default.
    pub fn text(&self, key: &str) -> &str {
        let default = || ALL.iter().find(|setting| setting.key == key).map_or("", |setting| setting.default);
        self.stored(key).unwrap_or_else(default)
    }

    /// The master switch.
    pub fn is_on(&self) -> bool {
        self.text("module.ow") == "true"
    }

    /// The mode of ingestion.
    ///
    /// # Errors
    /// The text that was set, where it names no mode.
    pub fn ingest_mode(&self) -> Result<IngestMode, String> {
        match self.text("ow.ingest_mode") {
            "normalized" => Ok(IngestMode::Normalized),
            "raw" => Ok(IngestMode::Raw),
            other => Err(other.to_owned()),
        }
    }

    /// The system whose observations go to JHE.
    pub fn export_system(&self) -> &'static str {
        let modes = [IngestMode::Normalized, IngestMode::Raw];
        let wanted = self.text("ow.export_system");
        let chosen = modes.into_iter().find(|mode| mode.system() == wanted);
        chosen.or(self.ingest_mode().ok()).unwrap_or(IngestMode::Normalized).system()
    }

    /// Time from one tick to the next.
    pub fn poll_interval(&self) -> Duration {
        self.duration("ow.poll_interval")
    }

    /// How far back the first read of a patient goes.
    pub fn first_connect_window(&self) -> Duration {
        self.duration("ow.first_connect_window")
    }

    /// How long after a withdrawal what it is about is erased; none where it is not.
    pub fn erase_after(&self) -> Option<Duration> {
        (self.text(AFTER_WITHDRAWAL) == "erase").then(|| self.duration("data.erase_after"))
    }

    /// How old the newest sample is of who is silent.
    pub fn silence_after(&self) -> Duration {
        self.duration("silence.after")
    }

    /// Whether the end of a silence is told.
    pub fn tells_when_back(&self) -> bool {
        self.text("alerts.when_back") == "true"
    }

    /// How often OW is asked who has just synced; none where it is not.
    pub fn hints_interval(&self) -> Option<Duration> {
        (self.text("ow.hints") != OFF).then(|| self.duration("ow.hints"))
    }

    /// How often the store is copied; none where it is not.
    pub fn backup_interval(&self) -> Option<Duration> {
        (self.text("backup.interval") != OFF).then(|| self.duration("backup.interval"))
    }

    /// Copies that are kept.
    pub fn backup_keep(&self) -> usize {
        self.text("backup.keep").parse().unwrap_or(7)
    }

    /// Where copies go, where that was set.
    pub fn backup_directory(&self) -> Option<&str> {
        self.stored("backup.directory").filter(|directory| !directory.is_empty())
    }

    /// Patients read at the same time.
    pub fn concurrency(&self) -> usize {
        self.text("ow.concurrency").parse().unwrap_or(1)
    }

    /// Batches on their way to JHE at the same time.
    pub fn export_concurrency(&self) -> usize {
        self.text("jhe.concurrency").parse().unwrap_or(1)
    }

    /// What JHE calls the data sources. A provider that a later version does not know any more has OW's own name.
    pub fn naming(&self) -> Naming {
        Naming::parse(self.text("jhe.data_sources")).unwrap_or_default()
    }

    /// Whether OW is asked daily to fetch two days again.
    pub fn daily_historical_sync(&self) -> bool {
        self.text("ow.daily_historical_sync") == "true"
    }

    /// Whether the counts are compared with OW's daily.
    pub fn reconcile_daily(&self) -> bool {
        self.text("ow.reconcile_daily") == "true"
    }

    /// The first setting that raw mode lacks.
    pub fn missing_for_raw(&self) -> Option<&'static str> {
        RAW_REQUIRED.iter().copied().find(|key| self.text(key).is_empty())
    }

    /// A value that no longer parses, after an upgrade, say, counts as the default.
    fn duration(&self, key: &str) -> Duration {
        let default = || parse_duration(Self::default().text(key)).unwrap_or_default();
        parse_duration(self.text(key)).unwrap_or_else(|_| default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_value_that_the_setting_takes() {
        for setting in ALL.iter().filter(|setting| !setting.default.is_empty()) {
            assert_eq!(setting.check(setting.default), Ok(setting.default.to_owned()), "{}", setting.key);
        }
    }

    #[test]
    fn values_are_kept_in_one_form() {
        let check = |key: &str, value: &str| find(key).unwrap().check(value).unwrap();
        assert_eq!(check("module.ow", " ON "), "true");
        assert_eq!(check("ow.poll_interval", "900s"), "15m");
        assert_eq!(check("ow.concurrency", "08"), "8");
        assert_eq!(check("ow.sync_in_progress", ""), "");
    }

    #[test]
    fn a_wrong_value_says_what_is_allowed() {
        for (key, value, allowed) in [
            ("module.ow", "maybe", "give true or false"),
            ("ow.ingest_mode", "bogus", "give normalized or raw"),
            ("ow.poll_interval", "0s", "give a time from 1s to 1d"),
            ("ow.concurrency", "65", "give a number from 1 to 64"),
            ("ow.concurrency", "-1", "give a number from 1 to 64"),
        ] {
            let failure = find(key).unwrap().check(value).unwrap_err();
            assert!(failure.what.contains(key) && failure.what.contains(value), "{failure}");
            assert_eq!((failure.next.as_str(), failure.code), (allowed, 2));
        }
    }

    #[test]
    fn an_unknown_setting_names_the_nearest() {
        assert!(find("ow.ingestmode").unwrap_err().next.contains("ow.ingest_mode"));
    }

    #[test]
    fn secrets_are_masked() {
        let secret = find("ow.s3.secret_access_key").unwrap();
        assert_eq!((secret.show("abc"), secret.show("")), ("(set)", ""));
    }

    #[test]
    fn the_export_follows_the_mode_unless_it_is_told() {
        let of = |mode: &str, system: &str| {
            let rows = [("ow.ingest_mode", mode), ("ow.export_system", system)];
            Snapshot::new(rows.map(|(key, value)| (key.to_owned(), value.to_owned()))).export_system()
        };
        assert_eq!((of("raw", "current"), of("normalized", "current")), ("ow:raw", "ow:normalized"));
        assert_eq!((of("raw", "ow:normalized"), of("bogus", "current")), ("ow:normalized", "ow:normalized"));
    }

    #[test]
    fn the_snapshot_knows_defaults_and_what_was_set() {
        let snapshot = Snapshot::new([("ow.ingest_mode".to_owned(), "bogus".to_owned())]);
        assert!(!snapshot.is_on());
        assert_eq!(snapshot.ingest_mode(), Err("bogus".to_owned()));
        assert_eq!(snapshot.poll_interval(), Duration::from_mins(15));
        assert_eq!(snapshot.missing_for_raw(), Some("ow.s3.endpoint_url"));
    }
}
