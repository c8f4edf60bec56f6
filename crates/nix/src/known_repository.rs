//! Repositories that instructions on the web name without their address, and the branches of them that fit a nixpkgs.

/// A repository on GitHub with a module for NixOS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownRepository {
    /// What a channel or an input of it is usually called.
    pub name: &'static str,
    /// `OWNER/NAME`.
    pub address: &'static str,
    /// The option of its module that contains all others; nixpkgs has none of this name.
    pub option: &'static str,
    /// The path of its module.
    pub file: &'static str,
    /// The output of the flake that is its module.
    pub output: &'static str,
    /// Whether it has a branch for each release of NixOS.
    has_releases: bool,
}

const REPOSITORIES: [KnownRepository; 5] = [
    KnownRepository {
        name: "nixos-hardware",
        address: "NixOS/nixos-hardware",
        option: "hardware.raspberry-pi",
        file: "/raspberry-pi/4",
        output: "nixosModules.raspberry-pi-4",
        has_releases: false,
    },
    KnownRepository {
        name: "home-manager",
        address: "nix-community/home-manager",
        option: "home-manager",
        file: "/nixos",
        output: "nixosModules.home-manager",
        has_releases: true,
    },
    KnownRepository {
        name: "agenix",
        address: "ryantm/agenix",
        option: "age",
        file: "/modules/age.nix",
        output: "nixosModules.default",
        has_releases: false,
    },
    KnownRepository {
        name: "sops-nix",
        address: "Mic92/sops-nix",
        option: "sops",
        file: "/modules/sops",
        output: "nixosModules.sops",
        has_releases: false,
    },
    KnownRepository {
        name: "disko",
        address: "nix-community/disko",
        option: "disko",
        file: "/module.nix",
        output: "nixosModules.disko",
        has_releases: false,
    },
];

impl KnownRepository {
    /// The repository that is usually called `name`.
    pub fn called(name: &str) -> Option<Self> {
        REPOSITORIES.into_iter().find(|known| known.name == name)
    }

    /// The repository whose module has `option`.
    pub fn with_option(option: &str) -> Option<Self> {
        REPOSITORIES
            .into_iter()
            .find(|known| known.option == option)
    }

    /// The branch, or the default one, for the nixpkgs of `release`, such as `26.05` or `unstable`.
    pub fn branch(self, release: Option<&str>) -> String {
        let released = release.filter(|release| self.has_releases && *release != UNSTABLE);
        released.map_or("HEAD".to_owned(), |release| format!("release-{release}"))
    }
}

/// What instructions give as the URL of nixpkgs.
pub const NIXPKGS_URL: &str = "github:NixOS/nixpkgs/nixos-26.05";

/// The newest nixpkgs, which is no release.
const UNSTABLE: &str = "unstable";

/// The URL that an input of a flake called `name` usually has, if it is known.
pub fn usual_url(name: &str) -> Option<String> {
    match name {
        "nixpkgs" => Some(NIXPKGS_URL.to_owned()),
        _ => KnownRepository::called(name).map(|known| format!("github:{}", known.address)),
    }
}

/// The release of the nixpkgs at `url`, such as `26.05` or `unstable`, as far as the URL tells it.
pub fn release_in(url: &str) -> Option<&str> {
    url.split(['/', '=', '?', '&']).find_map(|part| {
        let part = part.strip_suffix(".tar.gz").unwrap_or(part);
        let branches = ["nixos-", "nixpkgs-", "release-"];
        let start = branches.into_iter().find(|start| part.starts_with(start));
        let branch = part.strip_prefix(start.unwrap_or_default())?;
        let release = branch.strip_suffix("-small").unwrap_or(branch);
        let is_number = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        let numbers = release.split_once('.');
        let is_release = numbers.is_some_and(|(year, month)| is_number(year) && is_number(month));
        (is_release || release == UNSTABLE).then_some(release)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_release_is_read_from_a_url_of_nixpkgs() {
        for (url, release) in [
            ("github:NixOS/nixpkgs/nixos-26.05", Some("26.05")),
            ("github:NixOS/nixpkgs/nixos-26.05-small", Some("26.05")),
            ("github:NixOS/nixpkgs?ref=nixos-25.11", Some("25.11")),
            ("github:NixOS/nixpkgs/nixpkgs-unstable", Some("unstable")),
            (
                "https://releases.nixos.org/nixos/26.05/nixos-26.05.1/nixexprs.tar.xz",
                Some("26.05"),
            ),
            (
                "https://github.com/NixOS/nixpkgs/archive/nixos-26.05.tar.gz",
                Some("26.05"),
            ),
            ("github:NixOS/nixpkgs", None),
            ("github:NixOS/nixpkgs/0123456789abcdef", None),
        ] {
            assert_eq!(release_in(url), release, "{url}");
        }
    }

    #[test]
    fn only_some_repositories_have_branches_of_releases() {
        let branch = |name: &str, release| KnownRepository::called(name).unwrap().branch(release);
        assert_eq!(branch("home-manager", Some("26.05")), "release-26.05");
        assert_eq!(branch("home-manager", Some("unstable")), "HEAD");
        assert_eq!(branch("disko", Some("26.05")), "HEAD");
    }
}
