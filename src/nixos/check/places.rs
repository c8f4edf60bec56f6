//! Where in the user's files the settings are of which findings speak.

mod replacements;

use super::Finding;
use super::Place;
use super::facts::ConfigFacts;
use super::hidden_definitions::{HiddenDefinition, hidden_definitions};
use super::named_options::{NamedOption, named_options};
use super::nixos_messages::GONE;
use crate::common::attribute_path;
use crate::nixos::cli_module::CliModule;
use crate::nixos::nix_definitions::{WrittenDefinition, definitions};
use crate::nixos::user_files::UserFiles;

/// Sets of objects, each of which has a name: of `users.users` ann, whose definition may be that of all her options.
const OBJECTS: [&[&str]; 12] = [
    &["environment", "etc"],
    &["fileSystems"],
    &["networking", "interfaces"],
    &["networking", "wg-quick", "interfaces"],
    &["networking", "wireguard", "interfaces"],
    &["networking", "wireless", "networks"],
    &["systemd", "paths"],
    &["systemd", "services"],
    &["systemd", "sockets"],
    &["systemd", "timers"],
    &["users", "groups"],
    &["users", "users"],
];

/// Options whose values may make a file.
const MAKING_FILES: [&[&str]; 4] = [
    &["boot", "postBootCommands"],
    &["networking", "localCommands"],
    &["sdImage", "populateRootCommands"],
    &["system", "activationScripts"],
];

/// What the user's files, and the command line, define.
#[derive(Clone, Debug, Default)]
pub struct OwnDefinitions {
    /// The definitions in files, each behind the file as messages name it.
    in_files: Vec<(String, WrittenDefinition)>,
    /// Those that do not say what they define, each behind its file.
    hidden: Vec<(String, HiddenDefinition)>,
    cli_module: CliModule,
}

impl OwnDefinitions {
    /// The definitions in those of `files` that are imported, of which messages begin with `shown_dir`, and those in `cli_module`.
    pub(in crate::nixos) fn read(
        files: Option<&UserFiles>,
        shown_dir: &str,
        cli_module: &CliModule,
    ) -> Self {
        let imported = files.map(UserFiles::imported).unwrap_or_default();
        let mut own = Self {
            cli_module: cli_module.clone(),
            ..Self::default()
        };
        for (file, text) in imported {
            let file = format!("{shown_dir}{}", file.display());
            let written = definitions(&text).into_iter();
            own.in_files.extend(written.map(|one| (file.clone(), one)));
            let hidden = hidden_definitions(&text).into_iter();
            own.hidden.extend(hidden.map(|one| (file.clone(), one)));
        }
        own
    }

    /// Gives each of `findings` the place of its setting, if its text names options of which the files have one definition, and says of its
    /// lines which definition they are to replace: a file cannot define an option twice. Lines that the files have already are left out.
    pub fn locate(&self, findings: &mut [Finding]) {
        for finding in findings {
            finding.place = self
                .place(&finding.is)
                .or_else(|| self.first_of_gone(finding));
            if let Some((place, line)) = self.with_new_name(finding) {
                (finding.place, finding.add) = (Some(place), vec![line]);
            }
            finding.add.retain(|line| !self.has(line));
            let Finding { add, place, is, .. } = finding;
            for line in &mut *add {
                if let Some(complete) = self.beside_definition(line, place.as_ref()) {
                    *line = complete;
                }
            }
            let mut named = named_options(is).into_iter();
            let flag = named.find_map(|option| self.overriding(&option.path));
            if let Some(flag) = flag.filter(|flag| !add.concat().contains(flag)) {
                *is = format!("{is} ({flag})");
            }
        }
    }

    /// The place of the first definition in the option that NixOS no longer has, if `finding` is about one: all of them have to go.
    fn first_of_gone(&self, finding: &Finding) -> Option<Place> {
        let option = attribute_path::parse(&finding.is).ok()?;
        let is_gone = finding.why.starts_with(GONE);
        let (file, definition) = self.defining(&option).next().filter(|_| is_gone)?;
        Some(Place {
            file: file.clone(),
            line: definition.line,
        })
    }

    /// The flag that overrides the option `path` of the files.
    fn overriding(&self, path: &[String]) -> Option<String> {
        self.cli_module.overriding(&attribute_path::text(path))
    }

    /// Whether the files have the definition `line` as it is, and no flag overrides it.
    fn has(&self, line: &str) -> bool {
        let code = line
            .strip_suffix(';')
            .and_then(|line| line.split_once(" = "));
        let parsed =
            code.and_then(|(option, value)| Some((attribute_path::parse(option).ok()?, value)));
        parsed.is_some_and(|(path, value)| {
            if self.overriding(&path).is_some() {
                return false;
            }
            let mut same = self.in_files.iter().filter(|(_, one)| one.path == path);
            let is_same = |(_, one): &(String, WrittenDefinition)| {
                one.is_plain && !one.is_conditional && one.literal.as_deref() == Some(value)
            };
            same.any(is_same)
        })
    }

