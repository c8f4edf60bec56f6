//! The packages of nixpkgs that have a program, or what other systems call a package. Pure.

/// Programs, each with the package that is certain to have it: a line for each, in alphabetical order.
const TEXT: &str = include_str!("programs.txt");

/// What other systems call packages, and their names in nixpkgs.
const OTHER_NAMES: [(&str, &str); 38] = [
    ("avahi-daemon", "avahi"),
    ("avahi-utils", "avahi"),
    ("default-jdk", "jdk"),
    ("default-jre", "jre"),
    ("docker-compose-plugin", "docker-compose"),
    ("exfat-utils", "exfatprogs"),
    ("fd-find", "fd"),
    ("golang", "go"),
    ("golang-go", "go"),
    ("iputils-ping", "iputils"),
    ("libasound2-dev", "alsa-lib"),
    ("libcurl4-openssl-dev", "curl"),
    ("libi2c-dev", "i2c-tools"),
    ("libraspberrypi-bin", "libraspberrypi"),
    ("libsqlite3-dev", "sqlite"),
    ("libssl-dev", "openssl"),
    ("mariadb-server", "mariadb"),
    ("mosquitto-clients", "mosquitto"),
    ("network-manager", "networkmanager"),
    ("nodejs", "nodejs"),
    ("ntfs-3g", "ntfs3g"),
    ("openssh-client", "openssh"),
    ("openssh-server", "openssh"),
    ("p7zip-full", "p7zip"),
    ("postgres", "postgresql"),
    ("postgresql", "postgresql"),
    ("python-is-python3", "python3"),
    ("raspberrypi-tools", "libraspberrypi"),
    ("raspi-utils", "libraspberrypi"),
    ("redis-server", "redis"),
    ("rpi-eeprom", "raspberrypi-eeprom"),
    ("rpi-userland", "libraspberrypi"),
    ("silversearcher-ag", "silver-searcher"),
    ("sqlite3", "sqlite"),
    ("wireless-tools", "wirelesstools"),
    ("wpasupplicant", "wpa_supplicant"),
    ("xz-utils", "xz"),
    ("zlib1g-dev", "zlib"),
];

/// The package that has the program `name`.
pub fn package_of(name: &str) -> Option<&'static str> {
    let mut known = TEXT.lines().filter_map(|line| line.split_once(' '));
    known.find_map(|(program, package)| (program == name).then_some(package))
}

/// The package that other systems call `name`.
pub fn package_called(name: &str) -> Option<&'static str> {
    let known = OTHER_NAMES.iter().find(|(other, _)| *other == name);
    known.map(|(_, package)| *package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_one_package() {
        let programs: Vec<&str> = TEXT
            .lines()
            .map(|line| line.split_once(' ').unwrap().0)
            .collect();
        assert!(programs.is_sorted_by(|a, b| a < b), "{programs:?}");
        assert_eq!(package_of("make"), Some("gnumake"));
        assert_eq!(package_of("mak"), None);
        assert_eq!(package_called("golang"), Some("go"));
    }
}
