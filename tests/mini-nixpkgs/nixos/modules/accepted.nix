# Options of NixOS that configurations often set and that change nothing in a miniature image. They are here so that
# such a configuration evaluates; below the names listed, an unknown one is still an error.
{ lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  bool = mkOption { type = types.bool; default = false; };
  text = mkOption { type = types.nullOr types.str; default = null; };
  texts = mkOption { type = types.listOf types.str; default = [ ]; };
  lines = mkOption { type = types.lines; default = ""; };
  ports = mkOption { type = types.listOf types.port; default = [ ]; };
  packages = mkOption { type = types.listOf types.package; default = [ ]; };
  any = mkOption { type = types.anything; default = { }; };
  free = mkOption { type = types.attrsOf types.anything; default = { }; };
  # A set with some names of known type, and any others.
  freeModule = options: types.submodule { freeformType = types.attrsOf types.anything; inherit options; };
  freeWith = options: mkOption { type = freeModule options; default = { }; };
  yes = mkOption { type = types.bool; default = true; };
  address = most: freeModule { address = mkOption { type = types.str; }; prefixLength = mkOption { type = types.addCheck types.int (n: n >= 0 && n <= most); }; };
  addresses = most: freeWith { addresses = mkOption { type = types.listOf (address most); default = [ ]; }; };
  same = option: names: lib.genAttrs names (_: option);

  # The options of units, as far as a configuration is likely to set them; another one is an error, as in NixOS.
  unit = same texts [
    "after" "aliases" "before" "bindsTo" "conflicts" "documentation" "onFailure" "onSuccess" "partOf" "requiredBy" "requires" "requisite"
    "upheldBy" "upholds" "wantedBy" "wants"
  ] // {
    enable = yes;
    description = mkOption { type = types.str; default = ""; };
    unitConfig = free;
    overrideStrategy = text;
    startLimitBurst = mkOption { type = types.nullOr types.int; default = null; };
    startLimitIntervalSec = mkOption { type = types.nullOr types.int; default = null; };
  } // same (mkOption { type = types.listOf types.anything; default = [ ]; }) [ "reloadTriggers" "restartTriggers" ];
  units = options: mkOption { type = types.attrsOf (types.submodule { options = unit // options; }); default = { }; };
  service = same lines [ "postStart" "postStop" "preStart" "preStop" "reload" "script" ] // same bool [ "reloadIfChanged" ]
    // same yes [ "restartIfChanged" "stopIfChanged" ] // {
    environment = mkOption { type = types.attrsOf (types.nullOr (types.oneOf [ types.str types.path types.package ])); default = { }; };
    path = mkOption { type = types.listOf (types.oneOf [ types.package types.str ]); default = [ ]; };
    serviceConfig = free;
    scriptArgs = mkOption { type = types.str; default = ""; };
    startAt = mkOption { type = types.either types.str (types.listOf types.str); default = [ ]; };
  };

  services = [
    "adguardhome" "avahi" "blocky" "caddy" "chrony" "cron" "dbus" "dnsmasq" "eternal-terminal" "fail2ban" "fstrim" "fwupd"
    "gitea" "grafana" "hostapd" "home-assistant" "influxdb2" "irqbalance" "jellyfin" "journald" "k3s" "kubo" "logind"
    "minidlna" "mosquitto" "mpd" "nextcloud" "nfs" "nginx" "node-red" "octoprint" "pihole-ftl" "pipewire" "plex"
    "postgresql" "prometheus" "pulseaudio" "qemuGuest" "redis" "resolved" "rsyncd" "samba" "syncthing" "tailscale" "timesyncd"
    "tlp" "transmission" "udev" "udisks2" "unbound" "vaultwarden" "vsftpd" "xserver" "zerotierone" "zigbee2mqtt"
  ];
in
{
  options = {
    boot = {
      tmp = free;
      kernel = freeWith { sysctl = free; };
      kernelPatches = any;
      extraModprobeConfig = lines;
      blacklistedKernelModules = texts;
      enableContainers = bool;
      plymouth = free;
      zfs = free;
      binfmt = free;
    };
    networking = {
      domain = text;
      hostId = text;
      search = texts;
      defaultGateway = any;
      defaultGateway6 = any;
      interfaces = mkOption { type = types.attrsOf (freeModule { ipv4 = addresses 32; ipv6 = addresses 128; }); default = { }; };
      vlans = free;
      bridges = free;
      bonds = free;
      nat = free;
      nftables = free;
      wireguard = free;
      wg-quick = free;
      proxy = free;
      hosts = mkOption { type = types.attrsOf (types.listOf types.str); default = { }; };
      timeServers = texts;
      dhcpcd = free;
      resolvconf = free;
      firewall = freeWith ({ enable = bool; } // same ports [ "allowedTCPPorts" "allowedUDPPorts" ]);
      networkmanager = freeWith { enable = bool; };
      wireless = freeWith { enable = bool; networks = mkOption { type = types.attrsOf (freeModule { psk = text; }); default = { }; }; interfaces = texts; };
      modemmanager = free;
    }
    // same bool [ "useNetworkd" "enableIPv6" "usePredictableInterfaceNames" "tempAddresses" ];
    services = lib.genAttrs services (_: free);

    environment = same lines [ "extraInit" ] // { noXlibs = bool; stub-ld = free; };
    # Not a set that takes any name: nixos-hardware's modules declare more of them.
    hardware = same bool [ "enableAllHardware" "enableRedistributableFirmware" "enableAllFirmware" ] // { firmware = packages; }
    // same free [ "alsa" "bluetooth" "cpu" "deviceTree" "gpgpu" "graphics" "i2c" "keyboard" "opengl" "pulseaudio" "rtl-sdr" "sane" "sensor" "uinput" "wirelessRegulatoryDatabase" ];
    i18n = freeWith { defaultLocale = mkOption { type = types.str; default = "en_US.UTF-8"; }; supportedLocales = texts; };
    security = freeWith { sudo = freeWith { enable = yes; wheelNeedsPassword = yes; }; polkit = free; };
    system = { autoUpgrade = free; copySystemConfiguration = bool; disableInstallerTools = bool; };
    time.hardwareClockInLocalTime = bool;
    systemd = freeWith { package = mkOption { type = types.package; default = pkgs.systemd; }; services = units service; timers = units { timerConfig = free; }; network = free; };
  }
  // same free [
    "console" "containers" "documentation" "fonts" "installer" "isSpecialisation" "location" "powerManagement" "programs"
    "specialisation" "virtualisation" "xdg" "zramSwap"
  ];
}
