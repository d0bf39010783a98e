//! Run-time settings: the table of settings with their allowed values, and typed access to the stored values.

use std::collections::HashMap;
use std::time::Duration;

use crate::common::time::{Timestamp, format_duration, parse_duration};
use crate::common::{failure::Failure, suggest::nearest, visible::is_misleading};
use crate::config::base_url::BaseUrl;
use crate::model::audit_detail::AuditDetail;
use crate::model::data_source_names::DataSourceNames;
use crate::secrets::sealing::{self, SealingKey};

#[derive(Debug)]
pub struct Setting {
    pub key: &'static str,
    pub default: &'static str,
    /// Description for the operator.
    pub about: &'static str,
    kind: ValueKind,
}

#[derive(Debug)]
enum ValueKind {
    Bool,
    Choice(&'static [&'static str]),
    Text,
    Secret,
    Address,
    /// A duration; minimum and maximum in seconds.
    Duration(u64, u64),
    Count(u64, u64),
    /// A duration or `off`.
    DurationOrOff(u64, u64),
    /// An absolute path.
    Directory,
    /// JHE's names of data sources, as in [`DataSourceNames`].
    DataSourceNames,
    /// The lock: empty or a timestamp.
    Lock,
}

const DAY: u64 = 86_400;
/// The treatment of stored data after a withdrawal: keep, hide or erase.
pub const AFTER_WITHDRAWAL: &str = "data.after_withdrawal";
/// The accounts that need a second factor: operators or everybody.
pub const SECOND_FACTOR: &str = "sign_in.second_factor";
/// The directory of the backups.
pub const BACKUP_DIRECTORY: &str = "backup.directory";
const OFF: &str = "off";

const fn setting(key: &'static str, kind: ValueKind, default: &'static str, about: &'static str) -> Setting {
    Setting { key, default, about, kind }
}

