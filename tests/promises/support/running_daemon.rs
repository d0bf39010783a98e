//! A running daemon and HTTP clients.

use std::collections::BTreeMap;
use std::io::{BufRead as _, Write as _};
use std::process::Stdio;
use std::sync::{LazyLock, Mutex};

use reqwest::header::{HeaderMap, LOCATION, SET_COOKIE};
use reqwest::{Method, redirect};

use crate::support::harness::*;

/// The operator's password in every test.
pub const PASSWORD: &str = "correct horse battery";

static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
});

/// Blocks on a future.
pub fn wait_for<T>(future: impl Future<Output = T>) -> T {
    RUNTIME.block_on(future)
}

/// Runs a future in the background.
pub fn spawn(future: impl Future<Output = ()> + Send + 'static) {
    RUNTIME.spawn(future);
}

/// A running daemon.
pub struct Served {
    pub running: Running,
    pub port: u16,
}

impl Served {
    pub fn start(world: &World) -> Self {
        Self::with(world, &[])
    }

    pub fn with(world: &World, variables: &[(&str, &str)]) -> Self {
        Self::on(world, free_port(), variables)
    }

    pub fn on(world: &World, port: u16, variables: &[(&str, &str)]) -> Self {
        let bind = format!("127.0.0.1:{port}");
        let mut command = world.command(&["serve", "--bind", &bind]);
        command.envs(variables.iter().copied());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Running::new(command.spawn().unwrap());
        let listens = || get(port, "/healthz", &[]).is_some();
        until("the daemon is listening", || running.has_ended() || listens());
        assert!(!running.has_ended(), "the daemon does not start: {:?}", running.wait());
        Self { running, port }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Returns a browser without a session.
    pub fn visitor(&self) -> Visitor {
        Visitor::new(&self.url())
    }

    /// Returns a browser in which the operator is signed in.
    pub fn operator(&self, world: &World) -> Visitor {
        set_password(world, "operator", PASSWORD);
        let visitor = self.visitor();
        let signed = visitor.sign_in("operator", PASSWORD);
        assert_eq!(signed.status, 303, "{}", signed.body);
        visitor
    }

    /// Sends a signal and waits for the process to end.
    pub fn stop(self, signal: &str) -> Ran {
        self.running.signal(signal);
        self.running.wait()
    }
}

/// A running demonstration, with the links that it prints.
pub struct Demonstration {
    pub running: Running,
    pub sign_in: String,
    /// The link for the patient with an open invitation.
    pub invitation: String,
    /// The file with its QR code.
    pub sheet: String,
    /// The command that lists the observations.
    pub list: String,
}

impl Demonstration {
    pub fn start(world: &World) -> Self {
        let mut command = world.command(&["demo"]);
        command.env_remove("JHE_OW_CLOCK").env_remove("OW_API_URL").env_remove("OW_API_KEY");
        command.env_remove("JHE_OW_DATA_DIR");
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let running = Running::new(child);
        let mut lines = std::io::BufReader::new(stdout).lines().map(Result::unwrap);
        let mut find = |part: &str| lines.find(|line| line.contains(part)).unwrap().trim().to_owned();
        let sign_in = find("/admin/sign-in?token=");
        let invitation = find("/ow/?code=");
        let sheet = find("Its QR code: ").split_once(": ").unwrap().1.to_owned();
        Self { running, sign_in, invitation, sheet, list: find(" observations --data-dir ") }
    }

    /// The beginning of each address of its pages.
    pub fn base(&self) -> &str {
        self.sign_in.split("/admin").next().unwrap()
    }
}

/// Returns the first operator's sign-in link, which the daemon writes at its start.
pub fn first_link(world: &World) -> String {
    let file = world.data_dir().join("first-sign-in-link");
    let read = || std::fs::read_to_string(&file).ok().filter(|link| link.ends_with('\n'));
    until("the daemon has written the sign-in link", || read().is_some());
    read().unwrap().trim().to_owned()
}

/// Sets a password on the command line.
pub fn set_password(world: &World, name: &str, password: &str) {
    let ran = with_input(world, &["admin", "set-password", "--name", name], password);
    assert_eq!(ran.code, 0, "{ran:?}");
}

/// Runs the binary with this text on its standard input.
pub fn with_input(world: &World, arguments: &[&str], input: &str) -> Ran {
    let mut command = world.command(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Running::new(child).wait()
}

/// An HTTP answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: String,
}

impl Answer {
    pub fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |value| value.to_str().unwrap())
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("the answer is not JSON: {self:?}"))
    }

    /// Returns the main heading of the page.
    pub fn heading(&self) -> &str {
        between(&self.body, "<h1>", "</h1>").unwrap_or_default()
    }

    /// Returns the text of the read-only field to copy from.
    pub fn secret(&self) -> String {
        let field =
            between(&self.body, "id=\"secret\"", "</textarea>").unwrap_or_else(|| panic!("{}", self.body));
        field.split_once('>').unwrap().1.to_owned()
    }

    /// Returns the hidden fields of the form with this action.
    pub fn hidden(&self, action: &str) -> Vec<(String, String)> {
        let form = between(&self.body, &format!("action=\"{action}\""), "</form>");
        let form = form.unwrap_or_else(|| panic!("no form to {action} in {}", self.body));
        let inputs = form.split("<input ").filter(|input| input.contains("type=\"hidden\""));
        let attribute = |input: &str, name: &str| {
            between(input, &format!("{name}=\""), "\"").unwrap_or_default().to_owned()
        };
        inputs.map(|input| (attribute(input, "name"), attribute(input, "value"))).collect()
    }
}

