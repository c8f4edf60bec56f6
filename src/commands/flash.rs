//! `sdbuild flash`: lists disks, or shows what will be lost, asks, writes and reads back.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cli;
use crate::commands::Session;
use crate::commands::confirm::agree;
use crate::commands::flash_each;
use crate::commands::newest_image::named_or_newest_for_card;
use crate::commands::put_files::{PutFiles, names_of};
use crate::settings::common_of_boot;
use crate::ui::{Ui, sanitize_line};
use sdbuild_build::RunEngine;
use sdbuild_card::{Plan, Tools};
use sdbuild_core::compression::Compression;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::shell_word::{command_line, quoted};
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::disk::Section;
use sdbuild_image::flash;
use sdbuild_image::flash::{
    Allowed, Disk, DiskInventory, FlashRequest, FlashSource, SharedWriteState, SysRoot,
};
use sdbuild_image::{DiskForm, Error};
use tokio::runtime::Handle;

/// How long a disk may take, after an interrupt, to complete its last command: cards take seconds for some commands, and
/// one that never answers must not block the end of the run.
const DISK_TIMEOUT: Duration = Duration::from_secs(30);

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
    let done = Box::pin(write(&image, device, args, &args.put, session)).await?;
    context.events.notice(done);
    Ok(())
}

/// Writes `image` to `device` with the files of `put`; returns what the disk is then.
pub(super) async fn write(
    image: &Path,
    device: &Path,
    args: &cli::Flash,
    put: &cli::PutArgs,
    session: Session<'_>,
) -> Result<String, Failure> {
    let operation = format!("flash {} to {}", image.display(), device.display());
    let words = std::env::args_os().skip(1);
    let request = FlashRequest {
        device: device.to_owned(),
        allowed: Allowed {
            fixed: args.allow_fixed,
            unmount: args.unmount,
        },
        verify: !args.no_verify,
        raw: args.raw,
        arguments: command_line(words.map(|word| word.to_string_lossy().into_owned())),
    };
    let state = SharedWriteState::new();
    let flashed = async {
        let put = PutOnto::prepare(put, image, session).await?;
        flash_disk(image.to_owned(), request, args.yes, &state, put, session).await
    };
    let (node, host_key) = Box::pin(flashed)
        .await
        .map_err(|failure| state.add_to(failure, &operation))?;
    if let Some(key) = host_key {
        let text = format!("the card's host key, for known_hosts: {key}");
        session.context.events.notice(text);
    }
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

/// What is put onto the card after the image, and the engine that does it.
struct PutOnto {
    files: PutFiles,
    /// The board's name in `known_hosts`, if it is known.
    name: Option<String>,
    engine: RunEngine,
}

impl PutOnto {
    /// Reads the files that `args` name and prepares an engine; `None` if they name nothing. Nothing is written before.
    async fn prepare(
        args: &cli::PutArgs,
        image: &Path,
        session: Session<'_>,
    ) -> Result<Option<Self>, Failure> {
        let Session { env, context, .. } = session;
        let files = Box::pin(PutFiles::prepare(args, session)).await?;
        if files.is_empty() {
            return Ok(None);
        }
        let image = image.to_owned();
        let check = move |context: &Context| check_image(&image, &files, context).map(|()| files);
        let files = blocking(context, check).await?;
        let name = args.hostname.as_ref().or(args.board.as_ref()).cloned();
        let engine = RunEngine::to_put(&common_of_boot(env)?, context).await?;
        Ok(Some(Self {
            files,
            name,
            engine,
        }))
    }

    /// The blocks of `disk` that change. Blocks its thread.
    fn changes(&self, disk: &Section, context: &Context) -> Result<Vec<flash::DiskBlock>, Failure> {
        let plan = Plan::new(disk, self.files.puts.clone(), self.files.wifi.as_ref())?;
        let tools = Tools {
            engine: self.engine.engine.clone(),
            run: self.engine.run.clone(),
            image: self.engine.image.clone(),
        };
        let changes = Handle::current().block_on(plan.changes(&tools, context))?;
        Ok(changes.blocks)
    }
}

/// Refuses what cannot be put onto a card with `image`, as far as that shows before it is written.
fn check_image(image: &Path, files: &PutFiles, context: &Context) -> Result<(), Failure> {
    let opened = FlashSource::open(image)?;
    let read = |error: Error| error.fail_on("read", image);
    let form = opened.image().disk_form(&context.cancel).map_err(read)?;
    if form != DiskForm::Raw {
        let text = format!(
            "files cannot be put into {}, which is no image of a card",
            image.display()
        );
        return Err(Failure::usage(text));
    }
    if opened.image().compression != Compression::None {
        return Ok(());
    }
    let file = opened
        .image()
        .file()
        .try_clone()
        .or_environment("read the image")?;
    let disk = Section::whole(file, opened.image().size, &context.cancel);
    Plan::new(&disk, files.puts.clone(), files.wifi.as_ref()).map(drop)
}

/// Flashes the disk once the user agreed, or at once with `yes`; returns its node, and the line of `known_hosts` if it has a host key now.
async fn flash_disk(
    image: PathBuf,
    request: FlashRequest,
    yes: bool,
    state: &SharedWriteState,
    put: Option<PutOnto>,
    session: Session<'_>,
) -> Result<(String, Option<String>), Failure> {
    let Session { context, .. } = session;
    let names = names_of(&image, put.as_ref().and_then(|put| put.name.as_deref()));
    let prepare = move |context: &Context| {
        let prepared = flash::prepare(FlashSource::open(&image)?, request, context)?;
        let lost = prepared.lost(context);
        Ok((prepared, lost))
    };
    let (prepared, lost) = blocking(context, prepare).await?;
    confirm_loss(yes, &lost, session).await?;
    let (node, state) = (prepared.disk.node(), state.clone());
    let host_key = put.as_ref().and_then(|put| put.files.host_key.clone());
    let run = move |context: &Context| {
        let mut change = |disk: &Section| match &put {
            Some(put) => put.changes(disk, context),
            None => Ok(Vec::new()),
        };
        let change: Option<flash::Change<'_>> = put.is_some().then_some(&mut change);
        let outcome = prepared.run(context, &state, change);
        if let Some(put) = put {
            put.engine.ended(&outcome);
        }
        outcome
    };
    blocking(context, run).await?;
    Ok((node, host_key.map(|key| format!("{names} {key}"))))
}

/// Runs `work`, which blocks and checks for cancellation itself, on a thread of its own. After an interrupt
/// its result, which states what the card holds, is still awaited for [`DISK_TIMEOUT`].
async fn blocking<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Context) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let inner = context.clone();
    let mut work = tokio::task::spawn_blocking(move || work(&inner));
    let ended = tokio::select! {
        ended = &mut work => Some(ended),
        () = context.cancel.cancelled() => context.cancel.bounded(DISK_TIMEOUT, work).await,
    };
    match ended {
        Some(ended) => ended.or_internal("flash")?,
        None => Err(Failure::interrupted()),
    }
}

/// Asks whether what is `lost` may be; anything but yes is an error, so that a script does not continue with
/// the old card. With `yes` it is only shown.
async fn confirm_loss(yes: bool, lost: &[String], session: Session<'_>) -> Result<(), Failure> {
    let Session { ui, context, .. } = session;
    if yes {
        for line in lost {
            context.events.notice(line);
        }
        return Ok(());
    }
    let lines: Vec<_> = lost.iter().map(|line| sanitize_line(line)).collect();
    let question = format!(
        "{}\nAll of this will be lost. Write the image to it?",
        lines.join("\n")
    );
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
