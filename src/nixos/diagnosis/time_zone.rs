//! Builds that fail because a time zone does not exist.

use super::evidence::{ExitContext, FailedBuild};
use super::written_values::strings;
use crate::common::time_zone::{is_known, of_offset, suggestion};

/// The directory of the tz database's zones in its package.
const ZONES: &str = "/share/zoneinfo/";

/// The zone that is meant in place of the one that the output of `failed` names; `None` if it names none, or only such that exist.
pub(super) fn hint(context: &ExitContext<'_>, failed: &FailedBuild) -> Option<String> {
    let mut named = failed.tail.iter().filter_map(|line| zone_in(line));
    // Any build may name a file of this directory, which need not be a zone.
    let (zone, place) = named.find_map(|zone| Some((zone, place_of(context, zone)?)))?;
    let none = format!("{place}: there is no time zone {zone}");
    if let Some(meant) = suggestion(zone) {
        return Some(format!("{none}. Did you mean {meant}?"));
    }
    if let Some(meant) = of_offset(zone) {
        return Some(format!(
            "{none}. Write {meant}, because the names in Etc have the opposite sign"
        ));
    }
    // Beside the zones the directory has files, which may be missing too.
    let is_zone = zone.contains('/') && !zone.contains('.');
    is_zone.then(|| format!("{none}. Write a name of the tz database, such as Europe/Berlin"))
}

/// Where the configuration sets the time zone to `zone`, which does not exist; `None` if it does not, or in several places.
fn place_of(context: &ExitContext<'_>, zone: &str) -> Option<String> {
    let files = context.files.filter(|_| !is_known(zone))?;
    let (place, ()) = files.only_place_beginning_with_first(|text| {
        let found = strings(text, zone).into_iter();
        let sets_zone = |path: &str| format!(".{path}").ends_with(".time.timeZone");
        let found = found.filter(|value| sets_zone(&value.defines));
        found.map(|value| (value.line, ())).collect()
    })?;
    Some(format!("{}{place}", context.shown_dir))
}

/// The zone whose file `line` names.
fn zone_in(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(ZONES)?;
    let is_part = |c: char| c.is_ascii_alphanumeric() || "/_+-.:".contains(c);
    let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
    let zone = rest.get(..end)?.trim_end_matches([':', '.']);
    (!zone.is_empty()).then_some(zone)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::nixos::user_files::UserFiles;

    /// The hint for a build that fails with `line`, of a configuration that sets `option` to `zone`.
    fn hint_for(line: &str, option: &str, zone: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let module = format!("{{\n  {option} = \"{zone}\";\n}}");
        fs::write(dir.path().join("c.nix"), module).unwrap();
        let context = ExitContext {
            files: Some(&UserFiles::new(dir.path()).beginning_with("c.nix")),
            ..ExitContext::default()
        };
        let failed = FailedBuild {
            tail: vec!["/share/zoneinfo/tzdata.zi".to_owned(), line.to_owned()],
            ..FailedBuild::default()
        };
        hint(&context, &failed)
    }

    fn missing(zone: &str) -> String {
        let path = format!("/nix/store/0-tzdata-2025b/share/zoneinfo/{zone}");
        format!("cp: cannot stat '{path}': No such file or directory")
    }

    #[test]
    fn a_zone_that_does_not_exist_is_corrected() {
        let cannot = |zone: &str| hint_for(&missing(zone), "time.timeZone", zone);
        for (zone, end) in [
            ("Europe/Pariss", ". Did you mean Europe/Paris?"),
            ("europe/paris", ". Did you mean Europe/Paris?"),
            (
                "UTC+2",
                ". Write Etc/GMT-2, because the names in Etc have the opposite sign",
            ),
            (
                "Europe/Nowhere",
                ". Write a name of the tz database, such as Europe/Berlin",
            ),
        ] {
            let expected = format!("c.nix:2: there is no time zone {zone}{end}");
            assert_eq!(cannot(zone).as_deref(), Some(expected.as_str()));
        }
        for zone in ["Europe/Paris", "tzdata.zi", "leapseconds", ""] {
            assert_eq!(cannot(zone), None, "{zone}");
        }
    }

    #[test]
    fn a_zone_that_is_not_the_configurations_is_no_cause() {
        let wrong = "Europe/Pariss";
        assert_eq!(hint_for(wrong, "time.timeZone", wrong), None);
        let line = missing(wrong);
        assert_eq!(hint_for(&line, "time.timeZone", "Europe/Paris"), None);
        assert_eq!(hint_for(&line, "environment.etc.a.text", wrong), None);
    }
}
