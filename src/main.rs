//! The process: TLS provider, arguments, runtime, and the exit code or the signal at the end. Only this file exits.

use std::process::ExitCode;
use std::time::Duration;

use sdbuild::cli::Cli;
use sdbuild::settings::Environment;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::failure::{Class, Failure, OrFail as _};

fn main() -> ExitCode {
    // Fails only if one is installed already.
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let cancel = Cancel::new();
    let env = Environment::read();
    let home = env.home_dir();
    let columns = sdbuild::ui::help_columns(env.number("COLUMNS"));
    let cli = match Cli::from_process(columns, home.as_deref()) {
        Ok(cli) => cli,
        // Exits with 0 after help.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            sdbuild::report_usage(&error);
            return ExitCode::from(2);
        }
    };
    let output = cli.output;
    match run(cli, &cancel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            sdbuild::report(&failure, output);
            exit_code(&failure, cancel.signal())
        }
    }
}

fn run(cli: Cli, cancel: &Cancel) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .or_environment("start the runtime")?;
    let outcome = runtime.block_on(async {
        let listener = cancel.listen()?;
        let outcome = Box::pin(sdbuild::run(cli, cancel)).await;
        listener.abort();
        outcome
    });
    // A blocking read of the terminal may still be waiting for an answer.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

/// The exit code of a failure. An interrupted process ends by the signal itself, so that the parent shell sees it; the code
/// is used only if that is impossible.
fn exit_code(failure: &Failure, signal: Option<i32>) -> ExitCode {
    if !failure.teardown.is_empty() {
        return ExitCode::from(5);
    }
    match failure.class {
        Class::Usage | Class::Declined => ExitCode::from(2),
        Class::Environment => ExitCode::from(3),
        Class::Build => ExitCode::from(4),
        Class::CheckFailed => ExitCode::from(6),
        Class::RolledBack => ExitCode::from(7),
        Class::Command(code) | Class::Shell(code) => ExitCode::from(code),
        Class::Internal => ExitCode::from(70),
        Class::Interrupted => {
            let signal = signal.unwrap_or(signal_hook::consts::SIGINT);
            signal_hook::low_level::emulate_default_handler(signal).ok();
            ExitCode::from(128u8.saturating_add(u8::try_from(signal).unwrap_or(0)))
        }
    }
}
