//! The gate between the server and the pages: open, or unavailable while the store cannot be opened.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use http::StatusCode;
use maud::html;
use parking_lot::RwLock;
use serde_json::json;
use warp::reply::Response;

use crate::app::state::App;
use crate::common::failure::Failure;
use crate::web::fhir::outcome::outcome;
use crate::web::layout::{self, PageFrame};
use crate::web::request::{Request, client_address};
use crate::web::response::{html as html_response, json as json_response, with_retry_after, with_status};

/// Seconds after which a program may try again.
const RETRY_AFTER: u64 = 10;

/// Cheap to clone; all clones share one state: the app, or the reason why there is none.
#[derive(Debug, Clone)]
pub struct Gate(Arc<RwLock<Result<App, Failure>>>);

impl Gate {
    pub fn open(app: App) -> Self {
        Self(Arc::new(RwLock::new(Ok(app))))
    }

    pub fn unavailable(reason: Failure) -> Self {
        Self(Arc::new(RwLock::new(Err(reason))))
    }

    pub fn set_open(&self, app: App) {
        *self.0.write() = Ok(app);
    }

    pub fn set_unavailable(&self, reason: Failure) {
        *self.0.write() = Err(reason);
    }

    pub(crate) fn app(&self) -> Result<App, Failure> {
        self.0.read().clone()
    }

    /// Returns whether browsers are known to reach the daemon over https.
    pub(crate) fn is_https(&self) -> bool {
        self.0.read().as_ref().is_ok_and(App::is_https)
    }

    /// Returns the address of a request's client, as far as the configuration says which proxies to trust.
    pub(crate) fn find_client<B>(&self, request: &http::Request<B>) -> IpAddr {
        let peer = find_peer(request);
        self.0.read().as_ref().map_or(peer, |app| {
            let config = app.live.config();
            let header = config.client_address_header.as_ref();
            client_address(peer, request.headers(), &config.trusted_proxies, header)
        })
    }

    /// Returns whether a trusted proxy passed the request on.
    pub(crate) fn is_through_proxy<B>(&self, request: &http::Request<B>) -> bool {
        self.trusts(find_peer(request))
    }

    /// Returns whether an address is that of a trusted proxy, which makes requests for many clients.
    pub(crate) fn trusts(&self, address: IpAddr) -> bool {
        let is_trusted = |app: &App| {
            let proxies = app.live.config().trusted_proxies;
            proxies.iter().any(|proxy| proxy.contains(&address.to_canonical()))
        };
        self.0.read().as_ref().is_ok_and(is_trusted)
    }
}

fn find_peer<B>(request: &http::Request<B>) -> IpAddr {
    request.extensions().get::<SocketAddr>().map_or(Ipv4Addr::UNSPECIFIED.into(), SocketAddr::ip)
}

/// Answers a request while the store is unavailable.
pub(crate) fn unavailable(request: &Request, reason: &Failure) -> Response {
    let reader = &request.reader;
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let response = match request.path.split('/').nth(1) {
        Some("readyz") => {
            let body = json!({ "ready": false, "reasons": [reason.message], "next": reason.remedy });
            json_response(status, &body)
        }
        Some("FHIR") => outcome(status, "The store of this service cannot be opened at the moment."),
        Some("api") => {
            let text = "the store of this service cannot be opened at the moment";
            json_response(status, &json!({ "detail": text }))
        }
        _ => {
            let body = html! {
                h1 { (reader.get("interrupted")) }
                p.lead { (reader.get("interrupted-text")) }
                section lang="en" {
                    h2 { "For whoever runs it" }
                    p { "The store cannot be opened: " (reason.message) "." }
                    p { "What to do: " (reason.remedy) ". The daemon tries again by itself, every few seconds." }
                }
                (layout::reference(reader.texts, status))
            };
            let shell = PageFrame::plain(reader, false);
            with_status(status, html_response(layout::render_page(&reader.get("interrupted"), &shell, &body)))
        }
    };
    with_retry_after(response, RETRY_AFTER)
}
