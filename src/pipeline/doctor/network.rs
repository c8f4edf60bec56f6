//! Mirrors, binary caches and release channels, all asked at the same time, and the clock by their answers.

use std::time::{Duration, SystemTime};

use futures_util::future::join_all;

use crate::artifact::http_probe::{Answer, HttpProbe};
use crate::nixos::nixpkgs::Nixpkgs;
use crate::pipeline::doctor::{Check, PATIENCE};
use crate::settings;

/// Every Debian mirror has it.
const RELEASE: &str = "dists/stable/Release";
/// Certificates are not yet, or no longer, valid beyond this.
const WRONG: Duration = Duration::from_secs(24 * 3600);
/// Nobody's clock that is kept in time is off by more.
const OFF: Duration = Duration::from_secs(120);

type Asked = (String, Result<Answer, String>);

/// What the servers said.
#[derive(Debug, Default)]
pub(super) struct Network {
    mirrors: Vec<Asked>,
    caches: Vec<Asked>,
    channel: Option<Asked>,
}

/// Asks all servers of `settings`.
pub(super) async fn ask(settings: &settings::Build) -> Network {
    let Ok(scout) = HttpProbe::new(PATIENCE) else {
        return Network::default();
    };
    let ask = async |base: &str, path: &str| {
        let url = format!("{}/{path}", base.trim_end_matches('/'));
        let answer = scout.ask(&url).await;
        (
            base.to_owned(),
            answer.and_then(|a| {
                if a.is_success() {
                    Ok(a)
                } else {
                    Err(format!("HTTP status {}", a.status))
                }
            }),
        )
    };
    let mirrors = join_all(
        settings
            .common
            .mirrors
            .iter()
            .map(|mirror| ask(mirror, RELEASE)),
    );
    let caches = join_all(
        settings
            .substituters
            .iter()
            .map(|cache| ask(cache, "nix-cache-info")),
    );
    let channel = async {
        match settings.nixpkgs.parse::<Nixpkgs>() {
            Ok(Nixpkgs::Release(release)) => {
                let path = format!("nixos-{release}/nixexprs.tar.xz");
                Some(ask(&settings.channels, &path).await)
            }
            Ok(Nixpkgs::Dir(_) | Nixpkgs::Url(_)) | Err(_) => None,
        }
    };
    let (mirrors, caches, channel) = tokio::join!(mirrors, caches, channel);
    Network {
        mirrors,
        caches,
        channel,
    }
}

/// What that means for a build. With all packages `held` none is fetched.
pub(super) fn checks(network: &Network, settings: &settings::Build, held: bool) -> Vec<Check> {
    let mut checks = vec![mirrors(&network.mirrors, held)];
    checks.push(caches(&network.caches));
    checks.extend(
        network
            .channel
            .as_ref()
            .map(|asked| channel(asked, settings)),
    );
    checks.push(clock(network));
    checks
}

fn split(asked: &[Asked]) -> (Vec<&str>, Vec<String>) {
    let good = asked.iter().filter(|(_, answer)| answer.is_ok());
    let bad = asked.iter().filter_map(|(base, answer)| {
        let why = answer.as_ref().err()?;
        Some(format!("{base}: {why}"))
    });
    (good.map(|(base, _)| base.as_str()).collect(), bad.collect())
}

fn mirrors(asked: &[Asked], held: bool) -> Check {
    let topic = "Debian mirrors";
    let remedy = "point SDBUILD_DEBIAN_MIRROR at a mirror that this machine reaches";
    let (good, bad) = split(asked);
    match (good.first(), bad.is_empty(), held) {
        (Some(_), true, _) => Check::good(topic, format!("answer: {}", good.join(", "))),
        (Some(first), false, _) => {
            Check::good(topic, format!("{first} answers (not: {})", bad.join("; ")))
        }
        (None, _, true) => Check::warning(
            topic,
            format!(
                "none answers ({}); all that comes from them is here",
                bad.join("; ")
            ),
        )
        .remedy(remedy),
        (None, _, false) => {
            Check::bad(topic, format!("none answers ({})", bad.join("; "))).remedy(remedy)
        }
    }
}

