//! No secret and no measurement leaks: into logs at any level, to signed-out visitors, or through a service that echoes
//! requests.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fake_jhe::{FakeJhe, Fault, KEY};
use crate::support::harness::*;
use crate::support::running_daemon::*;
use crate::support::secrets::*;

const OW_KEY: &str = "sk-canary-of-open-wearables";
/// base64 of `canary-client:canary-client-secret`.
const JHE_KEY: &str = "Y2FuYXJ5LWNsaWVudDpjYW5hcnktY2xpZW50LXNlY3JldA==";
const JHE_ID: &str = "canary-client";
const JHE_SECRET: &str = "canary-client-secret";
const JHE_TOKEN: &str = "canary-of-a-token-of-jhe";
const S3_ID: &str = "AKCANARYOFS3";
const S3_SECRET: &str = "canary-of-the-secret-of-s3";
const WRONG: &str = "canary of a wrong password";
const VALUE: &str = "161.234567";
/// The name and e-mail address of the JHE patient.
const OF_JHE: &[&str] = &["P40001", "p40001@example.org"];
/// Longest permitted run of base64 characters; an attachment has hundreds.
const LONGEST_RUN: usize = 80;
const LOUD: [[(&str, &str); 2]; 2] = [
    [("JHE_OW_LOG", "trace"), ("JHE_OW_LOG_FORMAT", "json")],
    [("JHE_OW_LOG", "trace,reqwest=trace,hyper_util=trace,rustls=trace"), ("JHE_OW_LOG_FORMAT", "pretty")],
];

/// The way in which an echoing service fails.
#[derive(Debug, Clone, Copy)]
enum Manner {
    Status(u16),
    /// A redirect whose address contains the request.
    Elsewhere,
    /// Status 200 with values of unexpected types.
    Otherwise,
}

/// OW, JHE and S3 in one server that only echoes requests.
struct Parrot {
    port: u16,
    manner: Arc<Mutex<Manner>>,
    heard: Arc<Mutex<String>>,
}

impl Parrot {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (manner, heard) = (Arc::new(Mutex::new(Manner::Otherwise)), Arc::<Mutex<String>>::default());
        let parrot = Self { port, manner: manner.clone(), heard: heard.clone() };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (manner, heard) = (manner.clone(), heard.clone());
                std::thread::spawn(move || {
                    // Clients may disconnect early.
                    let _ = repeat(&mut stream.unwrap(), &manner, &heard);
                });
            }
        });
        parrot
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn is_to(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }
}

