//! `extlinux.conf`, as far as it says what is booted. Pure, and bounded by the file's length.

/// One entry of the menu.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct MenuEntry {
    pub(super) label: String,
    pub(super) linux: Option<String>,
    pub(super) initrd: Option<String>,
    pub(super) append: String,
}

impl MenuEntry {
    /// What the kernel is told to run first.
    pub(super) fn init(&self) -> Option<&str> {
        let mut words = self.append.split_whitespace();
        words.find_map(|word| word.strip_prefix("init="))
    }
}

/// The entry that is booted when nobody chooses: the default's, else the first.
pub(super) fn chosen(text: &str) -> Option<MenuEntry> {
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

/// `path` as a configuration at `config` means it: from the root of the file system.
pub(super) fn absolute(config: &str, path: &str) -> String {
    let dir = config.rsplit_once('/').map_or("", |(dir, _)| dir);
    let whole = if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{dir}/{path}")
    };
    let mut steps = Vec::new();
    for step in whole.split('/') {
        match step {
            "" | "." => {}
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    format!("/{}", steps.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NIXOS: &str = "# Generated\n\nDEFAULT nixos-default\nMENU TITLE ----\nTIMEOUT 10\n\
        LABEL old\n  LINUX ../nixos/old-Image\n\
        LABEL nixos-default\n  MENU LABEL NixOS\n  LINUX ../nixos/new-Image\n\
        \tinitrd ../nixos/new-initrd\n  APPEND init=/nix/store/x-nixos-system-a-1/init loglevel=4\n";

    #[test]
    fn the_default_is_chosen() {
        let entry = chosen(NIXOS).unwrap();
        assert_eq!(entry.linux.as_deref(), Some("../nixos/new-Image"));
        assert_eq!(entry.initrd.as_deref(), Some("../nixos/new-initrd"));
        assert_eq!(entry.init(), Some("/nix/store/x-nixos-system-a-1/init"));
        let first = chosen(&NIXOS.replace("DEFAULT nixos-default", "")).unwrap();
        assert_eq!(first.label, "old");
        assert_eq!(chosen("TIMEOUT 10"), None);
    }

    #[test]
    fn paths_begin_at_the_configuration() {
        let at = "/boot/extlinux/extlinux.conf";
        assert_eq!(absolute(at, "../nixos/k"), "/boot/nixos/k");
        assert_eq!(absolute(at, "/k"), "/k");
        assert_eq!(absolute(at, "../../../../k"), "/k");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read(text in "(?s).{0,300}") {
            if let Some(entry) = chosen(&text) {
                absolute("/a/b", &entry.linux.unwrap_or_default());
            }
        }
    }
}
