//! The rule about files in `/etc` that are links to nothing. Pure.

use super::Severity;
use super::facts::ConfigFacts;
use super::own_facts::EtcLinkFacts;
use super::rule::Rule;
use crate::common::attribute_path;
use crate::common::nix_string::nix_string;

pub(super) const RULES: [Rule; 1] = [Rule {
    id: "link-to-nothing",
    severity: Severity::Warning,
    is: |facts, _| {
        let settings = links_to_nothing(facts).map(|link| {
            let source = nix_string(&link.source);
            format!("{} = {source}", option(link))
        });
        let settings: Vec<String> = settings.collect();
        (!settings.is_empty()).then(|| settings.join(", "))
    },
    why: "the file in /etc links to a file that the image does not have. Nix copies a path without quotes into the image",
    add: &["{linked file} # replaces it; put the file beside the configuration"],
}];

/// Directories in which nothing of NixOS makes files.
const WITHOUT_FILES: [&str; 7] = [
    "/bin/", "/home/", "/root/", "/sbin/", "/tmp/", "/usr/", "/Users/",
];
/// What NixOS has there all the same.
const ALL_FILES: [&str; 2] = ["/bin/sh", "/usr/bin/env"];

/// Whether neither NixOS has a file with this path nor another disk, or another machine, can have it.
pub(super) fn is_absent(facts: &ConfigFacts, path: &str) -> bool {
    let is_without = WITHOUT_FILES.iter().any(|dir| path.starts_with(dir));
    let mut disks = facts.file_systems.iter().filter(|disk| disk.path != "/");
    let is_mounted = disks.any(|disk| path.starts_with(&format!("{}/", disk.path)));
    is_without && !ALL_FILES.contains(&path) && !is_mounted
}

/// The links to paths that the image does not have.
fn links_to_nothing(facts: &ConfigFacts) -> impl Iterator<Item = &EtcLinkFacts> {
    let links = facts.etc_links.iter();
    links.filter(|link| is_absent(facts, &link.source))
}

fn option(link: &EtcLinkFacts) -> String {
    let path = ["environment", "etc", link.name.as_str(), "source"].map(str::to_owned);
    attribute_path::text(&path)
}

/// The definition that copies the file of the first such link into the image.
pub(super) fn line_that_copies(facts: &ConfigFacts) -> String {
    let Some(link) = links_to_nothing(facts).next() else {
        return String::new();
    };
    let name = link.source.rsplit('/').next().unwrap_or_default();
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    let is_path = !name.is_empty() && name.chars().all(is_plain);
    let file = if is_path { name } else { "FILE" };
    format!("{} = ./{file};", option(link))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::findings;
    use super::super::tests::{found, with};

    fn link(name: &str, source: &str) -> (&'static str, Value) {
        let link = json!({ "name": name, "source": source });
        ("/etc_links", json!([link]))
    }

    #[test]
    fn a_file_in_etc_is_copied_and_no_link_to_nothing() {
        let facts = with(&[link("foo.conf", "/home/me/my foo.conf")]);
        let found = findings(&facts, "aarch64-linux", None);
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        let is = "environment.etc.\"foo.conf\".source = \"/home/me/my foo.conf\"";
        assert_eq!((finding.id, finding.is.as_str()), ("link-to-nothing", is));
        let line = "environment.etc.\"foo.conf\".source = ./FILE; # replaces it; put the file beside the configuration";
        assert_eq!(finding.add, [line]);
        let facts = with(&[link("a", "/root/b.conf")]);
        let found = findings(&facts, "aarch64-linux", None);
        assert!(found[0].add[0].starts_with("environment.etc.a.source = ./b.conf;"));
    }

    #[test]
    fn a_path_that_the_machine_may_have_is_no_link_to_nothing() {
        for source in [
            "/proc/mounts",
            "/run/secrets/a",
            "/var/lib/a",
            "/etc/static/a",
            "/nix/persist/machine-id",
            "/persist/etc/machine-id",
            "/usr/bin/env",
            "/home",
        ] {
            assert_eq!(found(&[link("a", source)]), [""; 0], "{source}");
        }
        let disk = json!([{ "path": "/home", "device": "/dev/sda1", "is_needed": false }]);
        let on_disk = [link("a", "/home/me/a"), ("/file_systems", disk)];
        assert_eq!(found(&on_disk), [""; 0]);
    }
}
