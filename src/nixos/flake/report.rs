//! What the builder reports about a flake once it is locked.

use serde::Deserialize;

use crate::common::git_source::is_commit;
use crate::nixos::store_path::is_store_path;
use sdbuild_core::event::Events;
use sdbuild_core::failure::Failure;
use sdbuild_core::flake_caches::{CacheAnswer, CacheUse, FlakeCaches};
use sdbuild_core::hash::Sha256Hash;
use sdbuild_core::http_url::hide_secrets;

/// A locked flake. Every text was checked: it comes from the builder.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct FlakeReport {
    /// The store path of its files.
    pub(in crate::nixos) source: String,
    /// The store path of sdbuild's own expressions.
    pub(in crate::nixos) expressions: String,
    /// The hash of its files as Nix writes it: `sha256-…`.
    #[serde(rename = "narHash")]
    pub nar_hash: String,
    /// The commit; `None` for a dirty tree or without git.
    pub revision: Option<String>,
    /// SHA-256 of its `flake.lock` in hex; `None` without one.
    pub lock: Option<String>,
    /// The binary caches that it names.
    pub caches: FlakeCaches,
    /// Whether the flake's caches are used.
    #[serde(skip)]
    pub uses_caches: bool,
}

impl FlakeReport {
    /// The report in `json`, a line of the builder's log; `None` when it is not one.
    pub(in crate::nixos) fn parse(json: &str) -> Option<Self> {
        let report: Self = serde_json::from_str(json).ok()?;
        let valid = is_store_path(&report.source)
            && is_store_path(&report.expressions)
            && is_nar_hash(&report.nar_hash)
            && report.revision.as_deref().is_none_or(is_commit)
            && report
                .lock
                .as_deref()
                .is_none_or(|hash| hash.parse::<Sha256Hash>().is_ok())
            && report.caches.are_words();
        valid.then_some(report)
    }

    /// What to tell the user about its binary caches, with which `used` is done; nothing when it names none.
    pub(in crate::nixos) fn tell_caches(&self, used: CacheUse, events: &Events) {
        let FlakeCaches {
            substituters,
            trusted_public_keys,
        } = &self.caches;
        if substituters.is_empty() {
            return;
        }
        let (urls, keys) = (substituters.join(", "), trusted_public_keys.join(", "));
        let urls = hide_secrets(&urls);
        match used {
            CacheUse::Used => events.notice(format!(
                "the binary caches of the flake are used: {urls} (keys {keys})"
            )),
            CacheUse::Refused => events.notice(format!(
                "the binary caches of the flake are not used, as you answered before: {urls}; --accept-flake-caches uses them"
            )),
            CacheUse::Unknown => events.warn(format!(
                "the flake names binary caches that are not used: {urls} (keys {keys}); if you trust the owners of the keys, \
                 give --accept-flake-caches"
            )),
            CacheUse::Asked | CacheUse::Offline => {}
        }
    }

    /// The end of a run before the user is asked about its binary caches; `flake` says where it is.
    pub(in crate::nixos) fn ask_about_caches(&self, flake: &str) -> Failure {
        let asks_about = CacheAnswer {
            flake: flake.to_owned(),
            accepted: false,
            caches: self.caches.clone(),
        };
        let text = "whether to use the binary caches of the flake has not been decided";
        let hint = "give --accept-flake-caches if you trust the owners of their keys";
        Failure {
            asks_about: Some(Box::new(asks_about)),
            ..Failure::usage(text).hint(hint)
        }
    }
}

/// The hash of a directory, a SHA-256, as Nix writes it.
fn is_nar_hash(text: &str) -> bool {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let hash = text.strip_prefix("sha256-");
    hash.is_some_and(|hash| hash.len() == 44 && hash.chars().all(is_base64))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn json(source: &str, hash: &str, caches: &str) -> String {
        format!(
            "{{\"source\":\"{source}\",\"expressions\":\"{source}\",\"narHash\":\"{hash}\",\"revision\":null,\"lock\":null,\"caches\":{caches}}}"
        )
    }

    #[test]
    fn a_report_is_checked() {
        let source = format!("/nix/store/{}-source", "a".repeat(32));
        let hash = format!("sha256-{}=", "A".repeat(43));
        let caches =
            "{\"substituters\":[\"https://c.example\"],\"trusted-public-keys\":[\"c-1:k=\"]}";
        let report = FlakeReport::parse(&json(&source, &hash, caches)).unwrap();
        let told = |report: &FlakeReport, used| {
            let told = Arc::new(Mutex::new(Vec::new()));
            let sink = Arc::clone(&told);
            let events = Events::new(move |event| sink.lock().unwrap().push(event));
            report.tell_caches(used, &events);
            let told = told.lock().unwrap();
            told.first()
                .map_or(String::new(), |event| format!("{event:?}"))
        };
        let unknown = told(&report, CacheUse::Unknown);
        for part in [
            "Warning",
            "https://c.example",
            "c-1:k=",
            "not used",
            "--accept-flake-caches",
        ] {
            assert!(unknown.contains(part), "{unknown}");
        }
        assert!(told(&report, CacheUse::Used).contains("are used: https://c.example"));
        assert!(told(&report, CacheUse::Refused).contains("as you answered before"));
        assert_eq!(told(&report, CacheUse::Asked), "", "the question says it");
        let none = "{\"substituters\":[],\"trusted-public-keys\":[]}";
        let report = FlakeReport::parse(&json(&source, &hash, none)).unwrap();
        assert_eq!(told(&report, CacheUse::Used), "");
        assert_eq!(FlakeReport::parse(&json("/etc", &hash, none)), None);
        assert_eq!(FlakeReport::parse(&json(&source, "sha256-x", none)), None);
        assert_eq!(FlakeReport::parse("{}"), None);
        // One word each: it is a word in a setting of Nix, and one in the hash that the user accepts.
        for bad in ["https://a https://b", "", "a\\nb", "a\\u001b[2J"] {
            for (urls, keys) in [(bad, "k"), ("u", bad)] {
                let caches = format!(
                    "{{\"substituters\":[\"{urls}\"],\"trusted-public-keys\":[\"{keys}\"]}}"
                );
                assert_eq!(
                    FlakeReport::parse(&json(&source, &hash, &caches)),
                    None,
                    "{caches}"
                );
            }
        }
        let with = |revision: usize, lock: usize| {
            let digits = |count: usize| format!("\"{}\"", "a".repeat(count));
            let report = json(&source, &hash, none)
                .replace(
                    "\"revision\":null",
                    &format!("\"revision\":{}", digits(revision)),
                )
                .replace("\"lock\":null", &format!("\"lock\":{}", digits(lock)));
            FlakeReport::parse(&report).is_some()
        };
        assert!(with(40, 64) && with(64, 64));
        assert!(!with(41, 64) && !with(40, 40) && !with(40, 63));
    }
}
