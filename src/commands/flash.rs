//! `sdbuild flash`: lists disks, or shows what will be lost, asks, writes and reads back.

use std::path::Path;

use crate::cli;
use crate::commands::confirm::agree;
use crate::commands::flash_each;
use crate::commands::host_key::{known_hosts_line, name_of, ssh_command};
use crate::commands::newest_image::named_or_newest_for_card;
use crate::commands::put_files::{Given, PutFiles};
use crate::commands::put_onto::{ImageDisk, PutOnto};
use crate::commands::{Session, blocking};
use crate::ui::{Ui, sanitize_line};
use sdbuild_core::context::Context;
use sdbuild_core::failure::Failure;
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::shell_word::{command_line, quoted};
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::disk::Section;
use sdbuild_image::flash;
use sdbuild_image::flash::{
    Allowed, Disk, DiskInventory, FlashRequest, FlashSource, SharedWriteState, SysRoot,
};

/// Lists disks without a device argument, else flashes.
pub async fn run(args: &cli::Flash, session: Session<'_>) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
    let (image, device) = image_and_disk(args)?;
    let image = match named_or_newest_for_card(image, session) {
        Err(failure) if image.is_none() => {
            // Also where no disk can be listed, the image is what is missing first.
            if let Err(unlisted) = list_disks(None, ui, context) {
                context.events.warn(unlisted.sentence());
                return Err(unlisted.hints.into_iter().fold(failure, Failure::hint));
            }
            return Err(failure);
        }
        image => image?,
    };
    let operation = format!("flash {}", image.display());
    let Some(device) = device else {
        // Reading may take long on a slow disk: a signal must end it.
        let raw = args.raw;
        let open = move |context: &Context| {
            let source = FlashSource::open(&image)?;
            if !raw {
                source.check_table(&context.cancel)?;
            }
            Ok(source)
        };
        let source = blocking(context, open).await;
        let source = source.map_err(|failure| failure.context(&operation))?;
        return list(&source, ui, context);
    };
    if !args.each.is_empty() {
        return flash_each::write_each(&image, device, args, session).await;
    }
    let card = Card {
        image: &image,
        device,
        args,
        given: &[Given::by_user(args.put.clone())],
        board: None,
        disk: &ImageDisk::new(),
    };
    let done = Box::pin(write(card, session)).await?;
    context.events.notice(done);
    Ok(())
}

/// A card that is to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Card<'a> {
    pub(super) image: &'a Path,
    pub(super) device: &'a Path,
    pub(super) args: &'a cli::Flash,
    /// What is put onto it.
    pub(super) given: &'a [Given],
    /// The name of its board, if it is one of several.
    pub(super) board: Option<&'a str>,
    /// The disk in the image.
    pub(super) disk: &'a ImageDisk,
}

/// Writes `card`; returns what the disk is then.
pub(super) async fn write(card: Card<'_>, session: Session<'_>) -> Result<String, Failure> {
    let Card {
        image,
        device,
        args,
        ..
    } = card;
    let operation = format!("flash {} to {}", image.display(), device.display());
    let state = SharedWriteState::new();
    let flashed = Box::pin(flash_disk(card, &state, session)).await;
    let node = flashed.map_err(|failure| state.add_to(failure, &operation))?;
    let done = if args.no_verify {
        "written"
    } else {
        "written and verified: you can take the card out"
    };
    Ok(format!("{node} is {done}"))
}

/// The image and the disk that are named: a disk alone leaves the image to be the newest one.
fn image_and_disk(args: &cli::Flash) -> Result<(Option<&Path>, Option<&Path>), Failure> {
    match (args.image.as_deref(), args.device.as_deref()) {
        (Some(disk), None) if disk.starts_with("/dev") => Ok((None, Some(disk))),
        // A list of disks would look like success to a script.
        (_, None)
            if args.yes
                || args.unmount
                || args.allow_fixed
                || args.no_verify
                || args.raw
                || !args.put.is_empty()
                || !args.each.is_empty() =>
        {
            let text = "no disk to write to is named, such as /dev/sdX";
            Err(Failure::usage(text).hint("`sdbuild flash` lists the disks"))
        }
        both => Ok(both),
    }
}

/// Flashes the disk once the user agreed, or at once with `--yes`; returns its node.
async fn flash_disk(
    card: Card<'_>,
    state: &SharedWriteState,
    session: Session<'_>,
) -> Result<String, Failure> {
    let Session { context, .. } = session;
    let files = Box::pin(PutFiles::prepare(card.given, session)).await?;
    let (image, request) = (card.image.to_owned(), request(card));
    let prepare = move |context: &Context| {
        let prepared = flash::prepare(FlashSource::open(&image)?, request, context)?;
        let lost = prepared.lost(context);
        Ok((prepared, lost))
    };
    let (prepared, lost) = blocking(context, prepare).await?;
    let host_key = files.host_key.clone().map(|key| {
        let given = files.hostname.as_deref().or(card.board);
        (name_of(card.image, given), key)
    });
    let shown = files.shown();
    let put = Box::pin(PutOnto::prepare(files, card.image, card.disk, session)).await?;
    confirm_loss(card.args.yes, &lost, &shown, session).await?;
    let (node, state) = (prepared.disk.node(), state.clone());
    let run = move |context: &Context| {
        let mut change = |disk: &Section| match &put {
            Some(put) => put.changes(disk, context),
            None => Ok(Vec::new()),
        };
        let change: Option<flash::Change<'_>> = put.is_some().then_some(&mut change);
        let outcome = prepared.run(context, &state, change);
        if let Some(put) = put {
            put.ended(&outcome);
        }
        outcome
    };
    blocking(context, run).await?;
    if let Some((name, key)) = host_key {
        tell_host_key(name.as_deref(), &key, context);
    }
    Ok(node)
}

