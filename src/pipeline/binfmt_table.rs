//! The kernel's table of handlers, read without changing it.

use std::fs;
use std::path::Path;

use crate::binfmt::{Entry, Registrar, RegistrarImage, RegistrarOptions, TABLE_DIR, parse};
use crate::common::context::Context;
use crate::common::failure::{Class, Failure};
use crate::common::plain_file;
use crate::engine::{Engine, ImageInfo, RunId};

/// An entry is a few lines.
const MAX_ENTRY_BYTES: u64 = 64 << 10;

/// Where the handlers of a local engine are looked for when it holds no image of a registrar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TableFallback {
    /// In this machine's own files, although the engine may run in a virtual machine.
    ThisMachine,
    /// Nowhere: they are not visible.
    None,
}

/// The entries of the engine's kernel, if that is certainly this machine's kernel; empty if the table is not
/// mounted. `None` for another kernel: it takes a container to see them then.
pub(super) fn visible_entries(engine: &Engine) -> Option<Vec<Entry>> {
    engine.is_on_this_kernel().then(local_entries)
}

/// The entries of the engine's kernel: through a registrar of `image`, or without one, where `fallback` says.
/// `None` when they are not visible.
pub(super) async fn entries(
    engine: &Engine,
    run: &RunId,
    image: Option<&ImageInfo>,
    fallback: TableFallback,
    context: &Context,
) -> Result<Option<Vec<Entry>>, Failure> {
    // A rootless engine never had a handler of ours, and could not remove those of another engine.
    if engine.facts().rootless {
        return Ok(None);
    }
    let Some(image) = image else {
        let is_visible = fallback == TableFallback::ThisMachine && engine.endpoint().is_local();
        return Ok(is_visible.then(local_entries));
    };
    match entries_in_container(engine, run, image, context).await {
        Err(failure) if failure.class != Class::Interrupted && failure.teardown.is_empty() => {
            let text = format!("cannot read the kernel's handlers: {failure}");
            context.events.warn(text);
            Ok(None)
        }
        entries => entries.map(Some),
    }
}

async fn entries_in_container(
    engine: &Engine,
    run: &RunId,
    image: &ImageInfo,
    context: &Context,
) -> Result<Vec<Entry>, Failure> {
    let architecture = engine.facts().architecture.supported()?;
    let image = RegistrarImage::new(image.id.clone(), architecture);
    let options = RegistrarOptions::new(engine, &image, run);
    let look = Registrar::look(options, &context.cancel, &context.events);
    let Some(mut registrar) = look.await? else {
        return Ok(Vec::new());
    };
    let entries = context.cancel.race(registrar.entries()).await;
    // Released at once: `clean` may wait for its user before it needs another one.
    let leftovers = registrar.release(&context.cancel).await;
    match entries.flatten() {
        Ok(entries) if leftovers.is_empty() => Ok(entries),
        Ok(_) => Err(Failure::environment("read the kernel's handlers").with_teardown(leftovers)),
        Err(failure) => Err(failure.with_teardown(leftovers)),
    }
}

/// Whether this machine's table is mounted.
pub(super) fn is_mounted() -> bool {
    Path::new(TABLE_DIR).join("status").exists()
}

/// The entries of this machine's own table; none when it is not mounted.
pub(super) fn local_entries() -> Vec<Entry> {
    let files = fs::read_dir(TABLE_DIR).into_iter().flatten().flatten();
    let entry = |file: fs::DirEntry| {
        let name = file.file_name().into_string().ok()?;
        if name == "status" || name == "register" {
            return None;
        }
        let text = plain_file::read_text(&file.path(), MAX_ENTRY_BYTES).ok()?;
        let touched = file.metadata().and_then(|meta| meta.modified()).ok()?;
        // A clock that was set back makes the entry as young as possible.
        let age = touched.elapsed().map_or(0, |age| age.as_secs());
        Some(Entry {
            age: Some(age),
            ..parse(&name, &text)
        })
    };
    files.filter_map(entry).collect()
}
