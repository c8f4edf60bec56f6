//! Settings of sshd, Nix, nixpkgs and systemd whose names are misspelt, which NixOS takes as they are. Pure.

use super::facts::ConfigFacts;
use super::own_facts::{FeaturesFacts, SettingsFacts};
use super::{Finding, Severity};
use crate::common::attribute_path;
use crate::common::nearest::{is_slip, with_other_capitals};
use crate::common::nix_string::nix_string;
use crate::common::text::alternatives;

/// A program with the names of its settings.
struct Program {
    /// The names, behind lines with their source.
    list: &'static str,
    /// What becomes of a setting with another name.
    why: &'static str,
    /// Whether capitals are no difference; names without them are old ones, which nobody is to use.
    ignores_case: bool,
}

const SYSTEMD_WHY: &str = "systemd has no such setting and ignores it";
const SSHD: Program = Program {
    list: include_str!("known_settings/sshd.txt"),
    why: "sshd has no such setting. The build fails, or the SSH server does not start",
    ignores_case: true,
};
const NIX: Program = Program {
    list: include_str!("known_settings/nix.txt"),
    why: "Nix has no such setting. The build fails, or Nix ignores it",
    ignores_case: false,
};
const NIXPKGS: Program = Program {
    list: include_str!("known_settings/nixpkgs.txt"),
    why: "nixpkgs has no such setting and ignores it",
    ignores_case: false,
};
const SERVICE: Program = Program {
    list: include_str!("known_settings/systemd-service.txt"),
    why: SYSTEMD_WHY,
    ignores_case: false,
};
const TIMER: Program = Program {
    list: include_str!("known_settings/systemd-timer.txt"),
    why: SYSTEMD_WHY,
    ignores_case: false,
};
const UNIT: Program = Program {
    list: include_str!("known_settings/systemd-unit.txt"),
    why: SYSTEMD_WHY,
    ignores_case: false,
};

/// In front of the name of a list of Nix: its value is added to that of the list.
const ADDING: &str = "extra-";

impl Program {
    /// The one that reads the settings of the set `path`.
    fn reading(path: &[String]) -> Option<Self> {
        match path.last()?.as_str() {
            "serviceConfig" => Some(SERVICE),
            "timerConfig" => Some(TIMER),
            "unitConfig" => Some(UNIT),
            "settings" if path.iter().any(|name| name == "openssh") => Some(SSHD),
            "settings" => Some(NIX),
            "config" => Some(NIXPKGS),
            _ => None,
        }
    }

    fn names(&self) -> impl Iterator<Item = &'static str> + Clone {
        let lines = self.list.lines().filter(|line| !line.starts_with('#'));
        lines.flat_map(str::split_whitespace)
    }

    /// The names that may be meant by `name`, which is none of them.
    fn meant(&self, name: &str) -> Vec<String> {
        let has_capitals = |name: &&str| name.contains(|c: char| c.is_ascii_uppercase());
        let is_known = self.names().any(|known| known == name);
        let other = with_other_capitals(name, self.names());
        if is_known || other.is_some() && self.ignores_case {
            return Vec::new();
        }
        if let Some(other) = other {
            return vec![other.to_owned()];
        }
        let names = self.names();
        let usable = names.filter(|name| !self.ignores_case || has_capitals(name));
        // Nobody mistakes the first letter: `preStart` is not `Restart`.
        let first = name.chars().next();
        let usable = usable.filter(|known| {
            let other = known.chars().next();
            other
                .zip(first)
                .is_some_and(|(a, b)| a.eq_ignore_ascii_case(&b))
        });
        let similar = usable.filter(|known| is_slip(name, known));
        let similar: Vec<String> = similar.map(str::to_owned).collect();
        match name.strip_prefix(ADDING) {
            Some(name) if similar.is_empty() && !self.ignores_case => {
                let meant = self.meant(name).into_iter();
                meant.map(|name| format!("{ADDING}{name}")).collect()
            }
            _ => similar,
        }
    }
}

/// One for each setting with a misspelt name, for a port of sshd in the wrong place, and for names of features with a comma.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let settings = &facts.own_settings;
    let names = settings.sets.iter().flat_map(|set| {
        let names = set.names.iter();
        names.filter_map(move |name| misspelt(set, name))
    });
    let port = settings.ssh_port.map(|port| ssh_port(facts, port));
    let features = settings.features.iter().filter_map(with_commas);
    names.chain(port).chain(features)
}

fn misspelt(set: &SettingsFacts, name: &str) -> Option<Finding> {
    let program = Program::reading(&set.path)?;
    let meant = program.meant(name);
    let option = |name: &str| {
        let path: Vec<String> = set.path.iter().cloned().chain([name.to_owned()]).collect();
        attribute_path::text(&path)
    };
    let line = match meant.as_slice() {
        [] => return None,
        // A set of variables is the value of another option.
        [only] if !set.names.contains(only) && only != "Environment" => {
            let only = option(only);
            Some(format!("{only} = …; # replaces {name}; keep its value"))
        }
        _ => None,
    };
    Some(Finding {
        id: "misspelt-setting",
        severity: Severity::Warning,
        is: format!("{} (did you mean {}?)", option(name), alternatives(&meant)),
        why: program.why.to_owned(),
        add: line.into_iter().collect(),
        place: None,
    })
}

fn ssh_port(facts: &ConfigFacts, port: u32) -> Finding {
    let line = format!("services.openssh.ports = [ {port} ]; # replaces settings.Port");
    let is_ours = !facts.own_settings.has_own_ssh_ports;
    Finding {
        id: "ssh-port",
        severity: Severity::Warning,
        is: format!("services.openssh.settings.Port = {port}"),
        why: "NixOS opens the firewall only for the ports in services.openssh.ports".to_owned(),
        add: is_ours.then_some(line).into_iter().collect(),
        place: None,
    }
}

/// What is said of features of which a name has a comma, or which are in one text with commas.
fn with_commas(features: &FeaturesFacts) -> Option<Finding> {
    let FeaturesFacts { option, texts } = features;
    let text = texts.iter().find(|text| text.contains(','))?;
    let option = attribute_path::text(option);
    let words = texts
        .iter()
        .flat_map(|text| text.split([',', ' ', '\t', '\n']));
    let words: Vec<String> = words
        .filter(|word| !word.is_empty())
        .map(nix_string)
        .collect();
    Some(Finding {
        id: "feature-comma",
        severity: Severity::Warning,
        is: format!("{option} has {}", nix_string(text)),
        why: "Nix reads the comma as part of the name, and has no such feature".to_owned(),
        add: vec![format!("{option} = [ {} ];", words.join(" "))],
        place: None,
    })
}

#[cfg(test)]
mod tests;
