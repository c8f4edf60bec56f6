//! The menu of systemd-boot: which entry it starts, and what the kernel of that runs
//! (<https://uapi-group.org/specifications/specs/boot_loader_specification/>).

use super::error::Error;
use super::files::FileSystem;

/// The menu, and the directory of its entries.
const MENU: &str = "/loader/loader.conf";
const ENTRIES: &str = "/loader/entries";
/// Bytes that are read of each file.
const MAX_BYTES: usize = 64 << 10;

/// The program that the kernel of the default entry runs; `None` without a menu, and where no name or only a pattern says which of
/// several entries is the default one.
pub(super) fn default_init(esp: &FileSystem) -> Result<Option<String>, Error> {
    if esp.find(ENTRIES)?.is_none() {
        return Ok(None);
    }
    let entries = esp.list(ENTRIES)?.into_iter().map(|entry| entry.name);
    let is_entry = |name: &String| {
        name.rsplit_once('.')
            .is_some_and(|(_, kind)| kind == "conf")
    };
    let entries: Vec<String> = entries.filter(is_entry).collect();
    let menu = text(esp, MENU)?;
    let default = value(&menu, "default");
    let name = match entries.as_slice() {
        [only] => Some(only),
        all => all.iter().find(|name| Some(name.as_str()) == default),
    };
    let Some(name) = name else {
        return Ok(None);
    };
    let entry = text(esp, &format!("{ENTRIES}/{name}"))?;
    let mut words = value(&entry, "options").unwrap_or_default().split(' ');
    let init = words.find_map(|word| word.strip_prefix("init="));
    Ok(init.map(str::to_owned))
}

fn text(esp: &FileSystem, path: &str) -> Result<String, Error> {
    let bytes = esp.start_of(path, MAX_BYTES)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What follows `key` on a line of `text`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut pairs = text
        .lines()
        .filter_map(|line| line.trim().split_once([' ', '\t']));
    pairs.find_map(|(name, value)| (name == key).then(|| value.trim()))
}
