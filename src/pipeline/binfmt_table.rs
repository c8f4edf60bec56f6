//! The kernel's table of handlers, for those who only want to look.

use std::fs;
use std::path::Path;

use crate::binfmt::{Entry, Registrar, RegistrarImage, RegistrarOptions, parse};
use crate::common::failure::{Class, Failure};
use crate::common::plain_file;
use crate::engine::{Engine, ImageInfo, RunId};
use crate::pipeline::Context;

/// Where the table is on this machine, which may be the engine's.
const TABLE: &str = "/proc/sys/fs/binfmt_misc";
/// An entry is a few lines.
const LONGEST: u64 = 64 << 10;

/// The entries of the engine's kernel, when that is certainly this machine's own and they can be seen
/// without a container. `None` when not: a container's view is another one then.
pub(super) fn here(engine: &Engine) -> Option<Vec<Entry>> {
    engine.is_on_this_kernel().then(local)
}

/// The entries of the engine's kernel: through a registrar when its image is loaded, else, for an
/// engine that may well be here, from this machine's own files. Nothing is fetched to look. `None` when
/// they cannot be seen.
pub(super) async fn entries(
    engine: &Engine,
    (run, image): (&RunId, Option<&ImageInfo>),
    context: &Context,
) -> Result<Option<Vec<Entry>>, Failure> {
    // None of its runs ever had one there, and those of another engine's it could not remove.
    if engine.facts().rootless {
        return Ok(None);
    }
    let Some(image) = image else {
        return Ok(engine.endpoint().is_local().then(local));
    };
    match asked(engine, (run, image), context).await {
        Err(failure) if failure.class != Class::Interrupted && failure.teardown.is_empty() => {
            let text = format!("cannot look at the kernel's handlers: {failure}");
            context.events.warn(text);
            Ok(None)
        }
        asked => asked.map(Some),
    }
}

async fn asked(
    engine: &Engine,
    (run, image): (&RunId, &ImageInfo),
    context: &Context,
) -> Result<Vec<Entry>, Failure> {
    let reference = image.id.clone();
    let options = RegistrarOptions::new(engine, &RegistrarImage { reference }, run);
    let looking = Registrar::look(options, &context.cancel, &context.events);
    let Some(mut registrar) = looking.await? else {
        return Ok(Vec::new());
    };
    let entries = context.cancel.race(registrar.entries()).await;
    // Nothing is held, so nothing is lost by letting go now: whoever reads the list takes their time.
    let left = registrar.release(&context.cancel).await;
    match entries.and_then(|entries| entries) {
        Ok(entries) if left.is_empty() => Ok(entries),
        Ok(_) => Err(Failure::environment("look at the kernel's handlers").with_teardown(left)),
        Err(failure) => Err(failure.with_teardown(left)),
    }
}

/// Whether this machine's table is there.
pub(super) fn is_mounted() -> bool {
    Path::new(TABLE).join("status").exists()
}

/// Whether this machine's table is there and switched off as a whole.
pub(super) fn is_switched_off() -> bool {
    let status = plain_file::read_text(&Path::new(TABLE).join("status"), LONGEST);
    status.is_ok_and(|status| status.trim() == "disabled")
}

/// The entries of this machine's own table.
pub(super) fn local() -> Vec<Entry> {
    let files = fs::read_dir(TABLE).into_iter().flatten().flatten();
    let entry = |file: fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        if name == "status" || name == "register" {
            return None;
        }
        let text = plain_file::read_text(&file.path(), LONGEST).ok()?;
        let touched = file.metadata().and_then(|meta| meta.modified()).ok()?;
        // A clock that was set back makes it as young as can be.
        let age = touched.elapsed().unwrap_or_default();
        Some(Entry {
            age: Some(age.as_secs()),
            ..parse(&name, &text)
        })
    };
    files.filter_map(entry).collect()
}