    /// Removes from the facts what somebody else has to answer for, and what commands of the user's may explain: those can do
    /// anything, and their texts are not read, because they may need the whole system.
    pub fn keep_unexplained(&self, facts: &mut ConfigFacts) {
        if self.defines_any(&MAKING_FILES) {
            facts.upgrades_to_nothing = false;
        }
        // A build does not evaluate the options of Wi-Fi that is off.
        if !facts.network.wireless && facts.network.secrets_file.is_none() {
            facts.network.secrets_file = self.secrets_file();
        }
        let makes_root = self.defines_any(&[&["sdImage", "populateRootCommands"]]);
        facts.sd.makes_menu = facts.sd.makes_menu && !makes_root;
    }

    /// The file with the secrets of Wi-Fi that the files name; empty if its path is not written there, `None` also for `null`.
    fn secrets_file(&self) -> Option<String> {
        let path = ["networking", "wireless", "secretsFile"].map(str::to_owned);
        let (_, definition) = self.defining(&path).next()?;
        let literal = definition.literal.as_deref().unwrap_or_default();
        if literal == "null" {
            return None;
        }
        let text = literal
            .strip_prefix('"')
            .and_then(|text| text.strip_suffix('"'));
        let plain = text.filter(|text| !text.contains(['\\', '$', '"']));
        Some(plain.unwrap_or_default().to_owned())
    }

    fn defines_any(&self, options: &[&[&str]]) -> bool {
        options.iter().any(|option| {
            let path: Vec<String> = option.iter().map(|&name| name.to_owned()).collect();
            self.defining(&path).next().is_some()
        })
    }

    fn place(&self, text: &str) -> Option<Place> {
        let mut only = None;
        for option in named_options(text) {
            let mut found = self.closest(&option.path);
            // The place of one option is not that of a finding about several.
            let (file, definition) = found.next()?;
            let line = definition.line;
            let place = Place {
                file: file.clone(),
                line,
            };
            let is_other = only.as_ref().is_some_and(|only| *only != place);
            let is_certain = found.next().is_none()
                && self.decides(definition, &option)
                && !self.may_be_defined_beside(&place, &option.path);
            if is_other || !is_certain {
                return None;
            }
            only = Some(place);
        }
        only
    }

    /// The definitions of the option `path`; if there are none, those of the object that has it.
    fn closest(&self, path: &[String]) -> impl Iterator<Item = &(String, WrittenDefinition)> {
        let object = object_of(path).map_or(path.len(), <[String]>::len);
        let lengths = (object..=path.len()).rev();
        let mut candidates = lengths.filter_map(|length| path.get(..length));
        let defined = candidates.find(|path| self.defining(path).next().is_some());
        defined
            .into_iter()
            .flat_map(move |path| self.defining(path))
    }

    /// The outermost definitions of the option `path` or of what is in it.
    fn defining(&self, path: &[String]) -> impl Iterator<Item = &(String, WrittenDefinition)> {
        self.in_files.iter().filter(move |(_, definition)| {
            definition.path.starts_with(path) && definition.outer < path.len()
        })
    }

    /// Whether `definition` can be what sets `option` as the finding says.
    fn decides(&self, definition: &WrittenDefinition, option: &NamedOption<'_>) -> bool {
        let NamedOption { path, value } = option;
        let is_overridden = self
            .cli_module
            .flag_of(&attribute_path::text(path))
            .is_some();
        // A part of the option says nothing of the whole, unless that is an object.
        let is_part = !path.starts_with(&definition.path) && !is_object(path);
        let both = definition.literal.as_deref().zip(*value);
        let is_other_value = both.is_some_and(|(written, told)| written != told);
        !is_overridden && !is_part && !is_other_value && !definition.is_conditional
    }

    /// Whether a definition at another place than `place` may define the option `path` without naming it.
    fn may_be_defined_beside(&self, place: &Place, path: &[String]) -> bool {
        self.hidden.iter().any(|(file, hidden)| {
            let is_there = *file == place.file && hidden.line == place.line;
            path.starts_with(&hidden.path) && !is_there
        })
    }
}

/// The path of the object that `path` leads into, or is.
fn object_of(path: &[String]) -> Option<&[String]> {
    let set = OBJECTS.iter().find(|set| is_below(path, set))?;
    path.get(..=set.len())
}

/// Whether `path` is that of an object, or of a set of objects.
fn is_object(path: &[String]) -> bool {
    let is_set = OBJECTS.iter().any(|set| path == *set);
    is_set || object_of(path) == Some(path)
}

/// Whether `path` is that of something in `set`.
fn is_below(path: &[String], set: &[&str]) -> bool {
    let same = path.iter().zip(set).filter(|(name, other)| name == other);
    path.len() > set.len() && same.count() == set.len()
}

#[cfg(test)]
mod tests;
