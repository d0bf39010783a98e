//! A real S3 server on loopback that records its requests and injects faults.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::SimpleAuth;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s_fs::FileSystem;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;

use crate::support::harness::*;

pub const BUCKET: &str = "ow-raw";
pub const KEY_ID: &str = "AKBENCHBENCH";
pub const SECRET: &str = "a-secret-that-nobody-must-find";
pub const HEARTRATE: &str = "/v2/usercollection/heartrate";
const PREFIX: &str = "raw-payloads/oura/api_response";

/// The server's faults and the requests it has seen.
struct State {
    seen: Mutex<Vec<String>>,
    faults: Mutex<HashMap<String, Fault>>,
    /// The pages that answer a listing of a user's objects.
    listings: Mutex<HashMap<String, Vec<String>>>,
    /// Number of objects to serve before the server dies.
    life: AtomicI64,
}

/// A fault of one object or of a user's listings.
#[derive(Clone)]
pub enum Fault {
    /// Answers with this status.
    Status(u16),
    /// Answers 503 with this `Retry-After`, in seconds.
    Later(u64),
    /// Redirects to this address.
    Elsewhere(String),
    /// Never answers.
    Silence,
}

/// The server and its files.
pub struct Bucket {
    pub root: TempDir,
    pub port: u16,
    state: Arc<State>,
    service: S3Service,
    running: Option<(Runtime, CancellationToken)>,
}

impl Bucket {
    pub fn start() -> Self {
        let root = TempDir::new().unwrap();
        std::fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut service = S3ServiceBuilder::new(FileSystem::new(root.path()).unwrap());
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let state = State {
            seen: Mutex::default(),
            faults: Mutex::default(),
            listings: Mutex::default(),
            life: AtomicI64::new(i64::MAX),
        };
        let (state, service) = (Arc::new(state), service.build());
        let mut bucket = Self { root, port: 0, state, service, running: None };
        bucket.restart();
        bucket
    }

    /// Starts the server again on the same port.
    pub fn restart(&mut self) {
        self.stop();
        self.state.life.store(i64::MAX, Ordering::SeqCst);
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let address = ("127.0.0.1", self.port);
        let listener = runtime.block_on(tokio::net::TcpListener::bind(address)).unwrap();
        self.port = listener.local_addr().unwrap().port();
        let dead = CancellationToken::new();
        runtime.spawn(serve(listener, self.service.clone(), self.state.clone(), dead.clone()));
        self.running = Some((runtime, dead));
    }

    pub fn stop(&mut self) {
        if let Some((runtime, dead)) = self.running.take() {
            dead.cancel();
            runtime.shutdown_background();
        }
    }

    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns the key under which OW stores a payload of a user on a day.
    pub fn key(day: &str, user: &str, name: &str) -> String {
        format!("{PREFIX}/{day}/{user}/{name}.json")
    }

    /// Stores an object as OW does, over HTTP.
    pub fn put(&self, key: &str, endpoint: &str, body: &[u8]) {
        self.put_noted(key, &[("trace_id", endpoint)], body);
    }

    /// Stores an object with this metadata.
    pub fn put_noted(&self, key: &str, metadata: &[(&str, &str)], body: &[u8]) {
        let (runtime, _) = self.running.as_ref().unwrap();
        let region = s3::Region::Custom { region: "us-east-1".into(), endpoint: self.address() };
        let credentials = s3::creds::Credentials::new(Some(KEY_ID), Some(SECRET), None, None, None).unwrap();
        let bucket = s3::Bucket::new(BUCKET, region, credentials).unwrap().with_path_style();
        let mut put = bucket.put_object_builder(key, body).with_content_type("application/json");
        for (name, value) in metadata {
            put = put.with_metadata(*name, *value).unwrap();
        }
        runtime.block_on(put.execute()).unwrap();
    }

    /// Stores heart rates: time of day, value, and source.
    pub fn put_heart_rates(&self, key: &str, rates: &[(&str, f64, &str)]) {
        self.put(key, HEARTRATE, heart_rates(rates).to_string().as_bytes());
    }

