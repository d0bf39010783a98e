//! The page of the run-time settings, with one form per setting.

use http::StatusCode;
use maud::{Markup, html};

use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::config::settings::{self, Setting, Settings};
use crate::store::{engine::setting, privacy::audit};
use crate::web::access::{CONFIRMED_OPERATOR, Confirmed, OPERATOR, Operator, Staff};
use crate::web::layout::{ago, form, notice};
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};
use crate::web::{admin::staff::render_staff_page, request::Request};

/// The settings in groups, each with its title.
const GROUPS: &[(&str, &[(&str, &str)])] = &[
    (
        "Syncs",
        &[
            ("module.ow", "Sync with OW"),
            ("ow.poll_interval", "Time between syncs"),
            ("ow.hints", "Extra syncs for patients with new data"),
            ("ow.concurrency", "Patients at the same time"),
            ("ow.first_connect_window", "First read of a patient"),
            ("ow.daily_historical_sync", "Fetch the last two days again"),
            ("ow.reconcile_daily", "Compare with OW’s counts"),
            ("ow.ingest_mode", "What is read"),
            ("ow.sync_in_progress", "Running sync"),
        ],
    ),
    (
        "Patients and their data",
        &[
            ("silence.after", "Time until a patient counts as silent"),
            ("alerts.when_back", "Alert when data come in again"),
            ("data.after_withdrawal", "Data after a withdrawal"),
            ("data.erase_after", "Time until data are erased"),
        ],
    ),
    (
        "Sign-in",
        &[
            ("sign_in.idle_end", "Time until an idle sign-in ends"),
            ("sign_in.second_factor", "Second factor"),
        ],
    ),
    (
        "Backups",
        &[
            ("backup.interval", "Time between backups"),
            ("backup.keep", "Backups to keep"),
            ("backup.directory", "Directory"),
        ],
    ),
    (
        "Delivery to JHE",
        &[
            ("jhe.concurrency", "Batches at the same time"),
            ("jhe.data_sources", "Names of data sources"),
            ("ow.export_system", "Samples that both modes stored"),
        ],
    ),
    (
        "Raw payloads in S3",
        &[
            ("ow.s3.endpoint_url", "Address"),
            ("ow.s3.bucket_name", "Bucket"),
            ("ow.s3.key_prefix", "Start of the names"),
            ("ow.s3.region", "Region"),
            ("ow.s3.access_key_id", "Access key"),
            ("ow.s3.secret_access_key", "Secret key"),
        ],
    ),
];

/// Returns the title of a setting.
fn find_title(key: &str) -> &str {
    let all = GROUPS.iter().flat_map(|(_, settings)| settings.iter());
    all.into_iter().find(|(one, _)| *one == key).map_or(key, |(_, title)| title)
}

/// An invalid value, to show again beside its error.
struct InvalidValue {
    key: &'static str,
    typed: String,
    why: String,
}

pub(crate) fn routes() -> Vec<Route> {
    vec![get("/admin/settings", OPERATOR, show), post("/admin/settings", CONFIRMED_OPERATOR, set)]
}

async fn show(app: &App, request: &Request, operator: &Operator) -> HandlerResult {
    let done = settings::find(request.query.get("done"))
        .map(|setting| format!("{} is saved.", find_title(setting.key)));
    render(app, operator.staff(), &done.unwrap_or_default(), None).await
}

async fn render(app: &App, staff: &Staff, done: &str, invalid_value: Option<InvalidValue>) -> HandlerResult {
    let snapshot = app.store.settings().await?;
    let settings_form = SettingsForm { staff, snapshot, invalid_value, now: app.clock.now() };
    let body = html! {
        h1 { "Settings" }
        (notice(done))
        @if let Some(invalid_value) = &settings_form.invalid_value {
            div.problem role="alert" tabindex="-1" autofocus {
                h2 { "Please correct this" }
                ul { li { a href={ "#" (invalid_value.key) } { (invalid_value.why) } } }
            }
        }
        p { "Changes apply from the next sync on. Addresses, keys and paths are set in the configuration file or \
             the environment instead." }
        @for (group, titles) in GROUPS {
            h2 { (group) }
            div.charts { @for (key, _) in *titles {
                @if let Ok(setting) = settings::find(key) { (settings_form.card(setting)) }
            } }
        }
    };
    let shown = render_staff_page(app, staff, "/admin/settings", "Settings", &body);
    Ok(if settings_form.invalid_value.is_some() {
        with_status(StatusCode::BAD_REQUEST, shown)
    } else {
        shown
    })
}

struct SettingsForm<'a> {
    staff: &'a Staff,
    snapshot: Settings,
    invalid_value: Option<InvalidValue>,
    now: Timestamp,
}

