//! Times of timers that systemd cannot read. Pure.

use super::facts::ConfigFacts;
use super::own_facts::TimeFacts;
use super::{Finding, Severity};
use crate::common::attribute_path;
use crate::common::nearest::is_slip;
use crate::common::nix_string::nix_string;
use crate::common::time_zone;

/// Words for times (systemd.time(7)). That with one `n` too few is systemd's too.
const WORDS: [&str; 10] = [
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "yearly",
    "annually",
    "anually",
];
const WEEKDAYS: [&str; 7] = [
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
];

/// One for each time that systemd certainly cannot read.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let times = facts.own_settings.times.iter();
    times
        .filter(|time| is_unreadable(&time.text))
        .map(unreadable)
}

/// Whether systemd certainly cannot read `text` as a time: it has a word that is none of a time, or is a line of cron.
fn is_unreadable(text: &str) -> bool {
    let words: Vec<&str> = text.split_ascii_whitespace().collect();
    // What stands for something else.
    let Some((last, before)) = words.split_last().filter(|_| !text.contains('%')) else {
        return false;
    };
    let is_field = |word: &&str| {
        word.bytes()
            .all(|b| b.is_ascii_digit() || b"*/,-".contains(&b))
    };
    let is_cron = words.len() == 5 && words.iter().all(is_field);
    is_cron
        || before.iter().any(|word| is_no_time(word))
        || is_no_time(last) && (before.is_empty() || !may_be_zone(last))
}

/// Whether `word` consists of letters and is none of a time, or is an hour with `am` or `pm`.
fn is_no_time(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    let is_text = lower.bytes().all(|b| b.is_ascii_lowercase());
    let is_weekday = |day: &&str| **day == *lower || day.get(..3) == Some(lower.as_str());
    let is_known = WORDS.contains(&lower.as_str()) || WEEKDAYS.iter().any(is_weekday);
    let half = lower
        .strip_suffix("am")
        .or_else(|| lower.strip_suffix("pm"));
    let is_hour = half.is_some_and(|hour| {
        (1..=2).contains(&hour.len()) && hour.bytes().all(|b| b.is_ascii_digit())
    });
    is_text && !is_known || is_hour
}

/// Whether `word` may be the name of a time zone, also such as `CEST`, which only machines of that zone know.
fn may_be_zone(word: &str) -> bool {
    time_zone::is_known(word) || word.bytes().all(|b| b.is_ascii_uppercase())
}

fn unreadable(time: &TimeFacts) -> Finding {
    let option = attribute_path::text(&time.option);
    let text = time.text.trim();
    let meant = WORDS.into_iter().find(|word| is_slip(text, word));
    let did_you_mean = meant.map(|word| format!(" (did you mean \"{word}\"?)"));
    let line = match meant {
        Some(word) => format!("{option} = \"{word}\";"),
        None => format!("{option} = \"Mon *-*-* 03:00:00\"; # for instance, or \"daily\""),
    };
    Finding {
        id: "unreadable-time",
        severity: Severity::Warning,
        is: format!(
            "{option} = {}{}",
            nix_string(&time.text),
            did_you_mean.unwrap_or_default()
        ),
        why: "systemd cannot read that as a time and ignores it".to_owned(),
        add: time.is_only.then_some(line).into_iter().collect(),
        place: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::findings;
    use super::super::tests::with;

    /// Each was tried with `systemd-analyze calendar`.
    #[test]
    fn only_times_that_systemd_cannot_read_are_told() {
        let told = |text: &str| {
            let option = ["systemd", "timers", "a", "timerConfig", "OnCalendar"];
            let time = json!([{ "option": option, "text": text, "is_only": true }]);
            findings(
                &with(&[("/own_settings/times", time)]),
                "aarch64-linux",
                None,
            )
        };
        for text in [
            "every day",
            "every 5 minutes",
            "midnight",
            "reboot",
            "0 3 * * *",
            "*/5 * * * *",
            "3am",
            "Tues",
            "UTC",
            "daily foo",
        ] {
            let found = told(text);
            assert_eq!(found.len(), 1, "{text}");
            let line = "systemd.timers.a.timerConfig.OnCalendar = \"Mon *-*-* 03:00:00\"; # for instance, or \"daily\"";
            assert_eq!(found[0].add, [line]);
        }
        let found = told("dayly");
        let [finding] = found.as_slice() else {
            panic!("{found:?}");
        };
        let is = "systemd.timers.a.timerConfig.OnCalendar = \"dayly\" (did you mean \"daily\"?)";
        assert_eq!((finding.id, finding.is.as_str()), ("unreadable-time", is));
        let line = "systemd.timers.a.timerConfig.OnCalendar = \"daily\";";
        assert_eq!(finding.add, [line]);
        for text in [
            "",
            "daily",
            "Daily",
            "anually",
            "Mon",
            "monday",
            "Mon..Fri 03:00",
            "*-*-01 04:00",
            "03:00",
            "daily UTC",
            "daily CET",
            "daily CEST",
            "Sun 03:00 Europe/Berlin",
            "%i",
            "@1700000000",
            "*:0/5",
        ] {
            assert_eq!(told(text), [], "{text}");
        }
    }

    #[test]
    fn a_time_among_others_has_no_line() {
        let time = json!([{ "option": ["systemd", "services", "a", "startAt"], "text": "houry", "is_only": false }]);
        let found = findings(
            &with(&[("/own_settings/times", time)]),
            "aarch64-linux",
            None,
        );
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].add, [""; 0]);
    }
}
