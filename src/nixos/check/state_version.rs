//! The rules about `system.stateVersion`. Pure.

use super::Severity;
use super::facts::ConfigFacts;
use super::rule::Rule;

pub(super) const RULES: [Rule; 2] = [
    Rule {
        id: "state-version",
        severity: Severity::Warning,
        is: |facts, _| {
            facts
                .state_version
                .is_none()
                .then(|| "system.stateVersion is not set".into())
        },
        why: "the next upgrade may misread this machine's data as that of a newer release",
        add: &["system.stateVersion = \"{release}\";"],
    },
    Rule {
        id: "other-state-version",
        severity: Severity::Warning,
        is: |facts, _| {
            let version = facts.state_version.as_deref()?;
            let latest = facts.release.as_deref()?;
            let latest_number = release_number(latest)?;
            let problem = match release_number(version) {
                Some(number) if number <= latest_number => return None,
                Some(_) => format!("newer than this nixpkgs, {latest}"),
                None => NO_RELEASE.to_owned(),
            };
            // Newer releases of nixpkgs refuse it themselves.
            let is_refused = facts
                .assertions
                .iter()
                .any(|text| text.contains("stateVersion"));
            (!is_refused).then(|| format!("system.stateVersion = \"{version}\", {problem}"))
        },
        why: "this must be the release that the machine was first installed with. Services choose the format of their \
              data by it",
        add: &["{state version}"],
    },
];

/// The months in which there has been a release: May and November since 2021, others before.
const MONTHS: [u16; 6] = [3, 4, 5, 9, 10, 11];
const NO_RELEASE: &str = "which is not the number of a release, such as 25.11";

/// What the assertion `text` of NixOS says of a value that is not the number of a release, and the line to write.
pub(super) fn refused(facts: &ConfigFacts, text: &str) -> Option<(String, String)> {
    let version = facts.state_version.as_deref()?;
    text.contains("is an invalid value for 'system.stateVersion'")
        .then(|| {
            let is = format!("system.stateVersion = \"{version}\", {NO_RELEASE}");
            (is, line(facts))
        })
}

/// The line with the release that is meant, or with that of nixpkgs, which is right for a new machine.
pub(super) fn line(facts: &ConfigFacts) -> String {
    let release = facts.release.as_deref().unwrap_or("26.05");
    let version = facts.state_version.as_deref().unwrap_or_default();
    let latest = release_number(release);
    let is_past = |text: &String| release_number(text) <= latest;
    if let Some(meant) = meant_release(version).filter(is_past) {
        return format!("system.stateVersion = \"{meant}\";");
    }
    let comment = match release_number(version) {
        Some(_) => " # or a newer nixpkgs",
        None => "",
    };
    format!("system.stateVersion = \"{release}\";{comment}")
}

/// The release that is meant by a number in another form: `26.05` by `26.5`, `2605` and `26.05.20260601`.
fn meant_release(text: &str) -> Option<String> {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (year, month) = match text.split_once('.') {
        Some((year, rest)) => (year, rest.split('.').next()?),
        None if text.len() == 4 => text.split_at_checked(2)?,
        None => return None,
    };
    // Releases have been those of May and November for years.
    let month = match month {
        "5" | "05" => "05",
        "11" => "11",
        _ => return None,
    };
    // The first release with such a number was 13.10.
    let is_year = is_number(year) && year.len() == 2 && year >= "14";
    is_year.then(|| format!("{year}.{month}"))
}

/// The number of a release of NixOS: of `26.05`, and of `26.05.20260601`.
fn release_number(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split('.');
    let (year, month) = (parts.next()?, parts.next()?);
    let is_complete = year.len() == 2 && month.len() == 2;
    let number: (u16, u16) = (year.parse().ok()?, month.parse().ok()?);
    (is_complete && MONTHS.contains(&number.1)).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::with;

    #[test]
    fn a_wrong_release_is_said_to_be_mistyped_or_too_new() {
        let no_release = "which is not the number of a release, such as 25.11";
        for (version, problem, line) in [
            ("26.5", no_release, "\"26.05\";"),
            ("2511", no_release, "\"25.11\";"),
            ("30.5", no_release, "\"26.05\";"),
            ("unstable", no_release, "\"26.05\";"),
            ("25.12", no_release, "\"26.05\";"),
            ("0511", no_release, "\"26.05\";"),
            (
                "27.11",
                "newer than this nixpkgs, 26.05",
                "\"26.05\"; # or a newer nixpkgs",
            ),
        ] {
            let changes = ("/state_version", json!(version));
            // What newer releases of nixpkgs say of some.
            let text =
                format!("{version} is an invalid value for 'system.stateVersion'; it must be …");
            let refused = ("/assertions", json!([text]));
            let both = [changes, refused];
            let is_refused = problem == no_release;
            for (changes, id) in [
                (&both[..1], "other-state-version"),
                (&both[..], "assertion"),
            ] {
                if id == "assertion" && !is_refused {
                    continue;
                }
                let found = findings(&with(changes), "aarch64-linux", None);
                assert_eq!(found.len(), 1, "{found:?}");
                assert_eq!(found[0].id, id);
                let said = format!("system.stateVersion = \"{version}\", {problem}");
                assert_eq!(found[0].is, said);
                assert_eq!(found[0].add, [format!("system.stateVersion = {line}")]);
            }
        }
    }
}
