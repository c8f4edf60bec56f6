//! Mirrors, binary caches and release channels, and this machine's clock by their answers.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use crate::checks::{Check, Machine};
use crate::clients;
use crate::nixpkgs::Nixpkgs;
use crate::request::{BuildRequest, SourceChoice};
use crate::source::{NAME_ANOTHER, NixpkgsArchive};
use sdbuild_core::loopback::is_loopback;
use sdbuild_engine::artifact::{Answer, HttpProbe};
use sdbuild_engine::artifact::{CHECK_ADDRESS, MIRROR_PROBE};

/// What helps against an address that leads nowhere in a container.
const REACHABLE: &str = "let it listen on an address that containers can reach, such as 172.17.0.1 (the host in Docker's \
                         network), and use that address";
/// What helps where something is missing and nothing is fetched.
const FETCH_FIRST: &str =
    "build once without `offline` and SDBUILD_OFFLINE; what is fetched is kept";
/// Certificates may be not yet, or no longer, valid for a clock that is this far off.
const CLOCK_BREAKS_TLS: Duration = Duration::from_hours(24);
/// A clock that is synchronized is never this far off.
const CLOCK_IS_OFF: Duration = Duration::from_mins(2);

/// The files of logins and certificate authorities, when one of them cannot be read.
pub(super) fn access(machine: &Machine<'_>) -> Option<Check> {
    let failure = clients::network_access(machine.request).err()?;
    Some(Check::failed("network access", &failure))
}

/// Whether one of the Debian mirrors answers, when the packages of a container image are missing.
pub(super) fn mirrors(machine: &Machine<'_>) -> Option<Check> {
    let answers = &machine.doctor?.answers;
    let all_held = machine.missing.is_some_and(|missing| missing.packages == 0);
    let offline = machine.request.common.offline;
    Some(check_mirrors(&answers.mirrors, all_held, offline))
}

/// Whether every binary cache answers.
pub(super) fn caches(machine: &Machine<'_>) -> Option<Check> {
    Some(check_caches(&machine.doctor?.answers.caches))
}

/// Whether the builder can reach the proxies and the binary caches that are named: not those on the loopback interface, which
/// in a container is the container's own.
pub(super) fn loopback(machine: &Machine<'_>) -> Option<Check> {
    let request = machine.request;
    let caches = request.caches.substituters.iter();
    let caches: Vec<&String> = caches.filter(|cache| is_loopback(cache)).collect();
    if let Some(cache) = caches.first() {
        let text = format!(
            "the binary cache {cache} is only on this machine, and Nix runs in a container that cannot reach it"
        );
        return Some(Check::warning("binary caches", text).remedy(REACHABLE));
    }
    let proxies = request.common.proxies.loopback();
    let proxy = proxies.first()?;
    let text = format!(
        "the proxy {proxy} is only on this machine, and Nix runs in a container that cannot reach it"
    );
    Some(Check::warning("proxy", text).remedy(REACHABLE))
}

/// Whether nixpkgs is on this machine, or a server has it.
pub(super) fn nixpkgs(machine: &Machine<'_>) -> Option<Check> {
    let facts = machine.doctor?;
    let Some(archive) = facts.nixpkgs.as_ref() else {
        return local_nixpkgs(machine.request);
    };
    if machine.request.common.offline && !archive.is_held {
        let text = format!(
            "{} is not on this machine, and nothing is fetched",
            archive.name
        );
        return Some(Check::bad("nixpkgs", text).remedy(FETCH_FIRST));
    }
    Some(check_nixpkgs(archive, facts.answers.nixpkgs.as_ref()))
}

/// Whether the directory that the settings name is a nixpkgs; `None` for a flake, which names its own.
fn local_nixpkgs(request: &BuildRequest) -> Option<Check> {
    let SourceChoice::Config(_) = &request.source.choice else {
        return None;
    };
    let topic = "nixpkgs";
    let checked = request.source.nixpkgs.parse::<Nixpkgs>();
    let checked = checked.and_then(|nixpkgs| nixpkgs.check());
    Some(match checked {
        Ok(()) => Check::good(
            topic,
            format!("{} is on this machine", request.source.nixpkgs),
        ),
        Err(failure) => Check::failed(topic, &failure),
    })
}

