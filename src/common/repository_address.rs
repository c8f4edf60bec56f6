//! Addresses of repositories as browsers and git have them, and the references of flakes that they mean. Pure.

/// What `text` is, in words, and the reference that it means, if it is the address of a repository as a browser shows it, or as git
/// takes it for SSH.
pub fn of_repository(text: &str) -> Option<(&'static str, String)> {
    if let Some(meant) = of_ssh(text) {
        return Some(("an SSH address as only git takes it", meant));
    }
    let meant = of_forge(text.strip_prefix("https://")?)?;
    let is_page = text.contains("/tree/") || text.contains("/blob/");
    let what = if is_page {
        "a web page"
    } else {
        "the address of a repository"
    };
    Some((what, meant))
}

/// The reference for `text`, the address of a repository by SSH with a colon after the host: `git@HOST:PATH`.
pub fn of_ssh(text: &str) -> Option<String> {
    let schemes = ["git+ssh://", "ssh://"];
    let after_scheme = schemes.iter().find_map(|scheme| text.strip_prefix(scheme));
    let address = after_scheme.or_else(|| text.starts_with("git@").then_some(text))?;
    let (host, path) = address.split_once(':')?;
    let port = path.split('/').next().unwrap_or(path);
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit());
    // Otherwise a password is before the `@`.
    let is_host = !host.contains('/') && !path.contains('@');
    let user = if host.contains('@') { "" } else { "git@" };
    let is_meant = is_host && (after_scheme.is_none() || !is_port);
    is_meant.then(|| format!("git+ssh://{user}{host}/{path}"))
}

/// What to write for `text`, the address of a repository of git without a server: `git:OWNER/REPOSITORY`.
pub fn without_server(text: &str) -> Option<String> {
    let (scheme, rest) = text.split_once(':')?;
    let path = rest.split(['?', '#']).next()?;
    let server = match scheme {
        "git" => "git+ssh://git@HOST",
        "git+http" | "git+https" => "git+https://HOST",
        _ => return None,
    };
    let is_of_forge = path.split('/').filter(|part| !part.is_empty()).count() == 2;
    let on_github = if is_of_forge && !path.starts_with('/') {
        format!(", or github:{path} if it is on GitHub")
    } else {
        String::new()
    };
    let path = path.trim_start_matches('/');
    (!rest.starts_with("//")).then(|| format!("{server}/{path}{on_github}"))
}

/// A parameter of `reference` by a name that Nix does not know, and the reference that is meant.
pub fn misnamed_parameter(reference: &str) -> Option<(&'static str, String)> {
    /// What people write, and what Nix has for it.
    const NAMES: [(&str, &str); 4] = [
        ("branch", "ref="),
        ("tag", "ref=refs/tags/"),
        ("commit", "rev="),
        ("revision", "rev="),
    ];
    let (address, query) = reference.split_once('?')?;
    let (scheme, path) = address.split_once(':')?;
    let is_forge = ["github", "gitlab", "sourcehut"].contains(&scheme);
    if !is_forge && !scheme.starts_with("git+") {
        return None;
    }
    let is_only = !query.contains('&') && path.matches('/').count() == 1;
    let mut parts = query.split('&');
    parts.find_map(|part| {
        let (name, value) = part.split_once('=')?;
        let (name, known) = NAMES.into_iter().find(|(wrong, _)| *wrong == name)?;
        let meant = if is_forge && is_only {
            format!("{address}/{value}")
        } else {
            format!(
                "{address}?{}",
                query.replacen(part, &format!("{known}{value}"), 1)
            )
        };
        Some((name, meant))
    })
}