impl SettingsForm<'_> {
    fn card(&self, setting: &'static Setting) -> Markup {
        let stored = self.snapshot.stored(setting.key);
        let origin = match (stored, setting.default) {
            (Some(_), "") => "set".to_owned(),
            (Some(_), default) => format!("set; default: {default}"),
            (None, "") => "not set".to_owned(),
            (None, _) => "default".to_owned(),
        };
        html! {
            section.card.setting {
                @if setting.is_lock() { (self.lock(setting)) } @else {
                    (self.value_form(setting))
                    div.actions {
                        span.fine { (origin) }
                        @if stored.is_some() { (self.unset(setting)) }
                    }
                }
            }
        }
    }

    fn value_form(&self, setting: &'static Setting) -> Markup {
        let (key, help) = (setting.key, format!("{}-help", setting.key));
        let invalid_value = self.invalid_value.as_ref().filter(|invalid_value| invalid_value.key == key);
        let value = match invalid_value {
            Some(invalid_value) => &invalid_value.typed,
            None if setting.is_secret() => "",
            None => self.snapshot.text(key),
        };
        let error = format!("{key}-error");
        let described = if invalid_value.is_some() { format!("{error} {help}") } else { help.clone() };
        let invalid = invalid_value.map(|_| "true");
        let inside = html! {
            input type="hidden" name="key" value=(key);
            label for=(key) { (find_title(key)) } " " code.fine { (key) }
            p.help id=(help) { (setting.about) @if setting.is_secret() { ". It is not shown." } }
            @if let Some(invalid_value) = invalid_value { p.error id=(error) { (invalid_value.why) } }
            div.inline {
                @if setting.choices().is_empty() {
                    input id=(key) name="value" type=(if setting.is_secret() { "password" } else { "text" })
                        value=(value) autocomplete="off" aria-describedby=(described) aria-invalid=[invalid];
                } @else {
                    select id=(key) name="value" aria-describedby=(described) aria-invalid=[invalid] {
                        @for choice in setting.choices() {
                            option value=(choice) selected[*choice == value] { (choice) }
                        }
                    }
                }
                button type="submit" { "Save" span.hidden { " “" (find_title(key)) "”" } }
            }
        };
        form("/admin/settings", self.staff.token(), &inside)
    }

    fn unset(&self, setting: &'static Setting) -> Markup {
        form(
            "/admin/settings",
            self.staff.token(),
            &html! {
                input type="hidden" name="key" value=(setting.key);
                input type="hidden" name="unset" value="yes";
                button.quiet type="submit" { "Back to the default" span.hidden { " of “" (find_title(setting.key)) "”" } }
            },
        )
    }

    fn lock(&self, setting: &'static Setting) -> Markup {
        let value = self.snapshot.text(setting.key);
        html! {
            h3 id=(setting.key) { (find_title(setting.key)) " " code.fine { (setting.key) } }
            p.help { (setting.about) }
            @match (value, Timestamp::parse(value)) {
                ("", _) => p { "No sync is running." },
                (_, Ok(since)) => p { "A sync is running; it renewed its lock " (ago(self.now, Some(since))) "." },
                (unreadable, Err(_)) => p { "It holds “" (unreadable) "”, which the next sync reclaims." },
            }
            @if !value.is_empty() {
                (form("/admin/settings", self.staff.token(), &html! {
                    input type="hidden" name="key" value=(setting.key);
                    input type="hidden" name="value" value="";
                    button.quiet type="submit" { "Clear the lock" }
                }))
                p.fine { "A sync that is still running notices this and stops; data that it has stored stay." }
            }
        }
    }
}

async fn set(app: &App, request: &Request, operator: &Confirmed<Operator>) -> HandlerResult {
    let staff = operator.staff();
    let setting =
        settings::find(request.form().get("key")).map_err(|failure| Refusal::bad(failure.message))?;
    let typed = request.form().get("value");
    let is_backup = setting.key == settings::BACKUP_DIRECTORY;
    let value = if request.form().has("unset") || (is_backup && typed.is_empty()) {
        None
    } else {
        let key = app.live.config().secret_key;
        let checked = setting.normalize(typed).and_then(|value| {
            if is_backup {
                app.live.config().check_backup_directory(&value)?;
            }
            Ok(value)
        });
        match checked.and_then(|value| setting.to_stored(key.as_ref(), value)) {
            Ok(value) => Some(value),
            Err(failure) => {
                // A secret is never sent back to the browser.
                let typed = if setting.is_secret() { String::new() } else { typed.to_owned() };
                let why = format!("{}: {}", failure.message, failure.remedy);
                return render(app, staff, "", Some(InvalidValue { key: setting.key, typed, why })).await;
            }
        }
    };
    let (who, now) = (staff.actor(), app.clock.now());
    let detail = setting.audit_detail(value.as_deref());
    let write = move |db: &_| {
        match &value {
            Some(value) => setting::set(db, setting.key, value)?,
            None => setting::unset(db, setting.key).map(drop)?,
        }
        audit::record(db, now, who, "settings.set", None, detail)
    };
    app.store.write(write).await?;
    Ok(see_other(&format!("/admin/settings?done={0}#{0}", setting.key)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_setting_is_in_one_group() {
        let mut shown: Vec<&str> =
            GROUPS.iter().flat_map(|(_, all)| all.iter().map(|(key, _)| *key)).collect();
        let mut known: Vec<&str> = settings::SETTINGS.iter().map(|setting| setting.key).collect();
        shown.sort_unstable();
        known.sort_unstable();
        assert_eq!(shown, known);
    }
}
