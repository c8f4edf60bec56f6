//! Builds that fail because a time zone does not exist.

use super::evidence::{ExitContext, FailedBuild};
use super::written_values::strings;
use crate::common::time_zone::{is_known, of_offset, suggestion};

/// The directory of the tz database's zones in its package.
const ZONES: &str = "/share/zoneinfo/";

/// The zone that is meant in place of the one that the output of `failed` names; `None` if it names none, or only such that exist.
pub(super) fn hint(context: &ExitContext<'_>, failed: &FailedBuild) -> Option<String> {
    let mut named = failed.tail.iter().filter_map(|line| zone_in(line));
    let zone = named.find(|zone| !is_known(zone))?;
    let files = context.files;
    let place = files.and_then(|files| {
        files.only_place_beginning_with_first(|text| {
            let found = strings(text, zone).into_iter();
            found.map(|value| (value.line, ())).collect()
        })
    });
    let place = place.map_or_else(String::new, |(place, ())| {
        format!("{}{place}: ", context.shown_dir)
    });
    let none = format!("{place}there is no time zone {zone}");
    if let Some(meant) = suggestion(zone) {
        return Some(format!("{none}: did you mean {meant}?"));
    }
    if let Some(meant) = of_offset(zone) {
        return Some(format!(
            "{none}: write {meant}, for the names in Etc have the opposite sign"
        ));
    }
    // Beside the zones the directory has files, which may be missing too.
    let is_zone = zone.contains('/') && !zone.contains('.');
    is_zone.then(|| {
        format!("{none}: time.timeZone takes a name of the tz database, such as Europe/Berlin")
    })
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
    use super::*;

    fn hint_for(line: &str) -> Option<String> {
        let failed = FailedBuild {
            tail: vec!["there is no file".to_owned(), line.to_owned()],
            ..FailedBuild::default()
        };
        hint(&ExitContext::default(), &failed)
    }

    #[test]
    fn a_zone_that_does_not_exist_is_corrected() {
        let cannot = |zone: &str| {
            let path = format!("/nix/store/0-tzdata-2025b/share/zoneinfo/{zone}");
            hint_for(&format!(
                "cp: cannot stat '{path}': No such file or directory"
            ))
        };
        for (zone, end) in [
            ("Europe/Pariss", ": did you mean Europe/Paris?"),
            ("europe/paris", ": did you mean Europe/Paris?"),
            (
                "UTC+2",
                ": write Etc/GMT-2, for the names in Etc have the opposite sign",
            ),
            (
                "Europe/Nowhere",
                ": time.timeZone takes a name of the tz database, such as Europe/Berlin",
            ),
        ] {
            let expected = format!("there is no time zone {zone}{end}");
            assert_eq!(cannot(zone).as_deref(), Some(expected.as_str()));
        }
        for zone in ["Europe/Paris", "tzdata.zi", "leapseconds", ""] {
            assert_eq!(cannot(zone), None, "{zone}");
        }
        assert_eq!(hint_for("Europe/Pariss"), None);
    }
}
