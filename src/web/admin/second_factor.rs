//! Sets up, renews and removes one's own second factor. It works without a script.

use http::StatusCode;
use maud::{Markup, html};
use warp::reply::Response;

use crate::app::{second_factor as service, state::App};
use crate::model::audit_detail::AuditDetail;
use crate::secrets::second_factor::{
    CodeCheck, RECOVERY_CODES, TotpSecret, generate_recovery_codes, parse_code,
};
use crate::store::people::account::SecondFactor;
use crate::store::people::{second_factor, session};
use crate::store::privacy::audit;
use crate::web::access::{CONFIRMED_ACCOUNT, Confirmed, Staff};
use crate::web::admin::staff::render_staff_page;
use crate::web::layout::{FormErrors, FormField, form, to_copy};
use crate::web::qr;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other, with_status};
use crate::web::route::{Route, get, post};

pub(crate) fn routes() -> Vec<Route> {
    vec![
        get("/admin/account/second-factor", CONFIRMED_ACCOUNT, show),
        post("/admin/account/second-factor", CONFIRMED_ACCOUNT, set_up),
        post("/admin/account/second-factor/remove", CONFIRMED_ACCOUNT, remove),
        post("/admin/account/recovery-codes", CONFIRMED_ACCOUNT, renew_recovery_codes),
    ]
}

const IS_JHES: &str = "You sign in through JHE: there is no second factor here.";

async fn show(app: &App, _: &Request, staff: &Confirmed<Staff>) -> HandlerResult {
    staff.require_local(IS_JHES)?;
    if !staff.account().has_password {
        return Ok(see_other("/admin/password"));
    }
    render(app, staff, &TotpSecret::generate()?, &FormErrors::default())
}

fn render(app: &App, staff: &Staff, secret: &TotpSecret, errors: &FormErrors) -> HandlerResult {
    let body = match service::sealing_key(app).err() {
        Some(failure) => html! {
            h1 { "A second factor" }
            div.problem role="alert" { p { (failure.message) "." } }
            p { "For whoever runs this service: " (failure.remedy) "." }
        },
        None => render_steps(app, staff, secret, errors)?,
    };
    Ok(render_staff_page(app, staff, "/admin/account", "A second factor", &body))
}

fn render_steps(
    app: &App,
    staff: &Staff,
    secret: &TotpSecret,
    errors: &FormErrors,
) -> Result<Markup, Refusal> {
    let account = staff.account();
    let sealed = service::seal_for_form(app, account.id, secret)?;
    let base = app.live.config().public_base();
    let host = base.split_once("://").map_or(base.as_str(), |(_, host)| host);
    let url = secret.otpauth_url(&format!("jhe-ow {host}"), &account.name);
    let lead = match account.second_factor {
        SecondFactor::Lacking => {
            "Your account needs one. It takes a minute, and an authenticator app on your phone."
        }
        SecondFactor::On => {
            "The device that you set up here takes the place of the present one. Your recovery codes are replaced too."
        }
        SecondFactor::Off => "It takes a minute, and an authenticator app on your phone.",
    };
    Ok(html! {
        h1 { "A second factor" }
        p.lead { (lead) }
        (errors.summary())
        ol {
            li { "Scan this code with the app, or " a href=(url) { "open it in an app on this device" } "."
                div.qr { (qr::render(&url, "QR code for the authenticator app")) } }
            li { "If you cannot scan it, type this key into the app: " code { (secret.base32()) } }
            li { "Type the code that the app shows." }
        }
        (form("/admin/account/second-factor", staff.token(), &html! {
            input type="hidden" name="secret" value=(sealed);
            (FormField { name: "code", label: "Code", help: "The six digits that the app shows now.", value: "",
                     kind: "text", autocomplete: "one-time-code", errors })
            button type="submit" { "Set it up" }
        }))
    })
}

async fn set_up(app: &App, request: &Request, staff: &Confirmed<Staff>) -> HandlerResult {
    staff.require_local(IS_JHES)?;
    let (fields, now) = (request.form(), app.clock.now());
    let id = staff.account().id;
    let secret = service::open_from_form(app, id, fields.get("secret")).ok_or_else(|| {
        Refusal::bad("The form is incomplete.").link("/admin/account/second-factor", "Begin again")
    })?;
    let code = parse_code(fields.get("code"));
    let checked = code.as_ref().map_or(CodeCheck::Wrong, |code| secret.check(code, now, 0));
    let CodeCheck::Valid(step) = checked else {
        let mut errors = FormErrors::default();
        errors.add("code", match code.and_then(|code| secret.minutes_off(&code, now)) {
            Some(minutes) => format!(
                "This code belongs to another time: the clock of your phone and that of this server are about {minutes} min \
                 apart. Set both by the network, then give the next code."
            ),
            None => "This is not the code for this key. Give the six digits that the app shows now for the key above."
                .to_owned(),
        });
        return Ok(with_status(StatusCode::BAD_REQUEST, render(app, staff, &secret, &errors)?));
    };
    let sealed =
        service::seal(app, id, &secret, step).map_err(|failure| Refusal::bad(failure.to_string()))?;
    let (codes, hashes) = generate_recovery_codes()?;
    let (who, own) = (staff.actor(), staff.token().hash());
    let write = move |db: &_| {
        second_factor::set(db, id, &sealed, &hashes)?;
        // Nobody goes on with a session that was confirmed by less.
        session::delete_others(db, id, Some(own))?;
        audit::record(db, now, who, "second-factor.set", None, AuditDetail::from("account").with(id))
    };
    app.store.write(write).await?;
    Ok(render_recovery_codes(
        app,
        staff,
        "Your second factor is set up: the next sign-in asks for a code. Other browsers are signed out.",
        &codes,
    ))
}

fn render_recovery_codes(app: &App, staff: &Staff, done: &str, codes: &[String]) -> Response {
    let body = html! {
        h1 { "Your recovery codes" }
        p.lead { (done) }
        p { "If you lose your device, each of these " (RECOVERY_CODES) " codes signs you in once in place of a code of the app. \
             Print them, or keep them in a password manager. They are shown only now." }
        (to_copy("secret", "Recovery codes", &codes.join("\n")))
        p { a.button href="/admin/account" { "I have saved them" } }
    };
    render_staff_page(app, staff, "/admin/account", "Recovery codes", &body)
}

async fn renew_recovery_codes(app: &App, _: &Request, staff: &Confirmed<Staff>) -> HandlerResult {
    if !staff.account().has_second_factor() {
        return Ok(see_other("/admin/account"));
    }
    let (codes, hashes) = generate_recovery_codes()?;
    let (id, who, now) = (staff.account().id, staff.actor(), app.clock.now());
    let write = move |db: &_| {
        second_factor::replace_recovery_codes(db, id, &hashes)?;
        audit::record(db, now, who, "recovery-codes.make", None, AuditDetail::from("account").with(id))
    };
    app.store.write(write).await?;
    Ok(render_recovery_codes(app, staff, "The former codes no longer work.", &codes))
}

async fn remove(app: &App, _: &Request, staff: &Confirmed<Staff>) -> HandlerResult {
    let (id, who, now) = (staff.account().id, staff.actor(), app.clock.now());
    let write = move |db: &_| {
        if second_factor::remove(db, id)? {
            audit::record(db, now, who, "second-factor.remove", None, AuditDetail::from("account").with(id))?;
        }
        Ok(())
    };
    app.store.write(write).await?;
    Ok(see_other("/admin/account?done=removed"))
}