fn repeat(stream: &mut TcpStream, manner: &Mutex<Manner>, heard: &Mutex<String>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    let asked = loop {
        let read = stream.read(&mut piece)?;
        bytes.extend_from_slice(&piece[..read]);
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((top, body)) = text.split_once("\r\n\r\n") else {
            if read == 0 {
                return Ok(());
            }
            continue;
        };
        let top = format!("{}\r\n", top.to_lowercase());
        let length = between(&top, "content-length: ", "\r\n").map_or(0, |text| text.parse().unwrap());
        if body.len() >= length || read == 0 {
            break text;
        }
    };
    heard.lock().unwrap().push_str(&asked);
    let manner = *manner.lock().unwrap();
    let words = format!("no: {asked} of {{'value': {VALUE}}}").replace(['\r', '\n'], " ");
    let issue = json!([{ "diagnostics": words }]);
    let status = match manner {
        _ if asked.starts_with("POST /o/token/") && !matches!(manner, Manner::Status(401)) => 200,
        Manner::Status(status) => status,
        Manner::Elsewhere => 307,
        Manner::Otherwise => 200,
    };
    let body = if asked.starts_with("POST /o/token/") && status == 200 {
        json!({ "access_token": JHE_TOKEN, "expires_in": 3600 }).to_string()
    } else if asked.contains("AWS4-HMAC") {
        format!("<Error><Code>{words}</Code><Message>{words}</Message></Error>")
    } else if matches!(manner, Manner::Otherwise) {
        let value: f64 = VALUE.parse().unwrap();
        json!({ "data": value, "items": NAME, "results": [{ "id": NAME }], "entry": EMAIL, "id": value, "next": NAME })
            .to_string()
    } else if heard.lock().unwrap().len().is_multiple_of(2) {
        json!({ "detail": words, "error": words, "issue": issue }).to_string()
    } else {
        words.clone()
    };
    let query: String = form_urlencoded::byte_serialize(words.as_bytes()).collect();
    let answer = format!(
        "HTTP/1.1 {status} Said\r\nLocation: /api/v1/oauth/error?message={query}\r\nRetry-After: 0\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(answer.as_bytes())
}

/// The secrets, and the output in which they must not occur.
struct Watch {
    canaries: Vec<String>,
    seen: String,
}

impl Watch {
    fn new() -> Self {
        let canaries = [
            OW_KEY, JHE_KEY, JHE_SECRET, JHE_ID, JHE_TOKEN, S3_ID, S3_SECRET, SEAL, PASSWORD, WRONG, NAME,
            EMAIL, VALUE,
        ];
        let canaries =
            canaries.into_iter().chain(OF_JHE.iter().copied()).chain([KEY, "161.23", "canary-of-a-chat"]);
        let configured = secrets_of_the_configuration().into_iter().map(|(_, value)| value);
        Self { canaries: canaries.map(str::to_owned).chain(configured).collect(), seen: String::new() }
    }

    fn must_not_see(&mut self, canary: &str) {
        assert!(canary.len() > 5, "{canary:?} occurs in every output");
        self.canaries.push(canary.to_owned());
    }

    fn look(&mut self, what: &str, text: &str) {
        self.seen.push_str(text);
        for canary in &self.canaries {
            if let Some(place) = text.find(canary.as_str()) {
                let near: String = text[..place].chars().rev().take(300).collect();
                let near: String = near.chars().rev().collect();
                panic!("{what} reveals {canary:?} after: {near}");
            }
        }
        let run = text
            .split(|c: char| !c.is_ascii_alphanumeric() && !"+/=_-".contains(c))
            .max_by_key(|run| run.len());
        assert!(
            run.is_none_or(|run| run.len() < LONGEST_RUN),
            "{what} contains a long run of base64: {run:?}"
        );
    }

    fn look_at(&mut self, what: &str, ran: &Ran) {
        self.look(&format!("{what}, on stdout,"), &ran.stdout);
        self.look(&format!("{what}, on stderr,"), &ran.stderr);
        for line in ran.stderr.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let (level, target) = (line["level"].as_str().unwrap(), line["target"].as_str().unwrap());
            let is_ours = target == "jhe_ow" || target.starts_with("jhe_ow::");
            assert!(is_ours || matches!(level, "WARN" | "ERROR"), "{what}: a dependency logs {line}");
        }
    }

    fn look_at_answer(&mut self, what: &str, answer: &Answer) {
        self.look(what, &format!("{:?} {}", answer.headers, answer.body));
    }
}

/// Creates a world with a local patient and a JHE patient, each with a pending measurement, and with every secret in
/// its configuration and settings. Also returns the OW user of the JHE patient.
fn full_world() -> (World, FakeJhe, String) {
    let (mut world, jhe) = (World::new(), FakeJhe::start());
    world.set("JHE_OW_SECRET_KEY", SEAL);
    world.set("JHE_BASE_URL", &jhe.url());
    world.set("JHE_CLIENT_KEY", KEY);
    have_mail(&mut world);
    for (name, value) in secrets_of_the_configuration() {
        if name.starts_with("JHE_OW_ALERTS") || name == "OW_WEBHOOK_SECRET" {
            world.set(name, &value);
        }
    }
    jhe.add_patient(40001, 10001, world.now.minus(DAY));
    let (user, other) = (world.sim.add_user(), world.sim.add_user());
    let add = [linked_patient(NAME, &user).as_slice(), &["--email", EMAIL]].concat();
    assert_eq!(world.run(&add).code, 0);
    assert_eq!(world.run(&["patient", "add", "--jhe-patient", "40001", "--ow-user", &other]).code, 0);
    for user in [&user, &other] {
        world.sim.put(user, world.now.minus(HOUR), VALUE.parse().unwrap());
        world.sim.put_verbatim(user, world.now.minus(HOUR), &format!("{{\"value\":\"{VALUE} {NAME}\"}}"));
    }
    for (key, value) in [
        ("ow.s3.endpoint_url", "http://127.0.0.1:9"),
        ("ow.s3.access_key_id", S3_ID),
        ("ow.s3.secret_access_key", S3_SECRET),
        ("ow.s3.bucket_name", "payloads"),
    ] {
        world.setting(key, value);
    }
    (world, jhe, other)
}

