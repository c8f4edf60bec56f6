//! The kernel's table of handlers, read without changing it.

use std::path::Path;
use std::{fmt, fs, io};

use sdbuild_core::context::Context;
use sdbuild_core::failure::{Class, Failure};
use sdbuild_core::plain_file;
use sdbuild_core::plain_file::is_gone;
use sdbuild_engine::binfmt::{
    Entry, Registrar, RegistrarImage, RegistrarOptions, TABLE_DIR, parse,
};
use sdbuild_engine::{Engine, ImageInfo, RunId};

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
/// mounted. `None` for another kernel, and for a table that cannot be read here: it takes a container to see them then.
pub(super) fn visible_entries(engine: &Engine) -> Option<Vec<Entry>> {
    let is_visible = engine.is_on_this_kernel();
    is_visible.then(|| local_entries().ok()).flatten()
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
        return Ok(is_visible.then(|| local_entries_or_warn(context)).flatten());
    };
    match entries_in_container(engine, run, image, context).await {
        Err(failure) if failure.class != Class::Interrupted && failure.teardown.is_empty() => {
            warn_of_unreadable(failure, context);
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
        Ok(_) => Err(Failure::environment(
            "the container that read the kernel's binfmt_misc could not be removed",
        )
        .with_teardown(leftovers)),
        Err(failure) => Err(failure.with_teardown(leftovers)),
    }
}

/// Whether this machine's table is mounted.
pub(super) fn is_mounted() -> bool {
    Path::new(TABLE_DIR).join("status").exists()
}

/// The entries of this machine's own table; none when it is not mounted. An error when the table cannot be read, which says
/// nothing of what is in it.
pub(super) fn local_entries() -> io::Result<Vec<Entry>> {
    entries_below(Path::new(TABLE_DIR))
}

/// The entries of this machine's own table; `None`, after a warning, when it cannot be read.
pub(super) fn local_entries_or_warn(context: &Context) -> Option<Vec<Entry>> {
    let entries = local_entries();
    let warn = |error: &io::Error| warn_of_unreadable(error, context);
    entries.inspect_err(warn).ok()
}

fn warn_of_unreadable(reason: impl fmt::Display, context: &Context) {
    let text = format!("cannot read the kernel's binfmt_misc: {reason}");
    context.events.warn(text);
}

/// The entries of the table that is mounted at `dir`.
fn entries_below(dir: &Path) -> io::Result<Vec<Entry>> {
    let files = fs::read_dir(dir);
    if is_gone(&files) {
        return Ok(Vec::new());
    }
    let mut entries = Vec::new();
    for file in files? {
        let file = file?;
        let name = file.file_name();
        if name == "status" || name == "register" {
            continue;
        }
        let entry = entry(&name.to_string_lossy(), &file.path());
        // Handlers come and go.
        if !is_gone(&entry) {
            entries.push(entry?);
        }
    }
    Ok(entries)
}

/// The entry `name`, which is the file `path`.
fn entry(name: &str, path: &Path) -> io::Result<Entry> {
    // A foreign handler may name a program that is not UTF-8.
    let text = plain_file::read(path, MAX_ENTRY_BYTES)?;
    let touched = fs::metadata(path)?.modified()?;
    // A clock that was set back makes the entry as young as possible.
    let age = touched.elapsed().map_or(0, |age| age.as_secs());
    Ok(Entry {
        age: Some(age),
        ..parse(name, &String::from_utf8_lossy(&text))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_table_is_an_empty_one() {
        let dir = tempfile::tempdir().unwrap();
        let table = dir.path().join("table");
        assert_eq!(entries_below(&table).unwrap(), []);
        fs::create_dir(&table).unwrap();
        fs::write(table.join("status"), "enabled\n").unwrap();
        assert_eq!(entries_below(&table).unwrap(), []);
        fs::write(table.join("other"), b"enabled\ninterpreter /\xff\n").unwrap();
        let entries = entries_below(&table).unwrap();
        let names: Vec<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
        assert_eq!(names, ["other"]);
        fs::create_dir(table.join("unreadable")).unwrap();
        entries_below(&table).unwrap_err();
        fs::write(dir.path().join("file"), "").unwrap();
        entries_below(&dir.path().join("file")).unwrap_err();
    }
}
