//! The executable.

fn main() -> std::process::ExitCode {
    jhe_ow::cli::run::main()
}
