//! What of a cloud-config NixOS does not follow.

use super::yaml::Node;

/// Keys that none of the modules reads that nixpkgs lets cloud-init run, and what does the same.
const NOT_READ: [(&str, &str); 13] = [
    ("packages", PACKAGES),
    ("package_update", PACKAGES),
    ("package_upgrade", PACKAGES),
    ("apt", PACKAGES),
    ("snap", PACKAGES),
    ("yum_repos", PACKAGES),
    ("ntp", CONFIGURATION),
    ("locale", CONFIGURATION),
    ("keyboard", CONFIGURATION),
    ("timezone", CONFIGURATION),
    ("manage_etc_hosts", CONFIGURATION),
    ("wireguard", CONFIGURATION),
    ("ansible", CONFIGURATION),
];
const PACKAGES: &str =
    "put packages into the configuration of the image, or install them with Nix in `runcmd`";
const CONFIGURATION: &str = "set it in the configuration of the image";

/// A sentence for each setting of `config` that cloud-init does not follow on NixOS.
pub(super) fn not_followed(config: &Node) -> Vec<String> {
    let keys = NOT_READ.iter();
    keys.filter_map(|(key, instead)| {
        let line = config.get(key)?.line;
        Some(format!(
            "line {line}: on NixOS, cloud-init ignores `{key}`; {instead}"
        ))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seed::yaml;

    #[test]
    fn packages_are_reported_with_their_line() {
        let text = "runcmd: [ls]\npackages: [htop]\ntimezone: UTC\n";
        let told = not_followed(&yaml::parse(text).unwrap().unwrap());
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(told[0].starts_with("line 2: ") && told[0].contains("`packages`"));
        assert!(told[1].starts_with("line 3: ") && told[1].contains("configuration"));
    }
}