fn caches(asked: &[Asked]) -> Check {
    let topic = "binary caches";
    let (good, bad) = split(asked);
    if asked.is_empty() {
        Check::good(topic, "none is asked for: everything is built here")
    } else if bad.is_empty() {
        Check::good(topic, format!("answer: {}", good.join(", ")))
    } else {
        Check::warning(topic, format!("no answer: {}", bad.join("; ")))
            .remedy("without it everything is built here, which takes days under emulation")
            .remedy("name caches that this machine reaches: --substituters URLS")
    }
}

fn channel((base, answer): &Asked, settings: &settings::Build) -> Check {
    let topic = "nixpkgs";
    let release = &settings.nixpkgs;
    match answer {
        Ok(_) => Check::good(topic, format!("release {release} is at {base}")),
        Err(why) => Check::warning(
            topic,
            format!("release {release} cannot be looked up at {base}: {why}"),
        )
        .remedy("name a checkout or a tarball that this machine reaches: --nixpkgs DIR|URL"),
    }
}

/// The smallest difference to any server: one of them may be wrong itself.
fn clock(network: &Network) -> Check {
    let topic = "clock";
    let all = network
        .mirrors
        .iter()
        .chain(&network.caches)
        .chain(&network.channel);
    let answers = all.filter_map(|(_, answer)| answer.as_ref().ok());
    let off = answers
        .filter_map(|answer| Some(apart(answer.date?, answer.heard)))
        .min();
    let remedy = "set it by the network: `sudo timedatectl set-ntp true`";
    match off {
        None => Check::warning(topic, "no server told its time"),
        Some(off) if off > WRONG => {
            let text = format!(
                "{} h off: certificates will not be believed",
                off.as_secs() / 3600
            );
            Check::bad(topic, text).remedy(remedy)
        }
        Some(off) if off > OFF => {
            Check::warning(topic, format!("{} s off", off.as_secs())).remedy(remedy)
        }
        Some(_) => Check::good(topic, "as the servers have it"),
    }
}

fn apart(one: SystemTime, other: SystemTime) -> Duration {
    one.duration_since(other)
        .unwrap_or_else(|earlier| earlier.duration())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::doctor::Verdict;

    fn answer(behind: u64) -> Answer {
        let heard = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 30);
        Answer {
            status: 200,
            date: Some(heard - Duration::from_secs(behind)),
            heard,
        }
    }

    fn asked(answer: Result<Answer, String>) -> Vec<Asked> {
        vec![("http://one.example".into(), answer)]
    }

    #[test]
    fn one_mirror_is_enough_and_none_matters_when_something_is_to_be_fetched() {
        let silent = || asked(Err("refused".into()));
        let both: Vec<Asked> = silent().into_iter().chain(asked(Ok(answer(0)))).collect();
        assert_eq!(mirrors(&both, false).verdict, Verdict::Good);
        assert_eq!(mirrors(&silent(), true).verdict, Verdict::Warning);
        let none = mirrors(&silent(), false);
        assert_eq!(none.verdict, Verdict::Bad);
        assert!(
            none.text.contains("http://one.example: refused"),
            "{none:?}"
        );
        assert_eq!(caches(&silent()).verdict, Verdict::Warning);
        assert_eq!(caches(&[]).verdict, Verdict::Good);
    }

    #[test]
    fn the_clock_is_measured_by_the_server_that_agrees_best() {
        let clock = |answers: Vec<Asked>| {
            super::clock(&Network {
                mirrors: answers,
                ..Network::default()
            })
            .verdict
        };
        assert_eq!(clock(asked(Ok(answer(0)))), Verdict::Good);
        assert_eq!(clock(asked(Ok(answer(600)))), Verdict::Warning);
        assert_eq!(clock(asked(Ok(answer(400_000)))), Verdict::Bad);
        let mixed = asked(Ok(answer(400_000)))
            .into_iter()
            .chain(asked(Ok(answer(1))));
        assert_eq!(clock(mixed.collect()), Verdict::Good);
        assert_eq!(clock(asked(Err("x".into()))), Verdict::Warning);
    }
}
