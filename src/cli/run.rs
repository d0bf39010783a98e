//! The commands of `jhe-ow`, and their dispatch.

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use clap_complete::Shell;

use crate::app::session::Session;
use crate::cli::data_directory_check::check_data_directory;
use crate::cli::{
    adherence, admin, adopt, alerts, audit, backup, catalog, convert, dataset, doctor, export, help_examples,
    invite, man, observations, patient, poll, ready, rejected, secrets, seed_and_migrate, settings, study,
    token,
};
use crate::common::visible::VisibleLine;
use crate::common::{core_dumps, failure::Failure, stdout};
use crate::config::{environment::Environment, flags::Flags};
use crate::daemon::run;
use crate::demo::demonstration;
use crate::telemetry::logging;

/// Threads for blocking work, which is mostly reads of the store. More threads would only wait for the same disk.
const BLOCKING_THREADS: usize = 8;

/// Stores patients' wearable samples exactly once: polls Open Wearables (OW), stores Open mHealth (OMH)
/// observations, and delivers them to `JupyterHealth` Exchange (JHE).
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    flags: Flags,
    #[command(subcommand)]
    command: AnyCommand,
}

#[derive(Debug, Subcommand)]
enum AnyCommand {
    #[command(flatten)]
    Configured(Command),
    /// Convert records of OW or Oura as the daemon would: JSON lines in, JSON lines out
    #[command(after_help = convert::HELP)]
    Convert(convert::Arguments),
    /// Show OW's data types with their schemas and JHE's codes
    #[command(after_help = catalog::HELP)]
    Catalog(catalog::Arguments),
    /// Check the configuration, the store, OW, JHE and S3, and say how to fix each problem
    ///
    /// Each service is called as the daemon calls it. Nothing is changed, and no secret, name or measurement
    /// is printed. The exit code is 1 if somebody's data cannot arrive; warnings alone end with 0.
    Doctor(doctor::Arguments),
    /// Print the script with which a shell completes commands and options
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
    /// Print the manual
    Man(man::Arguments),
}

/// The commands that need a configuration.
#[derive(Debug, Subcommand)]
enum Command {
    /// Run the daemon: poll at every interval, and serve the pages
    Serve,
    /// Run one tick, and print its result
    Poll(poll::Arguments),
    /// Write observations to standard output
    Observations(observations::Arguments),
    /// Write the data set of a study: tables with a data dictionary, for researchers
    Dataset(dataset::Arguments),
    /// Write the days of each participant and data type to standard output
    Adherence(adherence::Arguments),
    /// Send the waiting observations to JHE
    Export(export::Arguments),
    /// Find observations that another program has delivered to JHE, so that they are not sent again
    Adopt(adopt::Arguments),
    /// Manage patients, their links to OW users and their consents
    #[command(subcommand)]
    Patient(patient::Command),
    /// Manage studies: what they ask for, when they collect, and who is enrolled
    #[command(subcommand)]
    Study(study::Command),
    /// Manage the tokens with which programs read a study: notebooks, FHIR clients, bulk export
    #[command(subcommand)]
    Token(token::Command),
    /// Invite a patient: print the link to send
    Invite(invite::Arguments),
    /// Manage the accounts of practitioners and operators
    #[command(subcommand)]
    Admin(admin::Command),
    /// Show the audit log, or check that nobody has tampered with it
    #[command(subcommand)]
    Audit(audit::Command),
    /// Show and change the settings that take effect at the next tick
    #[command(subcommand)]
    Settings(settings::Command),
    /// Encrypt the stored secrets anew after a change of the secret key
    #[command(subcommand)]
    Secrets(secrets::Command),
    /// Create the codes and data sources that JHE seeds; a second run changes nothing
    Seed,
    /// Show the schema version of the database
    #[command(subcommand)]
    Migrate(seed_and_migrate::Migrate),
    /// Copy the store to a file or to standard output, while the daemon runs
    Backup(backup::BackupArguments),
    /// Replace the store by a backup; the daemon has to be stopped
    Restore(backup::RestoreArguments),
    /// Test the alerts about silent patients and other problems
    #[command(subcommand)]
    Alerts(alerts::Command),
    /// Show samples that could not be converted
    #[command(subcommand)]
    Rejected(rejected::Command),
    /// Check that a daemon works: exit code 0 if it does, 1 if not
    Ready(ready::Arguments),
    /// Try it out: run a daemon with a simulated OW and a few patients, in a directory of its own
    Demo(demonstration::Arguments),
}

