//! Names of options, and what people write in place of them.

use super::config_txt;

/// What people call options of users, and their names.
pub(super) const OF_USERS: [(&str, &str); 10] = [
    ("authorizedKeys", "openssh.authorizedKeys.keys"),
    ("groups", "extraGroups"),
    ("openssh.keys", "openssh.authorizedKeys.keys"),
    ("key", "openssh.authorizedKeys.keys"),
    ("keys", "openssh.authorizedKeys.keys"),
    ("openssh.authorizedKeys.key", "openssh.authorizedKeys.keys"),
    ("passwordHash", "hashedPassword"),
    ("ssh", "openssh"),
    ("sshKey", "openssh.authorizedKeys.keys"),
    ("sshKeys", "openssh.authorizedKeys.keys"),
];

/// What people call other options, or older releases called them, and their names.
pub(super) const OTHER_NAMES: [(&str, &str); 61] = [
    ("allowUnfree", "nixpkgs.config.allowUnfree"),
    ("environment.packages", "environment.systemPackages"),
    ("environment.aliases", "environment.shellAliases"),
    ("hostName", "networking.hostName"),
    ("hostPlatform", "nixpkgs.hostPlatform"),
    ("i18n.locale", "i18n.defaultLocale"),
    ("locale", "i18n.defaultLocale"),
    ("network.hostName", "networking.hostName"),
    ("networking-hostName", "networking.hostName"),
    ("networking.dhcp", "networking.useDHCP"),
    ("networking.dns", "networking.nameservers"),
    ("networking.dnsServers", "networking.nameservers"),
    (
        "networking.firewall.openPorts",
        "networking.firewall.allowedTCPPorts",
    ),
    (
        "networking.firewall.ports",
        "networking.firewall.allowedTCPPorts",
    ),
    ("networking.gateway", "networking.defaultGateway"),
    ("networking.wifi", "networking.wireless"),
    (
        "nix.experimental-features",
        "nix.settings.experimental-features",
    ),
    (
        "nix.experimentalFeatures",
        "nix.settings.experimental-features",
    ),
    ("nix.flakes", "nix.settings.experimental-features"),
    ("nixpkgs.allowUnfree", "nixpkgs.config.allowUnfree"),
    ("nix.gc.schedule", "nix.gc.dates"),
    ("packages", "environment.systemPackages"),
    ("programs.bash.aliases", "programs.bash.shellAliases"),
    ("programs.git.userEmail", "programs.git.config.user.email"),
    ("programs.git.userName", "programs.git.config.user.name"),
    (
        "security.sudo.noPassword",
        "security.sudo.wheelNeedsPassword",
    ),
    ("security.sudo.nopasswd", "security.sudo.wheelNeedsPassword"),
    ("services.bluetooth", "hardware.bluetooth"),
    ("services.cron.crontab", "services.cron.systemCronJobs"),
    ("services.cron.jobs", "services.cron.systemCronJobs"),
    ("services.dhcpServer", "services.kea.dhcp4"),
    ("services.dhcpd", "services.kea.dhcp4"),
    ("services.docker", "virtualisation.docker"),
    ("services.ntp.pool", "networking.timeServers"),
    ("services.ntp.server", "networking.timeServers"),
    (
        "services.openssh.passwordAuth",
        "services.openssh.settings.PasswordAuthentication",
    ),
    (
        "services.openssh.passwordAuthentication",
        "services.openssh.settings.PasswordAuthentication",
    ),
    (
        "services.openssh.permitRootLogin",
        "services.openssh.settings.PermitRootLogin",
    ),
    ("services.i2c", "hardware.i2c"),
    ("services.pi-hole", "services.pihole-ftl"),
    ("services.pihole", "services.pihole-ftl"),
    (
        "services.prometheus.exporters.node_exporter",
        "services.prometheus.exporters.node",
    ),
    ("sdImage.compress", "sdImage.compressImage"),
    (
        "services.openssh.authorizedKeys",
        "users.users.NAME.openssh.authorizedKeys.keys",
    ),
    ("services.ssh", "services.openssh"),
    (
        "services.syncthing.openPort",
        "services.syncthing.openDefaultPorts",
    ),
    ("services.wireguard", "networking.wireguard"),
    ("services.zram", "zramSwap"),
    ("ssh", "services.openssh"),
    ("stateVersion", "system.stateVersion"),
    ("system.autoUpgrade.schedule", "system.autoUpgrade.dates"),
    ("system.autoUpgrade.time", "system.autoUpgrade.dates"),
    ("systemPackages", "environment.systemPackages"),
    (
        "virtualisation.docker.containers",
        "virtualisation.oci-containers.containers",
    ),
    ("time.zone", "time.timeZone"),
    ("timeZone", "time.timeZone"),
    ("time.servers", "networking.timeServers"),
    ("networking.timeServer", "networking.timeServers"),
    ("services.autologin", "services.getty.autologinUser"),
    ("services.kodi", "services.xserver.desktopManager.kodi"),
    (
        "services.xserver.desktopManager.lxde",
        "services.xserver.desktopManager.lxqt",
    ),
];

/// What is in place of options for the board's pins.
const PINS: &str = "no option has this name. For the pins of a board, see the recipe \"GPIO, I2C, SPI\" in sdbuild's documentation";

/// What a camera needs.
const CAMERA: &str = "a USB camera needs no option. One at the board's camera port needs a device tree in hardware.deviceTree.overlays. \
     The recipe \"GPIO, I2C, SPI\" in sdbuild's documentation shows how";

/// How a machine gets an address that does not change.
const ADDRESS: &str = "give the address to an interface: networking.interfaces.NAME.ipv4.addresses = [ { address = \"192.168.1.10\"; \
     prefixLength = 24; } ];";

