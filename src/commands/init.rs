//! `sdbuild init`: writes a first configuration from flags, answers, and the keys, time zone and locale of this machine.

mod ci;
mod flake_lock;
mod questions;

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;

use crate::commands::Session;
use crate::settings;
use crate::settings::{InitArgs, SETTINGS_NAME};
use crate::template;
use crate::template::{TemplateValues, Wifi};
use crate::ui;
use crate::ui::Ui;
use ci::Workflow;
use questions::{Prompter, choose_keys, values};
use sdbuild_build::flake::LOCK;
use sdbuild_build::lock;
use sdbuild_core::atomic_file;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::host_name;
use sdbuild_core::new_file;
use sdbuild_core::new_file::Access;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::system::System;
use sdbuild_core::text::listed;
use sdbuild_image::board::{BoardName, Start};
use sdbuild_image::image_name;
use sdbuild_nix::configuration_file::{CONFIG_NAME, FLAKE_FILE};

/// Writes the configuration, reports what it contains, prints its path, and names the next command.
pub async fn run(args: &InitArgs, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    let settings = settings::Init::resolve(args, env)?;
    check(&settings)?;
    let workflow = Workflow::new(&settings)?;
    // A workflow and the module for Raspberry Pi Imager may come later than the configuration.
    let comes_later = workflow.is_some() || args.rpi_preseed;
    let is_locked = if !comes_later || !settings.config.exists() {
        Some(Box::pin(write_configuration(args, &settings, session)).await?)
    } else {
        None
    };
    if is_locked.is_none() && args.rpi_preseed {
        show_paths(&[write_preseed(&settings)?], ui)?;
        let config = settings.config.display();
        context.events.notice(format!(
            "add ./{} to the imports of {config}, and leave networking.hostName and time.timeZone out there",
            template::PRESEED_FILE
        ));
    }
    if let Some(workflow) = &workflow {
        workflow.write(settings.owner)?;
        let path = workflow.path.to_string_lossy();
        ui.result(&ui::sanitize_line(&path))?;
        let lock = if settings.flake.is_some() {
            LOCK
        } else {
            lock::NAME
        };
        context.events.notice(format!(
            "commit it, and {lock} (`sdbuild lock` writes it). The service then builds the image at every push"
        ));
        if let Some(text) = settings.args.ci.and_then(Workflow::missing_release) {
            context.events.warn(text);
        }
    }
    if let Some(is_locked) = is_locked {
        tell_next(args, &settings, is_locked, context);
    }
    Ok(())
}

/// Writes the module for Raspberry Pi Imager beside the configuration; its path.
fn write_preseed(settings: &settings::Init<'_>) -> Result<PathBuf, Failure> {
    let path = settings.config.with_file_name(template::PRESEED_FILE);
    let (text, access) = (template::PRESEED, Access::Everybody);
    new_file::write(&path, text, access, settings.owner).map(|()| path)
}

/// Writes the configuration, and the flake with its lock if one is wanted; whether there is a lock of the flake.
async fn write_configuration(
    args: &InitArgs,
    settings: &settings::Init<'_>,
    session: Session<'_>,
) -> Result<bool, Failure> {
    let Session { ui, context, .. } = session;
    let asker = Prompter {
        asks: !settings.args.yes && session.ui.can_ask(),
        session,
    };
    let mut files = std::iter::once(&settings.config).chain(&settings.flake);
    if files.all(|file| file.exists()) && fill_placeholder(settings, &asker).await? {
        show_paths(std::slice::from_ref(&settings.config), ui)?;
        let flake = settings.flake.as_ref();
        return Ok(flake.is_some_and(|flake| flake.with_file_name(LOCK).exists()));
    }
    check_free(settings)?;
    check_flake(settings)?;
    let values = values(settings, &asker).await?;
    if args.dir.is_some() {
        new_file::make_dir(&settings.config, settings.owner)?;
    }
    let mut written = write_files(&values, settings)?;
    if values.preseed {
        written.push(write_preseed(settings)?);
    }
    report(&values, context);
    written.extend(name_in_settings(&values, settings, context)?);
    let lock = match &settings.flake {
        Some(flake) if !args.no_lock => {
            let (text, owner) = (flake_text(&values), settings.owner);
            Box::pin(flake_lock::write(flake, &text, owner, session)).await
        }
        Some(_) | None => Ok(None),
    };
    // What is written stays when locking is cancelled. It is shown at the end, because results end the live view.
    written.extend(lock.iter().flatten().cloned());
    show_paths(&written, ui)?;
    Ok(lock?.is_some())
}

/// Refuses to begin where a file is in the way.
fn check_free(settings: &settings::Init<'_>) -> Result<(), Failure> {
    let module = settings.config.with_file_name(template::PRESEED_FILE);
    let module = settings.args.rpi_preseed.then_some(&module);
    let files = std::iter::once(&settings.config).chain(&settings.flake);
    files.chain(module).try_for_each(|file| {
        new_file::is_free(file).map_err(|failure| {
            failure.hint("edit this file, or write to another directory: sdbuild init DIR")
        })
    })
}