fn request(card: Card<'_>) -> FlashRequest {
    let words = std::env::args_os().skip(1);
    FlashRequest {
        device: card.device.to_owned(),
        allowed: Allowed {
            fixed: card.args.allow_fixed,
            unmount: card.args.unmount,
        },
        verify: !card.args.no_verify,
        raw: card.args.raw,
        arguments: command_line(words.map(|word| word.to_string_lossy().into_owned())),
    }
}

/// Tells the public host key `key` of the board `name`.
fn tell_host_key(name: Option<&str>, key: &str, context: &Context) {
    let Some(name) = name else {
        let text = "the card's host key; in known_hosts it follows the board's address";
        context.events.notice(format!("{text}: {key}"));
        return;
    };
    let (line, ssh) = (known_hosts_line(name, key), ssh_command(name, None));
    let text = "the card's host key, a line for ~/.ssh/known_hosts";
    context.events.notice(format!("{text}: {line}"));
    let text = "with that line, your first login is checked at any address";
    context.events.notice(format!("{text}: {ssh}"));
}

/// Asks whether what is `lost` may be, and `put` be put there; anything but yes is an error, so that a script does not continue with
/// the old card. With `yes` both are only shown.
async fn confirm_loss(
    yes: bool,
    lost: &[String],
    put: &str,
    session: Session<'_>,
) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
    let put = Some(put).filter(|put| !put.is_empty());
    let put = put.map(|put| format!("These files are put onto it: {put}."));
    if yes {
        for line in lost.iter().chain(&put) {
            context.events.notice(line);
        }
        return Ok(());
    }
    let lost_all = "All of this will be lost.".to_owned();
    let lines = lost.iter().chain([&lost_all]).chain(&put);
    let lines: Vec<_> = lines.map(|line| sanitize_line(line)).collect();
    let question = format!("{}\nWrite the image to it?", lines.join("\n"));
    let lost: Vec<_> = lost.iter().map(|line| line.trim()).collect();
    let text = "sdbuild cannot ask whether to overwrite this, because this is not a terminal";
    let unasked =
        Failure::usage(format!("{text}: {}", lost.join("; "))).hint("to overwrite it, give --yes");
    let declined = "nothing was written: the answer was no";
    agree(question, declined, unasked, ui, context).await
}

/// Lists the disks that an image may be flashed to, and says how to write `source` to one of them.
fn list(source: &FlashSource, ui: &Ui, context: &Context) -> Result<(), Failure> {
    if list_disks(Some(source), ui, context)? {
        let image = quoted(&shown_path(&source.path));
        let next = format!("to write {image} to one of these: sdbuild flash {image} DISK");
        context.events.notice(next);
    }
    Ok(())
}

/// Lists the disks that an image may be flashed to: `source`, if there is one. `false` if there is none.
fn list_disks(source: Option<&FlashSource>, ui: &Ui, context: &Context) -> Result<bool, Failure> {
    let image = source.map_or(Path::new("/"), |source| &source.path);
    let inventory = DiskInventory::take(&SysRoot::here(), image)?;
    flash::check_reach(&inventory)?;
    let mut disks = inventory.candidates().peekable();
    if disks.peek().is_none() {
        let text = "there is no SD card or other removable disk in this machine; insert the card, and try again";
        context.events.notice(text);
        return Ok(false);
    }
    disks.try_for_each(|disk| ui.result(&disk_line(disk, source)))?;
    Ok(true)
}

fn disk_line(disk: &Disk, source: Option<&FlashSource>) -> String {
    let mut notes = Vec::new();
    if !disk.removable {
        notes.push("not removable: needs --allow-fixed".to_owned());
    }
    if source.is_some_and(|source| disk.size < source.size) {
        notes.push("too small".to_owned());
    }
    if disk.read_only {
        notes.push("read-only".to_owned());
    }
    let mounted: Vec<_> = disk
        .mounted()
        .map(|path| path.display().to_string())
        .collect();
    if !mounted.is_empty() {
        notes.push(format!("mounted at {}", mounted.join(", ")));
    }
    if !disk.holders.is_empty() {
        notes.push(format!("in use by {}", disk.holders.join(", ")));
    }
    let (size, node, model) = (human_bytes(disk.size), disk.node(), &disk.model);
    let line = format!(
        "{node:<14} {size:>7}  {:<6} {model:<28} {}",
        disk.bus,
        notes.join("; ")
    );
    sanitize_line(line.trim_end())
}
