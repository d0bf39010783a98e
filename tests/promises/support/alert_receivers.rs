//! Receivers of alerts: a webhook and a mail server.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A received request.
#[derive(Debug, Clone)]
pub struct Posted {
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Posted {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The answers of a webhook and the messages it received.
struct State {
    status: u16,
    /// The address of redirects.
    location: String,
    posted: Vec<Posted>,
}

/// A webhook that accepts messages or answers with an error.
pub struct Webhook {
    port: u16,
    state: Arc<Mutex<State>>,
}

impl Webhook {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(Mutex::new(State { status: 200, location: String::new(), posted: Vec::new() }));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = serve(stream.unwrap(), &shared);
            }
        });
        Self { port, state }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}/services/hidden-part", self.port)
    }

    pub fn answer_with(&self, status: u16) {
        self.state.lock().unwrap().status = status;
    }

    /// Redirects every later request to `url`.
    pub fn move_to(&self, url: &str) {
        let mut state = self.state.lock().unwrap();
        (state.status, state.location) = (307, format!("Location: {url}\r\n"));
    }

    pub fn posted(&self) -> Vec<Posted> {
        self.state.lock().unwrap().posted.clone()
    }

    /// Returns the kinds of the received messages, in order.
    pub fn kinds(&self) -> Vec<String> {
        self.posted().iter().map(|one| one.json()["kind"].as_str().unwrap().to_owned()).collect()
    }
}

fn serve(mut stream: TcpStream, shared: &Mutex<State>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let (mut line, mut headers) = (String::new(), BTreeMap::new());
    reader.read_line(&mut line)?;
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    let (status, location) = {
        let mut state = shared.lock().unwrap();
        state.posted.push(Posted { headers, body: String::from_utf8(body).unwrap() });
        (state.status, state.location.clone())
    };
    write!(stream, "HTTP/1.1 {status} X\r\n{location}Content-Length: 0\r\nConnection: close\r\n\r\n")
}

/// A mail server that accepts every message, except to addresses for which a test has set an answer.
pub struct MailServer {
    pub port: u16,
    letters: Arc<Mutex<Vec<String>>>,
    /// Answers to `RCPT`, by address.
    answers: Answers,
}

type Answers = Arc<Mutex<BTreeMap<String, String>>>;

impl MailServer {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let letters = Arc::new(Mutex::new(Vec::new()));
        let answers = Answers::default();
        let shared = (Arc::clone(&letters), Arc::clone(&answers));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (letters, answers) = shared.clone();
                thread::spawn(move || {
                    let _ = take_letters(stream.unwrap(), &letters, &answers);
                });
            }
        });
        Self { port, letters, answers }
    }

    /// Sets the answer to `RCPT` for an address, such as "550 no such user"; "" accepts its messages again.
    pub fn answer(&self, address: &str, answer: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.remove(address);
        if !answer.is_empty() {
            answers.insert(address.to_owned(), answer.to_owned());
        }
    }

    /// Returns the environment variables with which a daemon sends mail through this server.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        vec![
            ("JHE_OW_ALERTS_SMTP_URL", format!("smtp://127.0.0.1:{}", self.port)),
            ("JHE_OW_ALERTS_MAIL_FROM", "Study Team <study@example.org>".to_owned()),
        ]
    }

    /// Returns the messages to an address, with their text decoded.
    pub fn letters_to(&self, address: &str) -> Vec<String> {
        let to = format!("To: {address}\n");
        let decoded = self.letters().iter().map(|letter| decode(letter)).collect::<Vec<_>>();
        decoded.into_iter().filter(|letter| letter.contains(&to)).collect()
    }

    pub fn letters(&self) -> Vec<String> {
        self.letters.lock().unwrap().clone()
    }
}

/// Decodes quoted-printable and base64 bodies of messages, and unfolds header lines.
fn decode(letter: &str) -> String {
    let (head, body) = letter.split_once("\n\n").unwrap();
    let head = head.replace("\n ", " ");
    let bytes = if head.contains("Content-Transfer-Encoding: quoted-printable") {
        let mut bytes = Vec::new();
        let joined = body.replace("=\n", "");
        let mut rest = joined.as_bytes();
        while let [first, after @ ..] = rest {
            let hex = (*first == b'=').then(|| std::str::from_utf8(&after[..2]).unwrap());
            bytes.push(hex.map_or(*first, |hex| u8::from_str_radix(hex, 16).unwrap()));
            rest = if hex.is_some() { &after[2..] } else { after };
        }
        bytes
    } else if head.contains("Content-Transfer-Encoding: base64") {
        base64::Engine::decode(&base64::engine::general_purpose::STANDARD, body.replace('\n', "")).unwrap()
    } else {
        body.as_bytes().to_vec()
    };
    format!("{head}\n\n{}", String::from_utf8(bytes).unwrap().replace("\r\n", "\n"))
}

/// Starts a server that accepts connections and neither reads nor writes.
pub fn mute() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || listener.incoming().collect::<Vec<_>>());
    port
}

fn take_letters(
    mut stream: TcpStream,
    letters: &Mutex<Vec<String>>,
    answers: &Mutex<BTreeMap<String, String>>,
) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    write!(stream, "220 here\r\n")?;
    while let Some(line) = lines.next().transpose()? {
        match line.split(' ').next().unwrap_or_default() {
            "EHLO" => write!(stream, "250-here\r\n250 AUTH PLAIN\r\n")?,
            "AUTH" => write!(stream, "235 welcome\r\n")?,
            "DATA" => {
                write!(stream, "354 go on\r\n")?;
                let mut letter = String::new();
                for line in lines.by_ref() {
                    let line = line?;
                    if line == "." {
                        break;
                    }
                    letter += &line;
                    letter.push('\n');
                }
                letters.lock().unwrap().push(letter);
                write!(stream, "250 taken\r\n")?;
            }
            "RCPT" => {
                let address = line.split(['<', '>']).nth(1).unwrap_or_default();
                let answer = answers.lock().unwrap().get(address).cloned();
                write!(stream, "{}\r\n", answer.unwrap_or_else(|| "250 well".to_owned()))?;
            }
            "QUIT" => return write!(stream, "221 bye\r\n"),
            _ => write!(stream, "250 well\r\n")?,
        }
    }
    Ok(())
}