/// Without an answer a build is certain to fail. A status other than 404 may be the server's answer to HEAD only.
fn check_nixpkgs(archive: &NixpkgsArchive, answer: Option<&ServerAnswer>) -> Check {
    let topic = "nixpkgs";
    let NixpkgsArchive { name, url, .. } = archive;
    let Some(ServerAnswer { answer, .. }) = answer else {
        return Check::good(topic, format!("{name} is on this machine, by sdbuild.lock"));
    };
    match answer {
        Ok(_) => return Check::good(topic, format!("{name} is at {url}")),
        Err(why @ NoAnswer::Status(status)) if *status != 404 => {
            Check::warning(topic, format!("{name} may not be at {url}: {why}"))
        }
        Err(why) => Check::bad(
            topic,
            format!("{name} is not on this machine, and cannot be fetched from {url}: {why}"),
        ),
    }
    .remedy(CHECK_ADDRESS)
    .remedy(NAME_ANOTHER)
}

/// Whether this machine's clock agrees with the servers'.
pub(super) fn clock(machine: &Machine<'_>) -> Option<Check> {
    let answers = &machine.doctor?.answers;
    (!machine.request.common.offline).then(|| check_clock(answers))
}

/// The addresses of the servers that answered, and why each of the others did not.
fn split(answers: &[ServerAnswer]) -> (Vec<&str>, Vec<String>) {
    let good = answers.iter().filter(|server| server.answer.is_ok());
    let bad = answers.iter().filter_map(|server| {
        let why = server.answer.as_ref().err()?;
        Some(format!("{}: {why}", server.address))
    });
    let good = good.map(|server| server.address.as_str());
    (good.collect(), bad.collect())
}

fn check_mirrors(answers: &[ServerAnswer], all_held: bool, offline: bool) -> Check {
    let topic = "Debian mirrors";
    if offline && all_held {
        let text = "not needed: all packages are on this machine, and nothing is fetched (offline)";
        return Check::good(topic, text);
    } else if offline {
        let text = "some packages are not on this machine, and nothing is fetched (offline)";
        return Check::bad(topic, text).remedy(FETCH_FIRST);
    }
    let remedy = "point SDBUILD_DEBIAN_MIRROR at a mirror that this machine reaches";
    let (good, bad) = split(answers);
    let why = bad.join("; ");
    match good.first() {
        Some(_) if bad.is_empty() => Check::good(topic, format!("answer: {}", good.join(", "))),
        // Why another one does not reads like an error, where there is none.
        Some(first) => Check::good(topic, format!("{first} answers, and one is enough")),
        None if all_held => {
            let text = format!("none answers ({why}); all packages are on this machine");
            Check::warning(topic, text).remedy(remedy)
        }
        None => Check::bad(topic, format!("none answers ({why})")).remedy(remedy),
    }
}

fn check_caches(answers: &[ServerAnswer]) -> Check {
    let topic = "binary caches";
    let (good, bad) = split(answers);
    if answers.is_empty() {
        Check::good(
            topic,
            "none configured: everything is built on this machine",
        )
    } else if bad.is_empty() {
        Check::good(topic, format!("answer: {}", good.join(", ")))
    } else {
        Check::warning(topic, format!("no answer: {}", bad.join("; ")))
            .remedy("without it, everything is built here, which takes hours, or days under emulation")
            .remedy("name caches that this machine can reach, with --substituters or --extra-substituters")
    }
}

/// By the smallest difference to any server: one of them may be wrong itself.
fn check_clock(answers: &Answers) -> Check {
    let topic = "clock";
    let remedy = "synchronize it: `sudo timedatectl set-ntp true`";
    let Answers {
        mirrors,
        caches,
        nixpkgs,
    } = answers;
    let all = mirrors.iter().chain(caches).chain(nixpkgs);
    let answered = all.filter_map(|server| server.answer.as_ref().ok());
    let differences = answered.filter_map(|answer| Some(difference(answer.date?, answer.received)));
    match differences.min() {
        None => Check::warning(topic, "not compared: no server reported its time"),
        Some(off) if off > CLOCK_BREAKS_TLS => {
            let hours = off.as_secs() / 3600;
            let text =
                format!("{hours} h off the servers' clocks: their certificates will be rejected");
            Check::bad(topic, text).remedy(remedy)
        }
        Some(off) if off > CLOCK_IS_OFF => Check::warning(
            topic,
            format!("{} s off the servers' clocks", off.as_secs()),
        )
        .remedy(remedy),
        Some(_) => Check::good(topic, "agrees with the servers' clocks"),
    }
}

fn difference(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|earlier| earlier.duration())
}

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
    /// It cannot be reached, or takes too long.
    #[error("{0}")]
    Unreachable(String),
}

