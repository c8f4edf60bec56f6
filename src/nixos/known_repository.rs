//! Repositories that instructions on the web name without their address.

/// Each name with the repository on GitHub that is meant.
const REPOSITORIES: [(&str, &str); 5] = [
    ("nixos-hardware", "NixOS/nixos-hardware"),
    ("home-manager", "nix-community/home-manager"),
    ("agenix", "ryantm/agenix"),
    ("sops-nix", "Mic92/sops-nix"),
    ("disko", "nix-community/disko"),
];

/// What instructions give as the URL of nixpkgs.
pub(super) const NIXPKGS_URL: &str = "github:NixOS/nixpkgs/nixos-26.05";

/// The URL that an input of a flake called `name` usually has, if it is known.
pub(super) fn usual_url(name: &str) -> Option<String> {
    match name {
        "nixpkgs" => Some(NIXPKGS_URL.to_owned()),
        _ => repository_called(name).map(|repository| format!("github:{repository}")),
    }
}

/// The repository that is usually called `name`, as `OWNER/NAME` on GitHub.
pub(super) fn repository_called(name: &str) -> Option<&'static str> {
    let known = REPOSITORIES.iter().find(|(known, _)| *known == name);
    known.map(|(_, repository)| *repository)
}
