//! The names of glibc's locales (`i18n.defaultLocale`).

use sdbuild_core::nearest::is_slip;

/// The locales of glibc 2.36 with UTF-8, named as in its `localedata/SUPPORTED`: `de_DE.UTF-8`, and `hi_IN`, `sr_RS@latin`,
/// which have no other encoding.
const NAMES: &str = include_str!("locale/names.txt");

/// Languages in English and in themselves, in lower case, and their codes in ISO 639-1; as in glibc's `locale.alias`, with the
/// languages that are spoken most.
const LANGUAGES: [(&str, &str); 42] = [
    ("arabic", "ar"),
    ("català", "ca"),
    ("catalan", "ca"),
    ("chinese", "zh_CN"),
    ("croatian", "hr"),
    ("czech", "cs_CZ"),
    ("danish", "da_DK"),
    ("dansk", "da_DK"),
    ("deutsch", "de"),
    ("dutch", "nl"),
    ("english", "en"),
    ("español", "es"),
    ("estonian", "et_EE"),
    ("finnish", "fi"),
    ("français", "fr"),
    ("french", "fr"),
    ("german", "de"),
    ("greek", "el_GR"),
    ("hebrew", "he_IL"),
    ("hindi", "hi_IN"),
    ("hungarian", "hu"),
    ("icelandic", "is"),
    ("italian", "it"),
    ("italiano", "it"),
    ("japanese", "ja_JP"),
    ("korean", "ko_KR"),
    ("lithuanian", "lt"),
    ("nederlands", "nl"),
    ("norwegian", "nb_NO"),
    ("polish", "pl"),
    ("polski", "pl"),
    ("portuguese", "pt"),
    ("português", "pt"),
    ("romanian", "ro"),
    ("russian", "ru"),
    ("slovak", "sk"),
    ("slovenian", "sl_SI"),
    ("spanish", "es"),
    ("swedish", "sv_SE"),
    ("thai", "th"),
    ("turkish", "tr"),
    ("ukrainian", "uk_UA"),
];

/// glibc's name of the locale `name`, if it has that with UTF-8: `de_DE.UTF-8` for `de_DE`, `hi_IN` for `hi_IN.utf8`. Locales
/// that are newer than this program are unknown to it.
pub fn with_utf8(name: &str) -> Option<&'static str> {
    let (plain, is_utf8) = without_encoding(name);
    let same = |known: &&str| without_encoding(known).0 == plain;
    NAMES.lines().find(same).filter(|_| is_utf8)
}

/// Whether NixOS takes the value `name`, whose encoding it writes as glibc does. `None` for other encodings than UTF-8, and for
/// `C` and `POSIX`, which every system has.
pub fn is_valid(name: &str) -> Option<bool> {
    let (plain, is_utf8) = without_encoding(name);
    let is_built_in = matches!(plain.as_str(), "C" | "POSIX");
    let written = name.replace("utf8", "UTF-8").replace("utf-8", "UTF-8");
    (is_utf8 && !is_built_in).then(|| NAMES.lines().any(|known| known == written))
}

/// Whether no release of glibc takes the value `name`: it writes a known locale otherwise, or is no name as glibc gives it. Another
/// name that is unknown may be that of a newer locale.
pub fn is_never_valid(name: &str) -> bool {
    is_valid(name) == Some(false) && (with_utf8(name).is_some() || !is_well_formed(name))
}

/// Whether `name` is written as those of glibc: `de_DE.UTF-8`, `tok`, `sr_RS@latin`.
fn is_well_formed(name: &str) -> bool {
    let (name, modifier) = name.split_once('@').unwrap_or((name, "latin"));
    let plain = name.strip_suffix(".UTF-8").unwrap_or(name);
    let are = |text: &str, is: fn(&u8) -> bool| text.as_bytes().iter().all(is);
    let is_language = match plain.split_once('_') {
        Some((language, country)) => {
            let is_country = country.len() == 2 && are(country, u8::is_ascii_uppercase);
            is_country && (2..=3).contains(&language.len()) && are(language, u8::is_ascii_lowercase)
        }
        // Of a language without a country.
        None => plain.len() == 3 && are(plain, u8::is_ascii_lowercase),
    };
    is_language && !modifier.is_empty() && are(modifier, u8::is_ascii_lowercase)
}

