//! What the lines of findings replace in the user's files.

use super::OwnDefinitions;
use crate::common::attribute_path;
use crate::nixos::check::nixos_messages::renamed;
use crate::nixos::check::{Finding, Place};
use crate::nixos::nix_definitions::WrittenDefinition;
use sdbuild_core::redact::has_secret;

/// Last names of the lists to which findings add elements: such a line has only those, not the whole list.
const EXTENDED_LISTS: [&str; 5] = ["allowedTCPPorts", "extraGroups", "options", "path", "rules"];

impl OwnDefinitions {
    /// The place of the only definition of an option that was renamed, and that definition with the new name, if `finding` is about one.
    pub(super) fn with_new_name(&self, finding: &Finding) -> Option<(Place, String)> {
        let (new, old) = renamed(finding.add.first()?)?;
        let (new, old) = (
            attribute_path::parse(new).ok()?,
            attribute_path::parse(old).ok()?,
        );
        let old = match (old.as_slice(), new.split_last()) {
            // A name alone may be in the set of the new one.
            ([name], Some((_, set))) if self.defining(&old).next().is_none() => {
                set.iter().chain([name]).cloned().collect()
            }
            _ => old,
        };
        let mut found = self.defining(&old);
        let (file, definition) = found.next().filter(|_| found.next().is_none())?;
        let place = Place {
            file: file.clone(),
            line: definition.line,
        };
        let is_overridden = self
            .cli_module
            .flag_of(&attribute_path::text(&old))
            .is_some();
        if is_overridden || definition.is_conditional || self.may_be_defined_beside(&place, &old) {
            return None;
        }
        let names = new.iter().chain(definition.path.iter().skip(old.len()));
        let names: Vec<String> = names.cloned().collect();
        let option = attribute_path::text(&names);
        let written = attribute_path::text(&definition.path);
        let is_secret = |value: &str| {
            [&written, &option]
                .iter()
                .any(|name| has_secret(&format!("{name} = {value};")))
        };
        let value = definition.literal.as_deref();
        let value = value.filter(|value| definition.is_plain && !is_secret(value));
        let at = format!("line {}", place.line);
        let line = self.in_place_of((file, definition), &names, value.unwrap_or("…"), &at);
        let keep = if value.is_none() {
            "; keep its value"
        } else {
            ""
        };
        Some((place, format!("{line}{keep}")))
    }

    /// The definition of the option `new` in place of `old`, which is `at` a line of the file: of a line with others, and of the set of
    /// another one, only a member is replaced.
    fn in_place_of(
        &self,
        (file, old): (&String, &WrittenDefinition),
        new: &[String],
        value: &str,
        at: &str,
    ) -> String {
        let is_other = |(other, one): &(String, WrittenDefinition)| {
            other == file && one.line == old.line && !one.path.starts_with(&old.path)
        };
        let (around, member) = old.path.split_at_checked(old.outer).unwrap_or_default();
        let inside = new.strip_prefix(around);
        let option = attribute_path::text(inside.unwrap_or(new));
        let member = attribute_path::text(member);
        let what = if inside.is_none() {
            format!("outside all braces; remove {member} from {at}")
        } else if old.outer > 0 || self.in_files.iter().any(is_other) {
            format!("replaces {member} in {at}")
        } else {
            format!("replaces {at}")
        };
        format!("{option} = {value}; # {what}")
    }

    /// The `line` of a finding at `place` with the definition that it changes, if a flag or the files have one of the same option: a
    /// file cannot define an option twice. Of other lists, and of sets, it is not known whether they are whole.
    pub(super) fn beside_definition(&self, line: &str, place: Option<&Place>) -> Option<String> {
        let (code, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let (option, value) = code.strip_suffix(';')?.split_once(" = ")?;
        let elements = value.strip_prefix("[ ");
        let path = attribute_path::parse(option).ok()?;
        if let Some(flag) = self.overriding(&path) {
            let comment = Some(comment).filter(|comment| !comment.is_empty());
            let comment = comment.map_or_else(String::new, |comment| format!("; {comment}"));
            return Some(format!("{code} # replaces {flag}{comment}"));
        }
        let last = path.last().map_or("", String::as_str);
        let mut same = self.in_files.iter().filter(|(_, one)| one.path == path);
        let (file, definition) = same.next()?;
        let is_empty = definition.numbers.as_ref().is_some_and(Vec::is_empty);
        let is_string = value.starts_with('"');
        let is_known = is_string
            || !value.contains(['[', '{'])
            || EXTENDED_LISTS.contains(&last)
            || elements.is_some() && is_empty;
        if !is_known {
            return None;
        }
        let is_certain = same.next().is_none() && !definition.is_conditional;
        if !is_certain || comment.starts_with("replaces") {
            return None;
        }
        // Of a command, the finding knows only the program.
        let has_arguments = definition
            .literal
            .as_ref()
            .is_none_or(|literal| literal.contains(' '));
        let whole = value.strip_suffix(" …\"").filter(|_| !has_arguments);
        let whole = whole.map(|program| format!("{program}\""));
        let value = whole.as_deref().unwrap_or(value);
        let is_here = place.is_some_and(|place| place.file == *file);
        let line = definition.line;
        let written = if is_here {
            format!("line {line}")
        } else {
            format!("{file}:{line}")
        };
        let comment = Some(comment).filter(|comment| !comment.is_empty());
        let comment = comment.map_or_else(String::new, |comment| format!("; {comment}"));
        let numbers = definition.numbers.as_ref();
        let numbers = numbers.map(|numbers| numbers.iter().map(|number| format!("{number} ")));
        Some(match elements {
            Some(elements) if let Some(numbers) = numbers => {
                let numbers: String = numbers.collect();
                format!(
                    "{option} = [ {numbers}{elements}; # replaces the list of {written}{comment}"
                )
            }
            Some(elements) => format!("{option} = [ … {elements}; # extends {written}{comment}"),
            None => {
                let line = self.in_place_of((file, definition), &path, value, &written);
                format!("{line}{comment}")
            }
        })
    }
}