fn loudly(world: &mut World, how: [(&str, &str); 2]) {
    for (name, value) in how {
        world.set(name, value);
    }
}

#[test]
fn logs_of_normal_operation_hold_no_secret() {
    let mut watch = Watch::new();
    for how in LOUD {
        let (mut world, _jhe, _) = full_world();
        watch.must_not_see(&world.sim.key());
        loudly(&mut world, how);
        for arguments in [
            ["poll"].as_slice(),
            &["export"],
            &["seed"],
            &["settings", "list"],
            &["audit", "verify"],
            &["backup", "copy.sqlite3"],
            &["patient", "unlink", "1"],
            &["settings", "set", "ow.s3.secret_access_key", S3_SECRET],
        ] {
            let ran = world.run(arguments);
            assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
            watch.look_at(&format!("{arguments:?}"), &ran);
        }
        // These commands print patients to their caller; the log must not.
        for arguments in
            [["patient", "list"].as_slice(), &["observations"], &["rejected", "list"], &["adopt"]]
        {
            let ran = world.run(arguments);
            assert_eq!(ran.code, 0, "{arguments:?}: {ran:?}");
            watch.look(&format!("{arguments:?}"), &ran.stderr);
        }
        let _ = with_input(&world, &["admin", "set-password", "--name", "operator"], PASSWORD);
        let alerts = world.run(&["alerts", "test"]);
        assert_eq!(alerts.code, 1, "every alert channel must fail here: {alerts:?}");
        watch.look_at("alerts test", &alerts);
    }
    assert!(watch.seen.contains("Created 2 observations") && watch.seen.contains("Delivered 1 observation"));
}

#[test]
fn a_service_that_echoes_requests_gets_no_secret_into_a_log() {
    let parrot = Parrot::start();
    let (mut world, jhe, user) = full_world();
    let mut watch = Watch::new();
    watch.must_not_see(&world.sim.key());
    assert_eq!(world.created(), 2);
    // JHE issues the token and echoes later requests, such as a batch.
    for how in LOUD {
        loudly(&mut world, how);
        for (path, status) in [
            ("/FHIR/R5/", 400),
            ("/FHIR/R5/", 401),
            ("/FHIR/R5/", 403),
            ("/FHIR/R5/", 502),
            ("/FHIR/R5/", 207),
            ("/api/v1/patients", 400),
            ("/api/v1/patients/40001/consents", 403),
            ("/api/v1/data_sources", 500),
            ("/o/token/", 400),
        ] {
            // A new sample is pending, and every back-off has ended.
            world.pass(HOUR * 2);
            world.sim.put(&user, world.now.minus(HOUR), VALUE.parse().unwrap());
            let count = Arc::<Mutex<usize>>::default();
            let heard = count.clone();
            jhe.state().trouble = Some(Box::new(move |asked| {
                let is_it = asked == path;
                *heard.lock().unwrap() += usize::from(is_it);
                is_it.then_some(Fault::Echo(status))
            }));
            for arguments in [["poll"].as_slice(), &["export", "--retry-dead"], &["adopt"]] {
                watch.look_at(&format!("{arguments:?}, {path} {status}"), &world.run(arguments));
            }
            // The import prints the patients; the log must not.
            watch.look(&format!("import, {path} {status}"), &world.run(&["patient", "import"]).stderr);
            assert!(*count.lock().unwrap() > 0, "{path} was never requested, so this proves nothing");
        }
    }
    jhe.state().trouble = None;
    world.set("JHE_BASE_URL", &parrot.url());
    world.set("JHE_CLIENT_KEY", JHE_KEY);
    world.set("OW_API_URL", &parrot.url());
    world.set("OW_API_KEY", OW_KEY);
    world.setting("ow.s3.endpoint_url", &parrot.url());
    for (number, manner) in [
        Manner::Status(400),
        Manner::Status(401),
        Manner::Status(403),
        Manner::Status(404),
        Manner::Status(429),
        Manner::Elsewhere,
        Manner::Otherwise,
    ]
    .into_iter()
    .enumerate()
    {
        loudly(&mut world, LOUD[number % 2]);
        parrot.is_to(manner);
        for mode in ["normalized", "raw"] {
            world.setting("ow.ingest_mode", mode);
            watch.look_at(&format!("poll, {mode}, {manner:?}"), &world.poll());
        }
        for arguments in [["export", "--retry-dead"].as_slice(), &["adopt"], &["seed"]] {
            watch.look_at(&format!("{arguments:?}, {manner:?}"), &world.run(arguments));
        }
    }
    let heard = parrot.heard.lock().unwrap().clone();
    for sent in [OW_KEY, JHE_KEY, JHE_TOKEN, S3_ID] {
        assert!(heard.contains(sent), "{sent} was never sent, so this proves nothing");
    }
    assert!(watch.seen.contains("OW answered 400: "), "the answer repeats nothing of OW's error text");
}

