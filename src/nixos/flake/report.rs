//! What the builder reports about a flake once it is locked.

use serde::Deserialize;

use crate::nixos::store_path::is_store_path;

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
    pub caches: Caches,
}

/// The binary caches in a flake's `nixConfig`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Caches {
    /// Their URLs.
    pub substituters: Vec<String>,
    /// Their public keys.
    pub trusted_public_keys: Vec<String>,
}

impl FlakeReport {
    /// The report in `json`, a line of the builder's log; `None` when it is not one.
    pub(in crate::nixos) fn parse(json: &str) -> Option<Self> {
        let report: Self = serde_json::from_str(json).ok()?;
        let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_hash = |text: &str| (40..=64).contains(&text.len()) && is_hex(text);
        let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        let nar_hash = report.nar_hash.strip_prefix("sha256-");
        let valid = is_store_path(&report.source)
            && is_store_path(&report.expressions)
            && nar_hash.is_some_and(|hash| hash.len() == 44 && hash.chars().all(is_base64))
            && report.revision.as_deref().is_none_or(is_hash)
            && report.lock.as_deref().is_none_or(is_hash);
        valid.then_some(report)
    }

    /// What to tell the user about its binary caches; `None` when it names none.
    pub(in crate::nixos) fn caches_notice(&self, accepted: bool) -> Option<String> {
        let Caches {
            substituters,
            trusted_public_keys,
        } = &self.caches;
        if substituters.is_empty() {
            return None;
        }
        let (urls, keys) = (substituters.join(", "), trusted_public_keys.join(", "));
        Some(if accepted {
            format!("the binary caches of the flake are used: {urls} (keys {keys})")
        } else {
            format!(
                "the flake names binary caches that are not used: {urls} (keys {keys}); if you trust who has the keys, \
                 give --accept-flake-caches"
            )
        })
    }
}

#[cfg(test)]
mod tests {
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
        let told = report.caches_notice(false).unwrap();
        for part in [
            "https://c.example",
            "c-1:k=",
            "not used",
            "--accept-flake-caches",
        ] {
            assert!(told.contains(part), "{told}");
        }
        let none = "{\"substituters\":[],\"trusted-public-keys\":[]}";
        let report = FlakeReport::parse(&json(&source, &hash, none)).unwrap();
        assert_eq!(report.caches_notice(true), None);
        assert_eq!(FlakeReport::parse(&json("/etc", &hash, none)), None);
        assert_eq!(FlakeReport::parse(&json(&source, "sha256-x", none)), None);
        assert_eq!(FlakeReport::parse("{}"), None);
    }
}
