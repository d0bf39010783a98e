//! All configuration keys. A key that holds a secret is a [`Secret`]; its value is never shown.

use crate::config::flags::Flags;

/// A configuration key with its names in the file, in the environment and as a flag.
pub(crate) struct Key {
    /// Path in the file: `table.key`.
    pub(crate) path: &'static str,
    /// Environment variable.
    pub(crate) variable: &'static str,
    pub(crate) flag: Option<Flag>,
    pub(crate) default: Option<&'static str>,
    pub(crate) is_secret: bool,
}

impl Key {
    /// Returns a value for display: a secret only as set.
    pub(crate) fn mask(&self, value: String) -> String {
        if self.is_secret { "(set)".to_owned() } else { value }
    }
}

/// A secret key, and the `_file` key that names a file with the secret.
pub(crate) struct Secret {
    pub(crate) plain: Key,
    pub(crate) file: Key,
}

pub(crate) struct Flag {
    pub(crate) name: &'static str,
    pub(crate) value: fn(&Flags) -> Option<String>,
}

const fn key(path: &'static str, variable: &'static str, default: Option<&'static str>) -> Key {
    Key { path, variable, flag: None, default, is_secret: false }
}

/// Makes a secret key and its `_file` key.
macro_rules! secret {
    ($path:literal, $variable:literal) => {
        Secret {
            plain: Key { is_secret: true, ..key($path, $variable, None) },
            file: key(concat!($path, "_file"), concat!($variable, "_FILE"), None),
        }
    };
}

pub(crate) const BIND: Key = Key {
    flag: Some(Flag { name: "--bind", value: |flags| flags.bind.clone() }),
    ..key("server.bind", "JHE_OW_BIND", Some("127.0.0.1:8002"))
};
pub(crate) const PUBLIC_URL: Key = key("server.public_url", "JHE_OW_PUBLIC_URL", None);
pub(crate) const TRUSTED_PROXIES: Key = key("server.trusted_proxies", "JHE_OW_TRUSTED_PROXIES", None);
pub(crate) const CLIENT_ADDRESS_HEADER: Key =
    key("server.client_address_header", "JHE_OW_CLIENT_ADDRESS_HEADER", None);
pub(crate) const DATA_DIR: Key = Key {
    flag: Some(Flag {
        name: "--data-dir",
        value: |flags| flags.data_dir.as_ref().map(|path| path.display().to_string()),
    }),
    ..key("data_dir", "JHE_OW_DATA_DIR", None)
};
pub(crate) const BACKUP_ROOTS: Key = key("backup_roots", "JHE_OW_BACKUP_ROOTS", None);
pub(crate) const INSTITUTION: Key = key("server.institution", "JHE_OW_INSTITUTION", None);
pub(crate) const SECURITY_CONTACT: Key = key("server.security_contact", "JHE_OW_SECURITY_CONTACT", None);
pub(crate) const METRICS_BIND: Key = key("metrics.bind", "JHE_OW_METRICS_BIND", Some("127.0.0.1:9464"));
pub(crate) const OW_API_URL: Key = key("ow.api_url", "OW_API_URL", None);
pub(crate) const OW_API_KEY: Secret = secret!("ow.api_key", "OW_API_KEY");
pub(crate) const OW_TIMEOUT: Key = key("ow.timeout", "JHE_OW_OW_TIMEOUT", Some("30s"));
pub(crate) const JHE_BASE_URL: Key = key("jhe.base_url", "JHE_BASE_URL", None);
pub(crate) const JHE_CLIENT_KEY: Secret = secret!("jhe.client_key", "JHE_CLIENT_KEY");
pub(crate) const JHE_CLIENT_ID: Key = key("jhe.client_id", "JHE_CLIENT_ID", None);
pub(crate) const JHE_CLIENT_SECRET: Secret = secret!("jhe.client_secret", "JHE_CLIENT_SECRET");
pub(crate) const JHE_PUBLIC_URL: Key = key("jhe.public_url", "JHE_PUBLIC_URL", None);
pub(crate) const JHE_SIGN_IN_CLIENT_ID: Key = key("jhe.sign_in_client_id", "JHE_SIGN_IN_CLIENT_ID", None);
pub(crate) const SECRET_KEY: Secret = secret!("secret_key", "JHE_OW_SECRET_KEY");
pub(crate) const SECRET_KEY_PREVIOUS: Secret = secret!("secret_key_previous", "JHE_OW_SECRET_KEY_PREVIOUS");
pub(crate) const OW_WEBHOOK_SECRET: Secret = secret!("ow.webhook_secret", "OW_WEBHOOK_SECRET");
pub(crate) const ALERTS_WEBHOOK: Secret = secret!("alerts.webhook", "JHE_OW_ALERTS_WEBHOOK");
pub(crate) const ALERTS_WEBHOOK_SECRET: Secret =
    secret!("alerts.webhook_secret", "JHE_OW_ALERTS_WEBHOOK_SECRET");
