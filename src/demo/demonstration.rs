//! Starts and announces the demonstration.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use maud::{PreEscaped, html};
use secrecy::SecretString;
use tokio::time::Instant;

use crate::app::read_token::{self, ReadToken};
use crate::app::{people_list, session::Session, sign_in_link};
use crate::common::{failure::Failure, stdout::print_line};
use crate::config::base_url::BaseUrl;
use crate::daemon::run::{Daemon, listen};
use crate::daemon::signals;
use crate::demo::patients::{self, SimulatedDevices};
use crate::model::account::Actor;
use crate::model::study::StudyId;
use crate::secrets::token::Token;
use crate::simulator::simulated_ow::SimulatedOw;
use crate::store::engine::{
    data_directory::DEMONSTRATION_FILE, data_directory::FILE_NAME, setting, store::Store,
};
use crate::store::people::study;
use crate::store::samples::code;
use crate::web::admin::study::invite::sheet;
use crate::web::start_page::STYLE;

/// The interval between ticks, short enough to watch.
const POLL_INTERVAL: &str = "5s";
/// The interval between two syncs of the simulated rings.
const RING_SYNC_INTERVAL: Duration = Duration::from_secs(3);

/// The time for which the token of the demonstration works.
const TOKEN_LIFE: Duration = Duration::from_hours(24);
/// The sheet with the open invitation.
const INVITATION_FILE: &str = "invitation.html";

#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Number of simulated patients
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=100))]
    patients: u32,
}

/// Runs the demonstration until a signal.
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
    refuse_real_store(&session.config.data_dir)?;
    let sim = SimulatedOw::start(0, session.clock.clone())
        .map_err(|error| Failure::failed(format!("the simulated OW cannot start: {error}"), "try again"))?;
    session.config.ow_api_url = BaseUrl::parse(&sim.url()).ok();
    session.config.jhe_base_url = None;
    session.config.jhe_client_key = None;
    session.config.ow_api_key = Some(SecretString::from(sim.key()));
    let store = session.store()?;
    write_marker(store.directory())?;
    prepare_store(&store).await?;
    let mut devices = patients::enroll(&sim, &store, arguments.patients, session.clock.now()).await?;
    let listener = listen_on_free_port(&mut session).await?;
    let cancel = signals::cancel_on_signal()?;
    let daemon = Daemon::new(&session, store, cancel.clone(), true).await?;
    let server = daemon.start_server(listener)?;
    // The provider redirects browsers to the daemon, as in an installation where OW is not public.
    sim.set_api_base(&session.config.public_base());
    let sign_in = sign_in_link::first_operator_url(&daemon.app).await?;
    let invitation = write_invitation(&session, &daemon.app.store, &devices).await?;
    let reads = ReadToken {
        study: devices.study,
        name: "the notebook of the demonstration".to_owned(),
        life: TOKEN_LIFE,
        shows_names: true,
    };
    let made = read_token::make(&daemon.app.store, reads, Actor::CommandLine, session.clock.now());
    let (read_token, _) = made.await?;
    announce(&session, &sim, arguments.patients, sign_in.as_deref(), invitation.as_deref())?;
    print_reading(&session, &read_token, devices.study)?;
    let mut leaving = devices.leaving();
    let ticker = async {
        let mut next = Instant::now();
        while !cancel.is_cancelled() {
            daemon.tick().await;
            if let Err(failure) =
                patients::withdraw(&daemon.app.store, std::mem::take(&mut leaving), session.clock.now()).await
            {
                tracing::warn!("{failure}");
            }
            next = daemon.next_tick_after(next);
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep_until(next) => {}
            }
        }
    };
    let ring_syncs = async {
        loop {
            tokio::time::sleep(RING_SYNC_INTERVAL).await;
            devices.sync(&sim, session.clock.now());
        }
    };
    tokio::select! {
        () = daemon.run_until_stopped(async { tokio::join!(ticker, daemon.write_last_use()); }, server) => {}
        () = ring_syncs => {}
    }
    Ok(0)
}

/// Refuses a directory with a store that is not of a demonstration: simulated patients must not mix with real
/// ones.
fn refuse_real_store(directory: &Path) -> Result<(), Failure> {
    if !directory.join(FILE_NAME).exists() || directory.join(DEMONSTRATION_FILE).exists() {
        return Ok(());
    }
    Err(Failure::usage(
        format!("{} has a store that no demonstration made", directory.display()),
        "name an empty directory with --data-dir, or none: then the data are removed at the end",
    ))
}

