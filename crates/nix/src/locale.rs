//! The names of glibc's locales (`i18n.defaultLocale`).

use sdbuild_core::nearest::is_slip;

/// The locales of glibc 2.36 with UTF-8, named as in its `localedata/SUPPORTED`: `de_DE.UTF-8`, and `hi_IN`, `sr_RS@latin`,
/// which have no other encoding.
const NAMES: &str = include_str!("locale/names.txt");

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

/// The locale that `unknown` may mean: the same in another form, a name with a wrong letter, or that of the language's own country.
pub fn suggestion(unknown: &str) -> Option<&'static str> {
    let (plain, _) = without_encoding(unknown);
    let language = plain.split('_').next().unwrap_or_default();
    let own = format!("{language}_{language}");
    let find =
        |is: &dyn Fn(&str) -> bool| NAMES.lines().find(|known| is(&without_encoding(known).0));
    find(&|known| plain.eq_ignore_ascii_case(known))
        .or_else(|| find(&|known| is_slip(&plain, known)))
        .or_else(|| find(&|known| own.eq_ignore_ascii_case(known)))
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
        for (valid, names) in [
            (
                Some(true),
                ["de_DE.UTF-8", "en_US.utf8", "hi_IN", "sr_RS@latin"],
            ),
            (Some(false), ["", "xx_YY.UTF-8", "de_DE", "hi_IN.UTF-8"]),
            (None, ["C", "C.UTF-8", "POSIX", "de_DE.ISO-8859-1"]),
        ] {
            assert_eq!(names.map(is_valid), [valid; 4], "{names:?}");
        }
    }

    #[test]
    fn a_mistyped_locale_gets_a_suggestion() {
        for (unknown, meant) in [
            ("de_De", Some("de_DE.UTF-8")),
            ("de", Some("de_DE.UTF-8")),
            ("hi_IN.UTF-8", Some("hi_IN")),
            ("en_UX.UTF-8", Some("en_US.UTF-8")),
            ("en-GB", Some("en_GB.UTF-8")),
            ("xx_XX", None),
            ("", None),
        ] {
            assert_eq!(suggestion(unknown), meant, "{unknown}");
        }
    }
}
