//! The address of a binary cache. Pure.

use crate::common::cache_key::{PublicKeyError, check_public};
use sdbuild_core::failure::Failure;
use sdbuild_core::http_url;
use sdbuild_core::http_url::HttpUrlError;

/// Stores of the machine that Nix runs on, as Nix names them.
const STORES_OF_NIX: [&str; 3] = ["auto", "daemon", "local"];

/// Words that mean that there is no cache.
const NONE: [&str; 4] = ["false", "no", "none", "off"];

const SERVE: &str = "Nix runs in a container, so serve the directory over HTTP";

/// Refuses what is no address of a cache, of which Nix only warns, and the address of one with a user name, password or token,
/// which would be in messages, in the log, and in the builder's environment. Does not repeat a secret.
pub(super) fn check(address: &str) -> Result<(), Failure> {
    match http_url::check(address) {
        Ok(()) if is_understood(address) => Ok(()),
        Ok(()) | Err(HttpUrlError::NotHttp) => Err(not_an_address(address)),
        Err(secret @ (HttpUrlError::HasCredentials | HttpUrlError::HasToken)) => {
            let text = format!("the address of a binary cache {secret}");
            Err(Failure::usage(text).hint(
                "write a login into a file, `machine HOST login NAME password PASSWORD`, and give --netrc-file FILE",
            ))
        }
    }
}

/// Whether Nix understands `address`, which is one of HTTP: it knows schemes in lower case only.
fn is_understood(address: &str) -> bool {
    let mut schemes = ["https://", "http://"].iter();
    schemes.any(|scheme| address.starts_with(scheme)) && !has_list_characters(address)
}

/// Whether `address` has characters that belong to a list in a file of Nix, TOML or JSON.
fn has_list_characters(address: &str) -> bool {
    address.contains(['"', '\'', ',']) || address.starts_with("[h")
}

fn not_an_address(address: &str) -> Failure {
    if may_have_secret(address) {
        return Failure::usage("the address of a binary cache is wrong; it is not shown because it may contain a secret")
            .hint("an address is https://HOST or http://HOST:PORT, without a login; a public key belongs in --trusted-public-keys");
    }
    Failure::usage(format!("`{address}` is not the address of a binary cache")).hint(hint(address))
}

fn may_have_secret(address: &str) -> bool {
    address.contains(['@', '?', '#']) || check_public(address) == Err(PublicKeyError::IsSecret)
}

/// How `address`, which has no secret, is written.
fn hint(address: &str) -> String {
    if has_list_characters(address) {
        return "separate addresses with spaces, without quotes, brackets or commas inside: --substituters \
                'https://a.example https://b.example'".to_owned();
    }
    if NONE.contains(&address) {
        return "to use none: --substituters ''".to_owned();
    }
    if check_public(address).is_ok() {
        return "that is a public key, for --trusted-public-keys".to_owned();
    }
    if address.starts_with(['/', '.', '~']) || STORES_OF_NIX.contains(&address) {
        return SERVE.to_owned();
    }
    match address.split_once("://") {
        Some(("s3", _)) => {
            "the builder's Nix cannot read S3; give the bucket's HTTP address".to_owned()
        }
        Some(("ssh" | "ssh-ng", _)) => {
            "binary caches work over HTTP. For machines that build over SSH, use --builders"
                .to_owned()
        }
        Some(("file", _)) => SERVE.to_owned(),
        Some((scheme, host)) if !host.is_empty() => {
            format!("write {}://{host}", meant_scheme(scheme))
        }
        Some(_) => "an address is https://HOST or http://HOST:PORT".to_owned(),
        None => hint_without_scheme(address),
    }
}

