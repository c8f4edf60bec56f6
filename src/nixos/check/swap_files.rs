//! Files for swap that nothing makes. Pure.

use super::facts::ConfigFacts;
use super::{Finding, Severity};
use crate::common::nix_string::nix_string;

/// One for each such file.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let files = facts.swap_files.iter();
    let files = files.filter(|file| !is_on_other_disk(facts, file));
    files.map(|file| finding(file))
}

/// Whether a disk that is not the card may have the file.
fn is_on_other_disk(facts: &ConfigFacts, file: &str) -> bool {
    let mut others = facts.file_systems.iter().filter(|disk| disk.path != "/");
    others.any(|disk| file.starts_with(&format!("{}/", disk.path)))
}

/// What is said of `file`. A line with all of the option would leave out what else is set there.
fn finding(file: &str) -> Finding {
    let device = nix_string(file);
    Finding {
        id: "no-swap-file",
        severity: Severity::Warning,
        is: format!("swapDevices has {device} without size"),
        why: format!(
            "NixOS makes a swap file only if its size is set, so the machine has no swap there. Add the size in MiB \
             beside the device, such as swapDevices = [ {{ device = {device}; size = 1024; }} ];"
        ),
        add: Vec::new(),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::with;

    /// The line lacked what else the device has, such as its priority.
    #[test]
    fn a_file_for_swap_needs_a_size() {
        let told = |path: &str| {
            let facts = with(&[("/swap_files", json!([path]))]);
            findings(&facts, "aarch64-linux", None)
        };
        let found = told("/swapfile");
        let is = "swapDevices has \"/swapfile\" without size";
        assert_eq!(
            (found.len(), found[0].id, found[0].is.as_str()),
            (1, "no-swap-file", is)
        );
        let line = "swapDevices = [ { device = \"/swapfile\"; size = 1024; } ];";
        assert!(found[0].why.ends_with(line), "{}", found[0].why);
        assert_eq!(found[0].add, [""; 0]);
        assert_eq!(told("/srv/swap"), []);
    }
}