/// Every setting, in display order.
#[rustfmt::skip]
pub const SETTINGS: &[Setting] = &[
    setting("module.ow", ValueKind::Bool, "false", "Master switch: polls do nothing while it is false"),
    setting("ow.ingest_mode", ValueKind::Choice(&["normalized", "raw"]), "normalized",
        "Read OW's API (normalized), or the provider's own payloads that OW stores in S3 (raw)"),
    setting("ow.sync_in_progress", ValueKind::Lock, "",
        "Start of the running tick; set it to \"\" to clear a lock that a crash left behind"),
    setting("ow.poll_interval", ValueKind::Duration(1, DAY), "15m",
        "Time from one tick of the daemon to the next"),
    setting("ow.concurrency", ValueKind::Count(1, 64), "4",
        "Patients read at the same time; OW saturates at 4"),
    setting("ow.first_connect_window", ValueKind::Duration(3600, 5 * 365 * DAY), "1d",
        "How far back the first read of a newly linked patient goes"),
    setting("ow.daily_historical_sync", ValueKind::Bool, "true",
        "Once a day, OW fetches the last two days from the provider again, for devices that sync late"),
    setting("ow.reconcile_daily", ValueKind::Bool, "true",
        "Once a day, compare with OW's counts, and read five weeks again if samples are missing"),
    setting("ow.hints", ValueKind::DurationOrOff(1, 3600), "1m",
        "How often to ask OW, between ticks, which users have just synced; they are polled at once. off: \
         only at ticks"),
    setting("jhe.concurrency", ValueKind::Count(1, 8), "2",
        "Batches sent to JHE at the same time: as many as it has workers"),
    setting("jhe.data_sources", ValueKind::DataSourceNames, "",
        "JHE's names of data sources, if they differ from OW's: Oura = Oura Ring, Garmin = Garmin Connect"),
    setting("ow.export_system", ValueKind::Choice(&["current", "ow:normalized", "ow:raw"]), "current",
        "Which samples JHE gets if both modes have stored some: those of the current mode, or always \
         those of one mode"),
    setting("ow.s3.endpoint_url", ValueKind::Address, "", "Raw mode: the address of S3 or MinIO"),
    setting("ow.s3.access_key_id", ValueKind::Secret, "", "Raw mode: the access key"),
    setting("ow.s3.secret_access_key", ValueKind::Secret, "", "Raw mode: the secret key"),
    setting("ow.s3.region", ValueKind::Text, "us-east-1", "Raw mode: the region of the bucket"),
    setting("ow.s3.bucket_name", ValueKind::Text, "", "Raw mode: the bucket"),
    setting("ow.s3.key_prefix", ValueKind::Text, "raw-payloads/oura/api_response",
        "Raw mode: the common start of the payloads' names"),
    setting(AFTER_WITHDRAWAL, ValueKind::Choice(&["keep", "hide", "erase"]), "keep",
        "Stored data after a withdrawal of consent. keep: they stay; hide: they are not shown any more; \
         erase: they are not shown, and are erased after data.erase_after"),
    setting("data.erase_after", ValueKind::Duration(3600, 10 * 365 * DAY), "30d",
        "Time from a withdrawal to the erasure, unless the patient agrees again before"),
    setting("sign_in.idle_end", ValueKind::Duration(60, DAY), "30m",
        "Time without use after which practitioners and operators are signed out. 12 hours after the sign-in they \
         are in any case"),
    setting(SECOND_FACTOR, ValueKind::Choice(&["operators", "everybody"]), "operators",
        "Who needs a second factor to sign in with a password. operators: each, once one of them has set one up; \
         everybody: every account. Accounts of JHE sign in at JHE"),
    setting("silence.after", ValueKind::Duration(3600, 60 * DAY), "36h",
        "A patient whose newest sample is older counts as silent: flagged, with one alert. A ring that \
         syncs each morning is up to 25 hours behind"),
    setting("alerts.when_back", ValueKind::Bool, "true",
        "Send an alert when the data of a silent patient come in again"),
    setting("backup.interval", ValueKind::DurationOrOff(3600, 365 * DAY), "1d",
        "How often the daemon copies the database to a backup file; off: never"),
    setting("backup.keep", ValueKind::Count(1, 1000), "7",
        "Number of backups to keep; older ones are deleted"),
    setting(BACKUP_DIRECTORY, ValueKind::Directory, "",
        "Directory of the backups, best on another disk; if empty, backups in the data directory. On the pages: one \
         there, or below backup_roots of the configuration"),
];

const RAW_REQUIRED: &[&str] =
    &["ow.s3.endpoint_url", "ow.s3.access_key_id", "ow.s3.secret_access_key", "ow.s3.bucket_name"];

/// Returns a setting. The error about an unknown key names the nearest one.
pub fn find(key: &str) -> Result<&'static Setting, Failure> {
    SETTINGS.iter().find(|setting| setting.key == key).ok_or_else(|| {
        let remedy = match nearest(key, SETTINGS.iter().map(|setting| setting.key)) {
            Some(near) => format!("did you mean {near}? `jhe-ow settings list` shows all"),
            None => "`jhe-ow settings list` shows all".to_owned(),
        };
        Failure::usage(format!("there is no setting '{key}'"), remedy)
    })
}