/// Refuses a configuration that would hide a flake: where there are both, the other commands take it.
fn check_flake(settings: &settings::Init<'_>) -> Result<(), Failure> {
    let is_default = settings.config.file_name() == Some(OsStr::new(CONFIG_NAME));
    let flake = settings.config.with_file_name(FLAKE_FILE);
    if settings.flake.is_some() || !is_default || !flake.exists() {
        return Ok(());
    }
    let text = format!(
        "{} is a flake. With an {} beside it, `sdbuild build` would no longer use the flake",
        flake.display(),
        CONFIG_NAME
    );
    Err(Failure::usage(text).hint("write it to another directory: sdbuild init DIR"))
}

fn show_paths(files: &[PathBuf], ui: &Ui) -> Result<(), Failure> {
    files.iter().try_for_each(|file| {
        // Without `..` and links, as far as that can be resolved.
        let file = file.canonicalize().unwrap_or_else(|_| file.clone());
        ui.result(&ui::sanitize_line(&file.to_string_lossy()))
    })
}

/// Writes the configuration with `values` and, if one is wanted, the flake and a `.gitignore` unless there is one; their paths.
fn write_files(
    values: &TemplateValues,
    settings: &settings::Init<'_>,
) -> Result<Vec<PathBuf>, Failure> {
    let config = settings.config.clone();
    let mut files = vec![(config, template::render(values), values.access())];
    if let Some(flake) = &settings.flake {
        files.push((flake.clone(), flake_text(values), Access::Everybody));
        let ignored = flake.with_file_name(".gitignore");
        if new_file::is_free(&ignored).is_ok() {
            let patterns = image_name::gitignore_patterns().join("\n");
            let text = format!(
                "# Images that sdbuild builds, and the files beside them: what git tracks is part of the flake.\n{patterns}\n"
            );
            files.push((ignored, text, Access::Everybody));
        }
    }
    let files = files.into_iter().map(|(path, text, access)| {
        new_file::write(&path, text, access, settings.owner).map(|()| path)
    });
    files.collect()
}

fn flake_text(values: &TemplateValues) -> String {
    template::flake(&values.host_name, settings::DEFAULT_RELEASE)
}

/// Refuses invalid flags before anything is asked.
fn check(settings: &settings::Init<'_>) -> Result<(), Failure> {
    let optional = |value: &Option<String>, check: fn(&str) -> Result<(), Failure>| {
        value.as_deref().map_or(Ok(()), check)
    };
    optional(&settings.args.hostname, host_name::check)?;
    optional(&settings.args.user, template::check_user_name)?;
    optional(&settings.args.timezone, template::check_time_zone)?;
    optional(&settings.args.locale, |name| {
        template::check_locale(name).map(drop)
    })?;
    if settings.system != System::default() && settings.template.format().is_none() {
        let text = format!("there is no SD card image for {}", settings.system);
        return Err(Failure::usage(text).hint(
            "choose what the machine starts from: --template vm, server, container, amazon or installer-cloud-init",
        ));
    }
    if let Some(BoardName(board)) = settings.args.board {
        if settings.template.format().is_some() {
            let text = format!(
                "--board {} is for cards and disks, but this template is not",
                board.name
            );
            return Err(Failure::usage(text).hint("leave out --board"));
        }
        template::check_board(board)?;
    }
    let Some(name) = &settings.args.wifi else {
        return Ok(());
    };
    Wifi::check(name)?;
    if settings.args.yes && settings.args.wifi_password_file.is_none() {
        let text = format!("--yes does not ask, and {name} needs a passphrase");
        return Err(Failure::usage(text).hint("give --wifi-password-file FILE, or leave out --yes"));
    }
    Ok(())
}

/// Reports what the configuration contains.
fn report(values: &TemplateValues, context: &Context) {
    let events = &context.events;
    let is_card = values.template.format().is_none();
    let locale = values.locale.as_deref().unwrap_or_default();
    let machine = if is_card {
        format!("board {}", values.board.name)
    } else {
        format!("system {}", values.system)
    };
    events.notice(match values.time_zone.as_deref() {
        Some(zone) => format!(
            "host name {}, {machine}, time zone {zone}, language {locale}",
            values.host_name
        ),
        None => format!(
            "{machine}, language {locale}; Raspberry Pi Imager sets the rest: `sdbuild build --rpi-imager` writes its list"
        ),
    });
    if is_card && values.board.needs_nixos_hardware() {
        events.notice(format!(
            "{}: the firmware comes from nixos-hardware, which the build downloads from GitHub at a fixed commit; the kernel from nixpkgs",
            values.board.title
        ));
    }
    let logins = values.logins();
    for key in &values.keys {
        events.notice(format!(
            "can log in as {}: {}",
            logins.join(" and as "),
            key.shown()
        ));
    }
    if let Some(user) = logins.iter().find(|login| **login != "root") {
        events.notice(format!(
            "{user} has no password, so sudo asks for none (security.sudo.wheelNeedsPassword = false)"
        ));
    }
    if values.keys.is_empty() {
        events.warn(format!(
            "no public SSH key was found in ~/.ssh: {CREATE_KEY}"
        ));
    }
    if values.wifi.is_some() {
        events.warn(
            "the key of the wireless network is in the file, which only you can read (mode 0600). Anyone who can read the image or \
             the Nix store can also read it. A comment in the file explains how to avoid that",
        );
    }
}