/// Returns the definition of all commands, with their help.
pub fn command() -> clap::Command {
    help_examples::add(Arguments::command())
}

impl Arguments {
    /// Parses the command line of this process. After an error or a request for help, prints the text and
    /// ends the process.
    fn of_process() -> Self {
        Self::from_arg_matches(&command().get_matches()).unwrap_or_else(|error| error.exit())
    }
}

fn print_completions(shell: Shell) -> Result<u8, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "jhe-ow", &mut script);
    stdout::check_write(std::io::Write::write_all(&mut std::io::stdout().lock(), &script))?;
    Ok(0)
}

/// Runs the command of this process. The program's executable only calls this, so that its code is compiled once.
pub fn main() -> ExitCode {
    // A failure is no reason not to work.
    if let Err(error) = core_dumps::forbid() {
        eprintln!("a crash may write a core file with patients' data: {error}");
    }
    let arguments = Arguments::of_process();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(BLOCKING_THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("no threads can be started: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(arguments)) {
        Ok(code) => code.into(),
        Err(failure) => {
            for line in failure.to_string().lines() {
                eprintln!("{}", VisibleLine(line));
            }
            failure.code.into()
        }
    }
}

/// Runs the command. Returns the exit code.
async fn run(arguments: Arguments) -> Result<u8, Failure> {
    let command = match arguments.command {
        // These work without a configuration, and with a broken one.
        AnyCommand::Convert(arguments) => return convert::run(arguments),
        AnyCommand::Catalog(arguments) => return catalog::run(&arguments),
        AnyCommand::Doctor(doctor) => return Box::pin(doctor::run(&arguments.flags, &doctor)).await,
        AnyCommand::Completions { shell } => return print_completions(shell),
        AnyCommand::Man(arguments) => return man::run(&arguments, command()),
        AnyCommand::Configured(command) => command,
    };
    let session = Session::new(arguments.flags)?;
    if !matches!(command, Command::Ready(_) | Command::Demo(_)) {
        check_data_directory(&session.flags, &Environment::from_process()?, &session.config)?;
    }
    let logging = logging::start(&session.config)?;
    match command {
        Command::Serve => Box::pin(run::run(session, &logging)).await,
        Command::Poll(arguments) => poll::run(&session, arguments).await,
        Command::Observations(arguments) => observations::run(&session, arguments).await,
        Command::Dataset(arguments) => dataset::run(&session, arguments).await,
        Command::Adherence(arguments) => adherence::run(&session, arguments).await,
        Command::Export(arguments) => export::run(&session, arguments).await,
        Command::Adopt(arguments) => adopt::run(&session, arguments).await,
        Command::Patient(command) => patient::run(&session, command).await,
        Command::Study(command) => study::run(&session, command).await,
        Command::Token(command) => token::run(&session, command).await,
        Command::Invite(arguments) => invite::run(&session, arguments).await,
        Command::Admin(command) => admin::run(&session, command).await,
        Command::Audit(command) => audit::run(&session, command).await,
        Command::Settings(command) => settings::run(&session, command).await,
        Command::Secrets(command) => secrets::run(&session, &command).await,
        Command::Seed => seed_and_migrate::seed(&session).await,
        Command::Migrate(command) => seed_and_migrate::migrate(&session, &command),
        Command::Backup(arguments) => backup::create(&session, arguments).await,
        Command::Restore(arguments) => backup::restore(&session, &arguments).await,
        Command::Alerts(command) => alerts::run(&session, &command).await,
        Command::Rejected(command) => rejected::run(&session, command).await,
        Command::Ready(arguments) => ready::run(&session, arguments).await,
        Command::Demo(arguments) => Box::pin(demonstration::run(session, arguments)).await,
    }
}