/// How a wireless network is defined.
pub(super) const NETWORK: &str = "write each network with its name and its passphrase: networking.wireless.networks.\"NAME\".psk = \
 \"…\";";

/// What is in place of options that write a `config.txt`.
const OF_OTHER_PROJECT: &str = "this is an option of another project, such as raspberry-pi-nix, whose images start in \
 another way. Remove it. Instead of dtparam= and dtoverlay= of config.txt, use device trees in \
 hardware.deviceTree.overlays. The recipe \"GPIO, I2C, SPI\" in sdbuild's documentation shows how";

/// What people expect in sets whose options have other names or another form, where `*` is any name, and what to write.
pub(super) const OF_SETS: [(&str, &str); 35] = [
    ("hardware.camera", CAMERA),
    ("hardware.gpio", PINS),
    ("hardware.pwm", PINS),
    ("hardware.raspberry-pi", OF_OTHER_PROJECT),
    ("hardware.spi", PINS),
    (
        "networking.wg-quick.interfaces.*.ips",
        "did you mean address?",
    ),
    (
        "networking.wireguard.interfaces.*.address",
        "did you mean ips?",
    ),
    (
        "services.caddy.virtualHosts.*.reverse_proxy",
        "write directives of Caddy as text: extraConfig = \"reverse_proxy …\";",
    ),
    (
        "services.caddy.virtualHosts.*.root",
        "write directives of Caddy as text: extraConfig = \"root * /…\\nfile_server\";",
    ),
    ("raspberry-pi-nix", OF_OTHER_PROJECT),
    ("services.gpio", PINS),
    (
        "services.mosquitto.port",
        "give each listener its port: services.mosquitto.listeners = [ { port = …; } ];",
    ),
    (
        "services.mosquitto.users",
        "give each listener its users: services.mosquitto.listeners = [ { users = { … }; } ];",
    ),
    (
        "systemd.services.*.Install",
        "write wantedBy = [ \"multi-user.target\" ]; in the service",
    ),
    ("systemd.services.*.Service", "did you mean serviceConfig?"),
    ("systemd.services.*.Unit", "did you mean unitConfig?"),
    (
        "virtualisation.oci-containers.containers.*.command",
        "did you mean cmd?",
    ),
    (
        "virtualisation.oci-containers.containers.*.container_name",
        "remove it. The container has the name of its attribute",
    ),
    (
        "virtualisation.oci-containers.containers.*.env_file",
        "did you mean environmentFiles?",
    ),
    (
        "virtualisation.oci-containers.containers.*.network_mode",
        "did you mean networks?",
    ),
    (
        "virtualisation.oci-containers.containers.*.restart",
        "remove it. The container is a service, which systemd starts and restarts",
    ),
    ("networking.address", ADDRESS),
    ("networking.ip", ADDRESS),
    ("networking.ipAddress", ADDRESS),
    ("networking.staticIP", ADDRESS),
    ("networking.wireless.psk", NETWORK),
    ("networking.wireless.ssid", NETWORK),
    (
        "networking.wireless.country",
        "write networking.wireless.extraConfig = \"country=…\";",
    ),
    (
        "networking.interfaces.*.gateway",
        "the whole machine has one gateway. Did you mean networking.defaultGateway?",
    ),
    (
        "networking.interfaces.*.nameservers",
        "the whole machine has one list of name servers. Did you mean networking.nameservers?",
    ),
    (
        "services.nginx.root",
        "give each site its own: services.nginx.virtualHosts.\"NAME\".root = …;",
    ),
    (
        "users.users.*.sudo",
        "remove it. Unless the user is in the group wheel, which may use sudo, write extraGroups = [ \"wheel\" ];",
    ),
    (
        "virtualisation.docker.compose",
        "NixOS does not read such a file. Write each of its services as virtualisation.oci-containers.containers.NAME",
    ),
    (
        "zramSwap.size",
        "the size is a percentage of the memory: zramSwap.memoryPercent = 50;",
    ),
    ("boot.config", config_txt::OF_CONFIG_TXT),
];

/// Options with so many capitals that nixpkgs finds no likeness to their names in small letters: it proposes names with at most two
/// other characters.
pub(super) const WITH_CAPITALS: [&str; 1] = ["networking.useDHCP"];

/// What people call the text of a file in `/etc`.
pub(super) const TEXT_OF_FILE: [&str; 5] = ["content", "contents", "texts", "txet", "txt"];

/// What people call the size of the card or of its file system, which no option sets.
pub(super) const SIZES_OF_IMAGE: [&str; 6] = [
    "sdImage.diskSize",
    "sdImage.imageSize",
    "sdImage.rootPartitionSize",
    "sdImage.rootSize",
    "sdImage.sdSize",
    "sdImage.size",
];

/// Options that NixOS no longer has, and needs nothing in place of. Releases that explain their absence report no unknown option.
pub(super) const REMOVED: [&str; 3] = [
    "boot.loader.raspberry-pi",
    "boot.loader.raspberryPi",
    "sound",
];

/// Options of users.
pub(super) const USER_OPTIONS: [&str; 18] = [
    "createHome",
    "description",
    "extraGroups",
    "group",
    "hashedPassword",
    "hashedPasswordFile",
    "home",
    "initialHashedPassword",
    "initialPassword",
    "isNormalUser",
    "isSystemUser",
    "linger",
    "name",
    "openssh",
    "packages",
    "password",
    "shell",
    "uid",
];

/// The options of a file in `/etc`.
pub(super) const OF_FILE: [&str; 9] = [
    "enable", "gid", "group", "mode", "source", "target", "text", "uid", "user",
];