/// Marks a directory, so that a later demonstration can use it again.
fn write_marker(directory: &Path) -> Result<(), Failure> {
    write_file(&directory.join(DEMONSTRATION_FILE), "The patients in this directory are simulated.\n")
}

fn write_file(path: &Path, content: &str) -> Result<(), Failure> {
    std::fs::write(path, content).map_err(|error| {
        Failure::failed(
            format!("{} cannot be written: {error}", path.display()),
            "give this user the right to write there",
        )
    })
}

async fn prepare_store(store: &Store) -> Result<(), Failure> {
    let write = |db: &rusqlite::Connection| {
        code::seed(db)?;
        setting::set(db, "module.ow", "true")?;
        setting::set(db, "ow.first_connect_window", "30d")?;
        setting::set(db, "ow.poll_interval", POLL_INTERVAL)
    };
    Ok(store.write(write).await?)
}

/// Writes the sheet of the open invitation, with its QR code, and returns the link.
async fn write_invitation(
    session: &Session,
    store: &Store,
    devices: &SimulatedDevices,
) -> Result<Option<String>, Failure> {
    let (study, batch, now) = (devices.study, devices.batch.clone(), session.clock.now());
    let base = session.config.public_base();
    let read = move |db: &_| {
        Ok((study::find(db, study)?.terms, people_list::list_links(db, study, &batch, &base, now)?))
    };
    let (terms, links) = store.read(read).await?;
    let style = html! { style { (PreEscaped(STYLE)) } };
    let sheet = sheet::render(&terms, &links, &style).into_string();
    write_file(&store.directory().join(INVITATION_FILE), &sheet)?;
    Ok(links.into_iter().next().map(|one| one.link))
}

/// Listens on the configured port, or on a free one if it is taken and no flag asks for it.
async fn listen_on_free_port(session: &mut Session) -> Result<tokio::net::TcpListener, Failure> {
    let configured = session.config.bind;
    let listener = match listen(configured).await {
        Err(_) if session.flags.bind.is_none() => listen(SocketAddr::new(configured.ip(), 0)).await?,
        result => result?,
    };
    if let Ok(bound) = listener.local_addr() {
        session.config.bind = bound;
    }
    Ok(listener)
}

/// Prints the token with which a notebook reads the study.
fn print_reading(session: &Session, token: &Token, study: StudyId) -> Result<(), Failure> {
    let url = session.config.public_base();
    print_line("")?;
    print_line("To read the study from a notebook (docs/notebooks.md):")?;
    print_line("")?;
    print_line(format_args!("    export JHE_URL={url} JHE_TOKEN={}", token.expose()))?;
    print_line("    pip install jupyterhealth-client")?;
    let code = "from jupyterhealth_client import JupyterHealthClient as C; print(C().list_observations_df";
    print_line(format_args!("    python3 -c '{code}(study_id={study}))'"))
}

fn announce(
    session: &Session,
    sim: &SimulatedOw,
    patients: u32,
    sign_in: Option<&str>,
    invitation: Option<&str>,
) -> Result<(), Failure> {
    let (address, directory) = (session.config.bind, session.config.data_dir.display());
    print_line(format_args!(
        "A demonstration: {patients} simulated patients, a SIMULATED Open Wearables at {}",
        sim.url()
    ))?;
    let lifetime = if session.flags.data_dir.is_some() { "kept" } else { "removed at the end" };
    print_line(format_args!("Data directory: {directory} ({lifetime})"))?;
    print_line("")?;
    match sign_in {
        Some(link) => {
            for line in
                ["Open this address in a browser; it signs you in, once:", "", &format!("    {link}"), ""]
            {
                print_line(line)?;
            }
        }
        None => print_line(format_args!("Open http://{address}/admin in a browser, and sign in as before."))?,
    }
    print_line("The study “Sleep and Heart” has 30 days of data. Ctrl-C ends it.")?;
    if let Some(link) = invitation {
        print_line("To see what a patient sees, open this invitation in a private window:")?;
        print_line("")?;
        print_line(format_args!("    {link}"))?;
        print_line("")?;
        print_line(format_args!("Its QR code: {directory}/{INVITATION_FILE}"))?;
    }
    print_line("")?;
    // The full path: with `cargo run` the program is below target/, where no shell looks for it.
    let program =
        std::env::current_exe().map_or_else(|_| "jhe-ow".to_owned(), |path| path.display().to_string());
    print_line("In another terminal:")?;
    print_line(format_args!("  {program} observations --data-dir {directory}"))
}