/// The locale that `unknown` may mean.
pub fn suggestion(unknown: &str) -> Option<&'static str> {
    let (plain, _) = without_encoding(unknown);
    let lower = plain.to_lowercase();
    let named = LANGUAGES.iter().find(|(name, _)| *name == lower);
    let plain = named.map_or(plain, |(_, code)| (*code).to_owned());
    let language = plain.split('_').next().unwrap_or_default();
    // With its own country (`de_DE`); the most similar names are of other countries or other languages (`da_DK` for `de`).
    let country = match language {
        "en" => "en_US".to_owned(),
        language => format!("{language}_{language}"),
    };
    let plain_of = |known: &str| without_encoding(known).0;
    let find = |name: &str| {
        NAMES
            .lines()
            .find(|known| name.eq_ignore_ascii_case(&plain_of(known)))
    };
    let of_language = || {
        let known = |name: &&str| plain_of(name).split('_').next() == Some(language);
        NAMES.lines().find(known)
    };
    find(&plain)
        .or_else(|| {
            NAMES
                .lines()
                .find(|known| is_slip(&plain, &plain_of(known)))
        })
        .or_else(|| find(&country))
        .or_else(of_language)
}

/// `name` without its encoding, and whether that is UTF-8, as it is without one.
fn without_encoding(name: &str) -> (String, bool) {
    let (language, modifier) = match name.split_once('@') {
        Some((name, modifier)) => (name, format!("@{modifier}")),
        None => (name, String::new()),
    };
    let (language, encoding) = language.split_once('.').unwrap_or((language, "UTF-8"));
    let encoding = encoding.replace('-', "");
    let is_utf8 = encoding.eq_ignore_ascii_case("utf8");
    (format!("{language}{modifier}"), is_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locales_have_the_names_of_glibc() {
        for (name, known) in [
            ("de_DE", Some("de_DE.UTF-8")),
            ("en_GB.utf8", Some("en_GB.UTF-8")),
            ("hi_IN.UTF-8", Some("hi_IN")),
            ("sr_RS.UTF-8@latin", Some("sr_RS@latin")),
            ("de_DE.ISO-8859-1", None),
            ("xx_YY.UTF-8", None),
            ("", None),
        ] {
            assert_eq!(with_utf8(name), known, "{name}");
        }
        for name in ["de_DE.UTF-8", "en_US.utf8", "hi_IN", "sr_RS@latin"] {
            assert_eq!(is_valid(name), Some(true), "{name}");
        }
        for name in ["", "xx_YY.UTF-8", "de_DE", "hi_IN.UTF-8", "german"] {
            assert_eq!(is_valid(name), Some(false), "{name}");
        }
        for name in ["C", "C.UTF-8", "POSIX", "de_DE.ISO-8859-1"] {
            assert_eq!(is_valid(name), None, "{name}");
        }
    }

    #[test]
    fn a_name_that_a_newer_glibc_may_have_is_told_apart() {
        for name in [
            "",
            "de",
            "de_DE",
            "hi_IN.UTF-8",
            "german",
            "de_de.UTF-8",
            "en-US.UTF-8",
            "de_DE.UTF-8@",
        ] {
            assert!(is_never_valid(name), "{name}");
        }
        for name in [
            "xx_YY.UTF-8",
            "xx_YY",
            "tkn",
            "scn_IT.UTF-8",
            "xx_YY@abc",
            "de_DE.UTF-8",
            "C",
        ] {
            assert!(!is_never_valid(name), "{name}");
        }
    }

    #[test]
    fn languages_have_locales() {
        for (language, code) in LANGUAGES {
            let locale = suggestion(language).unwrap_or_else(|| panic!("{language}"));
            assert!(locale.starts_with(code), "{language}: {locale}");
        }
    }

    #[test]
    fn a_mistyped_locale_gets_a_suggestion() {
        for (unknown, meant) in [
            ("de_De", "de_DE.UTF-8"),
            ("de", "de_DE.UTF-8"),
            ("de_YY", "de_DE.UTF-8"),
            ("hi_IN.UTF-8", "hi_IN"),
            ("en_UX.UTF-8", "en_US.UTF-8"),
            ("en", "en_US.UTF-8"),
            ("en-GB", "en_GB.UTF-8"),
            ("yo", "yo_NG"),
            ("German", "de_DE.UTF-8"),
            ("Français", "fr_FR.UTF-8"),
        ] {
            assert_eq!(suggestion(unknown), Some(meant), "{unknown}");
        }
        for unknown in ["§", "", "y", "xx_XX", "klingon"] {
            assert_eq!(suggestion(unknown), None, "{unknown}");
        }
    }
}