impl Setting {
    /// Checks a value and returns its canonical form. The error names the allowed values.
    pub fn normalize(&self, value: &str) -> Result<String, Failure> {
        let value = value.trim();
        let refuse = |allowed: String| {
            let message = format!("{} = '{}' is not a value it can have", self.key, self.mask(value));
            Err(Failure::usage(message, allowed))
        };
        match self.kind {
            ValueKind::Bool => match value.to_ascii_lowercase().as_str() {
                "true" | "on" | "yes" | "1" => Ok("true".to_owned()),
                "false" | "off" | "no" | "0" => Ok("false".to_owned()),
                _ => refuse("give true or false".to_owned()),
            },
            ValueKind::Choice(choices) if choices.contains(&value) => Ok(value.to_owned()),
            ValueKind::Choice(choices) => refuse(format!("give {}", choices.join(" or "))),
            ValueKind::Text | ValueKind::Secret if value.is_empty() => {
                refuse(format!("give a value, or take it away: jhe-ow settings unset {}", self.key))
            }
            ValueKind::Text | ValueKind::Secret => Ok(value.to_owned()),
            ValueKind::Address => match BaseUrl::parse(value) {
                Ok(address) if address.is_link_local() => refuse(
                    "give another address: a link-local one leads to this machine's own cloud".to_owned(),
                ),
                Ok(address) => Ok(address.to_string()),
                Err(allowed) => refuse(allowed),
            },
            ValueKind::DurationOrOff(..) if value == OFF => Ok(value.to_owned()),
            ValueKind::Directory if value.contains(is_misleading) => refuse(
                "give a path without control characters, direction marks and invisible characters".to_owned(),
            ),
            ValueKind::Directory if value.is_empty() || value.starts_with('/') => Ok(value.to_owned()),
            ValueKind::Directory => refuse("give a path that begins with /, or none".to_owned()),
            ValueKind::Duration(min, max) | ValueKind::DurationOrOff(min, max) => match parse_duration(value)
            {
                Ok(length) if (min..=max).contains(&length.as_secs()) => Ok(format_duration(length)),
                Ok(_) => refuse(format!("give a time from {} to {}", seconds(min), seconds(max))),
                Err(allowed) => refuse(allowed),
            },
            ValueKind::Count(min, max) => match value.parse() {
                Ok(count) if (min..=max).contains(&count) => Ok(count.to_string()),
                _ => refuse(format!("give a number from {min} to {max}")),
            },
            ValueKind::DataSourceNames => {
                DataSourceNames::parse(value).map(|names| names.to_string()).or_else(refuse)
            }
            ValueKind::Lock if value.is_empty() || Timestamp::parse(value).is_ok() => Ok(value.to_owned()),
            ValueKind::Lock => {
                refuse("give \"\" to clear it, or a time such as 2026-11-21T08:00:00Z".to_owned())
            }
        }
    }

    /// Returns a normalized value in the form for the database: secrets are sealed.
    pub fn to_stored(&self, key: Option<&SealingKey>, value: String) -> Result<String, Failure> {
        if self.key == SECOND_FACTOR && value == "everybody" && key.is_none() {
            return Err(Failure::usage(
                "nobody can set up a second factor: its secret is stored encrypted, and no key is configured for that",
                sealing::MAKE_A_KEY,
            ));
        }
        if self.is_secret() { sealing::seal_setting(key, self.key, &value) } else { Ok(value) }
    }

    /// Returns the audit's words for a change. Texts, addresses and secrets are not recorded.
    pub fn audit_detail(&self, value: Option<&str>) -> AuditDetail {
        let detail = AuditDetail::from(self.key).with("=");
        let Some(value) = value else { return detail.with(self.default) };
        let fixed = self.choices().iter().copied().chain([OFF]).find(|choice| *choice == value);
        match (fixed, &self.kind) {
            (Some(choice), _) => detail.with(choice),
            (_, ValueKind::Duration(..) | ValueKind::DurationOrOff(..)) => {
                parse_duration(value).map_or(detail.clone(), |length| detail.with(length))
            }
            (_, ValueKind::Count(..)) => {
                value.parse::<u64>().map_or(detail.clone(), |count| detail.with(count))
            }
            _ if value.is_empty() => detail.with("(empty)"),
            _ => detail.with("(set)"),
        }
    }

    /// Returns all values of a setting with fixed choices.
    pub fn choices(&self) -> &'static [&'static str] {
        match self.kind {
            ValueKind::Bool => &["true", "false"],
            ValueKind::Choice(choices) => choices,
            _ => &[],
        }
    }

    pub fn is_secret(&self) -> bool {
        matches!(self.kind, ValueKind::Secret)
    }

    /// Returns true for the lock, which ticks write and people only clear.
    pub fn is_lock(&self) -> bool {
        matches!(self.kind, ValueKind::Lock)
    }

    /// Returns a value for display: a secret only as `(set)`.
    pub fn mask<'a>(&self, value: &'a str) -> &'a str {
        match self.kind {
            ValueKind::Secret if !value.is_empty() => "(set)",
            _ => value,
        }
    }
}

