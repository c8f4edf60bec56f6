//! The process: TLS provider, arguments, runtime, and at the end the exit code or the signal.
//! The only file that exits.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;
use sdbuild::cli::Cli;
use sdbuild::common::cancel::Cancel;
use sdbuild::common::failure::{Class, Failure, OrFail as _};

fn main() -> ExitCode {
    // Fails only when one is installed already, which is as good.
    drop(rustls::crypto::ring::default_provider().install_default());
    let cancel = Cancel::new();
    let cli = Cli::parse();
    let output = cli.output;
    match run(cli, &cancel) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            sdbuild::report(&failure, output);
            end(&failure, cancel.signal())
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
    // What is left may be a read of the terminal that nobody will answer any more.
    runtime.shutdown_timeout(Duration::from_millis(100));
    outcome
}

/// The exit codes, in one place. An interrupted process dies of the signal that it got, so that the
/// parent shell sees it; the code is for where that is impossible.
fn end(failure: &Failure, signal: Option<i32>) -> ExitCode {
    if !failure.teardown.is_empty() {
        return ExitCode::from(5);
    }
    match failure.class {
        Class::Usage => ExitCode::from(2),
        Class::Environment => ExitCode::from(3),
        Class::Build => ExitCode::from(4),
        Class::CheckFailed => ExitCode::from(6),
        Class::Command(code) | Class::Shell(code) => ExitCode::from(code),
        Class::Internal => ExitCode::from(70),
        Class::Interrupted => {
            let signal = signal.unwrap_or(signal_hook::consts::SIGINT);
            drop(signal_hook::low_level::emulate_default_handler(signal));
            ExitCode::from(128u8.saturating_add(u8::try_from(signal).unwrap_or(0)))
        }
    }
}
