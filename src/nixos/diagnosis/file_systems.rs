//! What file systems and swap space are defined by: a set in place of the path of a device. Pure.

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
