//! Which Debian mirrors to ask, in order. Hashes are pinned, so any mirror is safe to ask.

use std::path::Path;

use crate::common::failure::Failure;

/// Nobody's sources file is longer.
const LONGEST: u64 = 1 << 20;
/// Debian's public mirror network, for hosts that have no preference of their own.
pub(super) const PUBLIC: &str = "http://ftp.debian.org/debian";

/// The mirrors in order: the one that the user chose, those of the host's own apt (below
/// `etc_apt`, for a Debian host), the public one. The snapshot archive comes after all of them and
/// is the fetcher's business.
pub(super) fn mirrors(chosen: Option<&str>, etc_apt: &Path) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    let chosen = chosen.map(str::to_owned);
    for uri in chosen
        .into_iter()
        .chain(apt_mirrors(etc_apt))
        .chain([PUBLIC.to_owned()])
    {
        let uri = uri.trim_end_matches('/').to_owned();
        if !list.contains(&uri) {
            list.push(uri);
        }
    }
    list
}

/// Refuses a mirror whose address could not be asked, or would put a password into messages and into the
/// builder's environment.
pub(super) fn check(mirror: &str) -> Result<(), Failure> {
    let rest = mirror
        .strip_prefix("http://")
        .or_else(|| mirror.strip_prefix("https://"));
    let Some(rest) = rest.filter(|rest| !rest.contains(char::is_whitespace)) else {
        return Err(
            Failure::usage("the Debian mirror is no http or https address").hint(format!(
                "SDBUILD_DEBIAN_MIRROR and debian-mirror look like {PUBLIC}"
            )),
        );
    };
    let host = rest.split('/').next().unwrap_or(rest);
    if host.contains('@') {
        return Err(Failure::usage(
            "the Debian mirror's address has a user name or password in it",
        )
        .hint("sdbuild keeps no secrets: take a mirror that asks for none"));
    }
    Ok(())
}

/// The `/debian` archives named in apt's sources, in both formats.
fn apt_mirrors(etc_apt: &Path) -> Vec<String> {
    let mut files = vec![etc_apt.join("sources.list")];
    if let Ok(dir) = std::fs::read_dir(etc_apt.join("sources.list.d")) {
        let mut more: Vec<_> = dir.flatten().map(|entry| entry.path()).collect();
        more.sort();
        files.extend(more);
    }
    let known = |p: &Path| p.extension().is_some_and(|e| e == "list" || e == "sources");
    files
        .iter()
        .filter(|path| known(path))
        .filter_map(|path| crate::common::plain_file::read_text(path, LONGEST).ok())
        .flat_map(|text| text.lines().flat_map(uris).collect::<Vec<_>>())
        .collect()
}

/// The archive addresses in one line of a sources file.
fn uris(line: &str) -> Vec<String> {
    let line = line.trim();
    let deb822 = line.strip_prefix("URIs:");
    let Some(words) = deb822.or_else(|| line.strip_prefix("deb ")) else {
        return Vec::new();
    };
    words
        .split_whitespace()
        .filter(|word| check(word).is_ok())
        .map(|word| word.trim_end_matches('/'))
        // Security and backports archives hold other packages under other paths.
        .filter(|word| word.ends_with("/debian"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read_and_the_order_is_kept() {
        let apt = tempfile::tempdir().unwrap();
        std::fs::write(
            apt.path().join("sources.list"),
            "# deb http://old.example/debian x main\n\
             deb [signed-by=/k] http://one.example/debian/ trixie main\n\
             deb http://sec.example/debian-security trixie-security main\n",
        )
        .unwrap();
        std::fs::create_dir(apt.path().join("sources.list.d")).unwrap();
        std::fs::write(
            apt.path().join("sources.list.d/debian.sources"),
            "Types: deb\nURIs: https://two.example/debian http://one.example/debian\n",
        )
        .unwrap();
        std::fs::write(
            apt.path().join("sources.list.d/debian.sources.bak"),
            "URIs: http://bak.example/debian\n",
        )
        .unwrap();
        assert_eq!(
            mirrors(Some("http://mine.example/debian/"), apt.path()),
            [
                "http://mine.example/debian",
                "http://one.example/debian",
                "https://two.example/debian",
                PUBLIC
            ]
        );
    }

    #[test]
    fn a_password_in_an_address_is_refused_and_not_repeated() {
        let failure = check("https://me:secret@mirror.example/debian").unwrap_err();
        assert!(!failure.to_string().contains("secret"));
        assert!(check("ftp://mirror.example/debian").is_err());
        assert!(check("http://mirror.example:8080/a@b/debian").is_ok());
    }

    #[test]
    fn a_host_without_apt_asks_the_public_mirror() {
        assert_eq!(mirrors(None, Path::new("/nonexistent")), [PUBLIC]);
    }
}
