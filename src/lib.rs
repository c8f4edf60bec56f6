//! `sdbuild` turns an `sd-card.nix` into a NixOS SD card image on any Linux machine with Docker.

pub mod cli;
pub mod commands;
pub mod settings;
pub mod template;
pub mod ui;

use cli::{Cli, Command};
use commands::Session;
use sdbuild_core::cancel::Cancel;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure};

/// Runs one command. When this returns, everything that it acquired has been released, or is listed in the failure.
pub async fn run(cli: Cli, cancel: &Cancel) -> Result<(), Failure> {
    let env = settings::Environment::read();
    let ui = ui::Ui::new(output_options(cli.output, &env));
    let context = Context {
        cancel: cancel.clone(),
        events: ui.events(),
    };
    let session = Session {
        env: &env,
        ui: &ui,
        context: &context,
    };
    let outcome = match &cli.command {
        None => commands::next_step::run(session),
        Some(command) => Box::pin(run_command(command, session)).await,
    };
    ui.close();
    if matches!(&outcome, Err(failure) if failure.class == Class::Interrupted) {
        ui.begin_line();
    }
    outcome
}

async fn run_command(command: &Command, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    match command {
        Command::Build(args) => Box::pin(commands::build::run(args, session)).await,
        Command::Deploy(args) => Box::pin(commands::deploy::run(args, env, ui, context)).await,
        Command::Inspect(args) => Box::pin(commands::inspect::run(args, session)).await,
        Command::Boards(args) => commands::boards::run(args, ui),
        Command::Formats(args) => commands::formats::run(args, ui),
        #[cfg(feature = "cloud")]
        Command::Publish(command) => Box::pin(commands::publish(command, session)).await,
        Command::Cache(command) => Box::pin(commands::cache::run(command, session)).await,
        Command::Clean(args) => Box::pin(commands::clean::run(args, env, ui, context)).await,
        Command::Seed(args) => commands::seed::run(args, ui),
        Command::Boot(args) => Box::pin(commands::boot::run(args, session)).await,
        Command::Flash(args) => Box::pin(commands::flash::run(args, session)).await,
        Command::Personalise(args) => Box::pin(commands::personalise::run(args, session)).await,
        Command::Init(args) => Box::pin(commands::init::run(args, session)).await,
        Command::Check(args) => Box::pin(commands::check::run(args, session)).await,
        Command::Try(args) => Box::pin(commands::try_cmd::run(args, session)).await,
        Command::Doctor(args) => Box::pin(commands::doctor::run(args, env, ui, context)).await,
        Command::Lock(args) => Box::pin(commands::lock::run(args, env, context)).await,
        Command::Shell(args) => Box::pin(commands::shell::run(args, env, context)).await,
        Command::Settings(args) => commands::settings::run(args, env, ui),
        Command::Completions(args) => commands::completions::run(args, ui),
        Command::Man(args) => commands::man::run(args, ui),
        Command::Version => ui.result(concat!("sdbuild ", env!("CARGO_PKG_VERSION"))),
        Command::Status(args) => Box::pin(commands::status::run(args, env, ui, context)).await,
        Command::ExecWithParent(args) => Err(sdbuild_boot::become_program(args.parent, &args.argv)),
        #[cfg(feature = "cloud")]
        Command::HoldMachine => Box::pin(commands::hold_machine(env)).await,
    }
}

/// Reports `failure` on standard error, in the output mode of `flags`.
pub fn report(failure: &Failure, flags: cli::OutputOptions) {
    ui::report_failure(
        failure,
        output_options(flags, &settings::Environment::read()),
    );
}

/// Reports arguments that clap refused on standard error.
pub fn report_usage(error: &clap::Error) {
    let flags = cli::OutputOptions::default();
    let options = output_options(flags, &settings::Environment::read());
    ui::report_usage(&error.render().to_string(), options.colour);
}

fn output_options(flags: cli::OutputOptions, env: &settings::Environment) -> ui::OutputOptions {
    use ui::{Colour, OutputMode};
    let is_dumb = env.text("TERM") == Some("dumb");
    let is_ci = env.text("CI").is_some_and(|ci| ci != "false");
    let mode = match flags {
        _ if flags.json_events => OutputMode::Json,
        _ if flags.quiet => OutputMode::Quiet,
        _ if is_dumb || is_ci => OutputMode::Plain,
        _ => OutputMode::Live,
    };
    let colour = match env.text("CLICOLOR_FORCE") {
        _ if env.path("NO_COLOR").is_some() => Colour::Never,
        Some(force) if force != "0" => Colour::Always,
        _ if is_dumb => Colour::Never,
        _ => Colour::Auto,
    };
    let verbose = flags.verbose.min(2);
    ui::OutputOptions {
        mode,
        verbose,
        colour,
    }
}