pub(crate) const ALERTS_SMTP_URL: Key = key("alerts.smtp_url", "JHE_OW_ALERTS_SMTP_URL", None);
pub(crate) const ALERTS_SMTP_USER: Key = key("alerts.smtp_user", "JHE_OW_ALERTS_SMTP_USER", None);
pub(crate) const ALERTS_SMTP_PASSWORD: Secret =
    secret!("alerts.smtp_password", "JHE_OW_ALERTS_SMTP_PASSWORD");
pub(crate) const ALERTS_MAIL_FROM: Key = key("alerts.mail_from", "JHE_OW_ALERTS_MAIL_FROM", None);
pub(crate) const ALERTS_MAIL_TO: Key = key("alerts.mail_to", "JHE_OW_ALERTS_MAIL_TO", None);
pub(crate) const LOG_LEVEL: Key = Key {
    flag: Some(Flag { name: "--log", value: |flags| flags.log.clone() }),
    ..key("log.level", "JHE_OW_LOG", Some("info"))
};
pub(crate) const LOG_FORMAT: Key = key("log.format", "JHE_OW_LOG_FORMAT", Some("auto"));

#[rustfmt::skip]
pub(crate) const KEYS: &[&Key] = &[
    &BIND, &PUBLIC_URL, &TRUSTED_PROXIES, &CLIENT_ADDRESS_HEADER, &INSTITUTION, &SECURITY_CONTACT, &DATA_DIR, &BACKUP_ROOTS,
    &OW_API_URL, &OW_API_KEY.plain, &OW_API_KEY.file, &OW_TIMEOUT, &JHE_BASE_URL, &JHE_CLIENT_KEY.plain,
    &JHE_CLIENT_KEY.file, &JHE_CLIENT_ID, &JHE_CLIENT_SECRET.plain, &JHE_CLIENT_SECRET.file,
    &JHE_PUBLIC_URL, &JHE_SIGN_IN_CLIENT_ID, &SECRET_KEY.plain, &SECRET_KEY.file,
    &SECRET_KEY_PREVIOUS.plain, &SECRET_KEY_PREVIOUS.file,
    &OW_WEBHOOK_SECRET.plain, &OW_WEBHOOK_SECRET.file, &ALERTS_WEBHOOK.plain, &ALERTS_WEBHOOK.file,
    &ALERTS_WEBHOOK_SECRET.plain, &ALERTS_WEBHOOK_SECRET.file, &ALERTS_SMTP_URL, &ALERTS_SMTP_USER,
    &ALERTS_SMTP_PASSWORD.plain, &ALERTS_SMTP_PASSWORD.file, &ALERTS_MAIL_FROM, &ALERTS_MAIL_TO,
    &LOG_LEVEL, &LOG_FORMAT, &METRICS_BIND,
];
