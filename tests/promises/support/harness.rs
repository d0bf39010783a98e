//! A data directory, a simulated OW, and the binary.

use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use jhe_ow::common::clock::Clock;
use jhe_ow::common::time::Timestamp;
use jhe_ow::simulator::simulated_ow::SimulatedOw;
use tempfile::TempDir;

pub const HEART_RATE: &str = "omh:heart-rate:2.0";
pub const FIVE_MINUTES: Duration = Duration::from_mins(5);
pub const HOUR: Duration = Duration::from_hours(1);
pub const DAY: Duration = Duration::from_hours(24);
/// Maximum wait in tests; longer than any expected operation.
const PATIENCE: Duration = Duration::from_mins(1);

/// Parses an instant.
pub fn at(text: &str) -> Timestamp {
    Timestamp::parse(text).unwrap()
}

/// The output and the exit code of a command.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Returns the number of observations created by a completed poll.
    pub fn created(&self) -> u64 {
        let (_, rest) = self
            .stdout
            .split_once("Created ")
            .unwrap_or_else(|| panic!("the poll did not complete: {self:?}"));
        rest.split(' ').next().unwrap().parse().unwrap()
    }
}

/// A row of the observation table.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    pub series: String,
    pub code: String,
    pub provider: String,
    pub device: String,
    pub start: Timestamp,
    /// The start in local time.
    pub local: String,
    pub end: Option<Timestamp>,
    /// NaN where the provider gave no value.
    pub value: f64,
    pub unit: String,
    pub name: String,
    pub revision: u64,
    pub measures: serde_json::Value,
}

impl Line {
    fn of(record: &csv::StringRecord) -> Self {
        let text = |place: usize| record[place].to_owned();
        Self {
            series: text(10),
            code: text(1),
            provider: text(5),
            device: text(6),
            start: at(&record[2]),
            local: text(2),
            end: (!record[11].is_empty()).then(|| at(&record[11])),
            value: record[3].parse().unwrap_or(f64::NAN),
            unit: text(4),
            name: text(7),
            revision: record[8].parse().unwrap(),
            measures: serde_json::from_str(&record[12]).unwrap_or_default(),
        }
    }

    /// Returns the name without its revision number.
    pub fn uuid(&self) -> &str {
        self.name.split('#').next().unwrap()
    }
}

/// Returns lines of `jhe-ow observations` without the patient and the studies, which JHE does not get.
pub fn as_delivered(lines: &str) -> String {
    let strip = |line: &str| match line.split_once(r#","user_id":"#) {
        Some((header, rest)) => {
            let (_, body) = rest.split_once(r#"},"body":"#).unwrap();
            format!("{header}}},\"body\":{body}\n")
        }
        None => format!("{line}\n"),
    };
    lines.lines().map(strip).collect()
}

/// Returns the command that adds a linked patient who consents to heart rates.
pub fn linked_patient<'a>(name: &'a str, user: &'a str) -> [&'a str; 10] {
    ["patient", "add", "--name", name, "--ow-user", user, "--consent", HEART_RATE, "--reason", "paper"]
}

/// The isolated environment of one test: OW, a store, and a fixed clock.
pub struct World {
    pub sim: SimulatedOw,
    pub directory: TempDir,
    pub now: Timestamp,
    clock: Clock,
    variables: Vec<(String, String)>,
}

impl World {
    /// Creates a world with a seeded store at noon on a Saturday.
    pub fn new() -> Self {
        let world = Self::bare();
        assert_eq!(world.run(&["seed"]).code, 0);
        assert_eq!(world.run(&["settings", "set", "module.ow", "true"]).code, 0);
        world
    }

