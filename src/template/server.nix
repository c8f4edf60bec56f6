# A server with UEFI, real or virtual, that nobody changes by hand. Put your key in, change what you like, then run `sdbuild build`.
{ lib, pkgs, modulesPath, ... }:
{
  imports = [
    # The drivers of QEMU's disks and networks: for `sdbuild boot`, and where the server is a virtual machine.
    (modulesPath + "/profiles/qemu-guest.nix")
  ];

  # For a PC: "x86_64-linux" here, and the line  system = "x86_64-linux"  in sdbuild.toml.
  nixpkgs.hostPlatform = "aarch64-linux";

  # The name by which the machine is known in your network.
  networking.hostName = "nixos-sd";

  # Your time zone, as in https://en.wikipedia.org/wiki/List_of_tz_database_time_zones
  time.timeZone = "Europe/Berlin";

  # Language, and how dates and numbers are written. Any other than en_US.UTF-8 is built for the image, which takes minutes.
  i18n.defaultLocale = "en_US.UTF-8";

  # Remote login, with keys only, and not as root.
  services.openssh.enable = true;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.KbdInteractiveAuthentication = false;
  services.openssh.settings.PermitRootLogin = "no";

  # The administrator, who has no password, so sudo must not ask for one.
  users.users.admin = { isNormalUser = true; extraGroups = [ "wheel" ]; };
  security.sudo.wheelNeedsPassword = false;

  # Who may log in: your public key, the one line in ~/.ssh/id_ed25519.pub
  users.users.admin.openssh.authorizedKeys.keys = [
    "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY"
  ];

  # Accounts are what is written here: `passwd` and `useradd` change nothing for good.
  users.mutableUsers = false;

  # Nothing but SSH is let in. Ports of services are added here.
  networking.firewall.enable = true;
  networking.firewall.allowedTCPPorts = [ ];

  # Programs that you want to have there.
  environment.systemPackages = with pkgs; [ vim htop git ];

  # The mainline kernel, because it is in the binary cache.
  boot.kernelPackages = pkgs.linuxPackages;

  # ZFS off, because it lags behind new kernels: the build would fail or compile it for a long time.
  boot.supportedFilesystems.zfs = lib.mkForce false;

  # The boot loader and the file systems that the image has: with these lines nixos-rebuild works on the machine.
  boot.loader.systemd-boot.enable = true;
  boot.growPartition = true;
  fileSystems."/" = { device = "/dev/disk/by-label/nixos"; fsType = "ext4"; autoResize = true; };
  fileSystems."/boot" = { device = "/dev/disk/by-label/ESP"; fsType = "vfat"; };

  # What is written outside of /boot, /nix and /persist is gone with the next start. Other directories that shall stay:
  # fileSystems."/var/lib/NAME" = { device = "/persist/NAME"; fsType = "none"; options = [ "bind" ]; };
  # This one has the numbers of users and groups, to whom files in /persist belong by them.
  fileSystems."/var/lib/nixos" = { device = "/persist/nixos"; fsType = "none"; options = [ "bind" ]; };
  boot.initrd.systemd.enable = true;
  boot.initrd.systemd.services.empty-root = {
    requiredBy = [ "initrd-root-fs.target" ];
    # Before anything is mounted there: it would stay. A file system of yours with `neededForBoot` is named here as well.
    before = [
      "initrd-root-fs.target" "initrd-fs.target" "sysroot-etc.mount" "sysroot-usr.mount" "sysroot-var.mount"
      "sysroot-var-lib.mount" "sysroot-var-lib-nixos.mount" "sysroot-var-log.mount"
    ];
    after = [ "sysroot.mount" ];
    unitConfig.DefaultDependencies = false;
    serviceConfig.Type = "oneshot";
    script = ''
      mounts=$(while read -r _ place _; do echo "$place/"; done </proc/mounts)
      for entry in /sysroot/* /sysroot/.[!.]*; do
        case ''${entry##*/} in
          # The last one is there for the first start only.
          boot | nix | persist | nix-path-registration) continue ;;
        esac
        case $mounts in
          *"$entry/"*) echo "$entry is not emptied: a file system is mounted there" ;;
          # NixOS makes /var/empty immutable, so that it stays.
          *) rm -rf --one-file-system "$entry" || true ;;
        esac
      done
      mkdir -p /sysroot/persist/nixos
    '';
  };
  services.openssh.hostKeys = [ { path = "/persist/ssh/ssh_host_ed25519_key"; type = "ed25519"; } ];

  # The NixOS release that this system starts with. Leave it when you upgrade.
  system.stateVersion = "26.05";
}
