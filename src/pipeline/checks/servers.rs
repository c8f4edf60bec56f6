//! The answers of the servers that a build needs, requested at the same time; nothing is downloaded.

use std::time::Duration;

use futures_util::future::join_all;

use crate::pipeline::clients;
use crate::pipeline::nixpkgs_archive::NixpkgsArchive;
use crate::pipeline::request::BuildRequest;
use sdbuild_engine::artifact::MIRROR_PROBE;
use sdbuild_engine::artifact::{Answer, HttpProbe};

/// The file that describes a binary cache.
const CACHE_INFO: &str = "nix-cache-info";

/// Answer of one server.
#[derive(Clone, Debug)]
pub(super) struct ServerAnswer {
    /// The server's address, as the settings name it.
    pub(super) address: String,
    /// Its answer, if that is good.
    pub(super) answer: Result<Answer, NoAnswer>,
}

/// Why a server does not count as one that answers.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NoAnswer {
    /// It does not have what was asked for, or refuses it.
    #[error("HTTP status {0}")]
    Status(u16),
    /// It has something else than a binary cache of NixOS has.
    #[error("it is not a binary cache of /nix/store; perhaps it is the login page of a network")]
    NotACache,
    /// It cannot be reached, or takes too long.
    #[error("{0}")]
    Unreachable(String),
}

/// What the servers answered.
#[derive(Debug, Default)]
pub(in crate::pipeline) struct Answers {
    pub(super) mirrors: Vec<ServerAnswer>,
    pub(super) caches: Vec<ServerAnswer>,
    /// `None` when no server is asked for nixpkgs.
    pub(super) nixpkgs: Option<ServerAnswer>,
}

impl Answers {
    /// Sends a request to each server of `request`, and waits for each answer for at most `timeout`. None is asked if nothing is
    /// to be fetched.
    pub(in crate::pipeline) async fn collect(
        request: &BuildRequest,
        nixpkgs: Option<&NixpkgsArchive>,
        timeout: Duration,
    ) -> Self {
        if request.common.offline {
            return Self::default();
        }
        // `network::access` reports a file that cannot be read; the servers may have certificates of known authorities.
        let authorities = clients::authorities(&request.common).unwrap_or_default();
        let probe = HttpProbe::new(timeout, &authorities).map_err(|failure| failure.to_string());
        let answer = async |url: &str| match &probe {
            Ok(probe) => probe.head(url).await,
            Err(why) => Err(why.clone()),
        };
        let has_logins = request.caches.netrc_file.is_some();
        let head = async |url: &str| {
            let answer = answer(url).await.map_err(NoAnswer::Unreachable)?;
            // The probe does not log in, unlike Nix.
            let asks_for_login = [401, 403].contains(&answer.status) && has_logins;
            if answer.is_success() || asks_for_login {
                Ok(answer)
            } else {
                Err(NoAnswer::Status(answer.status))
            }
        };
        let ask = async |base: &str, path: &str| ServerAnswer {
            address: base.to_owned(),
            answer: head(&url_of(base, path)).await,
        };
        let mirrors = request.common.mirrors.iter();
        let mirrors = join_all(mirrors.map(|mirror| ask(mirror, MIRROR_PROBE)));
        let caches = request.caches.substituters.iter();
        let caches = join_all(caches.map(async |cache| {
            let answer = ask(cache, CACHE_INFO).await;
            let is_read = answer.answer.as_ref().is_ok_and(Answer::is_success);
            let Some(probe) = probe.as_ref().ok().filter(|_| is_read) else {
                return answer;
            };
            let text = probe.beginning(&url_of(cache, CACHE_INFO)).await;
            let answer = text.map_err(NoAnswer::Unreachable).and_then(|text| {
                if is_cache_info(&text) {
                    answer.answer
                } else {
                    Err(NoAnswer::NotACache)
                }
            });
            let address = cache.to_owned();
            ServerAnswer { address, answer }
        }));
        let nixpkgs = async {
            let archive = nixpkgs.filter(|archive| !archive.is_held)?;
            Some(ServerAnswer {
                address: archive.url.clone(),
                answer: head(&archive.url).await,
            })
        };
        let (mirrors, caches, nixpkgs) = tokio::join!(mirrors, caches, nixpkgs);
        Self {
            mirrors,
            caches,
            nixpkgs,
        }
    }
}

/// Whether `text` describes a cache of NixOS's store.
fn is_cache_info(text: &str) -> bool {
    text.lines()
        .any(|line| line.trim() == "StoreDir: /nix/store")
}

fn url_of(base: &str, path: &str) -> String {
    let (base, query) = base
        .split_once('?')
        .map_or((base, ""), |(base, query)| (base, query));
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{path}{mark}{query}", base.trim_end_matches('/'))
}