/// What to do without a key.
const CREATE_KEY: &str = "create one with `ssh-keygen -t ed25519`. Then run this command again, or with `--github USER`, to put the \
                          key into the file";

/// Larger files are not configurations that `init` wrote.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Replaces the placeholder in the configuration with the keys of this user, and nothing else; false if there is no placeholder.
async fn fill_placeholder(
    settings: &settings::Init<'_>,
    asker: &Prompter<'_>,
) -> Result<bool, Failure> {
    let path = settings.config.as_path();
    let found = match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => found,
        _ => return Ok(false),
    };
    // What cannot be read has no placeholder: `init` says then that the file exists.
    let text = plain_file::read_text(path, MAX_CONFIG_BYTES).ok();
    let Some(text) = text.filter(|text| template::has_placeholder(text)) else {
        return Ok(false);
    };
    let keys = Box::pin(choose_keys(settings, asker)).await?;
    if keys.is_empty() {
        let text = format!("{} already exists", path.display());
        return Err(Failure::usage(text).hint(format!(
            "it still has REPLACE-ME instead of your SSH key, and there is no key to put there: {CREATE_KEY}"
        )));
    }
    let operation = format!("put your key into {}", path.display());
    let text = template::with_keys(&text, &keys);
    let owner = Some((found.uid(), found.gid()));
    atomic_file::replace_owned(path, &text, found.mode() & 0o7777, owner)
        .or_environment(&operation)?;
    let events = &asker.session.context.events;
    for key in &keys {
        events.notice(format!("can log in now: {}", key.shown()));
    }
    events.notice("the key is in the file now, and nothing else was changed");
    Ok(true)
}

/// Writes the settings file beside the configuration that names what `values` are for, if that is not a card for several boards; its
/// path. The lines are reported if such a file exists already.
fn name_in_settings(
    values: &TemplateValues,
    settings: &settings::Init<'_>,
    context: &Context,
) -> Result<Option<PathBuf>, Failure> {
    let Some((lines, why)) = settings_lines(values) else {
        return Ok(None);
    };
    let path = settings.config.with_file_name(SETTINGS_NAME);
    if new_file::is_free(&path).is_err() {
        let lines: Vec<_> = lines.iter().map(|line| format!("`{line}`")).collect();
        let text = format!("put {} into {}: {why}", listed(&lines), path.display());
        context.events.notice(text);
        return Ok(None);
    }
    let text = format!("# What the image is for: {why}.\n{}\n", lines.join("\n"));
    new_file::write(&path, &text, Access::Everybody, settings.owner)?;
    let text = format!("{SETTINGS_NAME} has {}: {why}", listed(&lines));
    context.events.notice(text);
    Ok(Some(path))
}

/// The lines of the settings file for the format or the board of `values`, and why they are there.
fn settings_lines(values: &TemplateValues) -> Option<(Vec<String>, &'static str)> {
    let board = values.board;
    let of_template = values.template.format();
    let mut lines = Vec::new();
    if of_template.is_none() && board.has_images_of_its_own() {
        lines.push(format!("board = \"{}\"", board.name));
    }
    let of_board = matches!(board.start, Start::Uefi).then_some("raw-efi");
    let format = of_template.or(of_board);
    lines.extend(format.map(|format| format!("format = \"{format}\"")));
    if of_template.is_some() && values.system != System::default() {
        lines.push(format!("system = \"{}\"", values.system));
    }
    let why = match of_template {
        Some(_) => "`sdbuild build` makes this format",
        None => "`sdbuild check` also checks what this board needs",
    };
    (!lines.is_empty()).then_some((lines, why))
}

/// Tells the next commands; those of a flake lock it first unless it `is_locked`. Of a flake in a git repository only what git tracks is
/// locked and built.
fn tell_next(args: &InitArgs, settings: &settings::Init<'_>, is_locked: bool, context: &Context) {
    let path = args.dir.as_ref().or(args.config.as_ref());
    let path = path.map(|path| format!(" {}", quoted(&path.to_string_lossy())));
    let path = path.unwrap_or_default();
    // `lock` takes the names of inputs without a flag; the other commands of a flake are written alike.
    let flag = if args.flake && !path.is_empty() {
        " --flake"
    } else {
        ""
    };
    let mut commands = Vec::new();
    let mut dirs = settings.config.ancestors();
    if args.flake && dirs.any(|dir| dir.join(".git").exists()) {
        commands.push("`git add` them".to_owned());
    }
    let words = ["lock", "check", "build"].into_iter();
    let words = words.skip(usize::from(!args.flake || is_locked));
    commands.extend(words.map(|word| format!("`{}`", ["sdbuild ", word, flag, &path].concat())));
    let files = if args.flake { "files" } else { "file" };
    let next = listed(&commands);
    let text = format!("next: look through the {files}, then {next}");
    context.events.notice(text);
}