#[test]
fn signed_out_visitors_see_no_secret_and_their_input_is_not_logged() {
    let parrot = Parrot::start();
    for (how, manner) in LOUD.into_iter().zip([Manner::Status(400), Manner::Otherwise]) {
        let mut watch = Watch::new();
        let (mut world, _jhe, _) = full_world();
        assert_eq!(world.created(), 2);
        set_password(&world, "operator", PASSWORD);
        let calm = Served::start(&world);
        let operator = calm.operator(&world);
        let study = make_study(&operator, "Sleep");
        let patient = make_patient(&operator, &format!("{NAME} Junior"), &study);
        let page = format!("/admin/patients/{patient}");
        let api = operator.submit(&page, &format!("{page}/api-token"), &[("label", "an app")]).secret();
        let person = calm.visitor();
        assert_eq!(agree(&person, &invite(&operator, &patient), &study).status, 303);
        let (open, port) = (invite(&operator, &patient), calm.port);
        let code = open.split_once("code=").unwrap().1.to_owned();
        for secret in [&api, &code] {
            watch.must_not_see(secret);
        }
        for visitor in [&operator, &person] {
            visitor.cookies.lock().unwrap().values().for_each(|token| watch.must_not_see(token));
        }
        calm.stop("TERM");
        parrot.is_to(manner);
        loudly(&mut world, how);
        for (name, value) in
            [("OW_API_URL", parrot.url()), ("JHE_BASE_URL", parrot.url()), ("OW_API_KEY", OW_KEY.to_owned())]
        {
            world.set(name, &value);
        }
        world.set("JHE_CLIENT_KEY", JHE_KEY);
        let served = Served::on(&world, port, &[]);
        // Signed-in users continue, so that the log has entries.
        for path in ["/admin", "/admin/patients/1", "/admin/patients/1/observations", "/admin/settings"] {
            assert_eq!(operator.get(path).status, 200, "{path}");
        }
        let manage = person.get("/clients/ow/manage");
        assert_eq!(manage.status, 200);
        watch.look("a patient's own page", &manage.body.replace(NAME, ""));
        for path in ["/clients/ow/connect", "/clients/ow/complete", "/clients/ow/leave?provider=oura"] {
            watch.look_at_answer(path, &person.get(path));
        }
        let bearer = format!("Bearer {api}");
        let users =
            served.visitor().send(Method::POST, "/api/v1/ow/users", &[("Authorization", &bearer)], None);
        watch.look_at_answer("the API", &users);
        let stranger = served.visitor();
        for path in
            ["/", "/healthz", "/readyz", "/admin", "/admin/patients/1", "/clients/ow/manage", "/nothing"]
        {
            watch.look_at_answer(path, &stranger.get(path));
        }
        // The form of an opened invitation contains the invitation's own code.
        assert_eq!(stranger.get(&open).status, 200);
        let secrets = [WRONG, &code, &api, OW_KEY, S3_SECRET, NAME, VALUE];
        for secret in secrets {
            let quoted: String = form_urlencoded::byte_serialize(secret.as_bytes()).collect();
            for path in ["/", "/readyz", "/nothing", "/api/v1/nothing", "/api/v1/oauth/oura/callback"] {
                let answer = stranger.get(&format!("{path}?state={quoted}&code={quoted}&error={quoted}"));
                watch.look_at_answer(path, &answer);
            }
            let fields =
                [("name", "operator"), ("password", secret), ("code", secret), ("form_token", secret)];
            for path in
                ["/admin/sign-in", "/clients/ow/agree", "/clients/ow/redeem", "/admin/settings", "/nothing"]
            {
                watch.look_at_answer(path, &stranger.post(path, &fields));
            }
        }
        let signed = stranger.sign_in("operator", WRONG);
        watch.look_at_answer("a wrong password", &signed);
        until("a tick has ended", || !stranger.get("/readyz").body.contains("has ended yet"));
        let ran = served.stop("TERM");
        watch.look_at("serve", &ran);
        assert!(ran.stderr.contains("a form was refused"), "{}", ran.stderr);
    }
}

