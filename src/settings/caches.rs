//! The binary caches of a build.

use std::path::PathBuf;

use super::resolver::Resolver;
use super::value::WordList;
use super::{CACHE, CACHE_KEY, each_once};
use crate::common::failure::Failure;
use crate::common::http_url;

/// Binary caches, the keys that sign them, and what else it takes to use them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caches {
    /// Their URLs, without user names and passwords, each once; may be empty.
    pub substituters: Vec<String>,
    /// Trusted public keys.
    pub trusted_public_keys: Vec<String>,
    /// Whether to build what a cache has but fails to deliver.
    pub fallback: bool,
    /// File with user names and passwords for caches, absolute.
    pub netrc_file: Option<PathBuf>,
}

impl Caches {
    pub(super) fn resolve(s: &mut Resolver<'_>) -> Result<Self, Failure> {
        let one_word = |word: &str| WordList(vec![word.to_owned()]);
        let substituters = s.value_or(
            "substituters",
            Some("SDBUILD_SUBSTITUTERS"),
            |o| o.substituters.clone(),
            one_word(CACHE),
        )?;
        let keys = s.value_or(
            "trusted-public-keys",
            Some("SDBUILD_TRUSTED_PUBLIC_KEYS"),
            |o| o.trusted_public_keys.clone(),
            one_word(CACHE_KEY),
        )?;
        let more_substituters = s.value(
            "extra-substituters",
            Some("SDBUILD_EXTRA_SUBSTITUTERS"),
            |o| o.extra_substituters.clone(),
        )?;
        let more_keys = s.value(
            "extra-trusted-public-keys",
            Some("SDBUILD_EXTRA_TRUSTED_PUBLIC_KEYS"),
            |o| o.extra_trusted_public_keys.clone(),
        )?;
        let caches = Self {
            substituters: each_once(substituters.0.into_iter().chain(more_substituters.0)),
            trusted_public_keys: each_once(keys.0.into_iter().chain(more_keys.0)),
            fallback: s.value("fallback", None, |o| o.fallback)?,
            netrc_file: s.optional("netrc-file", Some("SDBUILD_NETRC_FILE"), |o| {
                o.netrc_file.clone()
            })?,
        };
        caches
            .substituters
            .iter()
            .try_for_each(|url| check_address(url))?;
        Ok(caches)
    }
}

/// Refuses what is no address of a cache, of which Nix only warns, and the address of one with a user name, password or token, which would be in messages, in the log, and in the
/// builder's environment. Does not repeat the address.
fn check_address(address: &str) -> Result<(), Failure> {
    let is_host = address.contains('.') && !address.contains(['/', ':']);
    if is_host {
        return Err(
            Failure::usage(format!("`{address}` is not the address of a binary cache"))
                .hint(format!("write https://{address}")),
        );
    }
    http_url::secret_in(address).map_or(Ok(()), |secret| {
        Err(Failure::usage(format!("the address of a binary cache {secret}"))
        .hint("write a login into a file, `machine HOST login NAME password PASSWORD`, and give --netrc-file FILE"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Environment, Options};

    fn words(text: &str) -> WordList {
        text.parse().unwrap()
    }

    fn resolve(options: Options) -> Result<Caches, Failure> {
        let env = Environment::default();
        Caches::resolve(&mut Resolver::new(options, &env, None)?)
    }

    #[test]
    fn extra_caches_and_keys_add_and_others_replace() {
        let usual = resolve(Options::default()).unwrap();
        assert_eq!(usual.substituters, [CACHE]);
        assert_eq!(usual.trusted_public_keys, [CACHE_KEY]);
        let more = resolve(Options {
            extra_substituters: Some(words(&format!("https://a.example {CACHE}"))),
            extra_trusted_public_keys: Some(words("a-1:x=")),
            ..Options::default()
        });
        let more = more.unwrap();
        assert_eq!(more.substituters, [CACHE, "https://a.example"]);
        assert_eq!(more.trusted_public_keys, [CACHE_KEY, "a-1:x="]);
        let others = resolve(Options {
            substituters: Some(words("")),
            trusted_public_keys: Some(words("b-1:y=")),
            ..Options::default()
        });
        let others = others.unwrap();
        assert!(others.substituters.is_empty(), "none");
        assert_eq!(others.trusted_public_keys, ["b-1:y="]);
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
}
