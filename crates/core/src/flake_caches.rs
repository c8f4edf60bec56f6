//! The binary caches that a flake names in its `nixConfig`, and whether they are used. Pure.

use serde::{Deserialize, Serialize};

use super::hash::Sha256Hash;

/// Binary caches and the keys that sign what they have.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct FlakeCaches {
    /// Their URLs.
    pub substituters: Vec<String>,
    /// Their public keys.
    pub trusted_public_keys: Vec<String>,
}

impl FlakeCaches {
    /// Whether each URL and key is a single word of the characters that flakes may have there (`flake-source.nix`).
    pub fn are_words(&self) -> bool {
        let allowed = |c: char| c.is_ascii_alphanumeric() || ":/.?&=_%+@~,-".contains(c);
        let is_word = |text: &String| !text.is_empty() && text.chars().all(allowed);
        let mut all = self.substituters.iter().chain(&self.trusted_public_keys);
        all.all(is_word)
    }

    /// SHA-256 in hex of the settings of Nix that use exactly these, as the builder writes them.
    fn sha256(&self) -> String {
        let (urls, keys) = (&self.substituters, &self.trusted_public_keys);
        let settings = format!(
            "extra-substituters = {}\nextra-trusted-public-keys = {}",
            urls.join(" "),
            keys.join(" ")
        );
        Sha256Hash::of(settings.as_bytes()).to_string()
    }
}

/// What a user has answered about the caches of a flake.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct CacheAnswer {
    /// Directory or reference of the flake.
    pub flake: String,
    /// Whether the user accepted the caches.
    pub accepted: bool,
    /// The caches that the answer applies to.
    #[serde(flatten)]
    pub caches: FlakeCaches,
}

/// What is known about the caches of a flake before it is evaluated.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachePolicy {
    /// Directory or reference of the flake.
    pub flake: String,
    /// What the settings say of all caches of all flakes.
    pub setting: Option<bool>,
    /// Whether the build is offline.
    pub offline: bool,
    /// Earlier answers about this flake.
    pub answers: Vec<CacheAnswer>,
    /// Whether there is a terminal to ask on.
    pub asks: bool,
}

/// The decision about a flake's binary caches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// They are.
    Used,
    /// They are not, as the user has said.
    Refused,
    /// Not used, because they were not accepted.
    Unknown,
    /// The user is asked before anything is built.
    Asked,
    /// Not used, without a warning: nothing is fetched.
    Offline,
}

impl CachePolicy {
    /// The decision about `caches`.
    pub fn of(&self, caches: &FlakeCaches) -> CacheUse {
        if self.offline {
            return CacheUse::Offline;
        }
        let mut answers = self.answers.iter();
        let answer = answers.find(|answer| answer.caches == *caches);
        match self.setting.or(answer.map(|answer| answer.accepted)) {
            Some(true) => CacheUse::Used,
            Some(false) => CacheUse::Refused,
            None if self.asks => CacheUse::Asked,
            None => CacheUse::Unknown,
        }
    }

    /// The answers for the builder, which learns the caches only when the flake is evaluated: `yes` for all, or the SHA-256 of each
    /// list that is used; `None` if it uses none.
    pub fn accepted(&self) -> Option<String> {
        match self.setting.filter(|_| !self.offline) {
            Some(true) => return Some("yes".to_owned()),
            Some(false) => return None,
            None if self.offline => return None,
            None => {}
        }
        let accepted = self.answers.iter().filter(|answer| answer.accepted);
        let lists: Vec<_> = accepted.map(|answer| answer.caches.sha256()).collect();
        (!lists.is_empty()).then(|| lists.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caches(url: &str) -> FlakeCaches {
        FlakeCaches {
            substituters: vec![url.into()],
            trusted_public_keys: vec!["k-1:x=".into()],
        }
    }

    #[test]
    fn an_answer_is_about_exactly_these_caches() {
        let answer = |url: &str, accepted| CacheAnswer {
            flake: "/pi".into(),
            accepted,
            caches: caches(url),
        };
        let mut policy = CachePolicy {
            answers: vec![answer("https://a", true), answer("https://b", false)],
            asks: true,
            ..CachePolicy::default()
        };
        let other_key = FlakeCaches {
            trusted_public_keys: vec!["k-1:y=".into()],
            ..caches("https://a")
        };
        assert_eq!(policy.of(&caches("https://a")), CacheUse::Used);
        assert_eq!(policy.of(&caches("https://b")), CacheUse::Refused);
        assert_eq!(policy.of(&other_key), CacheUse::Asked);
        assert_eq!(policy.accepted(), Some(caches("https://a").sha256()));
        policy.asks = false;
        assert_eq!(policy.of(&other_key), CacheUse::Unknown);
        // The settings of this run count more.
        policy.setting = Some(false);
        assert_eq!(policy.of(&caches("https://a")), CacheUse::Refused);
        assert_eq!(policy.accepted(), None);
        policy.setting = Some(true);
        assert_eq!(policy.of(&other_key), CacheUse::Used);
        assert_eq!(policy.accepted().as_deref(), Some("yes"));
        policy.offline = true;
        assert_eq!(policy.of(&caches("https://a")), CacheUse::Offline);
        assert_eq!(policy.accepted(), None);
    }
}
