//! Files that a build fetches, and that their server does not give.

use super::evidence::{ExitContext, FailedBuild};
use super::fetch_error::failed_download;
use super::names::quoted_after;
use super::written_words::place_of;
use sdbuild_core::failure::{Class, Failure};

/// What `nixpkgs` writes before it asks a server.
const TRYING: &str = "trying ";
/// What curl says about an address that a server does not have.
const CURL_NOT_FOUND: &str = "The requested URL returned error: 404";
/// The same in Nix's own words.
const NOT_FOUND: &str = "HTTP error 404";

/// The failure of a build that fetches what its server says it does not have; `None` unless the user's own files have that address.
pub(super) fn not_found_failure(
    context: &ExitContext<'_>,
    failed: Option<&FailedBuild>,
) -> Option<Failure> {
    let url = missing_address(&failed?.tail)?;
    let place = place_of(context, url)?;
    let text = format!(
        "{place}: the server answers 404 for {url}. There is no such file, or it needs a login"
    );
    Some(Failure::message(Class::Build, text).hint("check the address, and that it needs no login"))
}

/// What to do about a branch or tag that a repository does not have, of which Nix's message `summary` speaks.
pub(super) fn missing_branch(context: &ExitContext<'_>, summary: &str) -> Option<String> {
    let name = quoted_after(summary, "resolving Git reference")?;
    let place = place_of(context, name)?;
    Some(format!(
        "{place}: the repository has no branch or tag {name}. Write one that `git branch --all` or `git tag` lists there"
    ))
}

/// The address that a server does not have, by the last lines of a build that fetches a single one.
fn missing_address(lines: &[String]) -> Option<&str> {
    let by_nix = lines.iter().find_map(|line| failed_download(line));
    if let Some((url, why)) = by_nix {
        return why.starts_with(NOT_FOUND).then_some(url);
    }
    let mut tried = lines.iter().filter_map(|line| line.strip_prefix(TRYING));
    let only = tried.next().filter(|_| tried.next().is_none())?;
    let is_missing = lines.iter().any(|line| line.ends_with(CURL_NOT_FOUND));
    is_missing.then_some(only.trim())
}

#[cfg(test)]
mod tests {
    use super::super::Findings;
    use super::super::diagnose;
    use super::*;
    use crate::nixos::shell_session::Derivation;
    use crate::nixos::user_files::UserFiles;

    fn missing(log: &str) -> Option<String> {
        let lines: Vec<String> = log.lines().map(str::to_owned).collect();
        missing_address(&lines).map(str::to_owned)
    }

    #[test]
    fn only_an_address_that_a_server_lacks_is_missing() {
        let curl = "\ntrying https://a.example/x.tar.gz\n  % Total\ncurl: (22) The requested URL returned error: 404\n\
                    error: cannot download x.tar.gz from any mirror";
        assert_eq!(missing(curl).unwrap(), "https://a.example/x.tar.gz");
        let forbidden = curl.replace("404", "403");
        let several = format!("trying https://b.example/x.tar.gz\n{curl}");
        let by_nix = "error: unable to download 'https://a.example/x': HTTP error 404";
        assert_eq!(missing(by_nix).unwrap(), "https://a.example/x");
        let other = by_nix.replace("404", "500");
        for log in [&forbidden, &several, &other, "", "make: *** Error 404"] {
            assert_eq!(missing(log), None, "{log}");
        }
    }

    #[test]
    fn an_address_of_the_users_own_has_its_place() {
        let root = tempfile::tempdir().unwrap();
        let text = "{ pkgs, ... }:\n{\n  x = pkgs.fetchurl {\n    url = \"https://a.example/x\";\n  };\n}\n";
        std::fs::write(root.path().join("c.nix"), text).unwrap();
        let files = UserFiles::new(root.path());
        let context = ExitContext {
            code: 100,
            shown_dir: "pi/",
            files: Some(&files),
            ..ExitContext::default()
        };
        let failure_of = |url: &str| {
            let line = format!("error: unable to download '{url}': HTTP error 404");
            let failed = FailedBuild {
                name: "x".to_owned(),
                derivation: Derivation::new("/nix/store/00000000000000000000000000000000-x.drv"),
                tail: vec![line],
                ..FailedBuild::default()
            };
            diagnose(
                &context,
                &Findings {
                    failed: Some(failed),
                    ..Findings::default()
                },
            )
        };
        let own = failure_of("https://a.example/x");
        let message = "pi/c.nix:4: the server answers 404 for https://a.example/x. There is no such file, or it needs a \
         login";
        assert_eq!(own.to_string(), message);
        assert_eq!(own.hints, ["check the address, and that it needs no login"]);
        assert_eq!((own.derivation, own.log_tail), (None, Vec::new()));
        let other = failure_of("https://b.example/x");
        assert!(
            other.to_string().starts_with("the build of x failed"),
            "{other}"
        );
        assert!(other.derivation.is_some());
    }
}