#[test]
fn errors_of_a_broken_configuration_show_no_secret() {
    let mut watch = Watch::new();
    let world = World::bare();
    let toml = world.directory.path().join("jhe-ow.toml");
    for text in [
        format!("[ow]\napi_key = {OW_KEY}\n"),
        format!("[ow]\napi_key = \"{OW_KEY}\napi_url = \"x\"\n"),
        format!("[ow]\napi_key = \"{OW_KEY}\" and more\n"),
        format!("[ow]\napi_kee = \"{OW_KEY}\"\n"),
        format!("secret_key = \"{SEAL}\"\nsecret_key = \"{SEAL}\"\n"),
        format!("secret_key = \"{SEAL} and a space\"\n"),
    ] {
        std::fs::write(&toml, &text).unwrap();
        let ran = world.run(&["settings", "list"]);
        assert_eq!(ran.code, 2, "{text}: {ran:?}");
        watch.look_at(&text, &ran);
    }
    std::fs::remove_file(toml).unwrap();
    for text in
        [format!("OW_API_KEY={OW_KEY} and more\n"), format!("{OW_KEY}\n"), format!("OW_API_KEY='{OW_KEY}\n")]
    {
        std::fs::write(world.directory.path().join(".env"), &text).unwrap();
        let ran = world.run(&["settings", "list"]);
        assert_eq!(ran.code, 2, "{text}: {ran:?}");
        watch.look_at(&text, &ran);
    }
    assert!(watch.seen.contains(".env") && watch.seen.contains("jhe-ow.toml line 2"), "{}", watch.seen);
}

#[test]
fn lists_of_configuration_values_show_no_secret() {
    let secrets = secrets_of_the_configuration();
    assert_eq!(secrets.len(), 9, "{secrets:?}");
    // JHE_CLIENT_KEY combines the other two, and setting both is an error.
    for left_out in ["JHE_CLIENT_KEY", "JHE_CLIENT_SECRET"] {
        for in_credentials in [false, true] {
            let (mut world, mut watch) = (World::new(), Watch::new());
            world.set("OW_API_KEY", "");
            have_mail(&mut world);
            world.set("JHE_CLIENT_ID", if left_out == "JHE_CLIENT_KEY" { "an-id" } else { "" });
            let directory = world.directory.path().join("credentials");
            std::fs::create_dir(&directory).unwrap();
            world.set("CREDENTIALS_DIRECTORY", directory.to_str().unwrap());
            for (name, value) in secrets.iter().filter(|(name, _)| *name != left_out) {
                if in_credentials {
                    std::fs::write(directory.join(name.to_lowercase()), value).unwrap();
                } else {
                    world.set(name, value);
                }
            }
            let place = if in_credentials { "systemd credential" } else { "environment variable" };
            for arguments in [
                ["doctor"].as_slice(),
                &["doctor", "--json"],
                &["settings", "list"],
                &["serve", "--bind", "no"],
            ] {
                watch.look_at(&format!("{arguments:?}, {place}"), &world.run(arguments));
            }
            assert_eq!(watch.seen.matches(&format!("= (set) ({place}")).count(), 2 * 8, "{}", watch.seen);
        }
    }
}
