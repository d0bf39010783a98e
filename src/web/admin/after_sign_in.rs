//! Parts that sign-in with a password and through JHE share: the new session, its cookies and its notice.

use std::time::Duration;

use maud::Markup;
use rusqlite::Connection;
use warp::reply::Response;

use crate::alerts::{dispatch, message::AlertMessage};
use crate::app::repeated_events::AuditEvent;
use crate::app::sign_in_attempts::{ALERT_AT, Series, attempts_by_browser, attempts_by_name};
use crate::app::state::App;
use crate::common::time::Timestamp;
use crate::mail::smtp;
use crate::model::account::{AccountId, Actor};
use crate::model::alert::{Alert, AlertKind};
use crate::secrets::token::{Token, TokenHash};
use crate::store::error::{StoreError, StoreResult};
use crate::store::operations::alert_queue;
use crate::store::people::account::Account;
use crate::store::people::known_browser::{self, KNOWN_FOR};
use crate::store::people::session::{self, NewStaffSession};
use crate::store::privacy::audit;
use crate::web::access::STAFF_COOKIE;
use crate::web::admin::staff::with_session;
use crate::web::browser_name::browser_name;
use crate::web::layout::{self, PageFrame};
use crate::web::reader::Reader;
use crate::web::request::Request;
use crate::web::response::{Refusal, TokenCookie, html as html_answer, see_other, with_cookie};

/// The cookie by which an account knows a browser in which it has signed in before.
const BROWSER_COOKIE: &str = "jhe_ow_browser";

/// Returns the page to open after sign-in. Anything but a plain path below `/admin` is replaced, so that a link cannot
/// redirect to another site.
pub(crate) fn safe_next_page(next: &str) -> &str {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'/' || byte == b'-';
    if next.starts_with("/admin") && next.bytes().all(is_plain) { next } else { "/admin" }
}

pub(crate) fn render_signed_out_page(app: &App, body: &Markup) -> Response {
    let mut reader = Reader::default();
    reader.house = app.live.config().institution;
    let shell = PageFrame::plain(&reader, app.simulated);
    html_answer(layout::render_page("Sign in", &shell, body))
}

/// A session that begins, with the tokens for the browser's cookies.
pub(crate) struct SessionStart {
    token: Token,
    browser: Token,
    age: Duration,
    pub(crate) row: NewStaffSession,
}

impl SessionStart {
    pub(crate) fn new(app: &App, request: &Request, age: Duration) -> Result<Self, Refusal> {
        let token = Token::generate()?;
        let browser = request.cookie(BROWSER_COOKIE).map_or_else(Token::generate, Ok)?;
        let row = NewStaffSession {
            hash: token.hash(),
            expires: app.clock.now().plus(age),
            known_as: browser.hash(),
            browser: browser_name(request.header(http::header::USER_AGENT).unwrap_or_default()),
            address: request.client.to_string(),
            replaces: request.cookie(STAFF_COOKIE).map(|old| old.hash()),
            is_confirmed: true,
        };
        Ok(Self { token, browser, age, row })
    }

    /// Redirects the signed-in browser.
    pub(crate) fn respond(&self, app: &App, next: &str) -> Response {
        let response = with_session(app, see_other(next), &self.token, self.age);
        let (token, secure) = (Some(&self.browser), app.is_https());
        with_cookie(response, &TokenCookie { name: BROWSER_COOKIE, token, max_age: KNOWN_FOR, secure })
    }

    /// Sends a notice of a new browser to the account's own address, if it has one and mail is configured.
    pub(crate) fn notify(&self, app: &App, account: &Account) {
        let config = app.live.config();
        let to = smtp::parse_recipient(&account.email);
        let Some((server, to)) = config.alerts.mail.clone().zip(to) else { return };
        let (now, base) = (app.clock.now(), config.public_base());
        let message = AlertMessage::new_browser(&self.row.browser, &self.row.address, now, &base);
        let (id, account) = (format!("sign-in-{}-{}", account.id, now.micros()), account.id);
        // The sign-in does not wait for the mail server.
        tokio::spawn(async move {
            if let Err(error) = smtp::send(&server, &message.as_mail(&id, &[to]), now).await {
                tracing::warn!("the notice of a new browser of account {account} was not sent: {error}");
            }
        });
    }
}

/// Inserts the session and records the sign-in. Returns true for a notice of a new browser.
pub(crate) fn insert_session(
    db: &Connection,
    account: AccountId,
    row: &NewStaffSession,
    how: &'static str,
    now: Timestamp,
) -> StoreResult<bool> {
    audit::record(db, now, Actor::Account(account), "sign-in", None, how)?;
    session::insert_staff(db, account, row, now)
}

/// An attempt to sign in or to confirm who one is, counted before it is checked.
pub(crate) struct Attempt {
    key: TokenHash,
    series: Series,
    account: Option<AccountId>,
}

impl Attempt {
    /// Counts an attempt at a name; of a browser that the account knows, apart from those of others.
    pub(crate) async fn begin(
        app: &App,
        request: &Request,
        name: &str,
        account: Option<AccountId>,
    ) -> Result<Self, Refusal> {
        let now = app.clock.now();
        let mut key = None;
        if let Some((account, browser)) = account.zip(request.cookie(BROWSER_COOKIE)) {
            let browser = browser.hash();
            if app.store.read(move |db| known_browser::is_known(db, account, browser, now)).await? {
                key = Some(attempts_by_browser(browser, account));
            }
        }
        // Not for a browser that the account knows: its neighbours may have used up the address.
        if key.is_none() {
            app.rate_limits.check_sign_in(request.client)?;
        }
        let key = key.unwrap_or_else(|| attempts_by_name(name));
        Ok(Self { key, series: app.sign_in_attempts.begin(key, now)?, account })
    }

    pub(crate) fn succeed(&self, app: &App) {
        app.sign_in_attempts.succeed(self.key);
    }

    /// Records a failure in the audit. After many, an alert is due.
    pub(crate) async fn fail(&self, app: &App, how: &'static str) -> Result<(), StoreError> {
        let Some(account) = self.account else { return Ok(()) };
        let (now, first, is_many) = (app.clock.now(), self.series.first, self.series.count == ALERT_AT);
        let channels = dispatch::channels(&app.live.config().alerts);
        let (actor, action) = (Actor::Account(account), "sign-in.failed");
        let event = AuditEvent { actor, action, patient: None, detail: how.into() };
        app.repeated_events.record(&app.store, event, now).await?;
        if is_many {
            let alert = Alert { kind: AlertKind::ManySignIns, patient: None, since: first, cause: None };
            app.store.write(move |db| alert_queue::enqueue(db, &channels, &alert, now)).await?;
        }
        Ok(())
    }
}
