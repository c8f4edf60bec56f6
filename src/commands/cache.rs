//! `sdbuild cache`: exports what a build made as a binary cache, and prints the key that signs it.

use std::path::{Path, PathBuf};

use crate::cli;
use crate::cli::CacheCommand;
use crate::commands::Session;
use crate::commands::newest_image::named_or_newest;
use crate::settings;
use crate::settings::Environment;
use sdbuild_build::cache_key::CacheKey;
use sdbuild_build::{CacheExport, Destination, Exported};
use sdbuild_core::atomic_file;
use sdbuild_core::context::Context;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::human_bytes::human_bytes;
use sdbuild_core::plain_file;
use sdbuild_core::shell_word::quoted;
use sdbuild_core::shown_path::shown_path;
use sdbuild_image::image_name::Sidecar;
use sdbuild_image::sidecars::read_manifest;

/// The key that is used when none is named, in the directory of the user's settings.
const KEY: &str = "cache-key";
/// Of the HTTP server that is proposed for a directory.
const PORT: u16 = 8080;
/// Bytes that are read of a key: its name and 64 bytes in base64.
const MAX_KEY_BYTES: u64 = 4096;

/// Runs one of the commands.
pub async fn run(command: &CacheCommand, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, ui, context } = session;
    match command {
        CacheCommand::Export(args) => Box::pin(export(args, session)).await,
        CacheCommand::Key(args) => {
            let path = match &args.file {
                Some(path) => path.clone(),
                None => default_key(env)?,
            };
            ui.result(&read_or_make(&path, context)?.public())
        }
    }
}

async fn export(args: &cli::CacheExport, session: Session<'_>) -> Result<(), Failure> {
    let Session { env, context, .. } = session;
    let here = std::env::current_dir().or_environment("find the current directory")?;
    let destination = Destination::parse(&args.destination, &here)?;
    let settings = settings::Build::resolve(&args.build(), env)?;
    let image = named_or_newest(args.image.as_deref(), session)?;
    let result = result_of(&image)?;
    let key = match &args.key {
        Some(path) => read(path)?,
        None => read_or_make(&default_key(env)?, context)?,
    };
    let export = CacheExport {
        request: &settings.request,
        result: &result,
        destination: &destination,
        key: &key,
        all: args.all,
    };
    let exported = export.run(context).await?;
    let place = match &destination {
        Destination::Dir(dir) => shown_path(dir),
        Destination::Http(url) => url.clone(),
        Destination::Store(machine) => machine.address(),
    };
    for text in told(exported, &place, &destination, &key) {
        context.events.notice(text);
    }
    Ok(())
}

/// The summary at the end of an export.
fn told(exported: Exported, place: &str, destination: &Destination, key: &CacheKey) -> Vec<String> {
    let Exported { paths, bytes } = exported;
    let public = key.public();
    let mut lines = vec![match paths {
        0 => format!("nothing to export: {place} or a binary cache has everything"),
        1 => format!("exported 1 store path ({}) to {place}", human_bytes(bytes)),
        n => format!(
            "exported {n} store paths ({}) to {place}",
            human_bytes(bytes)
        ),
    }];
    let flags =
        |url: &str| format!("--extra-substituters {url} --extra-trusted-public-keys {public}");
    lines.push(match destination {
        // The builder has no directory of this machine.
        Destination::Dir(dir) => format!(
            "to use it, serve the directory over HTTP, for instance with `python3 -m http.server -d {} {PORT}`, and build \
             with: {}",
            quoted(&dir.to_string_lossy()),
            flags(&format!("http://ADDRESS:{PORT}"))
        ),
        Destination::Http(url) => format!("to use it, build with: {}", flags(url)),
        Destination::Store(_) => format!("signed with the key {public}"),
    });
    lines
}

/// The store path that the manifest of `image` names.
fn result_of(image: &Path) -> Result<String, Failure> {
    let manifest = Sidecar::Manifest.path(image);
    let shown = shown_path(&manifest);
    let info = read_manifest(image)
        .map_err(|error| Failure::usage(error).context(format!("read {shown}")))?;
    let info = info.ok_or_else(|| {
        Failure::usage(format!("there is no manifest {shown}"))
            .hint("sdbuild writes one beside each image that it builds; name such an image")
    })?;
    info.store_path
        .ok_or_else(|| Failure::usage(format!("the manifest {shown} names no store path")))
}

fn default_key(env: &Environment) -> Result<PathBuf, Failure> {
    settings::user_file(env, KEY).ok_or_else(|| {
        Failure::environment("no home directory is known").hint("set HOME, or name the key's file")
    })
}

/// The key in `path`.
fn read(path: &Path) -> Result<CacheKey, Failure> {
    let shown = path.display();
    let text = plain_file::read_text(path, MAX_KEY_BYTES);
    let text = text
        .or_usage(format!("read the key {shown}"))
        .map_err(|failure| {
            let word = quoted(&path.to_string_lossy());
            failure.hint(format!("`sdbuild cache key {word}` makes one"))
        })?;
    CacheKey::parse(&text).ok_or_else(|| {
        Failure::usage(format!("{shown} is not the secret key of a binary cache"))
            .hint("it has one line, NAME:KEY, as `sdbuild cache key FILE` or `nix key generate-secret` writes it")
    })
}

/// The key in `path`; creates one with a notice if the file is missing.
fn read_or_make(path: &Path, context: &Context) -> Result<CacheKey, Failure> {
    if path.symlink_metadata().is_ok() {
        return read(path);
    }
    let key = CacheKey::generate()?;
    let shown = path.display();
    atomic_file::create_secret(path, &format!("{}\n", key.secret()))
        .or_environment(format!("create the key {shown}"))?;
    context
        .events
        .notice(format!("created the secret key {shown}; keep it private"));
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sdbuild_core::cancel::Cancel;
    use sdbuild_core::event::Events;

    #[test]
    fn a_key_is_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/key");
        let context = Context {
            cancel: Cancel::default(),
            events: Events::none(),
        };
        let refused = read(&path).unwrap_err();
        assert!(
            refused.hints[0].contains("sdbuild cache key"),
            "{refused:?}"
        );
        let key = read_or_make(&path, &context).unwrap();
        assert_eq!(read_or_make(&path, &context).unwrap(), key);
        std::fs::write(&path, key.public()).unwrap();
        let refused = read(&path).unwrap_err();
        assert!(
            refused.to_string().contains("is not the secret key"),
            "{refused}"
        );
    }
}
