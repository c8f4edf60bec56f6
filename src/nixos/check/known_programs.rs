//! Programs of which it is known where a service finds them. Pure.

/// Programs, each with the package that is certain to have it.
const PACKAGES: [(&str, &str); 63] = [
    ("awk", "gawk"),
    ("bash", "bash"),
    ("cat", "coreutils"),
    ("chmod", "coreutils"),
    ("chown", "coreutils"),
    ("cp", "coreutils"),
    ("curl", "curl"),
    ("date", "coreutils"),
    ("dmesg", "util-linux"),
    ("docker", "docker"),
    ("echo", "coreutils"),
    ("env", "coreutils"),
    ("ethtool", "ethtool"),
    ("ffmpeg", "ffmpeg"),
    ("flock", "util-linux"),
    ("free", "procps"),
    ("git", "git"),
    ("gpioset", "libgpiod"),
    ("gzip", "gzip"),
    ("i2cdetect", "i2c-tools"),
    ("i2cget", "i2c-tools"),
    ("i2cset", "i2c-tools"),
    ("ip", "iproute2"),
    ("iptables", "iptables"),
    ("iw", "iw"),
    ("jq", "jq"),
    ("ln", "coreutils"),
    ("lsblk", "util-linux"),
    ("lsmod", "kmod"),
    ("mkdir", "coreutils"),
    ("modprobe", "kmod"),
    ("mosquitto_pub", "mosquitto"),
    ("mount", "util-linux"),
    ("mv", "coreutils"),
    ("nmcli", "networkmanager"),
    ("node", "nodejs"),
    ("npm", "nodejs"),
    ("openssl", "openssl"),
    ("perl", "perl"),
    ("pgrep", "procps"),
    ("php", "php"),
    ("ping", "iputils"),
    ("pkill", "procps"),
    ("ps", "procps"),
    ("python", "python3"),
    ("python3", "python3"),
    ("rfkill", "util-linux"),
    ("rm", "coreutils"),
    ("rsync", "rsync"),
    ("ruby", "ruby"),
    ("scp", "openssh"),
    ("sh", "bash"),
    ("sleep", "coreutils"),
    ("socat", "socat"),
    ("sqlite3", "sqlite"),
    ("ssh", "openssh"),
    ("sysctl", "procps"),
    ("tar", "gnutar"),
    ("touch", "coreutils"),
    ("umount", "util-linux"),
    ("unzip", "unzip"),
    ("wg", "wireguard-tools"),
    ("wget", "wget"),
];

/// Programs of systemd itself, which it finds by their names, besides `systemd-…` and `…ctl`. It finds no others, not even `sh`: nixpkgs
/// builds it with its own directory as the only one in which it looks.
const FOUND: [&str; 11] = [
    "halt",
    "init",
    "kernel-install",
    "poweroff",
    "reboot",
    "run0",
    "runlevel",
    "shutdown",
    "telinit",
    "udevadm",
    "ukify",
];

/// The package that has the program `name`.
pub(super) fn package_of(name: &str) -> Option<&'static str> {
    let known = PACKAGES.iter().find(|(program, _)| *program == name);
    known.map(|(_, package)| *package)
}

/// Whether systemd finds the program `name`.
pub(super) fn is_of_systemd(name: &str) -> bool {
    name.starts_with("systemd-") || name.ends_with("ctl") || FOUND.contains(&name)
}

#[cfg(test)]
mod tests {
    /// Without those of coreutils, which every service has in its path.
    #[test]
    fn the_expression_knows_the_same_programs() {
        let text = super::super::SCRIPT_PROGRAMS;
        let (_, list) = text.split_once("known = [").unwrap();
        let names = list
            .split(']')
            .next()
            .unwrap()
            .split('"')
            .skip(1)
            .step_by(2);
        let names: Vec<&str> = names.collect();
        let packages = super::PACKAGES.iter();
        let packages = packages.filter(|(_, package)| *package != "coreutils");
        let with_package: Vec<&str> = packages.map(|(name, _)| *name).collect();
        assert_eq!(names, with_package);
    }
}
