//! The binary caches of a build.

use super::CACHE;
use super::CACHE_KEY;
use super::each_once;
use super::resolver::Resolver;
use super::value::WordList;
use sdbuild_build::Caches;
use sdbuild_build::cache_key::{PublicKeyError, check_public};
use sdbuild_core::failure::Failure;
use sdbuild_core::http_url;
use sdbuild_core::http_url::HttpUrlError;

/// Resolves the binary caches.
pub(super) fn resolve_caches(s: &mut Resolver<'_>) -> Result<Caches, Failure> {
    let one_word = |word: &str| WordList(vec![word.to_owned()]);
    let substituters = s.value_or("substituters", |o| o.substituters.clone(), one_word(CACHE))?;
    let keys = s.value_or(
        "trusted-public-keys",
        |o| o.trusted_public_keys.clone(),
        one_word(CACHE_KEY),
    )?;
    let more_substituters = s.value("extra-substituters", |o| o.extra_substituters.clone())?;
    let more_keys = s.value("extra-trusted-public-keys", |o| {
        o.extra_trusted_public_keys.clone()
    })?;
    let caches = Caches {
        substituters: each_once(substituters.0.into_iter().chain(more_substituters.0)),
        trusted_public_keys: each_once(keys.0.into_iter().chain(more_keys.0)),
        fallback: s.value("fallback", |o| o.fallback)?,
        netrc_file: s.optional("netrc-file", |o| o.netrc_file.clone())?,
        accept_flake_caches: s.optional("accept-flake-caches", |o| o.accept_flake_caches)?,
    };
    for address in &caches.substituters {
        check_address(address)?;
    }
    for key in &caches.trusted_public_keys {
        check_key(key)?;
    }
    Ok(caches)
}

/// Refuses what is no address of a cache, of which Nix only warns, and the address of one with a user name, password or token,
/// which would be in messages, in the log, and in the builder's environment. Does not repeat a secret.
fn check_address(address: &str) -> Result<(), Failure> {
    // Nix knows schemes in lower case only.
    let mut schemes = ["https://", "http://"].iter();
    let is_http = schemes.any(|scheme| address.starts_with(scheme));
    match http_url::check(address) {
        Ok(()) if is_http && !address.contains(['"', '\'', ',']) => Ok(()),
        Err(secret @ (HttpUrlError::HasCredentials | HttpUrlError::HasToken)) => {
            let text = format!("the address of a binary cache {secret}");
            Err(Failure::usage(text).hint(
                "write a login into a file, `machine HOST login NAME password PASSWORD`, and give --netrc-file FILE",
            ))
        }
        Ok(()) | Err(HttpUrlError::NotHttp) => {
            let may_have_secret = address.contains(['@', '?', '#'])
                || check_public(address) == Err(PublicKeyError::IsSecret);
            let failure = if may_have_secret {
                Failure::usage(
                    "the address of a binary cache is wrong; it is not shown because it may contain a secret",
                )
            } else {
                Failure::usage(format!("`{address}` is not the address of a binary cache"))
            };
            Err(failure.hint("addresses are https://HOST or http://HOST:PORT, separated by spaces"))
        }
    }
}

