use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::app::first_sign_in;
use crate::app::session::Session;
use crate::common::failure::Failure;
use crate::common::stdout::say;
use crate::config::base_url::BaseUrl;
use crate::daemon::run::{Daemon, listen};
use crate::daemon::signals;
use crate::demo::patients;
use crate::simulator::sim::Sim;
use crate::store::engine::data_directory::FILE_NAME;
use crate::store::engine::setting;
use crate::store::engine::store::Store;
use crate::store::samples::code;

/// A tick every few seconds: something happens while somebody looks.
const INTERVAL: &str = "5s";
/// How often the simulated rings sync.
const SYNC_EVERY: Duration = Duration::from_secs(3);

/// The file that says that a data directory is one of demonstrations.
const MARK: &str = "demonstration";

/// What may be said about a demonstration.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many simulated patients
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    patients: u32,
}

/// Runs the demonstration until a signal.
///
/// # Errors
/// Where no port or no directory is to be had.
pub(crate) async fn run(mut session: Session, arguments: Arguments) -> Result<u8, Failure> {
    let directory = tempfile::Builder::new().prefix("jhe-ow-demo-").tempdir().map_err(|error| {
        Failure::failed(
            format!("no temporary directory can be made: {error}"),
            "set TMPDIR to one that can be written",
        )
    })?;
    if session.flags.data_dir.is_none() {
        session.config.data_dir = directory.path().to_owned();
    }
    refuse_what_is_real(&session.config.data_dir)?;
    let sim = Sim::start(0, session.clock.clone())
        .map_err(|error| Failure::failed(format!("the simulated OW cannot start: {error}"), "try again"))?;
    session.config.ow_api_url = BaseUrl::parse(&sim.url()).ok();
    session.config.jhe_base_url = None;
    session.config.jhe_client_key = None;
    session.config.ow_api_key = Some(SecretString::from(sim.key()));
    let store = session.store()?;
    mark(store.directory())?;
    prepare(&store).await?;
    let mut rings = patients::enrol(&sim, &store, arguments.patients, session.clock.now()).await?;
    let listener = listen_somewhere(&mut session).await?;
    let cancel = CancellationToken::new();
    signals::cancel_on_signal(&cancel)?;
    let daemon = Daemon::new(&session, store, cancel.clone(), true).await?;
    let server = daemon.start(listener)?;
    // Browsers come back from the provider by way of the daemon: the set-up in which OW stays out of sight.
    sim.set_api_base(&session.config.public_base());
    announce(
        &session,
        &sim,
        arguments.patients,
        first_sign_in::first_sign_in(&daemon.app).await?.as_deref(),
    )?;
    let ticker = async {
        let mut next = Instant::now();
        while !cancel.is_cancelled() {
            daemon.tick().await;
            next = daemon.after(next);
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    };
    let wearers = async {
        loop {
            tokio::time::sleep(SYNC_EVERY).await;
            rings.sync(&sim, session.clock.now());
        }
    };
    tokio::select! {
        () = daemon.finish(ticker, server) => {}
        () = wearers => {}
    }
    Ok(0)
}

/// Simulated patients and their pace have no place beside real ones.
fn refuse_what_is_real(directory: &Path) -> Result<(), Failure> {
    if !directory.join(FILE_NAME).exists() || directory.join(MARK).exists() {
        return Ok(());
    }
    Err(Failure::usage(
        format!("{} has a store that no demonstration made", directory.display()),
        "name an empty directory with --data-dir, or none: then the data are removed at the end",
    ))
}

/// Marks a directory as one of demonstrations, for the next one.
fn mark(directory: &Path) -> Result<(), Failure> {
    std::fs::write(directory.join(MARK), "The patients in this directory are simulated.\n").map_err(|error| {
        Failure::failed(
            format!("{} cannot be written: {error}", directory.join(MARK).display()),
            "give this user the right to write there",
        )
    })
}

async fn prepare(store: &Store) -> Result<(), Failure> {
    let write = |db: &rusqlite::Connection| {
        code::seed(db)?;
        setting::set(db, "module.ow", "true")?;
        setting::set(db, "ow.poll_interval", INTERVAL)
    };
    Ok(store.write(write).await?)
}

/// The usual port, or a free one where that is taken.
async fn listen_somewhere(session: &mut Session) -> Result<tokio::net::TcpListener, Failure> {
    let usual = session.config.bind;
    let listener = match listen(usual).await {
        Err(_) if session.flags.bind.is_none() => listen(SocketAddr::new(usual.ip(), 0)).await?,
        taken => taken?,
    };
    if let Ok(bound) = listener.local_addr() {
        session.config.bind = bound;
    }
    Ok(listener)
}

fn announce(session: &Session, sim: &Sim, patients: u32, sign_in: Option<&str>) -> Result<(), Failure> {
    let (address, directory) = (session.config.bind, session.config.data_dir.display());
    say(format_args!(
        "A demonstration: {patients} simulated patients, a SIMULATED Open Wearables at {}",
        sim.url()
    ))?;
    let fate = if session.flags.data_dir.is_some() { "kept" } else { "removed at the end" };
    say(format_args!("Data directory: {directory} ({fate})\n"))?;
    match sign_in {
        Some(link) => {
            say(format_args!("Open this address in a browser; it signs you in, once:\n\n    {link}\n"))?;
        }
        None => say(format_args!("Open http://{address}/admin in a browser, and sign in as before."))?,
    }
    say(
        "Then make a study, add a patient, invite, and open the link in a private window. Ctrl-C ends it.\n",
    )?;
    // It need not be where a shell looks: cargo run has it below target/.
    let program =
        std::env::current_exe().map_or_else(|_| "jhe-ow".to_owned(), |path| path.display().to_string());
    say(format_args!("In another terminal:\n  {program} observations --data-dir {directory}"))
}
