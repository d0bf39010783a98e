//! Every key of the configuration, once.

use super::Flags;

/// A key of the configuration file, and its other names.
pub(super) struct Key {
    /// Its place in the file: `table.key`.
    pub(super) path: &'static str,
    /// Its environment variable.
    pub(super) variable: &'static str,
    /// Its flag, where it has one.
    pub(super) flag: Option<Flag>,
    /// What holds where nobody says; none where nothing can.
    pub(super) default: Option<&'static str>,
}

pub(super) struct Flag {
    pub(super) name: &'static str,
    pub(super) value: fn(&Flags) -> Option<String>,
}

const fn key(path: &'static str, variable: &'static str, default: Option<&'static str>) -> Key {
    Key { path, variable, flag: None, default }
}

pub(super) const BIND: Key = Key {
    flag: Some(Flag { name: "--bind", value: |flags| flags.bind.clone() }),
    ..key("server.bind", "JHE_OW_BIND", Some("127.0.0.1:8002"))
};
pub(super) const PUBLIC_URL: Key = key("server.public_url", "JHE_OW_PUBLIC_URL", None);
pub(super) const TRUSTED_PROXIES: Key = key("server.trusted_proxies", "JHE_OW_TRUSTED_PROXIES", None);
pub(super) const CLIENT_ADDRESS_HEADER: Key =
    key("server.client_address_header", "JHE_OW_CLIENT_ADDRESS_HEADER", None);
pub(super) const DATA_DIR: Key = Key {
    flag: Some(Flag {
        name: "--data-dir",
        value: |flags| flags.data_dir.as_ref().map(|path| path.display().to_string()),
    }),
    ..key("data_dir", "JHE_OW_DATA_DIR", None)
};
pub(super) const METRICS_BIND: Key = key("metrics.bind", "JHE_OW_METRICS_BIND", Some("127.0.0.1:9464"));
pub(super) const OW_API_URL: Key = key("ow.api_url", "OW_API_URL", None);
pub(super) const OW_API_KEY: Key = key("ow.api_key", "OW_API_KEY", None);
pub(super) const OW_API_KEY_FILE: Key = key("ow.api_key_file", "OW_API_KEY_FILE", None);
pub(super) const OW_TIMEOUT: Key = key("ow.timeout", "JHE_OW_OW_TIMEOUT", Some("30s"));
pub(super) const JHE_BASE_URL: Key = key("jhe.base_url", "JHE_BASE_URL", None);
pub(super) const JHE_CLIENT_KEY: Key = key("jhe.client_key", "JHE_CLIENT_KEY", None);
pub(super) const JHE_CLIENT_KEY_FILE: Key = key("jhe.client_key_file", "JHE_CLIENT_KEY_FILE", None);
pub(super) const JHE_CLIENT_ID: Key = key("jhe.client_id", "JHE_CLIENT_ID", None);
pub(super) const JHE_CLIENT_SECRET: Key = key("jhe.client_secret", "JHE_CLIENT_SECRET", None);
pub(super) const JHE_CLIENT_SECRET_FILE: Key = key("jhe.client_secret_file", "JHE_CLIENT_SECRET_FILE", None);
pub(super) const JHE_PUBLIC_URL: Key = key("jhe.public_url", "JHE_PUBLIC_URL", None);
pub(super) const JHE_SIGN_IN_CLIENT_ID: Key = key("jhe.sign_in_client_id", "JHE_SIGN_IN_CLIENT_ID", None);
pub(super) const SECRET_KEY: Key = key("secret_key", "JHE_OW_SECRET_KEY", None);
pub(super) const SECRET_KEY_FILE: Key = key("secret_key_file", "JHE_OW_SECRET_KEY_FILE", None);
pub(super) const OW_WEBHOOK_SECRET: Key = key("ow.webhook_secret", "OW_WEBHOOK_SECRET", None);
pub(super) const OW_WEBHOOK_SECRET_FILE: Key = key("ow.webhook_secret_file", "OW_WEBHOOK_SECRET_FILE", None);
pub(super) const ALERTS_WEBHOOK: Key = key("alerts.webhook", "JHE_OW_ALERTS_WEBHOOK", None);
pub(super) const ALERTS_WEBHOOK_FILE: Key = key("alerts.webhook_file", "JHE_OW_ALERTS_WEBHOOK_FILE", None);
pub(super) const ALERTS_WEBHOOK_SECRET: Key =
    key("alerts.webhook_secret", "JHE_OW_ALERTS_WEBHOOK_SECRET", None);
pub(super) const ALERTS_WEBHOOK_SECRET_FILE: Key =
    key("alerts.webhook_secret_file", "JHE_OW_ALERTS_WEBHOOK_SECRET_FILE", None);
pub(super) const ALERTS_SMTP_URL: Key = key("alerts.smtp_url", "JHE_OW_ALERTS_SMTP_URL", None);
pub(super) const ALERTS_SMTP_USER: Key = key("alerts.smtp_user", "JHE_OW_ALERTS_SMTP_USER", None);
pub(super) const ALERTS_SMTP_PASSWORD: Key = key("alerts.smtp_password", "JHE_OW_ALERTS_SMTP_PASSWORD", None);
pub(super) const ALERTS_SMTP_PASSWORD_FILE: Key =
    key("alerts.smtp_password_file", "JHE_OW_ALERTS_SMTP_PASSWORD_FILE", None);
pub(super) const ALERTS_MAIL_FROM: Key = key("alerts.mail_from", "JHE_OW_ALERTS_MAIL_FROM", None);
pub(super) const ALERTS_MAIL_TO: Key = key("alerts.mail_to", "JHE_OW_ALERTS_MAIL_TO", None);
pub(super) const LOG_LEVEL: Key = Key {
    flag: Some(Flag { name: "--log", value: |flags| flags.log.clone() }),
    ..key("log.level", "JHE_OW_LOG", Some("info"))
};
pub(super) const LOG_FORMAT: Key = key("log.format", "JHE_OW_LOG_FORMAT", Some("auto"));

pub(super) const KEYS: [&Key; 34] = [
    &BIND,
    &PUBLIC_URL,
    &TRUSTED_PROXIES,
    &CLIENT_ADDRESS_HEADER,
    &DATA_DIR,
    &OW_API_URL,
    &OW_API_KEY,
    &OW_API_KEY_FILE,
    &OW_TIMEOUT,
    &JHE_BASE_URL,
    &JHE_CLIENT_KEY,
    &JHE_CLIENT_KEY_FILE,
    &JHE_CLIENT_ID,
    &JHE_CLIENT_SECRET,
    &JHE_CLIENT_SECRET_FILE,
    &JHE_PUBLIC_URL,
    &JHE_SIGN_IN_CLIENT_ID,
    &SECRET_KEY,
    &SECRET_KEY_FILE,
    &OW_WEBHOOK_SECRET,
    &OW_WEBHOOK_SECRET_FILE,
    &ALERTS_WEBHOOK,
    &ALERTS_WEBHOOK_FILE,
    &ALERTS_WEBHOOK_SECRET,
    &ALERTS_WEBHOOK_SECRET_FILE,
    &ALERTS_SMTP_URL,
    &ALERTS_SMTP_USER,
    &ALERTS_SMTP_PASSWORD,
    &ALERTS_SMTP_PASSWORD_FILE,
    &ALERTS_MAIL_FROM,
    &ALERTS_MAIL_TO,
    &LOG_LEVEL,
    &LOG_FORMAT,
    &METRICS_BIND,
];
