//! The menu of systemd-boot: which entry it starts, and what the kernel of that runs
//! (<https://uapi-group.org/specifications/specs/boot_loader_specification/>). The crate `bootspec` reads NixOS's own description of a
//! generation, which is not on the boot partition.

use super::error::Error;
use super::files::FileSystem;

/// The menu, and the directory of its entries.
const MENU: &str = "/loader/loader.conf";
const ENTRIES: &str = "/loader/entries";
/// Bytes that are read of each file.
const MAX_ENTRY_BYTES: usize = 64 << 10;

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
    let default = values(&menu, "default").last();
    let is_default = |name: &&String| default.is_some_and(|default| is_entry_of(name, default));
    let name = match entries.as_slice() {
        [only] => Some(only),
        all => all.iter().find(is_default),
    };
    let Some(name) = name else {
        return Ok(None);
    };
    let entry = text(esp, &format!("{ENTRIES}/{name}"))?;
    Ok(init_of(&entry))
}

/// Whether the file `name` is the entry `wanted`: the tries that are left and that failed are in its name, as in `nixos+2-1.conf`.
fn is_entry_of(name: &str, wanted: &str) -> bool {
    let without_tries = |name: &str| {
        let stem = name.strip_suffix(".conf")?;
        let (stem, tries) = stem.rsplit_once('+')?;
        let is_tries = tries.chars().all(|c| c.is_ascii_digit() || c == '-');
        is_tries.then(|| format!("{stem}.conf"))
    };
    name == wanted || without_tries(name).as_deref() == Some(wanted)
}

/// The program that the kernel of an `entry` runs: the last that its lines of options name, as the kernel takes it.
fn init_of(entry: &str) -> Option<String> {
    let words = values(entry, "options").flat_map(str::split_whitespace);
    let inits = words.filter_map(|word| word.strip_prefix("init="));
    inits.last().map(str::to_owned)
}

fn text(esp: &FileSystem, path: &str) -> Result<String, Error> {
    let bytes = esp.start_of(path, MAX_ENTRY_BYTES)?.unwrap_or_default();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What follows `key` on the lines of `text` that begin with it.
fn values<'a>(text: &'a str, key: &str) -> impl Iterator<Item = &'a str> {
    let pairs = text
        .lines()
        .filter_map(|line| line.trim().split_once([' ', '\t']));
    pairs
        .filter(move |(name, _)| *name == key)
        .map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn init_is_on_any_line_of_options() {
        let entry = "title\tNixOS\noptions\troot=LABEL=x\tquiet\noptions  init=/nix/store/a/init x=init=no\n";
        assert_eq!(init_of(entry).as_deref(), Some("/nix/store/a/init"));
        assert_eq!(init_of("# options init=/no\ntitle x\n"), None);
    }

    #[test]
    fn tries_are_not_part_of_an_entrys_name() {
        let wanted = "nixos-generation-1.conf";
        for name in [
            wanted,
            "nixos-generation-1+3.conf",
            "nixos-generation-1+2-1.conf",
        ] {
            assert!(is_entry_of(name, wanted), "{name}");
        }
        for name in ["nixos-generation-2.conf", "nixos-generation-1+x.conf"] {
            assert!(!is_entry_of(name, wanted), "{name}");
        }
    }
}
