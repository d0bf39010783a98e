//! A route: the method, path and access of one page, and the warp filter that answers it. The filters run in
//! this order: path, end, method, access, body. A refused access is a response, so no other route answers
//! instead.

use std::sync::Arc;

use bytes::Buf;
use futures_util::{Stream, future::BoxFuture};
use http::{Method, header};
use percent_encoding::percent_decode_str;
use warp::Filter;
use warp::filters::BoxedFilter;
use warp::reply::Response;

use crate::app::state::App;
use crate::model::account::AccountId;
use crate::web::access::{Access, AccessCheck, AccessRule, Denied};
use crate::web::body::{LARGEST_FORM, read};
use crate::web::gate::{self, Gate};
use crate::web::reader::{LANGUAGE_FIELD, Reader, remember_language};
use crate::web::request::{PathParameters, Request};
use crate::web::response::{HandlerResult, Refusal};
use crate::web::{csrf, keep_form, multipart};

pub(crate) struct Route {
    pub(crate) method: Method,
    /// The path, with its parameters in braces: `/admin/patients/{patient}`.
    pub(crate) pattern: &'static str,
    pub(crate) access: Access,
    pub(crate) filter: BoxedFilter<(Response,)>,
}

/// An `async fn(&App, &Request, &C) -> HandlerResult`.
pub(crate) trait Handler<'a, C>: Send + Sync {
    fn call(&self, app: &'a App, request: &'a Request, caller: &'a C) -> BoxFuture<'a, HandlerResult>;
}

impl<'a, C: 'a, F, R> Handler<'a, C> for F
where
    F: Fn(&'a App, &'a Request, &'a C) -> R + Send + Sync,
    R: Future<Output = HandlerResult> + Send + 'a,
{
    fn call(&self, app: &'a App, request: &'a Request, caller: &'a C) -> BoxFuture<'a, HandlerResult> {
        Box::pin(self(app, request, caller))
    }
}

/// A route for GET and HEAD; the server leaves the body out of an answer to HEAD.
pub(crate) fn get<C: Send + Sync + 'static>(
    pattern: &'static str,
    rule: AccessRule<C>,
    handler: impl for<'a> Handler<'a, C> + 'static,
) -> Route {
    route(Method::GET, pattern, rule, 0, Arc::new(handler))
}

/// A route for a form.
pub(crate) fn post<C: Send + Sync + 'static>(
    pattern: &'static str,
    rule: AccessRule<C>,
    handler: impl for<'a> Handler<'a, C> + 'static,
) -> Route {
    route(Method::POST, pattern, rule, LARGEST_FORM, Arc::new(handler))
}

/// A route for DELETE.
pub(crate) fn delete<C: Send + Sync + 'static>(
    pattern: &'static str,
    rule: AccessRule<C>,
    handler: impl for<'a> Handler<'a, C> + 'static,
) -> Route {
    route(Method::DELETE, pattern, rule, 0, Arc::new(handler))
}

/// A route that answers the same to everyone, also without a store.
pub(crate) fn fixed(pattern: &'static str, answer: fn() -> Response) -> Route {
    let filter = path(pattern).and(method_filter(&Method::GET)).map(move |_| answer()).boxed();
    Route { method: Method::GET, pattern, access: Access::Open, filter }
}

/// A route whose body has at most `largest` bytes. The handler is boxed first: so the filters have one type
/// per kind of caller, not one per page.
pub(crate) fn route<C: Send + Sync + 'static>(
    method: Method,
    pattern: &'static str,
    AccessRule(access, check): AccessRule<C>,
    largest: usize,
    handler: Arc<dyn for<'a> Handler<'a, C>>,
) -> Route {
    let filter = path(pattern)
        .and(method_filter(&method))
        .and(warp::ext::get::<Gate>())
        .and(warp::ext::get::<Request>())
        .then(move |parameters, gate, request| admit(check, pattern, parameters, gate, request))
        .and(warp::body::stream())
        .then(move |admitted: Result<Admitted<C>, Postponable>, stream| async move {
            match admitted {
                Ok(mut admitted) => {
                    let request = &mut admitted.request;
                    read_body(request, stream, largest)
                        .await
                        .map_err(|refusal| request.refusal_response(refusal))?;
                    // OW's messages are JSON; all other bodies are forms.
                    if access != Access::OwSignature {
                        request
                            .check_parameters(request.form())
                            .map_err(|refusal| request.refusal_response(refusal))?;
                    }
                    Ok(admitted)
                }
                Err(Postponable::Answer(response)) => Err(response),
                Err(Postponable::Form(app, mut request, account, before)) => {
                    let kept = async {
                        read_body(&mut request, stream, largest).await?;
                        keep_form::keep(&app, &request, account, before).await
                    };
                    Err(kept.await.unwrap_or_else(|refusal| refusal.into_page(&Reader::default())))
                }
            }
        })
        .then(move |admitted| answer(Arc::clone(&handler), admitted))
        .boxed();
    Route { method, pattern, access, filter }
}

