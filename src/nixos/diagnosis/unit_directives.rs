//! Directives of systemd's unit files, which people write beside the options of a service. Pure.

use crate::common::attribute_path;
use sdbuild_core::nearest::with_other_capitals;

/// Directives that a service has as options of other names, which begin with a small letter (systemd.unit(5)).
const OPTIONS: [&str; 14] = [
    "after",
    "aliases",
    "before",
    "bindsTo",
    "conflicts",
    "description",
    "documentation",
    "onFailure",
    "partOf",
    "requiredBy",
    "requires",
    "requisite",
    "wantedBy",
    "wants",
];

/// Directives of the section `[Service]` that people use (systemd.service(5), systemd.exec(5)).
const OF_SERVICE: [&str; 23] = [
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DynamicUser",
    "Environment",
    "EnvironmentFile",
    "ExecReload",
    "ExecStart",
    "ExecStartPost",
    "ExecStartPre",
    "ExecStop",
    "Group",
    "LimitNOFILE",
    "Nice",
    "PIDFile",
    "RemainAfterExit",
    "Restart",
    "RestartSec",
    "StandardOutput",
    "StateDirectory",
    "TimeoutStartSec",
    "Type",
    "User",
    "WorkingDirectory",
];

/// Directives of the section `[Timer]` (systemd.timer(5)).
const OF_TIMER: [&str; 7] = [
    "AccuracySec",
    "OnBootSec",
    "OnCalendar",
    "OnUnitActiveSec",
    "Persistent",
    "RandomizedDelaySec",
    "Unit",
];

/// The option that is meant by `option`, which does not exist, if that is a directive of a service or a timer.
pub(super) fn meant(option: &str) -> Option<String> {
    let path = attribute_path::parse(option).ok()?;
    let (directive, unit) = path.split_last()?;
    let names: Vec<&str> = unit.iter().map(String::as_str).collect();
    let (section, directives): (&str, &[&str]) = match names.as_slice() {
        ["systemd", "services", _] | ["systemd", "user", "services", _] => {
            ("serviceConfig", &OF_SERVICE)
        }
        ["systemd", "timers", _] | ["systemd", "user", "timers", _] => ("timerConfig", &OF_TIMER),
        _ => return None,
    };
    let of_section = with_other_capitals(directive, directives.iter().copied());
    let meant = match with_other_capitals(directive, OPTIONS) {
        Some(option) => vec![option],
        None => vec![section, of_section?],
    };
    let path = names.iter().chain(&meant);
    let path: Vec<String> = path.map(|&part| part.to_owned()).collect();
    Some(attribute_path::text(&path))
}

#[cfg(test)]
mod tests {
    use super::meant;

    #[test]
    fn directives_are_options_of_their_section() {
        for (option, expected) in [
            (
                "systemd.services.a.Restart",
                Some("systemd.services.a.serviceConfig.Restart"),
            ),
            (
                "systemd.user.services.a.execstart",
                Some("systemd.user.services.a.serviceConfig.ExecStart"),
            ),
            (
                "systemd.services.a.user",
                Some("systemd.services.a.serviceConfig.User"),
            ),
            (
                "systemd.services.a.WantedBy",
                Some("systemd.services.a.wantedBy"),
            ),
            (
                "systemd.services.\"a@\".Type",
                Some("systemd.services.\"a@\".serviceConfig.Type"),
            ),
            (
                "systemd.timers.a.onCalendar",
                Some("systemd.timers.a.timerConfig.OnCalendar"),
            ),
            ("systemd.services.a.command", None),
            ("systemd.sockets.a.Restart", None),
            ("services.a.b.Restart", None),
        ] {
            assert_eq!(meant(option).as_deref(), expected, "{option}");
        }
    }
}
