//! What a text that is no `--nixpkgs` may mean: another way to write a release, a reference of Nix, a page of GitHub.

use sdbuild_core::text::alternatives;

/// The newest release that is known to exist: its year and month.
const NEWEST: (u8, u8) = (26, 5);

/// The year from which on all releases are of May and of November.
const FIRST_REGULAR_YEAR: u8 = 21;

/// Whether `text` is a release: `26.05` or `unstable`, also with `-small`.
pub(super) fn is_release(text: &str) -> bool {
    let text = text.strip_suffix("-small").unwrap_or(text);
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
    text == "unstable"
        || text
            .split_once('.')
            .is_some_and(|(a, b)| two_digits(a) && two_digits(b))
}

/// The release that `text` may mean: `26.05` for `26.5` and `2605`.
pub(super) fn meant_release(text: &str) -> Option<String> {
    let parts = text.split_once('.').or_else(|| text.split_at_checked(2));
    let (year, month) = parts?;
    let meant = format!("{year:0>2}.{month:0>2}");
    let is_usual = meant.ends_with(".05") || meant.ends_with(".11");
    (is_usual && is_release(&meant)).then_some(meant)
}

/// What to give in place of a `release` of a month that has none: of 25.13, 25.05 or 25.11. `None` if it may exist.
pub(super) fn in_place_of_other_month(release: &str) -> Option<String> {
    let plain = release.strip_suffix("-small");
    let small = if plain.is_some() { "-small" } else { "" };
    let (year, month) = plain.unwrap_or(release).split_once('.')?;
    let (year, month): (u8, u8) = (year.parse().ok()?, month.parse().ok()?);
    let named = |(year, month): (u8, u8)| format!("--nixpkgs {year}.{month:02}{small}");
    if year < FIRST_REGULAR_YEAR {
        let newest = named(NEWEST);
        // NixOS had a 14.12 and a 19.09.
        return (!(1..=12).contains(&month))
            .then(|| format!("a release is a year and a month, such as {newest}"));
    }
    if [5, 11].contains(&month) {
        return None;
    }
    let of_year = [(year, 5), (year, 11)].into_iter();
    let known = of_year.filter(|release| (FIRST_REGULAR_YEAR..).contains(&release.0));
    let known: Vec<String> = known
        .filter(|release| *release <= NEWEST)
        .map(named)
        .collect();
    let given = if known.is_empty() {
        named(NEWEST)
    } else {
        alternatives(&known)
    };
    Some(format!(
        "NixOS has only releases of May (.05) and November (.11): {given}"
    ))
}

/// What to give in place of a reference of Nix: `github:NixOS/nixpkgs/nixos-26.05` or `channel:nixos-26.05`.
pub(super) fn in_place_of_reference(text: &str) -> Option<String> {
    if let Some(channel) = text.strip_prefix("channel:") {
        return in_place_of_branch(channel);
    }
    let parts: Vec<_> = text.strip_prefix("github:")?.split('/').collect();
    match *parts.as_slice() {
        [owner, repository] => in_place_of_repository(owner, repository, "master"),
        [owner, repository, revision] => in_place_of_repository(owner, repository, revision),
        _ => None,
    }
}

/// What to give in place of the URL of a page: of a repository on GitHub, of one of its branches or commits, or of a channel of NixOS.
/// `None` if it may be an archive.
pub(super) fn in_place_of_page(url: &str) -> Option<String> {
    let address = url
        .strip_prefix("https://")
        .or_else(|| url.strip_prefix("http://"))?;
    // A page may name a place in it behind `#`, or the branch behind `?`.
    let address = address.split('#').next()?;
    let (address, query) = address.split_once('?').unwrap_or((address, ""));
    let (host, path) = address.split_once('/').unwrap_or((address, ""));
    let host = host.to_ascii_lowercase();
    let host = host.strip_prefix("www.").unwrap_or(&host);
    let parts = path.trim_end_matches('/').split('/');
    let parts: Vec<_> = std::iter::once(host).chain(parts).collect();
    match *parts.as_slice() {
        ["channels.nixos.org", channel] | ["nixos.org", "channels", channel] => {
            in_place_of_channel(channel)
        }
        ["github.com", owner, repository] => {
            let name = repository.strip_suffix(".git").unwrap_or(repository);
            if let Some(revision) = query.strip_prefix("ref=") {
                return in_place_of_repository(owner, name, revision);
            }
            if is_nixpkgs(owner, name) {
                return in_place_of_branch(&format!("nixos-{:02}.{:02}", NEWEST.0, NEWEST.1));
            }
            in_place_of_repository(owner, name, "HEAD")
        }
        [
            "github.com",
            owner,
            repository,
            "tree" | "commit" | "commits",
            revision,
        ]
        | ["github.com", owner, repository, "releases", "tag", revision] => {
            in_place_of_repository(owner, repository, revision)
        }
        // The name of another branch may have a slash.
        [
            "github.com",
            owner,
            repository,
            "tree" | "blob",
            revision,
            ..,
        ] if is_commit(revision)
            || is_nixpkgs(owner, repository) && in_place_of_branch(revision).is_some() =>
        {
            in_place_of_repository(owner, repository, revision)
        }
        _ => None,
    }
}

/// Whether `revision` is the whole hash of a commit.
fn is_commit(revision: &str) -> bool {
    revision.len() == 40 && revision.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What to give in place of the page of a channel.
fn in_place_of_channel(name: &str) -> Option<String> {
    let is_of_nixpkgs = name == "nixpkgs-unstable";
    in_place_of_branch(name).or_else(|| {
        is_of_nixpkgs.then(|| {
            format!(
                "give the URL of its archive: --nixpkgs https://channels.nixos.org/{name}/nixexprs.tar.xz"
            )
        })
    })
}

/// What to give in place of a branch or channel of nixpkgs that has a release, or of one that would have one in another month.
fn in_place_of_branch(name: &str) -> Option<String> {
    let release = name.strip_prefix("nixos-")?;
    is_release(release).then(|| {
        in_place_of_other_month(release)
            .unwrap_or_else(|| format!("give the release: --nixpkgs {release}"))
    })
}

/// What to give in place of the `revision` of a repository on GitHub.
fn in_place_of_repository(owner: &str, repository: &str, revision: &str) -> Option<String> {
    let is_name = |part: &&str| !part.is_empty() && !part.contains(['?', '#', '&']);
    if ![owner, repository, revision].iter().all(is_name) {
        return None;
    }
    // The tags are named by the release alone.
    let of_tag = || in_place_of_other_month(revision).filter(|_| is_release(revision));
    let of_release = || in_place_of_branch(revision).or_else(of_tag);
    let known = is_nixpkgs(owner, repository).then(of_release).flatten();
    known.or_else(|| {
        Some(format!(
            "give the URL of its archive: --nixpkgs https://github.com/{owner}/{repository}/archive/{revision}.tar.gz"
        ))
    })
}

/// What to give in place of `text`, which is the address of a page without `https://` in front of it.
pub(super) fn in_place_of_bare_address(text: &str) -> Option<String> {
    let (host, _) = text.split_once('/')?;
    host.contains('.')
        .then(|| in_place_of_page(&format!("https://{text}")))
        .flatten()
}

/// Whether it is the repository of nixpkgs itself.
fn is_nixpkgs(owner: &str, repository: &str) -> bool {
    owner.eq_ignore_ascii_case("NixOS") && repository.eq_ignore_ascii_case("nixpkgs")
}
