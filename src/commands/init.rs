//! `sdbuild init`: writes a first configuration from flags, answers, and the keys, time zone and locale of this machine.

mod board;
mod ci;
mod flake_lock;
mod keys;
mod placeholder;
mod questions;
mod wifi;

use std::path::{Path, PathBuf};

use crate::common::board::{BOARDS, Board, BoardName, boards_of};
use crate::common::context::Context;
use crate::common::failure::Failure;
use crate::common::host_name;
use crate::common::image_name;
use crate::common::new_file::{self, Access};
use crate::common::shell_word::quoted;
use crate::common::system::System;
use crate::common::template_name::TemplateName;
use crate::settings::{self, Environment, InitArgs};
use crate::template::{self, TemplateValues, Wifi};
use crate::ui::{self, Ui};
use ci::Workflow;
use questions::{Asker, Question};

/// The time zone where this machine has none.
const DEFAULT_ZONE: &str = "UTC";
/// The board whose card starts in most boards.
const DEFAULT_BOARD: &str = "rpi4";
/// The locale of the example.
const DEFAULT_LOCALE: &str = "en_US.UTF-8";

/// Writes the configuration, reports what it contains, prints its path, and names the next command.
pub async fn run(
    args: &InitArgs,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let settings = settings::Init::resolve(args, env)?;
    check(&settings)?;
    let workflow = Workflow::new(&settings)?;
    // A workflow may come later than the configuration.
    if workflow.is_none() || !settings.config.exists() {
        Box::pin(write_configuration(args, &settings, env, ui, context)).await?;
    }
    if let Some(workflow) = &workflow {
        workflow.write(settings.owner)?;
        let path = workflow.path.to_string_lossy();
        ui.result(&ui::sanitize_line(&path))?;
        let text = "commit it, with sdbuild.lock after the first build: the service builds the image at every push";
        context.events.notice(text);
        if let Some(text) = Workflow::missing_release() {
            context.events.warn(text);
        }
    }
    Ok(())
}

/// Writes the configuration, and the flake with its lock if one is wanted.
async fn write_configuration(
    args: &InitArgs,
    settings: &settings::Init,
    env: &Environment,
    ui: &Ui,
    context: &Context,
) -> Result<(), Failure> {
    let asker = Asker {
        asks: !settings.yes && ui.can_ask(),
        ui,
        context,
    };
    let mut files = std::iter::once(&settings.config).chain(&settings.flake);
    if files.all(|file| file.exists()) && placeholder::fill(settings, env, &asker).await? {
        show_paths(std::slice::from_ref(&settings.config), ui)?;
        let is_locked = settings.flake.is_some();
        tell_next(args, settings, is_locked, context);
        return Ok(());
    }
    check_free(settings)?;
    let values = values(settings, env, &asker).await?;
    if args.dir.is_some() {
        new_file::make_dir(&settings.config, settings.owner)?;
    }
    let mut written = write_files(&values, settings)?;
    board::name_in_settings(&values, &settings.config, settings.owner, context)?;
    report(&values, context);
    let lock = match &settings.flake {
        Some(flake) if !args.no_lock => {
            let (text, owner) = (flake_text(&values), settings.owner);
            Box::pin(flake_lock::write(flake, &text, owner, env, context)).await
        }
        Some(_) | None => Ok(None),
    };
    // What is written stays when locking is cancelled. It is shown at the end, because results end the live view.
    written.extend(lock.iter().flatten().cloned());
    show_paths(&written, ui)?;
    tell_next(args, settings, lock?.is_some(), context);
    Ok(())
}

/// Refuses to begin where a file is in the way.
fn check_free(settings: &settings::Init) -> Result<(), Failure> {
    let mut files = std::iter::once(&settings.config).chain(&settings.flake);
    files.try_for_each(|file| {
        new_file::is_free(file).map_err(|failure| {
            failure.hint("name another file with --config, or move this file away")
        })
    })
}

fn tell_next(args: &InitArgs, settings: &settings::Init, is_locked: bool, context: &Context) {
    let mut dirs = settings.config.ancestors();
    let in_repository = dirs.any(|dir| dir.join(".git").exists());
    let next = next_command(args, in_repository, is_locked);
    let text = format!("next: look through the file, then {next}");
    context.events.notice(text);
}

fn show_paths(files: &[PathBuf], ui: &Ui) -> Result<(), Failure> {
    files.iter().try_for_each(|file| {
        let file = canonical(file);
        ui.result(&ui::sanitize_line(&file.to_string_lossy()))
    })
}

/// Writes the configuration with `values` and, if one is wanted, the flake and a `.gitignore` unless there is one; their paths.
fn write_files(
    values: &TemplateValues,
    settings: &settings::Init,
) -> Result<Vec<PathBuf>, Failure> {
    let (config, owner) = (&settings.config, settings.owner);
    new_file::write(config, template::render(values), values.access(), owner)?;
    let mut written = vec![config.clone()];
    if let Some(flake) = &settings.flake {
        new_file::write(flake, flake_text(values), Access::Everybody, owner)?;
        written.push(flake.clone());
        let ignored = flake.with_file_name(".gitignore");
        if new_file::is_free(&ignored).is_ok() {
            new_file::write(&ignored, gitignore(), Access::Everybody, owner)?;
            written.push(ignored);
        }
    }
    Ok(written)
}

