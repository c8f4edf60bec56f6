//! Addresses of repositories as browsers and git have them, and the references of flakes that they mean. Pure.

/// The reference for `text`, the address of a repository as a browser shows it, or as git takes it for SSH.
pub fn of_repository(text: &str) -> Option<String> {
    let on_forge = |text: &str| of_forge(text.strip_prefix("https://")?);
    of_ssh(text).or_else(|| on_forge(text))
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