/// Returns the text between `start` and `end`.
pub fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(start)?;
    rest.split_once(end).map(|(inside, _)| inside)
}

/// An HTTP client with a cookie jar.
pub struct Visitor {
    pub base: String,
    /// The `Origin` header of its forms.
    pub origin: String,
    http: reqwest::Client,
    pub cookies: Mutex<BTreeMap<String, String>>,
}

impl Visitor {
    pub fn new(base: &str) -> Self {
        let http = reqwest::Client::builder().redirect(redirect::Policy::none()).no_proxy().build().unwrap();
        Self { base: base.to_owned(), origin: base.to_owned(), http, cookies: Mutex::default() }
    }

    /// Requests a page; accepts a path or a full address.
    pub fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, &[], None)
    }

    /// Sends a form from our own origin with exactly these fields.
    pub fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(Method::POST, path, &[("Origin", self.origin.as_str())], Some(fields))
    }

    /// Sends any request.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        fields: Option<&[(&str, &str)]>,
    ) -> Answer {
        let url = if path.starts_with("http") { path.to_owned() } else { format!("{}{path}", self.base) };
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = self.http.request(method, url).header("Cookie", cookies.join("; "));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(fields) = fields {
            let body: String = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            request = request.header("Content-Type", "application/x-www-form-urlencoded").body(body);
        }
        let answer = wait_for(async {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Answer { status, headers, body: answer.text().await.unwrap() }
        });
        for cookie in answer.headers.get_all(SET_COOKIE) {
            let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
            let value = rest.split(';').next().unwrap();
            self.cookies.lock().unwrap().insert(name.to_owned(), value.to_owned());
        }
        answer
    }

    /// Opens a page, fills the form with this action, and sends it.
    pub fn submit(&self, page: &str, action: &str, fields: &[(&str, &str)]) -> Answer {
        let hidden = self.get(page).hidden(action);
        let hidden = hidden.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<(&str, &str)> = hidden.chain(fields.iter().copied()).collect();
        self.post(action, &all)
    }

    /// Sends a form with a file as multipart.
    pub fn upload(&self, page: &str, action: &str, fields: &[(&str, &str)], file: &[u8]) -> Answer {
        let token = between(&self.get(page).body, "name=\"form_token\" value=\"", "\"").unwrap().to_owned();
        let mut body = Vec::new();
        for (name, value) in fields.iter().chain([&("form_token", token.as_str())]) {
            let head = format!("--cut\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend(head.into_bytes());
        }
        let head = "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"people.csv\"\r\n\
                    Content-Type: text/csv\r\n\r\n";
        body.extend([head.as_bytes(), file, b"\r\n--cut--\r\n"].concat());
        let cookies: Vec<String> =
            self.cookies.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = self.http.post(format!("{}{action}", self.base)).header("Cookie", cookies.join("; "));
        let request = request.header("Origin", &self.base).body(body);
        let request = request.header("Content-Type", "multipart/form-data; boundary=cut");
        wait_for(async {
            let answer = request.send().await.unwrap();
            let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
            Answer { status, headers, body: answer.text().await.unwrap() }
        })
    }

    pub fn sign_in(&self, name: &str, password: &str) -> Answer {
        self.submit("/admin/sign-in", "/admin/sign-in", &[("name", name), ("password", password)])
    }
}

/// Creates a study that asks for heart rates of Oura rings; returns its number.
pub fn make_study(operator: &Visitor, name: &str) -> String {
    let fields = [
        ("name", name),
        ("organization", "Lifespan Lab"),
        ("purpose", "To learn how hearts behave at night."),
        ("contact", "Ada Example, ada@example.org"),
        ("scope", HEART_RATE),
        ("source", "Oura"),
    ];
    let made = operator.submit("/admin/studies/new", "/admin/studies/new", &fields);
    assert_eq!(made.status, 303, "{}", made.body);
    made.location().strip_prefix("/admin/studies/").unwrap().to_owned()
}

/// Creates a patient enrolled in a study; returns the number.
pub fn make_patient(operator: &Visitor, name: &str, study: &str) -> String {
    let fields = [("name", name), ("tz", "Europe/Berlin"), ("study", study)];
    let made = operator.submit("/admin/patients/new", "/admin/patients/new", &fields);
    assert_eq!(made.status, 303, "{}", made.body);
    between(made.location(), "/admin/patients/", "?").unwrap().to_owned()
}

/// Creates an invitation; returns its link.
pub fn invite(operator: &Visitor, patient: &str) -> String {
    let page = format!("/admin/patients/{patient}");
    let made = operator.submit(&page, &format!("{page}/invite"), &[("study", "")]);
    assert_eq!(made.status, 200, "{}", made.body);
    made.secret()
}

/// Agrees to everything that an invitation asks for.
pub fn agree(patient: &Visitor, link: &str, study: &str) -> Answer {
    let scope = format!("{study}:{HEART_RATE}");
    patient.submit(link, "/clients/ow/agree", &[("scope", &scope), ("answer", "agree")])
}

/// Opens the provider's page; returns the addresses behind its buttons, by id.
pub fn provider_buttons(patient: &Visitor) -> BTreeMap<String, String> {
    let leave = patient.get("/clients/ow/leave?provider=oura");
    assert_eq!(leave.status, 200, "{}", leave.body);
    let page = between(&leave.body, "class=\"button\" href=\"", "\"").unwrap().replace("&amp;", "&");
    let page = patient.get(&page);
    let links = page.body.split("<a id=\"").skip(1).map(|link| {
        let (id, rest) = link.split_once('"').unwrap();
        (id.to_owned(), between(rest, "href=\"", "\"").unwrap().replace("&amp;", "&"))
    });
    links.collect()
}
