//! Reads from `extlinux.conf` what is booted. No crate does.

/// An entry of the menu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MenuEntry {
    pub(super) label: String,
    pub(super) linux: Option<String>,
    pub(super) initrd: Option<String>,
    /// One device tree for any board.
    pub(super) fdt: Option<String>,
    /// The directory with the device trees of all boards.
    pub(super) fdtdir: Option<String>,
    pub(super) append: String,
}

impl MenuEntry {
    /// The program that the kernel runs first, from its command line.
    pub(super) fn init(&self) -> Option<&str> {
        let mut words = self.append.split_whitespace();
        words.find_map(|word| word.strip_prefix("init="))
    }
}

/// The entry that is booted without a choice of the user: the default one, else the first.
pub(super) fn default_entry(text: &str) -> Option<MenuEntry> {
    let (mut default, mut entries) = (None, Vec::<MenuEntry>::new());
    for line in text.lines() {
        let line = line.trim();
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let rest = rest.trim().to_owned();
        match (word.to_ascii_lowercase().as_str(), entries.last_mut()) {
            ("default", _) => default = Some(rest),
            ("label", _) => entries.push(MenuEntry {
                label: rest,
                ..MenuEntry::default()
            }),
            ("linux" | "kernel", Some(entry)) => entry.linux = Some(rest),
            ("initrd", Some(entry)) => entry.initrd = Some(rest),
            ("fdt" | "devicetree", Some(entry)) => entry.fdt = Some(rest),
            ("fdtdir" | "devicetreedir", Some(entry)) => entry.fdtdir = Some(rest),
            ("append", Some(entry)) => entry.append = rest,
            _ => {}
        }
    }
    let index = entries
        .iter()
        .position(|entry| Some(&entry.label) == default.as_ref())
        .unwrap_or(0);
    (index < entries.len()).then(|| entries.swap_remove(index))
}

/// The absolute path of `path`, which is relative to the configuration file `config`.
pub(super) fn absolute_path(config: &str, path: &str) -> String {
    let dir = config.rsplit_once('/').map_or("", |(dir, _)| dir);
    let whole = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{dir}/{path}")
    };
    let mut components = Vec::new();
    for component in whole.split('/') {
        match component {
            "" | "." => {}
            ".." => drop(components.pop()),
            component => components.push(component),
        }
    }
    format!("/{}", components.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIXOS: &str = "# Generated\n\nDEFAULT nixos-default\nMENU TITLE ----\nTIMEOUT 10\n\
        LABEL old\n  LINUX ../nixos/old-Image\n\
        LABEL nixos-default\n  MENU LABEL NixOS\n  LINUX ../nixos/new-Image\n\
        \tinitrd ../nixos/new-initrd\n  FDTDIR ../nixos/dtbs\n  APPEND init=/nix/store/x-nixos-system-a-1/init loglevel=4\n";

    #[test]
    fn default_entry_is_found() {
        let entry = default_entry(NIXOS).unwrap();
        assert_eq!(entry.linux.as_deref(), Some("../nixos/new-Image"));
        assert_eq!(entry.initrd.as_deref(), Some("../nixos/new-initrd"));
        assert_eq!(entry.fdtdir.as_deref(), Some("../nixos/dtbs"));
        assert_eq!(entry.init(), Some("/nix/store/x-nixos-system-a-1/init"));
        let first = default_entry(&NIXOS.replace("DEFAULT nixos-default", "")).unwrap();
        assert_eq!(first.label, "old");
        assert_eq!(default_entry("TIMEOUT 10"), None);
    }

    #[test]
    fn paths_are_relative_to_the_configuration() {
        let at = "/boot/extlinux/extlinux.conf";
        assert_eq!(absolute_path(at, "../nixos/k"), "/boot/nixos/k");
        assert_eq!(absolute_path(at, "/k"), "/k");
        assert_eq!(absolute_path(at, "../../../../k"), "/k");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_accepted(text in "(?s).{0,300}") {
            if let Some(entry) = default_entry(&text) {
                absolute_path("/a/b", &entry.linux.unwrap_or_default());
            }
        }
    }
}