fn flake_text(values: &TemplateValues) -> String {
    template::flake(&values.host_name, settings::DEFAULT_RELEASE)
}

/// A `.gitignore` with which images that are built beside the flake do not become part of it.
fn gitignore() -> String {
    let comment = "# Images that sdbuild builds, and the files beside them: what git tracks is part of the flake.";
    let patterns = image_name::gitignore_patterns().join("\n");
    format!("{comment}\n{patterns}\n")
}

/// The path of a file without `..` and links, as far as its directory can be resolved.
fn canonical(file: &Path) -> PathBuf {
    file.canonicalize().unwrap_or_else(|_| file.to_owned())
}

/// Refuses invalid flags before anything is asked.
fn check(settings: &settings::Init) -> Result<(), Failure> {
    let optional = |value: &Option<String>, check: fn(&str) -> Result<(), Failure>| {
        value.as_deref().map_or(Ok(()), check)
    };
    optional(&settings.host_name, host_name::check)?;
    optional(&settings.user, template::check_user_name)?;
    optional(&settings.time_zone, template::check_time_zone)?;
    optional(&settings.chosen_locale, |name| {
        template::check_locale(name).map(drop)
    })?;
    if let Some(BoardName(board)) = settings.board {
        if settings.template.format().is_some() {
            let text = format!(
                "--board {} is for cards and disks, and the template is for neither",
                board.name
            );
            return Err(Failure::usage(text).hint("leave out --board"));
        }
        template::check_board(board)?;
    }
    match &settings.wifi {
        Some((name, _)) => Wifi::check(name),
        None => Ok(()),
    }
}

/// Every value, from its flag, an answer or its default.
async fn values(
    settings: &settings::Init,
    env: &Environment,
    asker: &Asker<'_>,
) -> Result<TemplateValues, Failure> {
    let dir = settings.config.parent().unwrap_or(Path::new("/"));
    let default_name = template::host_name(dir, settings.home.as_deref());
    let host_name = Question {
        text: "Host name",
        given: settings.host_name.as_deref(),
        default: &default_name,
    };
    let host_name = asker.ask(host_name, host_name::check).await?;
    let BoardName(board) = chosen_board(settings, asker).await?;
    let keys = Box::pin(keys::choose(settings, env, asker)).await?;
    let user = Question {
        text: if settings.template == TemplateName::Server {
            "The administrator's account (empty for admin)"
        } else {
            "Account beside root, with sudo (empty for none)"
        },
        given: settings.user.as_deref(),
        default: "",
    };
    let user = asker.ask(user, |name| match name {
        "" => Ok(()),
        name => template::check_user_name(name),
    });
    let user = Some(user.await?).filter(|name| !name.is_empty());
    let wifi = Box::pin(wifi::choose(settings, env, asker)).await?;
    let zone = template::time_zone(Path::new("/etc"));
    let time_zone = Question {
        text: "Time zone",
        given: settings.time_zone.as_deref(),
        default: zone.as_deref().unwrap_or(DEFAULT_ZONE),
    };
    let time_zone = asker.ask(time_zone, template::check_time_zone).await?;
    let own_locale = settings.locale.as_deref().and_then(template::locale);
    let locale = Question {
        text: "Language",
        given: settings.chosen_locale.as_deref(),
        default: own_locale.unwrap_or(DEFAULT_LOCALE),
    };
    let locale = asker.ask(locale, |name| template::check_locale(name).map(drop));
    Ok(TemplateValues {
        keys,
        host_name,
        user,
        template: settings.template,
        board,
        time_zone: Some(time_zone),
        locale: Some(template::check_locale(&locale.await?)?.to_owned()),
        wifi,
    })
}

async fn chosen_board(settings: &settings::Init, asker: &Asker<'_>) -> Result<BoardName, Failure> {
    if let Some(board) = settings.board {
        return Ok(board);
    }
    if settings.template.format().is_some() {
        return named_board(DEFAULT_BOARD);
    }
    if asker.asks {
        for line in board_choices() {
            asker.ui.explain(&line);
        }
    }
    let question = Question {
        text: "Board",
        given: None,
        default: DEFAULT_BOARD,
    };
    let answer = asker.ask(question, |answer| {
        template::check_board(named_board(answer)?.0)
    });
    named_board(&answer.await?)
}

/// The lines above the question for the board: the usual boards with their titles, the others by name.
fn board_choices() -> Vec<String> {
    let (usual, others): (Vec<&Board>, Vec<&Board>) =
        boards_of(System::Aarch64Linux).partition(|board| board.name.starts_with("rpi"));
    let usual = usual.iter();
    let mut lines: Vec<String> = usual
        .map(|board| format!("  {:<6} {}", board.name, board.title))
        .collect();
    let others: Vec<&str> = others.iter().map(|board| board.name).collect();
    lines.push(format!("  {}", others.join(", ")));
    lines.push("A card for rpi3, rpi4 or rpi02 starts in all three. `sdbuild boards` describes the others.".to_owned());
    lines
}

