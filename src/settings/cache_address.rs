//! The address of a binary cache. Pure.

use crate::common::failure::Failure;
use crate::common::http_url;

/// Stores of the machine that Nix runs on, as Nix names them.
const STORES_OF_NIX: [&str; 3] = ["auto", "daemon", "local"];

const SERVE: &str = "Nix runs in a container: serve the directory by HTTP (docs/binary-caches.md)";

/// Refuses what is no address of a cache, of which Nix only warns, and the address of one with a user name, password or token,
/// which would be in messages, in the log, and in the builder's environment. Does not repeat the latter.
pub(super) fn check(address: &str) -> Result<(), Failure> {
    if address.starts_with("https://") || address.starts_with("http://") {
        let secret = http_url::secret_in(address);
        return secret.map_or(Ok(()), |secret| {
            Err(Failure::usage(format!("the address of a binary cache {secret}"))
                .hint("write a login into a file, `machine HOST login NAME password PASSWORD`, and give --netrc-file FILE"))
        });
    }
    let shown = http_url::without_secrets(address);
    let failure = Failure::usage(format!("`{shown}` is not the address of a binary cache"));
    Err(failure.hint(hint(address)))
}

fn hint(address: &str) -> String {
    let scheme = address.split_once("://").map(|(scheme, _)| scheme);
    if address.contains(['"', '\'', '[', ']', ',']) {
        return "addresses have no quotes, brackets or commas: --substituters 'https://a.example https://b.example'".to_owned();
    }
    match scheme {
        Some("s3") => return "the builder's Nix reads no S3: give the bucket's address of HTTP (docs/binary-caches.md)".to_owned(),
        Some("ssh" | "ssh-ng") => return "a cache is fetched from by HTTP; --builders names machines that build, by SSH".to_owned(),
        Some("file") => return SERVE.to_owned(),
        _ if address.starts_with(['/', '.', '~']) || STORES_OF_NIX.contains(&address) => return SERVE.to_owned(),
        _ => {}
    }
    // Behind a misspelt scheme, or none.
    let host = address.rsplit("//").next().unwrap_or(address);
    let host = host.rsplit('@').next().unwrap_or(host);
    if address.contains("//") || host.contains('.') && !host.contains(':') {
        let host = host.split(['?', '#']).next().unwrap_or(host);
        format!("write https://{host}")
    } else if ["none", "no", "false", "off"].contains(&address) {
        "an empty text turns them off: --substituters ''".to_owned()
    } else if host.contains(':') {
        "an address begins with https://; a key belongs into --trusted-public-keys".to_owned()
    } else {
        format!(
            "an address begins with https://; that of cachix's cache of this name is https://{host}.cachix.org"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_http_are_caches() {
        for address in [
            "https://cache.nixos.org",
            "http://172.17.0.1:5000/a?priority=3",
        ] {
            assert!(check(address).is_ok(), "{address}");
        }
        for (address, help) in [
            ("cache.nixos.org", "write https://cache.nixos.org"),
            ("cache.nixos.org/x", "write https://cache.nixos.org/x"),
            ("htps://cache.nixos.org", "write https://cache.nixos.org"),
            ("HTTPS://cache.nixos.org", "write https://cache.nixos.org"),
            ("https//cache.nixos.org", "write https://cache.nixos.org"),
            ("ftp://c.example", "write https://c.example"),
            ("\"https://c.example\"", "no quotes"),
            ("[https://c.example]", "no quotes"),
            ("https:", "begins with https://"),
            ("nix-community", "https://nix-community.cachix.org"),
            ("none", "--substituters ''"),
            ("c-1:AAAA=", "--trusted-public-keys"),
            ("/srv/cache", "by HTTP"),
            ("./cache", "by HTTP"),
            ("file:///srv", "by HTTP"),
            ("daemon", "by HTTP"),
            ("s3://bucket", "no S3"),
            ("ssh://root@pi", "--builders"),
        ] {
            let failure = check(address).unwrap_err();
            let hints = failure.hints.join(" ");
            assert!(hints.contains(help), "{address}: {hints}");
        }
        let failure = check("ftp://me:secret@c.example").unwrap_err();
        let text = format!("{failure} {}", failure.hints.join(" "));
        assert!(!text.contains("secret"), "{text}");
    }
}
