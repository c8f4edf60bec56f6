//! Values that are names of other programs: the kernel's and those of keymaps. Pure.

use super::facts::ConfigFacts;
use super::{Finding, Severity};
use crate::common::locale;
use crate::common::nearest::similar_names;

/// The governors of the kernel (`admin-guide/pm/cpufreq`), and `interactive`, which kernels for Android have.
const GOVERNORS: [&str; 7] = [
    "conservative",
    "interactive",
    "ondemand",
    "performance",
    "powersave",
    "schedutil",
    "userspace",
];

/// Keymaps of the project kbd for locales; of each language the first is that of the country whose layout it is. Other countries have
/// layouts of their own.
const KEYMAPS: [(&str, &str); 26] = [
    ("cs_CZ", "cz"),
    ("da_DK", "dk"),
    ("de_DE", "de"),
    ("de_AT", "de"),
    ("de_CH", "de_CH-latin1"),
    ("el_GR", "gr"),
    ("en_US", "us"),
    ("en_GB", "uk"),
    ("es_ES", "es"),
    ("fi_FI", "fi"),
    ("fr_FR", "fr"),
    ("fr_CH", "fr_CH"),
    ("hu_HU", "hu"),
    ("it_IT", "it"),
    ("ja_JP", "jp106"),
    ("nb_NO", "no"),
    ("nl_NL", "nl"),
    ("nn_NO", "no"),
    ("pl_PL", "pl"),
    ("pt_PT", "pt-latin1"),
    ("pt_BR", "br-abnt2"),
    ("ro_RO", "ro"),
    ("ru_RU", "ru"),
    ("sv_SE", "sv-latin1"),
    ("sv_FI", "sv-latin1"),
    ("uk_UA", "ua"),
];

/// Keymaps that the countries of a language share, apart from those that have one of their own in `KEYMAPS`.
const SHARED_KEYMAPS: [(&str, &str); 1] = [("es", "la-latin1")];

/// What is said of a governor that the kernel does not have, and of a locale or a language in place of a keymap.
pub(super) fn findings(facts: &ConfigFacts) -> impl Iterator<Item = Finding> {
    let governor = facts.own_settings.governor.as_deref();
    let key_map = facts.own_settings.key_map.as_deref();
    let governor = governor.and_then(unknown_governor);
    governor.into_iter().chain(key_map.and_then(other_key_map))
}

fn unknown_governor(name: &str) -> Option<Finding> {
    if GOVERNORS.contains(&name) {
        return None;
    }
    let meant = similar_names(name, GOVERNORS).filter(|meant| !meant.contains(' '));
    let proposed = meant
        .as_ref()
        .map(|meant| format!(" (did you mean {meant}?)"));
    Some(Finding {
        id: "governor",
        severity: Severity::Warning,
        is: format!(
            "powerManagement.cpuFreqGovernor = \"{name}\"{}",
            proposed.unwrap_or_default()
        ),
        why: "the kernel has no such governor, so the setting has no effect. The governors are performance, powersave, \
              ondemand, conservative, schedutil and userspace"
            .to_owned(),
        add: meant
            .map(|meant| format!("powerManagement.cpuFreqGovernor = \"{meant}\";"))
            .into_iter()
            .collect(),
        place: None,
    })
}

fn other_key_map(name: &str) -> Option<Finding> {
    let (plain, _) = name.split_once('.').unwrap_or((name, ""));
    let parts = plain.split_once(['_', '-']);
    let is_known = KEYMAPS.iter().any(|(_, map)| *map == name);
    let is_other =
        parts.is_some_and(|(language, country)| is_locale(language, country)) && !is_known;
    let meant = key_map_of(name);
    if meant.is_none() && !is_other {
        return None;
    }
    let kind = if name.contains('_') {
        "locale"
    } else {
        "language"
    };
    Some(Finding {
        id: "key-map",
        severity: Severity::Warning,
        is: format!(
            "console.keyMap = \"{name}\"{}",
            meant.map_or_else(String::new, |meant| format!(" (did you mean \"{meant}\"?)"))
        ),
        why: format!(
            "that is a {kind}, not a console keymap, so the setting has no effect{}",
            if meant.is_none() {
                ". Remove it, or write the name of a keymap, such as \"us\""
            } else {
                ""
            }
        ),
        add: meant
            .map(|meant| format!("console.keyMap = \"{meant}\";"))
            .into_iter()
            .collect(),
        place: None,
    })
}

