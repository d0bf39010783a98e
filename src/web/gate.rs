//! The way in: to the pages where the store is open, and otherwise to a word about why it is not.

use std::net::IpAddr;
use std::sync::Arc;

use http::{HeaderValue, StatusCode, header};
use maud::{Markup, html};
use parking_lot::RwLock;
use serde_json::json;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::failure::Failure;
use crate::web::layout;
use crate::web::layout::Shell;
use crate::web::response::{html as html_answer, json, with_status};

/// Whoever asks by program may ask again after so many seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("10");

/// Where every request comes in. Cheap to clone; all clones are one door.
#[derive(Debug, Clone)]
pub struct Door(Arc<RwLock<State>>);

#[derive(Debug, Clone)]
enum State {
    /// The daemon does its work.
    Open(Box<App>),
    /// The store could not be opened.
    Closed(Failure),
}

impl Door {
    /// A door that leads to the pages.
    pub fn open(app: App) -> Self {
        Self(Arc::new(RwLock::new(State::Open(Box::new(app)))))
    }

    /// A door behind which there is no store yet.
    pub fn closed(why: Failure) -> Self {
        Self(Arc::new(RwLock::new(State::Closed(why))))
    }

    /// Says another reason.
    pub fn close(&self, why: Failure) {
        self.set(State::Closed(why));
    }

    /// Leads to the pages from now on.
    pub fn admit(&self, app: App) {
        self.set(State::Open(Box::new(app)));
    }

    fn set(&self, state: State) {
        *self.0.write() = state;
    }

    /// Whether browsers are known to reach us over https.
    pub(crate) fn is_https(&self) -> bool {
        match &*self.0.read() {
            State::Open(app) => app.is_https(),
            State::Closed(_) => false,
        }
    }

    /// Whether an address is that of a proxy of ours, which speaks for many.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        match &*self.0.read() {
            State::Open(app) => {
                let proxies = app.live.config().trusted_proxies;
                proxies.iter().any(|proxy| proxy.contains(&address.to_canonical()))
            }
            State::Closed(_) => false,
        }
    }

    /// The pages, or why there are none.
    pub(crate) fn app(&self) -> Result<App, Failure> {
        match &*self.0.read() {
            State::Open(app) => Ok(App::clone(app)),
            State::Closed(why) => Err(why.clone()),
        }
    }
}

/// What is answered while there is no store.
pub(crate) fn without_store(path: &str, why: &Failure) -> Response {
    let first = path.split('/').find(|part| !part.is_empty()).unwrap_or_default();
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let mut answer = match first {
        "readyz" => json(status, &json!({ "ready": false, "reasons": [why.what], "next": why.next })),
        "api" => {
            json(status, &json!({ "detail": "the store of this service cannot be opened at the moment" }))
        }
        _ => with_status(status, html_answer(page(why))),
    };
    answer.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    answer
}

fn page(why: &Failure) -> Markup {
    let body = html! {
        h1 { "This service is interrupted" }
        p.lead { "Nothing that was kept is lost. Please come back in a while." }
        h2 { "For whoever runs it" }
        p { "The store cannot be opened: " (why.what) "." }
        p { "What to do: " (why.next) ". The daemon tries again by itself, every few seconds." }
        (layout::reference(StatusCode::SERVICE_UNAVAILABLE))
    };
    layout::page("Interrupted", &Shell::Plain { simulated: false, leads_to: None }, &body)
}