fn seconds(count: u64) -> String {
    format_duration(Duration::from_secs(count))
}

/// The source of samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IngestMode {
    /// OW's API.
    Normalized,
    /// The provider's own payloads, which OW stores in S3.
    Raw,
}

impl IngestMode {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Normalized => "normalized",
            Self::Raw => "raw",
        }
    }

    /// Returns the FHIR identifier system of observations in this mode.
    pub fn system(self) -> &'static str {
        match self {
            Self::Normalized => "ow:normalized",
            Self::Raw => "ow:raw",
        }
    }
}

/// The stored settings at one moment.
#[derive(Debug, Clone, Default)]
pub struct Settings(HashMap<String, String>);

impl Settings {
    pub fn new(rows: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(rows.into_iter().collect())
    }

    /// Returns the stored value; none if the default applies.
    pub fn stored(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Returns the stored value or the default.
    pub fn text(&self, key: &str) -> &str {
        let default =
            || SETTINGS.iter().find(|setting| setting.key == key).map_or("", |setting| setting.default);
        self.stored(key).unwrap_or_else(default)
    }

    /// Returns true if the module is switched on.
    pub fn is_on(&self) -> bool {
        self.flag("module.ow")
    }

    /// Returns the ingest mode; an unknown text as the error.
    pub fn ingest_mode(&self) -> Result<IngestMode, String> {
        match self.text("ow.ingest_mode") {
            "normalized" => Ok(IngestMode::Normalized),
            "raw" => Ok(IngestMode::Raw),
            other => Err(other.to_owned()),
        }
    }

    /// Returns the identifier system of the observations that go to JHE.
    pub fn export_system(&self) -> &'static str {
        let modes = [IngestMode::Normalized, IngestMode::Raw];
        let wanted = self.text("ow.export_system");
        let chosen = modes.into_iter().find(|mode| mode.system() == wanted);
        chosen.or(self.ingest_mode().ok()).unwrap_or(IngestMode::Normalized).system()
    }

    pub fn poll_interval(&self) -> Duration {
        self.duration("ow.poll_interval")
    }

    pub fn first_connect_window(&self) -> Duration {
        self.duration("ow.first_connect_window")
    }

    /// Returns the time from a withdrawal to the erasure; none if withdrawn data are not erased.
    pub fn erase_after(&self) -> Option<Duration> {
        (self.text(AFTER_WITHDRAWAL) == "erase").then(|| self.duration("data.erase_after"))
    }

    /// Returns the time without use after which an account is signed out.
    pub fn idle_end(&self) -> Duration {
        self.duration("sign_in.idle_end")
    }

    /// Returns the age of the newest sample from which on a patient counts as silent.
    pub fn silence_after(&self) -> Duration {
        self.duration("silence.after")
    }

    pub fn alerts_when_back(&self) -> bool {
        self.flag("alerts.when_back")
    }

    /// Returns the interval for asking OW about recent syncs; none if that is off.
    pub fn hints_interval(&self) -> Option<Duration> {
        self.duration_or_off("ow.hints")
    }

    pub fn backup_interval(&self) -> Option<Duration> {
        self.duration_or_off("backup.interval")
    }

    pub fn backup_keep(&self) -> usize {
        self.text("backup.keep").parse().unwrap_or(7)
    }

    pub fn backup_directory(&self) -> Option<&str> {
        self.stored(BACKUP_DIRECTORY).filter(|directory| !directory.is_empty())
    }

    /// Returns the number of patients read at the same time.
    pub fn concurrency(&self) -> usize {
        self.text("ow.concurrency").parse().unwrap_or(1)
    }

    pub fn export_concurrency(&self) -> usize {
        self.text("jhe.concurrency").parse().unwrap_or(1)
    }

