//! Values that systemd does not take in a unit, of which nixpkgs tells only in a trace. Pure.

use super::evidence::Findings;
use sdbuild_core::nearest::nearest;

/// Directives of a service that take one of some words (systemd.service(5)).
const CHOICES: [(&str, &[&str]); 2] = [
    (
        "Restart",
        &[
            "no",
            "always",
            "on-success",
            "on-failure",
            "on-abnormal",
            "on-abort",
            "on-watchdog",
        ],
    ),
    (
        "Type",
        &[
            "simple",
            "exec",
            "forking",
            "oneshot",
            "dbus",
            "notify",
            "notify-reload",
            "idle",
        ],
    ),
];

/// What to write in a unit of which the message `summary` says that the values of a section are none that systemd takes.
pub(super) fn hint(findings: &Findings, summary: &str) -> Option<String> {
    let is_of_unit = summary.contains("' is not of type `attribute set of (systemd option)'");
    let fault = findings.unit_fault.as_deref().filter(|_| is_of_unit)?;
    let said = fault.trim_end_matches('.');
    Some(correction(fault).unwrap_or_else(|| format!("nixpkgs checks what systemd takes: {said}")))
}

/// The word that is meant by one that a directive does not take, or all that it takes.
fn correction(fault: &str) -> Option<String> {
    let (_, rest) = fault.split_once("field `")?;
    let (directive, rest) = rest.split_once("' cannot have value `")?;
    let (value, _) = rest.split_once('\'')?;
    let (_, choices) = CHOICES.iter().find(|(name, _)| *name == directive)?;
    Some(match nearest(value, choices.iter().copied()) {
        Some(meant) => format!("write {directive} = \"{meant}\"; instead of \"{value}\""),
        None => format!("{directive} is one of \"{}\"", choices.join("\", \"")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_systemd_does_not_take_is_told() {
        let of_fault = |fault: &str| {
            let findings = Findings {
                unit_fault: Some(fault.to_owned()),
                ..Findings::default()
            };
            let kind = "attribute set of (systemd option)";
            hint(
                &findings,
                &format!("A definition for option `a' is not of type `{kind}'."),
            )
        };
        for (fault, expected) in [
            (
                "Systemd Service field `Restart' cannot have value `allways'.",
                "write Restart = \"always\"; instead of \"allways\"",
            ),
            (
                "Systemd Service field `Type' cannot have value `daemon'.",
                "Type is one of \"simple\", \"exec\", \"forking\", \"oneshot\", \"dbus\", \"notify\", \"notify-reload\", \"idle\"",
            ),
            (
                "Systemd Service field `CPUWeight' is outside the range [1,10000]",
                "nixpkgs checks what systemd takes: Systemd Service field `CPUWeight' is outside the range [1,10000]",
            ),
        ] {
            assert_eq!(of_fault(fault).as_deref(), Some(expected));
        }
        assert_eq!(hint(&Findings::default(), "x"), None);
    }
}
