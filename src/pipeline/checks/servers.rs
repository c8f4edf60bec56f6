//! The answers of the servers that a build needs, requested at the same time; nothing is downloaded.

use std::time::Duration;

use futures_util::future::join_all;

use crate::artifact::MIRROR_PROBE;
use crate::artifact::http_probe::{Answer, HttpProbe};
use crate::pipeline::clients;
use crate::pipeline::nixpkgs_archive::NixpkgsArchive;
use crate::settings;

/// A server's address, and its answer or why it did not answer.
pub(super) type ServerAnswer = (String, Result<Answer, String>);

/// What the servers answered.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Answers {
    pub(super) mirrors: Vec<ServerAnswer>,
    pub(super) caches: Vec<ServerAnswer>,
    /// `None` when no server is asked for nixpkgs.
    pub(super) nixpkgs: Option<ServerAnswer>,
}

impl Answers {
    /// Sends a request to each server of `settings`, and waits for each answer for at most `timeout`.
    pub(in crate::pipeline) async fn collect(
        settings: &settings::Build,
        nixpkgs: Option<&NixpkgsArchive>,
        timeout: Duration,
    ) -> Self {
        // A file that cannot be read is an error of its own.
        let authorities = clients::authorities(&settings.common).unwrap_or_default();
        let Ok(probe) = HttpProbe::new(timeout, &authorities) else {
            return Self::default();
        };
        let has_logins = settings.caches.netrc_file.is_some();
        let ask_url = async |url: &str| {
            probe.head(url).await.and_then(|answer| {
                // The probe does not log in, unlike Nix.
                let asks_for_login = [401, 403].contains(&answer.status) && has_logins;
                if answer.is_success() || asks_for_login {
                    Ok(answer)
                } else {
                    Err(format!("HTTP status {}", answer.status))
                }
            })
        };
        let ask = async |base: &str, path: &str| {
            let url = format!("{}/{path}", base.trim_end_matches('/'));
            (base.to_owned(), ask_url(&url).await)
        };
        let mirrors = settings.common.mirrors.iter();
        let mirrors = join_all(mirrors.map(|mirror| ask(mirror, MIRROR_PROBE)));
        let caches = settings.caches.substituters.iter();
        let caches = join_all(caches.map(|cache| ask(cache, "nix-cache-info")));
        let nixpkgs = async {
            let archive = nixpkgs.filter(|archive| !archive.is_held)?;
            Some((archive.url.clone(), ask_url(&archive.url).await))
        };
        let (mirrors, caches, nixpkgs) = tokio::join!(mirrors, caches, nixpkgs);
        Self {
            mirrors,
            caches,
            nixpkgs,
        }
    }
}