/// What the servers answered.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(super) mirrors: Vec<ServerAnswer>,
    pub(super) caches: Vec<ServerAnswer>,
    /// `None` when no server is asked for nixpkgs.
    pub(super) nixpkgs: Option<ServerAnswer>,
}

impl Answers {
    /// Sends a request to each server of `request`, and waits for each answer for at most `timeout`. None is asked if nothing is
    /// to be fetched.
    pub(crate) async fn collect(
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
        let caches = join_all(caches.map(|cache| ask(cache, CACHE_INFO)));
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

fn url_of(base: &str, path: &str) -> String {
    let (base, query) = base
        .split_once('?')
        .map_or((base, ""), |(base, query)| (base, query));
    let mark = if query.is_empty() { "" } else { "?" };
    format!("{}/{path}{mark}{query}", base.trim_end_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checks::Verdict;
    use sdbuild_engine::artifact::Answer;

    fn answer(seconds_behind: u64) -> Answer {
        let heard = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        Answer {
            status: 200,
            date: Some(heard - Duration::from_secs(seconds_behind)),
            received: heard,
        }
    }

    fn server(answer: Result<Answer, NoAnswer>) -> Vec<ServerAnswer> {
        let address = "http://one.example".to_owned();
        vec![ServerAnswer { address, answer }]
    }

    fn unreachable(why: &str) -> NoAnswer {
        NoAnswer::Unreachable(why.to_owned())
    }

    #[test]
    fn one_mirror_is_enough_and_none_is_bad_when_fetching() {
        let silent = || server(Err(unreachable("refused")));
        let both = [silent(), server(Ok(answer(0)))].concat();
        let one = check_mirrors(&both, false, false);
        assert_eq!(one.verdict, Verdict::Good);
        assert_eq!(one.text, "http://one.example answers, and one is enough");
        assert_eq!(
            check_mirrors(&silent(), true, false).verdict,
            Verdict::Warning
        );
        let none = check_mirrors(&silent(), false, false);
        assert_eq!(none.verdict, Verdict::Bad);
        assert!(
            none.text.contains("http://one.example: refused"),
            "{none:?}"
        );
        assert_eq!(check_caches(&silent()).verdict, Verdict::Warning);
        assert_eq!(check_caches(&[]).verdict, Verdict::Good);
    }

    #[test]
    fn packages_must_be_here_where_nothing_is_fetched() {
        assert_eq!(check_mirrors(&[], true, true).verdict, Verdict::Good);
        assert_eq!(check_mirrors(&[], false, true).verdict, Verdict::Bad);
    }

    #[test]
    fn nixpkgs_must_be_here_or_at_a_server() {
        let archive = NixpkgsArchive {
            name: "release 26.05".into(),
            url: "https://c/x".into(),
            is_held: false,
        };
        let check = |answer: Option<Result<Answer, NoAnswer>>| {
            let server = answer.map(server);
            check_nixpkgs(&archive, server.as_ref().and_then(|all| all.first()))
        };
        assert_eq!(check(None).verdict, Verdict::Good);
        assert_eq!(check(Some(Ok(answer(0)))).verdict, Verdict::Good);
        for (why, verdict) in [
            (unreachable("failed to lookup address"), Verdict::Bad),
            (NoAnswer::Status(404), Verdict::Bad),
            (NoAnswer::Status(403), Verdict::Warning),
        ] {
            let text = why.to_string();
            let check = check(Some(Err(why)));
            assert_eq!(check.verdict, verdict, "{text}");
            assert!(
                check.text.contains(&text) && !check.remedies.is_empty(),
                "{check:?}"
            );
        }
    }

    #[test]
    fn clock_is_compared_with_the_closest_server() {
        let clock = |mirrors: Vec<ServerAnswer>| {
            check_clock(&Answers {
                mirrors,
                ..Answers::default()
            })
            .verdict
        };
        assert_eq!(clock(server(Ok(answer(0)))), Verdict::Good);
        assert_eq!(clock(server(Ok(answer(600)))), Verdict::Warning);
        assert_eq!(clock(server(Ok(answer(400_000)))), Verdict::Bad);
        let mixed = [server(Ok(answer(400_000))), server(Ok(answer(1)))].concat();
        assert_eq!(clock(mixed), Verdict::Good);
        assert_eq!(clock(server(Err(unreachable("x")))), Verdict::Warning);
    }
}
