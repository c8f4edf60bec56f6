//! What stands in place of the names in braces in the lines that a rule proposes. Pure.

use super::addresses;
use super::authorized_keys;
use super::corrections;
use super::disks;
use super::facts::ConfigFacts;
use super::login;
use super::network;
use super::passwords;
use super::shells;
use super::state_version;
use super::unknown_groups;
use super::upgrades;
use super::ways_in;
use super::wireless;
use crate::common::attribute_path;
use crate::common::locale;
use crate::common::time_zone;
use sdbuild_core::nix_string::nix_string;

/// Names in braces, and what they stand for.
pub(super) struct Placeholders(Vec<(&'static str, String)>);

impl Placeholders {
    /// Those of a configuration for an image of `system`.
    pub(super) fn of(facts: &ConfigFacts, system: &str) -> Self {
        let attribute = |name: &str| attribute_path::text(&[name.to_owned()]);
        let stored = passwords::stored_passwords(facts);
        let invalid = passwords::with_invalid_hash(facts).next();
        let (invalid, option) = invalid.unwrap_or(("NAME", "hashedPassword"));
        let locale = facts.locale.as_deref().and_then(locale::suggestion);
        let text = |text: Option<&str>, default: &str| text.unwrap_or(default).to_owned();
        let mut all = vec![
            ("{system}", system.to_owned()),
            (
                "{stored}",
                attribute(stored.first().copied().unwrap_or("root")),
            ),
            (
                "{invalid}",
                format!("users.users.{}.{option}", attribute(invalid)),
            ),
            ("{release}", text(facts.release.as_deref(), "26.05")),
            ("{time zone}", time_zone_line(facts)),
            ("{locale}", text(locale, "en_US.UTF-8")),
            ("{state version}", state_version::line(facts)),
            (
                "{refused}",
                attribute(shells::shut_out_by_shell(facts).map_or("NAME", |(name, _)| name)),
            ),
            (
                "{right key}",
                authorized_keys::line_with_right_key(facts).unwrap_or_default(),
            ),
            ("{upgrade}", upgrades::line_with_flake(facts)),
            ("{root label}", disks::root_label(facts).to_owned()),
            (
                "{needed disk}",
                nix_string(disks::needed_disk(facts).unwrap_or("/data")),
            ),
        ];
        all.extend(lines_of_logins(facts));
        all.extend(values_of_network(facts));
        // The last ones: a network, and a file, may be called like a name in braces.
        all.extend(lines_of_network(facts));
        Self(all)
    }

    /// The `lines` with them filled in; one can stand for several lines, or for none.
    pub(super) fn fill(&self, lines: &[&str]) -> Vec<String> {
        let filled = lines.iter().flat_map(|line| {
            let values = self.0.iter();
            let text = values.fold((*line).to_owned(), |text, (name, value)| {
                text.replace(name, value)
            });
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        });
        filled.collect()
    }
}

/// Names, addresses and numbers of the network.
fn values_of_network(facts: &ConfigFacts) -> [(&'static str, String); 2] {
    let text = |text: Option<&str>, default: &str| text.unwrap_or(default).to_owned();
    let host_name = network::valid_host_name(facts);
    let gateway = addresses::meant_gateway(facts);
    [
        ("{host name}", text(host_name.as_deref(), "nixos")),
        ("{gateway}", text(gateway, "192.168.1.1")),
    ]
}

/// The lines with which the machine is in a network.
fn lines_of_network(facts: &ConfigFacts) -> [(&'static str, String); 6] {
    let file = wireless::lines_for_external_keys(facts);
    let hidden = wireless::lines_that_hide_passphrases(facts);
    [
        ("{dhcp}", network::lines_that_turn_dhcp_on(facts)),
        ("{secrets file}", file),
        ("{first network}", wireless::lines_of_first_network(facts)),
        ("{secret network}", wireless::lines_of_secret_network(facts)),
        ("{secret networks}", hidden),
        ("{right keys}", wireless::lines_with_right_keys(facts)),
    ]
    .map(|(name, lines)| (name, lines.join("\n")))
}

/// The lines with which users get in, and administer the machine.
fn lines_of_logins(facts: &ConfigFacts) -> [(&'static str, String); 9] {
    let insider = ways_in::inside(facts).first().copied();
    let administrator =
        insider.map(|name| corrections::lines_that_make_an_administrator(facts, name));
    [
        ("{admit}", corrections::lines_that_admit(facts)),
        (
            "{admit without passwords}",
            corrections::lines_that_replace_passwords(facts),
        ),
        ("{administrator}", administrator.unwrap_or_default()),
        (
            "{meant groups}",
            unknown_groups::lines_with_meant_groups(facts),
        ),
        (
            "{missing groups}",
            unknown_groups::lines_that_make_groups(facts),
        ),
        ("{shells}", shells::lines_that_set_shells(facts, true)),
        (
            "{other shells}",
            shells::lines_that_set_shells(facts, false),
        ),
        ("{ssh on}", vec![login::line_that_starts_ssh(facts)]),
        (
            "{open firewall}",
            vec![login::line_that_opens_the_firewall(facts)],
        ),
    ]
    .map(|(name, lines)| (name, lines.join("\n")))
}

/// The line that sets the time zone which may be meant, or an example.
fn time_zone_line(facts: &ConfigFacts) -> String {
    let given = facts.time_zone.as_deref().unwrap_or_default();
    let line = |zone: &str| format!("time.timeZone = \"{zone}\";");
    if let Some(meant) = time_zone::suggestion(given) {
        return line(meant);
    }
    match time_zone::of_offset(given) {
        Some(zone) => format!(
            "{} # {given}: names in Etc have the opposite sign and no summer time",
            line(zone)
        ),
        None => format!("{} # an example", line("Europe/Berlin")),
    }
}
