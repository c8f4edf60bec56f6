//! `init` beside a configuration that it wrote before there was an SSH key: the key takes the place of the placeholder.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::keys;
use super::questions::Prompter;
use crate::settings;
use crate::settings::Environment;
use crate::template;
use sdbuild_core::atomic_file::CompleteFile;
use sdbuild_core::failure::{Failure, OrFail as _};
use sdbuild_core::plain_file;

/// Larger files are not configurations that `init` wrote.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// Replaces the placeholder in the configuration with the keys of this user, and nothing else. `None` if there is no
/// such placeholder, `false` if there is no key.
pub(super) async fn fill(
    settings: &settings::Init,
    env: &Environment,
    asker: &Prompter<'_>,
) -> Result<Option<bool>, Failure> {
    let path = settings.config.as_path();
    let is_plain = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    // What cannot be read has no placeholder: `init` says then that the file exists.
    let read = || plain_file::read_text(path, MAX_CONFIG_BYTES).ok();
    let text = is_plain.then(read).flatten();
    let Some(text) = text.filter(|text| template::has_placeholder(text)) else {
        return Ok(None);
    };
    let keys = Box::pin(keys::choose(settings, env, asker)).await?;
    if keys.is_empty() {
        return Ok(Some(false));
    }
    let operation = format!("put your key into {}", path.display());
    replace(path, &template::with_keys(&text, &keys)).or_environment(&operation)?;
    let events = &asker.context.events;
    for key in &keys {
        events.notice(format!("can log in now: {}", key.shown()));
    }
    events.notice("the key is in the file now, and nothing else was changed");
    Ok(Some(true))
}

/// Replaces the file `path`, which keeps its owner and permissions.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    let found = fs::metadata(path)?;
    let owner = Some((found.uid(), found.gid()));
    let dir = path.parent().unwrap_or(Path::new("/"));
    CompleteFile::write(dir, text, found.mode() & 0o7777, owner)?.replace(path)
}
