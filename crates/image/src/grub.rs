//! Reads from GRUB's `grub.cfg` what is booted, as far as nixpkgs' ISO images need it: the first entry, without variables.
//! No crate reads it.

use super::extlinux::MenuEntry;

/// The entry that is booted without a choice of the user, which is the first.
pub(super) fn default_entry(text: &str) -> Option<MenuEntry> {
    let mut lines = text.lines().map(str::trim);
    let title = lines.find_map(|line| line.strip_prefix("menuentry "))?;
    let mut entry = MenuEntry {
        label: title.split('\'').nth(1).unwrap_or(title).trim().to_owned(),
        ..MenuEntry::default()
    };
    for line in lines.take_while(|line| *line != "}") {
        let (word, rest) = line.split_once([' ', '\t']).unwrap_or((line, ""));
        let mut words = rest.split_whitespace();
        match word {
            "linux" => {
                entry.linux = words.next().map(str::to_owned);
                let is_variable = |word: &&str| word.starts_with("${") && word.ends_with('}');
                let words: Vec<&str> = words.filter(|word| !is_variable(word)).collect();
                entry.append = words.join(" ");
            }
            "initrd" => entry.initrd = words.next().map(str::to_owned),
            _ => {}
        }
    }
    entry.linux.is_some().then_some(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_entry_of_nixpkgs_menu_is_booted() {
        let text = "set timeout=10\nsearch --set=root --file /EFI/nixos-installer-image\n\
            menuentry 'NixOS 26.05 Installer'  --class installer {\n  # Fallback\n  \
            linux /boot//nix/store/k/Image ${isoboot} init=/nix/store/s/init root=LABEL=nixos\n  initrd /boot//nix/store/i/initrd\n}\n\
            menuentry 'other' {\n  linux /x\n}\n";
        let entry = default_entry(text).unwrap();
        assert_eq!(entry.label, "NixOS 26.05 Installer");
        assert_eq!(entry.linux.as_deref(), Some("/boot//nix/store/k/Image"));
        assert_eq!(entry.initrd.as_deref(), Some("/boot//nix/store/i/initrd"));
        assert_eq!(entry.append, "init=/nix/store/s/init root=LABEL=nixos");
        assert_eq!(entry.init(), Some("/nix/store/s/init"));
        assert_eq!(default_entry("menuentry 'Shutdown' {\n  halt\n}\n"), None);
    }
}
