# An installer on a CD or USB stick, which cloud-init configures. Put your key in, change what you like, then run `sdbuild build`.
{ lib, pkgs, ... }:
{
  # A 64-bit ARM machine with UEFI, real or virtual.
  nixpkgs.hostPlatform = "aarch64-linux";

  # The name by which the machine is known in your network, unless the seed gives another one.
  networking.hostName = "nixos-sd";

  # Your time zone, as in https://en.wikipedia.org/wiki/List_of_tz_database_time_zones
  time.timeZone = "Europe/Berlin";

  # Language, and how dates and numbers are written. Any other than en_US.UTF-8 is built for the image, which takes minutes.
  i18n.defaultLocale = "en_US.UTF-8";

  # Remote login, with keys only: an installer's own accounts have empty passwords.
  services.openssh.enable = true;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.KbdInteractiveAuthentication = false;

  # Who may log in: your public key, the one line in ~/.ssh/id_ed25519.pub
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY"
  ];

  # Programs that you want to have there.
  environment.systemPackages = with pkgs; [ vim htop git ];

  # The mainline kernel, because it is in the binary cache.
  boot.kernelPackages = pkgs.linuxPackages;

  # ZFS off, because it lags behind new kernels: the build would fail or compile it for a long time.
  boot.supportedFilesystems.zfs = lib.mkForce false;

  # Users, keys, files, commands and networks come from a seed, a second disk that `sdbuild seed` writes. Without one the machine asks
  # DHCP for an address. Options of the installer are set here, inside its variant.
  image.modules.iso-installer = {
    services.cloud-init.enable = true;
    services.cloud-init.network.enable = true;
    # cloud-init asks DHCP itself, or gives the addresses of the seed.
    networking.useDHCP = false;
    # Seeds only: otherwise cloud-init asks the services of a dozen clouds, for minutes if there is no seed.
    services.cloud-init.settings.datasource_list = [ "NoCloud" "ConfigDrive" "None" ];
    # A system that runs from memory has no disk that it could grow into.
    services.cloud-init.settings.growpart.mode = "off";
    services.cloud-init.settings.resize_rootfs = false;
  };

  # The NixOS release that this system starts with. Leave it when you upgrade.
  system.stateVersion = "26.05";
}
