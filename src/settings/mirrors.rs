//! Debian mirrors to download from. Hashes are pinned, so any mirror is safe.

use std::path::Path;

use super::each_once;
use sdbuild_core::failure::Failure;
use sdbuild_core::http_url;
use sdbuild_core::http_url::HttpUrlError;

/// Bytes that are read of a sources file at most.
const MAX_SOURCES_BYTES: u64 = 1 << 20;
/// Debian's public mirror network, for hosts without apt.
pub(super) const PUBLIC: &str = "http://ftp.debian.org/debian";

/// The mirrors without a setting: those of the host's own apt, whose configuration is in `etc_apt`, then the public one. The
/// fetcher itself adds the snapshot archive at the end.
pub(super) fn usual(etc_apt: &Path) -> Vec<String> {
    let mut mirrors = apt_mirrors(etc_apt);
    mirrors.push(PUBLIC.to_owned());
    mirrors
}

/// `first`, then the others of `usual`, each once.
pub(super) fn in_order(first: String, usual: Vec<String>) -> Vec<String> {
    each_once(std::iter::once(first).chain(usual))
}

/// Refuses an address that is not HTTP, or that would put a password into messages and into the builder's environment.
pub(super) fn check(mirror: &str) -> Result<(), Failure> {
    http_url::check(mirror).map_err(|error| {
        let failure = Failure::usage(format!("the address of the Debian mirror {error}"));
        match error {
            HttpUrlError::NotHttp => failure.hint(format!(
                "write SDBUILD_DEBIAN_MIRROR or debian-mirror like {PUBLIC}"
            )),
            HttpUrlError::HasCredentials | HttpUrlError::HasToken => {
                failure.hint("sdbuild does not protect secrets: use a mirror without a login")
            }
        }
    })
}

/// The `/debian` archives in apt's sources, which have two formats, without a slash at the end.
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
        .filter_map(|path| sdbuild_core::plain_file::read_text(path, MAX_SOURCES_BYTES).ok())
        .flat_map(|text| text.lines().flat_map(uris).collect::<Vec<_>>())
        .collect()
}

/// The archive addresses in a line of a sources file.
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
        // Security and backports archives contain other packages under other paths.
        .filter(|word| word.ends_with("/debian"))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_are_read_in_order() {
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
            in_order("http://mine.example/debian".into(), usual(apt.path())),
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
    fn a_host_without_apt_uses_the_public_mirror() {
        let usual = usual(Path::new("/nonexistent"));
        assert_eq!(in_order(PUBLIC.to_owned(), usual), [PUBLIC]);
    }
}