/// Refuses what is no public key, which Nix does when it needs one. Does not repeat it.
fn check_key(key: &str) -> Result<(), Failure> {
    let Err(error) = check_public(key) else {
        return Ok(());
    };
    let hint = match error {
        PublicKeyError::IsSecret => {
            "give its public half. `sdbuild cache key` prints that of sdbuild's own key, and `nix key \
             convert-secret-to-public` that of another key"
        }
        PublicKeyError::IsAddress => {
            "give the address in --extra-substituters, and the key of that cache here"
        }
        PublicKeyError::Malformed => {
            "the page of a cache names its key, as cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=; several are separated by spaces"
        }
    };
    let text = format!("a trusted public key of a binary cache {error}");
    Err(Failure::usage(text).hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Options};
    use sdbuild_build::cache_key::CacheKey;

    fn words(text: &str) -> WordList {
        text.parse().unwrap()
    }

    fn key(name: &str) -> String {
        let (_, bytes) = CACHE_KEY.split_once(':').unwrap();
        format!("{name}-1:{bytes}")
    }

    fn resolve(options: Options) -> Result<Caches, Failure> {
        let env = Environment::default();
        resolve_caches(&mut Resolver::new(options, &env, None)?)
    }

    #[test]
    fn extra_caches_and_keys_add_and_others_replace() {
        let usual = resolve(Options::default()).unwrap();
        assert_eq!(usual.substituters, [CACHE]);
        assert_eq!(usual.trusted_public_keys, [CACHE_KEY]);
        let more = resolve(Options {
            extra_substituters: Some(words(&format!("https://a.example {CACHE}"))),
            extra_trusted_public_keys: Some(words(&key("a"))),
            ..Options::default()
        });
        let more = more.unwrap();
        assert_eq!(more.substituters, [CACHE, "https://a.example"]);
        assert_eq!(more.trusted_public_keys, [CACHE_KEY, &key("a")]);
        let others = resolve(Options {
            substituters: Some(words("")),
            trusted_public_keys: Some(words(&key("b"))),
            ..Options::default()
        });
        let others = others.unwrap();
        assert!(others.substituters.is_empty(), "none");
        assert_eq!(others.trusted_public_keys, [key("b")]);
    }

    #[test]
    fn only_addresses_of_http_are_caches() {
        for address in [
            "https://cache.nixos.org/",
            "http://172.17.0.1:5000/a?priority=3",
            "http://[fd00::1]:5000",
        ] {
            assert!(check_address(address).is_ok(), "{address}");
        }
        for address in [
            "cache.nixos.org",
            "HTTPS://Cache.example/X",
            "ftp://c.example",
            "https://a.example,https://b.example",
            "[https://c.example]",
            "none",
            "/srv/cache",
            "ssh://pi",
        ] {
            assert!(check_address(address).is_err(), "{address}");
        }
        let key = CacheKey::generate().unwrap().secret();
        let (_, key_bytes) = key.split_once(':').unwrap();
        for (address, secret) in [
            ("ftp://me:hunter2@c.example", "hunter2"),
            ("me:hunter2@c.example", "hunter2"),
            ("https:/me:hunter2@c.example", "hunter2"),
            ("ftp://c.example/?token=ab//hunter2", "hunter2"),
            ("https://me:hunter2@c.example:99999", "hunter2"),
            (&key, key_bytes),
        ] {
            let failure = check_address(address).unwrap_err();
            let text = format!("{failure} {}", failure.hints.join(" "));
            assert!(!text.contains(secret), "{text}");
        }
    }

    #[test]
    fn a_password_in_the_address_of_a_cache_is_refused() {
        for address in [
            "https://me:secret@c.example",
            "http://secret@c.example/x",
            "https://c.example?token=secret",
        ] {
            let failure = resolve(Options {
                extra_substituters: Some(words(address)),
                ..Options::default()
            });
            let failure = failure.unwrap_err();
            let text = format!("{failure} {}", failure.hints.join(" "));
            assert!(!text.contains("secret"), "{text}");
            assert!(text.contains("--netrc-file"), "{text}");
        }
    }

    #[test]
    fn a_key_that_is_none_is_refused_and_not_repeated() {
        let secret = CacheKey::generate().unwrap().secret();
        for (given, hint) in [
            ("x-1:abc", "cache.nixos.org-1:"),
            ("https://c.example", "--extra-substituters"),
            (secret.as_str(), "sdbuild cache key"),
        ] {
            let failure = resolve(Options {
                trusted_public_keys: Some(words(given)),
                ..Options::default()
            });
            let failure = failure.unwrap_err();
            let text = format!("{failure} {}", failure.hints.join(" "));
            assert!(text.contains(hint) && !text.contains(given), "{text}");
        }
    }
}