/// Reads the body into the request, and parses a form with a file.
async fn read_body(
    request: &mut Request,
    stream: impl Stream<Item = Result<impl Buf, warp::Error>> + Send,
    largest: usize,
) -> Result<(), Refusal> {
    request.body = read(stream, largest).await?;
    let content_type = request.header(header::CONTENT_TYPE).unwrap_or_default();
    if let Some(fields) = multipart::parse(content_type, &request.body).await? {
        request.set_form(fields);
    }
    Ok(())
}

/// A request whose caller has passed the access check.
struct Admitted<C> {
    app: App,
    request: Request,
    caller: C,
}

/// A refusal, or a form that is kept until the account has signed in or confirmed who it is.
enum Postponable {
    Answer(Response),
    Form(Box<App>, Box<Request>, AccountId, &'static str),
}

async fn admit<C>(
    check: AccessCheck<C>,
    pattern: &'static str,
    parameters: PathParameters,
    gate: Gate,
    mut request: Request,
) -> Result<Admitted<C>, Postponable> {
    let unavailable = |failure| Postponable::Answer(gate::unavailable(&request, &failure));
    let app = gate.app().map_err(unavailable)?;
    (request.pattern, request.parameters) = (pattern, parameters);
    request.is_https = app.is_https();
    request.reader.house = app.live.config().institution;
    request
        .check_parameters(&request.query)
        .map_err(|refusal| Postponable::Answer(request.refusal_response(refusal)))?;
    let checked = check(&app, &mut request).await;
    match checked {
        Ok(caller) => Ok(Admitted { app, request, caller }),
        Err(Denied::Answer(response)) => Err(Postponable::Answer(*response)),
        Err(Denied::Refused(refusal)) => Err(Postponable::Answer(request.refusal_response(*refusal))),
        Err(Denied::Postponed { account, before }) => {
            Err(Postponable::Form(Box::new(app), Box::new(request), account, before))
        }
    }
}

async fn answer<C>(
    handler: Arc<dyn for<'a> Handler<'a, C>>,
    admitted: Result<Admitted<C>, Response>,
) -> Response {
    let Admitted { app, request, caller } = match admitted {
        Ok(admitted) => admitted,
        Err(response) => return response,
    };
    let handled = async {
        csrf::check_session_form(&app, &request).await?;
        keep_form::forget_if_sent(&app, &request);
        handler.call(&app, &request, &caller).await
    };
    let response = handled.await.unwrap_or_else(|refusal| request.refusal_response(refusal));
    remember_language(response, request.query.get(LANGUAGE_FIELD), request.is_https)
}

/// Matches a whole path and decodes its parameters.
pub(crate) fn path(pattern: &'static str) -> BoxedFilter<(PathParameters,)> {
    let segments = pattern.split('/').filter(|segment| !segment.is_empty());
    let start = warp::any().map(PathParameters::new).boxed();
    let matched = segments.fold(start, |path, segment| match segment.strip_prefix('{') {
        None => path.and(warp::path(segment)).boxed(),
        Some(name) => {
            let name = name.trim_end_matches('}');
            let decode = move |mut all: PathParameters, value: String| {
                all.push((name, percent_decode_str(&value).decode_utf8_lossy().into_owned()));
                all
            };
            path.and(warp::path::param()).map(decode).boxed()
        }
    });
    matched.and(warp::path::end()).boxed()
}

fn method_filter(method: &Method) -> BoxedFilter<()> {
    match *method {
        Method::GET => warp::get().or(warp::head()).unify().boxed(),
        Method::DELETE => warp::delete().boxed(),
        _ => warp::post().boxed(),
    }
}