/// What to write for `FLAKE#FRAGMENT` as the URL of an input, which is a whole flake: the fragment may be meant as a branch.
pub fn without_fragment(flake: &str, fragment: &str) -> String {
    let (scheme, path) = flake.split_once(':').unwrap_or_default();
    let of_branch = match scheme {
        "github" | "gitlab" | "sourcehut" if path.matches('/').count() == 1 => {
            format!("{flake}/{fragment}")
        }
        "git+https" | "git+ssh" if !path.contains("ref=") => {
            let separator = if path.contains('?') { '&' } else { '?' };
            format!("{flake}{separator}ref={fragment}")
        }
        _ => return format!("write {flake}"),
    };
    format!("write {flake}, or {of_branch} if {fragment} is a branch")
}

/// The reference for `address`, that of a repository on GitHub or GitLab, or of a flake in it, without `https://`.
pub fn of_forge(address: &str) -> Option<String> {
    let forges = [("github.com/", "github"), ("gitlab.com/", "gitlab")];
    let (path, forge) = forges
        .iter()
        .find_map(|(start, forge)| Some((address.strip_prefix(start)?, forge)))?;
    let path = path.trim_end_matches('/').trim_end_matches(".git");
    let parts: Vec<&str> = path.split('/').collect();
    let is_plain = |part: &&str| !part.is_empty() && !part.contains('?');
    match parts.as_slice() {
        [_, _] if parts.iter().all(is_plain) => Some(format!("{forge}:{path}")),
        [owner, name, "tree", branch, dir @ ..]
        | [owner, name, "blob", branch, dir @ .., "flake.nix"]
            if parts.iter().all(is_plain) =>
        {
            let dir = dir.join("/");
            let parameter = if dir.is_empty() { "" } else { "?dir=" };
            Some(format!("{forge}:{owner}/{name}/{branch}{parameter}{dir}"))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_without_a_server_is_told() {
        let on_github = "git+ssh://git@HOST/me/x, or github:me/x if it is on GitHub";
        for (text, told) in [
            ("git:me/x", Some(on_github)),
            ("git:/srv/x", Some("git+ssh://git@HOST/srv/x")),
            ("git+https:a/b/c?ref=x", Some("git+https://HOST/a/b/c")),
            ("git://h.example/x", None),
            ("git+https://h.example/x", None),
            ("git+file:x", None),
            ("github:me/x", None),
        ] {
            assert_eq!(without_server(text).as_deref(), told, "{text}");
        }
    }

    #[test]
    fn parameters_have_the_names_of_nix() {
        for (text, told) in [
            (
                "github:me/x?branch=a/b",
                Some(("branch", "github:me/x/a/b")),
            ),
            (
                "github:me/x?dir=d&tag=v1",
                Some(("tag", "github:me/x?dir=d&ref=refs/tags/v1")),
            ),
            (
                "git+https://h.example/x?commit=0",
                Some(("commit", "git+https://h.example/x?rev=0")),
            ),
            ("github:me/x?ref=branch", None),
            ("https://h.example/x.tar.gz?branch=a", None),
            ("./x?branch=a", None),
        ] {
            let found = misnamed_parameter(text);
            let found = found.as_ref().map(|(name, meant)| (*name, meant.as_str()));
            assert_eq!(found, told, "{text}");
        }
    }

    #[test]
    fn a_fragment_is_an_attribute_or_a_branch() {
        for (flake, fragment, told) in [
            (
                "github:NixOS/nixpkgs",
                "nixos-26.05",
                "write github:NixOS/nixpkgs, or github:NixOS/nixpkgs/nixos-26.05 if nixos-26.05 is a branch",
            ),
            (
                "github:NixOS/nixpkgs/nixos-26.05",
                "pi",
                "write github:NixOS/nixpkgs/nixos-26.05",
            ),
            (
                "git+https://h.example/x?dir=a",
                "main",
                "write git+https://h.example/x?dir=a, or git+https://h.example/x?dir=a&ref=main if main is a branch",
            ),
            (
                "git+https://h.example/x?ref=main",
                "pi",
                "write git+https://h.example/x?ref=main",
            ),
            ("path:../x", "pi", "write path:../x"),
        ] {
            assert_eq!(without_fragment(flake, fragment), told);
        }
    }
}
