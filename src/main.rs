//! Parses the command line, runs the command, and returns its exit code.

use std::process::ExitCode;

use jhe_ow::cli::run::{self, Arguments};

/// Threads for blocking work, which is mostly reads of the store. More threads would only wait for the same disk.
const BLOCKING_THREADS: usize = 8;

fn main() -> ExitCode {
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
    match runtime.block_on(run::run(arguments)) {
        Ok(code) => code.into(),
        Err(failure) => {
            eprintln!("{failure}");
            failure.code.into()
        }
    }
}