    /// Creates a world with an empty data directory.
    pub fn bare() -> Self {
        let now = at("2026-11-21T12:00:00Z");
        let clock = Clock::fixed(now);
        let sim = SimulatedOw::start(0, clock.clone()).unwrap();
        let mut world = Self { sim, directory: TempDir::new().unwrap(), now, clock, variables: Vec::new() };
        world.set("OW_API_URL", &world.sim.url());
        world.set("OW_API_KEY", &world.sim.key());
        world.set("JHE_OW_OW_TIMEOUT", "2s");
        // Tests run in parallel; tests of metrics choose a port.
        world.set("JHE_OW_METRICS_BIND", "off");
        world
    }

    /// Sets an environment variable for the binary.
    pub fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(known, _)| known != name);
        self.variables.push((name.to_owned(), value.to_owned()));
    }

    /// Advances the clock.
    pub fn pass(&mut self, time: Duration) {
        self.now = self.now.plus(time);
        self.clock.set(self.now);
    }

    /// Writes the time to a file atomically; returns the variable's value with which a daemon reads it.
    pub fn clock_in_a_file(&self) -> String {
        let clock = self.directory.path().join("clock");
        let half = clock.with_extension("new");
        std::fs::write(&half, self.now.to_string()).unwrap();
        std::fs::rename(half, &clock).unwrap();
        format!("@{}", clock.display())
    }

    /// Returns a command that runs the binary in this world.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_jhe-ow"));
        command.args(arguments);
        self.set_environment(&mut command);
        command
    }

    /// Returns a command that runs a line of shell in this world, with the binary in `PATH`.
    pub fn shell(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        command.args(["-c", line]);
        self.set_environment(&mut command);
        let binary = Path::new(env!("CARGO_BIN_EXE_jhe-ow"));
        command.env("PATH", format!("{}:/usr/bin:/bin", binary.parent().unwrap().display()));
        command
    }

    fn set_environment(&self, command: &mut Command) {
        command
            .env_clear()
            .envs(self.variables.iter().cloned())
            .env("JHE_OW_DATA_DIR", self.data_dir())
            .env("JHE_OW_CLOCK", self.now.to_string())
            .current_dir(self.directory.path())
            .stdin(Stdio::null());
    }

    pub fn data_dir(&self) -> std::path::PathBuf {
        self.directory.path().join("data")
    }

    pub fn database(&self) -> std::path::PathBuf {
        self.data_dir().join("jhe-ow.sqlite3")
    }

    /// Runs the binary and waits for its end.
    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        ran(&output)
    }

    /// Starts the binary in the background.
    pub fn start(&self, arguments: &[&str]) -> Running {
        let child = self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Running::new(child)
    }

    /// Runs one tick.
    pub fn poll(&self) -> Ran {
        self.run(&["poll"])
    }

    /// Runs one tick that must complete; returns the number of created observations.
    pub fn created(&self) -> u64 {
        let ran = self.poll();
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.created()
    }

    /// Adds an OW user and a linked patient who consents; returns both.
    pub fn patient(&self) -> (String, String) {
        let user = self.sim.add_user();
        let add = linked_patient("A", &user);
        let ran = self.run(&add);
        assert_eq!(ran.code, 0, "{ran:?}");
        (user, ran.stdout.trim().to_owned())
    }

    /// Adds an OW user and a linked patient in `zone` who consents to these codes; returns both.
    pub fn patient_of(&self, codes: &[&str], zone: &str) -> (String, String) {
        let user = self.sim.add_user();
        let mut add = vec!["patient", "add", "--name", "A", "--tz", zone, "--ow-user", &user];
        add.extend(codes.iter().flat_map(|code| ["--consent", code]));
        if !codes.is_empty() {
            add.extend(["--reason", "paper"]);
        }
        let ran = self.run(&add);
        assert_eq!(ran.code, 0, "{ran:?}");
        (user, ran.stdout.trim().to_owned())
    }

    /// Grants (`--grant`) or withdraws (`--withdraw`) the consent to heart rates.
    pub fn consent(&self, patient: &str, change: &str) {
        self.consent_to(patient, HEART_RATE, change);
    }

    pub fn consent_to(&self, patient: &str, code: &str, change: &str) {
        let mut arguments = vec!["patient", "consent", patient, code, change];
        arguments.extend(["--reason", "paper"].iter().filter(|_| change == "--grant"));
        let ran = self.run(&arguments);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// Returns the stored observations of one patient, by type, device and time.
    pub fn table(&self, patient: &str) -> Vec<Line> {
        let ran = self.run(&["observations", "--patient-id", patient, "--format", "csv"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let mut table = csv::Reader::from_reader(ran.stdout.as_bytes());
        let mut lines: Vec<Line> = table.records().map(|record| Line::of(&record.unwrap())).collect();
        lines.sort_by_key(|line| {
            (line.series.clone(), line.provider.clone(), line.device.clone(), line.start)
        });
        lines
    }

    /// Returns the stored observations of one type.
    pub fn lines(&self, patient: &str, series: &str) -> Vec<Line> {
        let mut lines = self.table(patient);
        lines.retain(|line| line.series == series);
        lines
    }

    /// Returns the rejected samples, one line each, with the reason.
    pub fn rejected(&self) -> Vec<String> {
        let ran = self.run(&["rejected", "list"]);
        assert_eq!(ran.code, 0, "{ran:?}");
        let lines: Vec<&str> = ran.stdout.lines().collect();
        lines.chunks(2).map(|entry| entry.join(" ")).collect()
    }

    /// Returns the stored heart rates of one patient: instant and value, in order.
    pub fn kept(&self, patient: &str) -> Vec<(Timestamp, f64)> {
        let mut kept: Vec<_> = self
            .documents(patient)
            .iter()
            .map(|document| {
                let body = &document["body"];
                let time = body["effective_time_frame"]["date_time"].as_str().unwrap();
                (at(time), body["heart_rate"]["value"].as_f64().unwrap())
            })
            .collect();
        kept.sort_by_key(|(at, _)| *at);
        kept
    }

    /// Returns one patient's documents, as delivered to JHE.
    pub fn documents(&self, patient: &str) -> Vec<serde_json::Value> {
        let ran = self.run(&["observations", "--patient-id", patient]);
        assert_eq!(ran.code, 0, "{ran:?}");
        as_delivered(&ran.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Returns the value of the lock setting.
    pub fn lock(&self) -> String {
        self.run(&["settings", "get", "ow.sync_in_progress"]).stdout.trim().to_owned()
    }

    pub fn setting(&self, key: &str, value: &str) {
        let ran = self.run(&["settings", "set", key, value]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }

    /// Counts OW's page requests for one user.
    pub fn pages_of(&self, user: &str) -> usize {
        let path = format!("/api/v1/users/{user}/timeseries");
        self.sim.requests().iter().filter(|seen| seen.path == path).count()
    }
}

fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A running binary; killed on drop.
pub struct Running(Option<Child>);

impl Running {
    pub fn new(child: Child) -> Self {
        Self(Some(child))
    }

    pub fn id(&self) -> u32 {
        self.0.as_ref().unwrap().id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Returns true if the process has ended.
    pub fn has_ended(&mut self) -> bool {
        self.0.as_mut().is_none_or(|child| child.try_wait().unwrap().is_some())
    }

    /// Waits for the process to end.
    pub fn wait(mut self) -> Ran {
        ran(&self.0.take().unwrap().wait_with_output().unwrap())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Polls a condition until it holds; panics after [`PATIENCE`].
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < PATIENCE, "timed out waiting until: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Sends a GET request on loopback; returns status and body.
pub fn get(port: u16, path: &str, headers: &[(&str, &str)]) -> Option<(u16, String)> {
    use std::fmt::Write as _;
    use std::io::{Read, Write as _};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    let mut request = format!("GET {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        write!(request, "Host: 127.0.0.1:{port}\r\n").ok()?;
    }
    for (name, value) in headers {
        write!(request, "{name}: {value}\r\n").ok()?;
    }
    stream.write_all((request + "\r\n").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
}

/// Returns a free port.
pub fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// Returns the names in a directory.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}