/// The keymap that the name of a language or of a locale means; `None` for what may be the name of a keymap.
fn key_map_of(name: &str) -> Option<&'static str> {
    let (plain, _) = name.split_once('.').unwrap_or((name, ""));
    let plain = plain.replace('-', "_");
    let locale = match plain.split_once('_') {
        Some((language, country)) if is_locale(language, country) => plain.as_str(),
        Some(_) | None => locale::of_language(name)?,
    };
    let has_map = |known: &str| known == locale || known.split('_').next() == Some(locale);
    let shared = |language: &str| {
        locale
            .split_once('_')
            .is_some_and(|(own, _)| own == language)
    };
    let own = KEYMAPS.iter().find(|(known, _)| has_map(known));
    let (_, map) = own.or_else(|| SHARED_KEYMAPS.iter().find(|(known, _)| shared(known)))?;
    (*map != name).then_some(map)
}

/// Whether `language` and `country` are two letters each, as `de` and `DE` are. Of keymaps only `fr_CH` has that form.
fn is_locale(language: &str, country: &str) -> bool {
    let is_country = country.len() == 2 && country.bytes().all(|c| c.is_ascii_uppercase());
    is_country && language.len() == 2 && language.bytes().all(|c| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::found;
    use super::*;

    #[test]
    fn a_locale_is_no_keymap_even_if_none_is_known_for_it() {
        let told = other_key_map("th_TH.UTF-8").unwrap();
        assert!(told.why.starts_with("that is a locale"), "{}", told.why);
        assert_eq!(told.add, [""; 0]);
        let mexico = other_key_map("es_MX").unwrap();
        assert_eq!(mexico.add, ["console.keyMap = \"la-latin1\";"]);
        for name in [
            "fr_CH",
            "fr_CH-latin1",
            "de_CH-latin1",
            "la-latin1",
            "sr-cy",
        ] {
            assert!(other_key_map(name).is_none(), "{name}");
        }
    }

    #[test]
    fn languages_are_no_keymaps() {
        for (name, meant) in [
            ("deutsch", "de"),
            ("German", "de"),
            ("de_DE", "de"),
            ("de_DE.UTF-8", "de"),
            ("de-DE", "de"),
            ("de_CH", "de_CH-latin1"),
            ("en_GB", "uk"),
            ("en_US.UTF-8", "us"),
            ("english", "us"),
            ("dansk", "dk"),
            ("de_AT", "de"),
            ("french", "fr"),
            ("fr_FR", "fr"),
            ("pt_BR", "br-abnt2"),
            ("portuguese", "pt-latin1"),
        ] {
            assert_eq!(key_map_of(name), Some(meant), "{name}");
        }
        for name in [
            "de",
            "us",
            "uk",
            "fr_CH",
            "de_CH-latin1",
            "de-latin1",
            "br-abnt2",
            "dvorak",
            "sv-latin1",
            "PL02",
            "us-acentos",
            "neo",
            "colemak",
            "fr-bepo",
            "et",
            "trq",
            "sg",
            "la-latin1",
            "es-cp850",
            "ru-ms",
            // These countries have layouts of their own.
            "fr_CA",
            "fr_BE",
            "nl_BE",
            "it_CH",
        ] {
            assert_eq!(key_map_of(name), None, "{name}");
        }
    }

    #[test]
    fn governors_are_those_of_the_kernel() {
        let told = |name: &str| found(&[("/own_settings/governor", json!(name))]);
        for name in GOVERNORS {
            assert_eq!(told(name), [""; 0], "{name}");
        }
        assert_eq!(told("fast"), ["governor"]);
        let mistyped = unknown_governor("ondemnad").unwrap();
        assert_eq!(
            mistyped.add,
            ["powerManagement.cpuFreqGovernor = \"ondemand\";"]
        );
    }
}