fn hint_without_scheme(address: &str) -> String {
    // As in `https//c.example` and `https:/c.example`.
    let broken = ["https", "http"].into_iter().find_map(|scheme| {
        let rest = address.strip_prefix(scheme)?;
        Some((
            scheme,
            rest.strip_prefix([':', '/'])?.trim_start_matches('/'),
        ))
    });
    if let Some((scheme, host)) = broken.filter(|(_, host)| !host.is_empty()) {
        return format!("write {scheme}://{host}");
    }
    let host = address.split('/').next().unwrap_or(address);
    let port = host.rsplit_once(':').map(|(_, port)| port);
    let has_port = port.is_some_and(|port| port.parse::<u16>().is_ok());
    if has_port {
        format!("write http://{address}")
    } else if host.contains('.') && port.is_none() {
        format!("write https://{address}")
    } else if port.is_none() {
        format!(
            "an address begins with https://; the cachix cache of this name is https://{host}.cachix.org"
        )
    } else {
        "an address is https://HOST or http://HOST:PORT".to_owned()
    }
}

/// The scheme that a misspelt or another one means.
fn meant_scheme(scheme: &str) -> &'static str {
    let scheme = scheme.to_lowercase();
    if scheme.starts_with('h') && !scheme.ends_with('s') {
        "http"
    } else {
        "https"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::cache_key::CacheKey;

    #[test]
    fn only_addresses_of_http_are_caches() {
        for address in [
            "https://cache.nixos.org",
            "https://cache.nixos.org/",
            "http://172.17.0.1:5000/a?priority=3",
            "http://[fd00::1]:5000",
        ] {
            assert!(check(address).is_ok(), "{address}");
        }
        for (address, help) in [
            ("cache.nixos.org", "write https://cache.nixos.org"),
            ("cache.nixos.org/x", "write https://cache.nixos.org/x"),
            ("cache.lan:8080", "write http://cache.lan:8080"),
            ("localhost:5000", "write http://localhost:5000"),
            ("[::1]:5000", "write http://[::1]:5000"),
            ("HTTPS://Cache.example/X", "write https://Cache.example/X"),
            ("htps://cache.nixos.org", "write https://cache.nixos.org"),
            ("htp://10.0.0.2:5000", "write http://10.0.0.2:5000"),
            ("https//cache.nixos.org", "write https://cache.nixos.org"),
            ("https:c.example", "write https://c.example"),
            ("ftp://c.example", "write https://c.example"),
            ("\"https://c.example\"", "without quotes"),
            ("https://a.example,https://b.example", "without quotes"),
            ("[https://c.example]", "without quotes"),
            ("https://", "https://HOST"),
            ("nix-community", "https://nix-community.cachix.org"),
            ("none", "--substituters ''"),
            (
                "cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=",
                "--trusted-public-keys",
            ),
            ("/srv/cache", "over HTTP"),
            ("./cache", "over HTTP"),
            ("file:///srv", "over HTTP"),
            ("daemon", "over HTTP"),
            ("s3://bucket", "cannot read S3"),
            ("ssh://pi", "--builders"),
        ] {
            let failure = check(address).unwrap_err();
            let hints = failure.hints.join(" ");
            assert!(hints.contains(help), "{address}: {hints}");
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_repeated() {
        let key = CacheKey::generate().unwrap().secret();
        let (_, key_bytes) = key.split_once(':').unwrap();
        for (address, secret) in [
            ("ftp://me:hunter2@c.example", "hunter2"),
            ("me:hunter2@c.example", "hunter2"),
            ("//me:hunter2@c.example", "hunter2"),
            ("https:/me:hunter2@c.example", "hunter2"),
            ("ftp://c.example/?token=ab//hunter2", "hunter2"),
            ("https://me:hunter2@c.example:99999", "hunter2"),
            (&key, key_bytes),
        ] {
            let failure = check(address).unwrap_err();
            let text = format!("{failure} {}", failure.hints.join(" "));
            assert!(!text.contains(secret), "{text}");
        }
        let failure = not_an_address("me:hunter2@c.example").to_string();
        assert!(failure.contains("it is not shown because"), "{failure}");
    }
}