/// The board whose name or title somebody has typed; of a title as much is enough as only one board has.
fn named_board(answer: &str) -> Result<BoardName, Failure> {
    let wanted = answer.to_lowercase();
    let mut titled = BOARDS
        .iter()
        .filter(|BoardName(board)| board.title.to_lowercase().contains(&wanted));
    match (wanted.parse(), titled.next(), titled.next()) {
        (Ok(named), _, _) => Ok(named),
        (Err(_), Some(only), None) => Ok(*only),
        (Err(unknown), _, _) => Err(Failure::usage(unknown)),
    }
}

/// Reports what the configuration contains.
fn report(values: &TemplateValues, context: &Context) {
    let events = &context.events;
    let [zone, locale] =
        [&values.time_zone, &values.locale].map(|value| value.as_deref().unwrap_or_default());
    events.notice(format!(
        "host name {}, time zone {zone}, language {locale}",
        values.host_name
    ));
    let logins = values.logins();
    let who = logins.join(" and as ");
    for key in &values.keys {
        events.notice(format!("can log in as {who}: {}", key.shown()));
    }
    if let Some(user) = logins.iter().find(|login| **login != "root") {
        events.notice(format!(
            "{user} has no password, so sudo asks for none (security.sudo.wheelNeedsPassword = false)"
        ));
    }
    if values.keys.is_empty() {
        events.warn(
            "no public SSH key was found in ~/.ssh: create one with `ssh-keygen -t ed25519`; then `sdbuild init` again, or with \
             `--github USER`, puts it into the file in place of REPLACE-ME",
        );
    }
    if values.wifi.is_some() {
        events.warn(
            "the key of the wireless network is in the file, which only you can read (mode 0600), and will be in the image \
             and in the Nix store, where anyone who can read them can read it; a comment in the file explains how to avoid \
             that",
        );
    }
}

/// The commands that check and build the configuration, in the words that the user wrote; those of a flake lock it first unless it
/// `is_locked`. Of a flake in a git repository only what git tracks is locked and built.
fn next_command(args: &InitArgs, in_repository: bool, is_locked: bool) -> String {
    let path = args.dir.as_ref().or(args.config.as_ref());
    let path = path.map(|path| quoted(&path.to_string_lossy()));
    let command = |words: &str| match &path {
        Some(path) => format!("`{words} {path}`"),
        None => format!("`{}`", words.trim_end_matches(" --flake")),
    };
    let build = format!(
        "{} and {}",
        command("sdbuild check"),
        command("sdbuild build")
    );
    let lock = command("sdbuild lock --flake");
    let add = format!("`git add {}`", path.as_deref().unwrap_or("."));
    match (args.flake, in_repository, is_locked) {
        (false, _, _) | (true, false, true) => build,
        (true, false, false) => format!("{lock}, {build}"),
        (true, true, false) => format!("{add}, {lock}, {add} again, {build}"),
        (true, true, true) => format!("{add}, {build}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boards_are_named_by_name_and_title() {
        let name = |answer: &str| named_board(answer).map(|BoardName(board)| board.name);
        for (answer, board) in [
            ("rpi4", "rpi4"),
            ("Rpi4", "rpi4"),
            ("raspberry pi 4", "rpi4"),
            ("Pi Zero 2", "rpi02"),
            ("Rock 5B", "rock5b"),
        ] {
            assert_eq!(name(answer).unwrap(), board, "{answer}");
        }
        for (answer, told) in [
            ("pi4", "did you mean rpi4?"),
            ("Raspberry", "is not one of"),
            ("Berlin", "is not one of"),
        ] {
            let refused = name(answer).unwrap_err().to_string();
            assert!(refused.contains(told), "{refused}");
        }
    }

    #[test]
    fn the_next_command_builds_the_written_file() {
        let next = |args| next_command(&args, false, false);
        let none = InitArgs::default();
        assert_eq!(next(none), "`sdbuild check` and `sdbuild build`");
        let dir = InitArgs {
            dir: Some("my pi".into()),
            ..InitArgs::default()
        };
        assert_eq!(
            next(dir),
            "`sdbuild check 'my pi'` and `sdbuild build 'my pi'`"
        );
        let file = InitArgs {
            config: Some("a.nix".into()),
            ..InitArgs::default()
        };
        assert_eq!(
            next(file),
            "`sdbuild check a.nix` and `sdbuild build a.nix`"
        );
        let flake = InitArgs {
            flake: true,
            ..InitArgs::default()
        };
        let build = "`sdbuild check` and `sdbuild build`";
        for (in_repository, is_locked, before) in [
            (false, false, "`sdbuild lock`, "),
            (
                true,
                false,
                "`git add .`, `sdbuild lock`, `git add .` again, ",
            ),
            (false, true, ""),
            (true, true, "`git add .`, "),
        ] {
            let next = next_command(&flake, in_repository, is_locked);
            assert_eq!(next, format!("{before}{build}"));
        }
    }
}
