//! Every secret of the configuration, with a recognisable value.

use crate::support::harness::World;

/// The encryption key, name and e-mail address of a patient: values that occur nowhere else.
pub const SEAL: &str = "canary-that-seals-what-is-in-the-database";
pub const NAME: &str = "Zebulon-Canary";
pub const EMAIL: &str = "zebulon@canary.example.org";

/// Configures a mail server at an unused address.
pub fn have_mail(world: &mut World) {
    for (name, value) in [
        ("JHE_OW_ALERTS_SMTP_USER", "me"),
        ("JHE_OW_ALERTS_SMTP_URL", "smtp://127.0.0.1:9"),
        ("JHE_OW_ALERTS_MAIL_FROM", "jhe-ow@example.org"),
        ("JHE_OW_ALERTS_MAIL_TO", "ada@example.org"),
    ] {
        world.set(name, value);
    }
}

/// Returns every secret of the configuration with a valid value: the settings that may be read from a file.
pub fn secrets_of_the_configuration() -> Vec<(&'static str, String)> {
    let example = include_str!("../../../jhe-ow.toml.example");
    let words = example.split(|c: char| !c.is_ascii_uppercase() && c != '_');
    let mut names: Vec<&str> = words.filter_map(|word| word.strip_suffix("_FILE")).collect();
    names.sort_unstable();
    names.dedup();
    let value = |name: &str| match name {
        "JHE_OW_ALERTS_WEBHOOK" => "http://127.0.0.1:9/canary-of-a-chat".to_owned(),
        name if name.ends_with("WEBHOOK_SECRET") => "whsec_Y2FuYXJ5LW9mLWEtd2ViaG9vay1zZWNyZXQ=".to_owned(),
        name => format!("canary-of-{}-which-nobody-is-shown", name.to_lowercase()),
    };
    names.into_iter().map(|name| (name, value(name))).collect()
}
