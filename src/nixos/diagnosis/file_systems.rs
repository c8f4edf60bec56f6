//! What file systems and swap space are defined by: a set in place of the path of a device. Pure.

use super::evidence::ExitContext;
use super::written_values::{definitions_of, values_below};
use crate::common::attribute_path;

/// The set for the file system `option`, `fileSystems.NAME`, on `device`; `None` for any other option.
pub(super) fn mount(option: &str, device: &str) -> Option<String> {
    let names = attribute_path::parse(option).unwrap_or_default();
    let point = match names.as_slice() {
        [first, point] if first == "fileSystems" => point,
        _ => return None,
    };
    let host = device.split_once(":/").map(|(host, _)| host);
    let kind = if host.is_some_and(|host| !host.is_empty() && !host.contains('/')) {
        "nfs"
    } else if device == "tmpfs" {
        "tmpfs"
    } else if point.starts_with("/boot/") {
        "vfat"
    } else {
        "…"
    };
    Some(format!("{{ device = \"{device}\"; fsType = \"{kind}\"; }}"))
}

/// The option `device` that the file system at a path lacks of which nixpkgs' message `summary` speaks, and where the user's files
/// define the rest of it.
fn without_device(context: &ExitContext<'_>, summary: &str) -> Option<(String, String)> {
    let (_, rest) = summary.split_once("No device specified for mount point ‘")?;
    let (point, _) = rest.split_once('’')?;
    let option = attribute_path::text(&["fileSystems", point].map(str::to_owned));
    let (place, ()) = context.files?.only_place(|text| {
        let all = definitions_of(text, &option).into_iter();
        let parts = values_below(text, &option).into_iter();
        let mut found: Vec<_> = all.chain(parts).map(|value| (value.line, ())).collect();
        // One part is as good as the others.
        found.truncate(1);
        found
    })?;
    Some((option, format!("{}{place}", context.shown_dir)))
}

/// What the user's files are to define besides, where nixpkgs' message `summary` says that a file system has no device.
pub(super) fn hint(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let (option, place) = without_device(context, summary)?;
    Some(format!(
        "{place}: the file system also needs a device: {option}.device = \"/dev/disk/by-label/NAME\"; (`lsblk -f` on \
         the machine shows the labels)"
    ))
}

/// The set for swap space at `path`: a device, or a file, which is made with a size in MiB.
pub(super) fn swap(path: &str) -> String {
    let size = if path.starts_with("/dev/") {
        ""
    } else {
        " size = 2048;"
    };
    format!("{{ device = \"{path}\";{size} }}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_of_a_file_system_is_named_only_if_it_is_certain() {
        for (option, device, kind) in [
            ("fileSystems.\"/data\"", "/dev/sda1", "…"),
            ("fileSystems.\"/data\"", "nas:/export", "nfs"),
            ("fileSystems.\"/boot/firmware\"", "/dev/sda1", "vfat"),
            ("fileSystems.\"/tmp\"", "tmpfs", "tmpfs"),
        ] {
            let set = format!("{{ device = \"{device}\"; fsType = \"{kind}\"; }}");
            assert_eq!(mount(option, device), Some(set));
        }
        assert_eq!(mount("fileSystems", "/dev/sda1"), None);
        assert_eq!(swap("/dev/sda2"), "{ device = \"/dev/sda2\"; }");
        assert_eq!(swap("/swap"), "{ device = \"/swap\"; size = 2048; }");
    }
}
