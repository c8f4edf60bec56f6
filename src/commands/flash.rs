//! `sdbuild flash`: lists disks, or shows what will be lost, asks, writes and reads back.

use std::path::Path;
use std::time::Duration;

use crate::cli;
use crate::common::failure::{Class, Failure, OrFail as _};
use crate::flash::{
    self, Allowed, Disk, DiskInventory, FlashRequest, PreparedFlash, SharedWriteState, Source,
    SysRoot,
};
use crate::pipeline::Context;
use crate::ui::{self, Ui, words};

/// How long a disk may take to end what it is at after an interrupt: cards are known to ponder for
/// seconds, and one that does not answer at all must not keep us.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lists or flashes.
pub async fn run(args: &cli::Flash, (ui, context): (&Ui, &Context)) -> Result<(), Failure> {
    let named = format!("flash {}", args.image.display());
    let Some(device) = &args.device else {
        let source = Source::open(&args.image).map_err(|e| e.context(&named))?;
        return list(&source, (ui, context));
    };
    let named = format!("{named} to {}", device.display());
    let (state, image) = (SharedWriteState::new(), args.image.clone());
    let request = FlashRequest {
        device: device.clone(),
        allowed: Allowed {
            fixed: args.allow_fixed,
            unmount: args.unmount,
        },
        verify: !args.no_verify,
    };
    let prepared = blocking(context, move |context| {
        let source = Source::open(&image)?;
        let prepared = flash::prepare(source, request, (&context.cancel, &context.events))?;
        let lost = prepared.lost(&context.cancel);
        Ok((prepared, lost))
    });
    let done = async {
        let (prepared, lost) = prepared.await?;
        agreed(args.yes, &lost, (ui, context)).await?;
        let state = state.clone();
        let write = move |context: &Context| write(prepared, context, &state);
        blocking(context, write).await
    };
    let node = done.await.map_err(|failure| state.told(failure, &named))?;
    let verified = if args.no_verify {
        "written"
    } else {
        "written and read back"
    };
    context.events.notice(format!("{node} is {verified}"));
    Ok(())
}

fn write(
    prepared: PreparedFlash,
    context: &Context,
    state: &SharedWriteState,
) -> Result<String, Failure> {
    let node = prepared.disk.node();
    prepared.run((&context.cancel, &context.events, state))?;
    Ok(node)
}

/// Blocking work on its own thread. It looks at the token by itself: what it has to say of the card is
/// waited for, but not for ever.
async fn blocking<T: Send + 'static>(
    context: &Context,
    work: impl FnOnce(&Context) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let inner = context.clone();
    let mut work = tokio::task::spawn_blocking(move || work(&inner));
    let ended = tokio::select! {
        ended = &mut work => Some(ended),
        () = context.cancel.cancelled() => context.cancel.bounded(PATIENCE, work).await,
    };
    match ended {
        Some(ended) => ended.or_internal("flash")?,
        None => Err(Failure::interrupted()),
    }
}

/// An error unless the user agreed, so that what a script does next is not done to the old card.
async fn agreed(yes: bool, lost: &[String], (ui, context): (&Ui, &Context)) -> Result<(), Failure> {
    if yes {
        for line in lost {
            context.events.notice(line);
        }
        return Ok(());
    }
    let lines: Vec<_> = lost.iter().map(|line| one_line(line)).collect();
    let question = format!(
        "{}\nAll of this will be lost. Write the image to it?",
        lines.join("\n")
    );
    // A question is a blocking read: on its own thread, so that a signal still ends it.
    let ui = ui.clone();
    let asked = tokio::task::spawn_blocking(move || ui.confirm(&question));
    let answer = context.cancel.race(asked).await?;
    let answer = answer.map_err(|e| Failure::new(Class::Internal, e))??;
    match answer {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::usage("you did not agree")),
        None => {
            let lost: Vec<_> = lost.iter().map(|line| line.trim()).collect();
            let text = "standard input is no terminal to ask on whether all of this may be lost";
            let failure = Failure::usage(format!("{text}: {}", lost.join("; ")));
            Err(failure.hint("give --yes if it may"))
        }
    }
}

/// The disks that an image can go to.
fn list(source: &Source, (ui, context): (&Ui, &Context)) -> Result<(), Failure> {
    let survey = DiskInventory::take(&SysRoot::here(), &source.path);
    let mut found = survey.candidates().peekable();
    if found.peek().is_none() {
        context
            .events
            .notice("no removable disk is here: put the card in");
        return Ok(());
    }
    found.try_for_each(|disk| ui.result(&line(disk, source)))
}

fn line(disk: &Disk, source: &Source) -> String {
    let mut notes = Vec::new();
    if !disk.removable {
        notes.push("not removable: takes --allow-fixed".to_owned());
    }
    if disk.size < source.size {
        notes.push("too small".to_owned());
    }
    if disk.read_only {
        notes.push("read-only".to_owned());
    }
    let mounted: Vec<_> = disk
        .mounted()
        .map(|path: &std::path::PathBuf| shown(path))
        .collect();
    if !mounted.is_empty() {
        notes.push(format!("mounted at {}", mounted.join(", ")));
    }
    if !disk.holders.is_empty() {
        notes.push(format!("in use by {}", disk.holders.join(", ")));
    }
    let size = words::human_bytes(disk.size);
    let (node, model) = (disk.node(), &disk.model);
    let line = format!(
        "{node:<14} {size:>7}  {:<6} {model:<28} {}",
        disk.bus,
        notes.join("; ")
    );
    one_line(line.trim_end())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Foreign text on one line.
fn one_line(text: &str) -> String {
    ui::sanitize(&text.replace('\n', "\u{fffd}")).into_owned()
}