    /// Writes a file directly to disk, without metadata.
    pub fn put_bare(&self, key: &str, body: &[u8]) {
        let path = self.root.path().join(BUCKET).join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, body).unwrap();
    }

    pub fn remove(&self, key: &str) {
        std::fs::remove_file(self.root.path().join(BUCKET).join(key)).unwrap();
    }

    /// Answers requests for this object with this status; 0 serves it again.
    pub fn fault(&self, key: &str, status: u16) {
        self.trouble(key, (status > 0).then_some(Fault::Status(status)));
    }

    /// Sets or removes the fault of this object.
    pub fn trouble(&self, key: &str, fault: Option<Fault>) {
        let (mut faults, path) = (self.state.faults.lock().unwrap(), format!("/{BUCKET}/{key}"));
        match fault {
            Some(fault) => faults.insert(path, fault),
            None => faults.remove(&path),
        };
    }

    /// Sets or removes the fault of a user's listings.
    pub fn list_trouble(&self, user: &str, fault: Option<Fault>) {
        let mut faults = self.state.faults.lock().unwrap();
        match fault {
            Some(fault) => faults.insert(user.to_owned(), fault),
            None => faults.remove(user),
        };
    }

    /// Answers listings of a user's objects with exactly these pages.
    pub fn list_as(&self, user: &str, pages: &[&str]) {
        let pages = pages.iter().map(|page| (*page).to_owned()).collect();
        self.state.listings.lock().unwrap().insert(user.to_owned(), pages);
    }

    /// Sets the modification time of an object.
    pub fn stored(&self, key: &str, at: jhe_ow::common::time::Timestamp) {
        let path = self.root.path().join(BUCKET).join(key);
        let micros = u64::try_from(at.micros()).unwrap();
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_micros(micros);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    }

    /// Dies after serving this many more objects.
    pub fn die_after(&self, objects: i64) {
        self.state.life.store(objects, Ordering::SeqCst);
    }

    /// Returns the requests since the last call: method, path and query.
    pub fn seen(&self) -> Vec<String> {
        std::mem::take(&mut *self.state.seen.lock().unwrap())
    }

    /// Counts the requests since the last call that read an object or its metadata.
    pub fn object_requests(&self) -> usize {
        self.seen().iter().filter(|seen| seen.contains(".json") && !seen.contains("list-type")).count()
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.stop();
    }
}

async fn serve(
    listener: tokio::net::TcpListener,
    service: S3Service,
    state: Arc<State>,
    dead: CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            () = dead.cancelled() => return,
            accepted = listener.accept() => accepted,
        };
        let Ok((stream, _)) = accepted else { continue };
        let (service, state, dead) = (service.clone(), state.clone(), dead.clone());
        tokio::spawn(async move {
            let answer = service_fn(|request| answer(request, &service, &state, &dead));
            let connection =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer);
            tokio::select! {
                () = dead.cancelled() => {}
                _ = connection => {}
            }
        });
    }
}

async fn answer(
    request: Request<Incoming>,
    service: &S3Service,
    state: &State,
    dead: &CancellationToken,
) -> Result<Response<s3s::Body>, Infallible> {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    state.seen.lock().unwrap().push(format!("{method} {}", request.uri()));
    let reads = method == Method::GET && path.contains(".json");
    let query = request.uri().query().unwrap_or_default().to_owned();
    let fault = {
        let faults = state.faults.lock().unwrap();
        let of_listing =
            || faults.iter().find(|(user, _)| !user.contains('/') && query.contains(user.as_str()));
        let fault = if reads { faults.get(&path) } else { of_listing().map(|(_, fault)| fault) };
        fault.cloned()
    };
    let empty = |response: http::response::Builder| Ok(response.body(s3s::Body::empty()).unwrap());
    match fault {
        Some(Fault::Status(status)) => return empty(Response::builder().status(status)),
        Some(Fault::Later(seconds)) => {
            return empty(Response::builder().status(503).header("Retry-After", seconds));
        }
        Some(Fault::Elsewhere(address)) => {
            return empty(
                Response::builder().status(307).header("Location", format!("{address}{path}?{query}")),
            );
        }
        Some(Fault::Silence) => std::future::pending::<()>().await,
        None => {}
    }
    let page = {
        let listings = state.listings.lock().unwrap();
        let pages = listings.iter().find(|(user, _)| query.contains(user.as_str())).map(|(_, pages)| pages);
        pages.and_then(|pages| pages.get(usize::from(query.contains("continuation-token"))).cloned())
    };
    if let Some(page) = page.filter(|_| !reads) {
        return Ok(Response::builder().body(s3s::Body::from(page)).unwrap());
    }
    if reads && state.life.fetch_sub(1, Ordering::SeqCst) <= 0 {
        dead.cancel();
        std::future::pending::<()>().await;
    }
    let answer = hyper::service::Service::call(service, request).await;
    Ok(answer.unwrap_or_else(|_| Response::builder().status(500).body(s3s::Body::empty()).unwrap()))
}

/// A page of Oura's heart rates.
pub fn heart_rates(rates: &[(&str, f64, &str)]) -> Value {
    let record =
        |(at, bpm, source): &(&str, f64, &str)| json!({ "bpm": bpm, "source": source, "timestamp": at });
    json!({ "data": rates.iter().map(record).collect::<Vec<_>>(), "next_token": null })
}

/// Returns a world in raw mode and its bucket.
pub fn raw_world() -> (World, Bucket) {
    let (mut world, bucket) = (World::new(), Bucket::start());
    world.set("JHE_OW_SECRET_KEY", "0123456789abcdef0123456789abcdef0123456789ab");
    use_bucket(&world, &bucket);
    (world, bucket)
}

/// Switches a world to raw mode.
pub fn use_bucket(world: &World, bucket: &Bucket) {
    for (key, value) in [
        ("ow.ingest_mode", "raw"),
        ("ow.s3.endpoint_url", &bucket.address()),
        ("ow.s3.access_key_id", KEY_ID),
        ("ow.s3.secret_access_key", SECRET),
        ("ow.s3.bucket_name", BUCKET),
    ] {
        world.setting(key, value);
    }
}