    /// Returns JHE's names of data sources. An upgrade may have dropped a provider that the stored text
    /// names; then all have OW's names.
    pub fn data_source_names(&self) -> DataSourceNames {
        DataSourceNames::parse(self.text("jhe.data_sources")).unwrap_or_default()
    }

    pub fn daily_historical_sync(&self) -> bool {
        self.flag("ow.daily_historical_sync")
    }

    pub fn reconcile_daily(&self) -> bool {
        self.flag("ow.reconcile_daily")
    }

    /// Returns the first empty setting that raw mode requires.
    pub fn missing_for_raw(&self) -> Option<&'static str> {
        RAW_REQUIRED.iter().copied().find(|key| self.text(key).is_empty())
    }

    fn flag(&self, key: &str) -> bool {
        self.text(key) == "true"
    }

    fn duration_or_off(&self, key: &str) -> Option<Duration> {
        (self.text(key) != OFF).then(|| self.duration(key))
    }

    /// Falls back to the default if the stored value no longer parses, for example after an upgrade.
    fn duration(&self, key: &str) -> Duration {
        let default = || parse_duration(Self::default().text(key)).unwrap_or_default();
        parse_duration(self.text(key)).unwrap_or_else(|_| default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_a_valid_value() {
        for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
            assert_eq!(setting.normalize(setting.default), Ok(setting.default.to_owned()), "{}", setting.key);
        }
    }

    #[test]
    fn values_are_stored_in_one_form() {
        let normalize = |key: &str, value: &str| find(key).unwrap().normalize(value).unwrap();
        assert_eq!(normalize("module.ow", " ON "), "true");
        assert_eq!(normalize("ow.poll_interval", "900s"), "15m");
        assert_eq!(normalize("ow.concurrency", "08"), "8");
        assert_eq!(normalize("ow.sync_in_progress", ""), "");
    }

    #[test]
    fn a_wrong_value_is_refused_with_the_allowed_values() {
        for (key, value, allowed) in [
            ("module.ow", "maybe", "give true or false"),
            ("ow.ingest_mode", "bogus", "give normalized or raw"),
            ("ow.poll_interval", "0s", "give a time from 1s to 1d"),
            ("ow.concurrency", "65", "give a number from 1 to 64"),
            ("ow.concurrency", "-1", "give a number from 1 to 64"),
        ] {
            let failure = find(key).unwrap().normalize(value).unwrap_err();
            assert!(failure.message.contains(key) && failure.message.contains(value), "{failure}");
            assert_eq!((failure.remedy.as_str(), failure.code), (allowed, 2));
        }
    }

    #[test]
    fn an_unknown_setting_names_the_nearest() {
        assert!(find("ow.ingestmode").unwrap_err().remedy.contains("ow.ingest_mode"));
    }

    #[test]
    fn secrets_are_masked() {
        let secret = find("ow.s3.secret_access_key").unwrap();
        assert_eq!((secret.mask("abc"), secret.mask("")), ("(set)", ""));
    }

    #[test]
    fn the_export_follows_the_mode_unless_it_is_set() {
        let of = |mode: &str, system: &str| {
            let rows = [("ow.ingest_mode", mode), ("ow.export_system", system)];
            Settings::new(rows.map(|(key, value)| (key.to_owned(), value.to_owned()))).export_system()
        };
        assert_eq!((of("raw", "current"), of("normalized", "current")), ("ow:raw", "ow:normalized"));
        assert_eq!((of("raw", "ow:normalized"), of("bogus", "current")), ("ow:normalized", "ow:normalized"));
    }

    #[test]
    fn stored_values_override_defaults() {
        let settings = Settings::new([("ow.ingest_mode".to_owned(), "bogus".to_owned())]);
        assert!(!settings.is_on());
        assert_eq!(settings.ingest_mode(), Err("bogus".to_owned()));
        assert_eq!(settings.poll_interval(), Duration::from_mins(15));
        assert_eq!(settings.missing_for_raw(), Some("ow.s3.endpoint_url"));
    }
}
