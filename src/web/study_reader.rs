//! Access with a study's token for reading. The fields of `StudyReader` are private, and nothing else makes it.

use http::{HeaderValue, StatusCode, header};
use rusqlite::Connection;
use tokio::sync::Semaphore;

use crate::app::{repeated_events::AuditEvent, state::App};
use crate::model::audit_detail::AuditDetail;
use crate::model::study::Study;
use crate::store::error::StoreResult;
use crate::store::people::api_token::{self, StudyToken};
use crate::store::people::study;
use crate::web::access::{Access, AccessRule, Denied};
use crate::web::request::Request;
use crate::web::response::Refusal;

/// Reads of programs at the same time: half of the threads for reads.
static READING: Semaphore = Semaphore::const_new(4);

pub(crate) const STUDY_READER: AccessRule<StudyReader> =
    AccessRule(Access::StudyReader, |app, request| Box::pin(identify(app, request)));

/// A program that reads the data of one study.
pub(crate) struct StudyReader {
    token: StudyToken,
    study: Study,
}

impl StudyReader {
    pub(crate) fn study(&self) -> &Study {
        &self.study
    }

    pub(crate) fn token(&self) -> &StudyToken {
        &self.token
    }

    /// Reads the store. Only some of the threads that read it do so for programs, so that pages never wait for them.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        app: &App,
        work: impl FnOnce(&Connection) -> StoreResult<T> + Send + 'static,
    ) -> Result<T, Refusal> {
        // The semaphore is never closed. The read keeps its permit, also if the client has gone.
        let permit = READING.acquire().await;
        let read = move |db: &Connection| {
            let _permit = permit;
            work(db)
        };
        Ok(app.store.read(read).await?)
    }

    /// Records that so many resources were read. Repeated reads are counted, so that a page does not wait for a commit.
    pub(crate) async fn record_read(
        &self,
        app: &App,
        kind: &'static str,
        resources: usize,
    ) -> Result<(), Refusal> {
        let detail =
            AuditDetail::from("study").with(self.study.id).with("token").with(self.token.id).with(kind);
        let (actor, action) = (self.token.made_by, "study.read");
        let event = AuditEvent { actor, action, patient: None, detail };
        let resources = Some(resources as u64);
        Ok(app.repeated_events.record_read(&app.store, event, resources, app.clock.now()).await?)
    }
}

/// Reads the bearer token alone: a cookie is no credential for the API, as other sites' pages send it along.
async fn identify(app: &App, request: &Request) -> Result<StudyReader, Denied> {
    if let Some(bearer) = request.bearer() {
        let (hash, now) = (bearer.hash(), app.clock.now());
        let read = move |db: &_| {
            let token = api_token::find_of_study(db, hash, now)?;
            token.map(|token| study::find(db, token.study).map(|study| (token, study))).transpose()
        };
        if let Some((token, study)) = app.store.read(read).await.map_err(Refusal::from)? {
            app.last_use.api_tokens.record(hash, now);
            app.rate_limits.check_read(hash).map_err(Refusal::from)?;
            return Ok(StudyReader { token, study });
        }
    }
    app.rate_limits.check_anonymous(request.client).map_err(Refusal::from)?;
    let text = "This needs a valid read token of a study: Authorization: Bearer …";
    let mut response =
        request.refusal_response(Refusal::new(StatusCode::UNAUTHORIZED, "Not signed in", text));
    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    Err(response.into())
}
