//! Keeps a form that came after its session had ended, or that needs a re-authentication first.

use crate::app::kept_forms::KeptForm;
use crate::app::state::App;
use crate::config::settings;
use crate::model::account::AccountId;
use crate::web::access::{CONFIRM, SIGNED_OUT, with_next};
use crate::web::csrf;
use crate::web::layout::FORM_TOKEN;
use crate::web::request::Request;
use crate::web::response::{HandlerResult, Refusal, see_other};

/// The page that shows a kept form.
pub(crate) const KEPT_FORM: &str = "/admin/kept-form";
/// Fields that a form is sent without: each page makes its own.
const LEFT_OUT: &[&str] = &[FORM_TOKEN, "token", SENT_AGAIN];
/// Marks a form that was kept before.
pub(crate) const SENT_AGAIN: &str = "kept_form";
/// Fields that hold secrets. A form with one of them is not kept.
const SECRETS: &[&str] = &["password", "again", "current", "code", "secret"];

/// Keeps the form for the account and sends the browser to the page `before`, which leads on to it.
pub(crate) async fn keep(app: &App, request: &Request, account: AccountId, before: &str) -> HandlerResult {
    csrf::check_session_form(app, request).await?;
    if request.path == "/admin/sign-out" {
        return Ok(see_other("/admin/sign-in"));
    }
    let visitor = csrf::visitor(request)?;
    let fields = request.form().pairs();
    let fields: Vec<_> =
        fields.iter().filter(|(name, _)| !LEFT_OUT.contains(&name.as_str())).cloned().collect();
    let form = KeptForm { account, path: request.path.clone(), fields, sent: app.clock.now() };
    let is_kept = !has_secret(request) && app.kept_forms.keep(visitor.0.hash(), form);
    let next = if is_kept {
        KEPT_FORM
    } else if before == CONFIRM {
        request.path.as_str()
    } else {
        return Err(Refusal::forbidden(SIGNED_OUT).link("/admin/sign-in", "Sign in"));
    };
    Ok(csrf::with_visitor(app, see_other(&with_next(before, next)), &visitor))
}

/// Forgets a kept form that is sent now.
pub(crate) fn forget_if_sent(app: &App, request: &Request) {
    if request.form().has(SENT_AGAIN)
        && let Ok((visitor, false)) = csrf::visitor(request)
    {
        app.kept_forms.forget(visitor.hash());
    }
}

fn has_secret(request: &Request) -> bool {
    let form = request.form();
    let is_secret_setting = settings::find(form.get("key")).is_ok_and(settings::Setting::is_secret);
    SECRETS.iter().any(|name| form.has(name)) || (is_secret_setting && form.has("value"))
}
