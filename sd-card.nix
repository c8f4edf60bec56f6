# The system that goes onto the SD card. Put your key in, change what you like, then run `sdbuild build`.
{ lib, pkgs, modulesPath, ... }:
{
  imports = [
    # Your own finished system. For an installer instead, take sd-image-aarch64-installer.nix.
    (modulesPath + "/installer/sd-card/sd-image-aarch64.nix")
  ];

  # The processor: 64-bit ARM, as in a Raspberry Pi 3, 4 or Zero 2 W.
  nixpkgs.hostPlatform = "aarch64-linux";

  # The name by which the machine is known in your network.
  networking.hostName = "nixos-sd";

  # Your time zone, as in https://en.wikipedia.org/wiki/List_of_tz_database_time_zones
  time.timeZone = "Europe/Berlin";

  # Language, and how dates and numbers are written. Any other than en_US.UTF-8 is built for the image, which takes minutes.
  i18n.defaultLocale = "en_US.UTF-8";

  # Remote login, with keys only.
  services.openssh.enable = true;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.KbdInteractiveAuthentication = false;

  # Who may log in: your public key, the one line in ~/.ssh/id_ed25519.pub
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY"
  ];

  # Programs that you want to have there.
  environment.systemPackages = with pkgs; [ vim htop git ];

  # The mainline kernel, because it is in the binary cache; a board maker's kernel takes hours to compile.
  boot.kernelPackages = pkgs.linuxPackages;

  # ZFS off, because it lags behind new kernels: the build would fail or compile it for a long time.
  boot.supportedFilesystems.zfs = lib.mkForce false;

  # Nix leaves the image as it is: compressing it there, under emulation, takes minutes.
  sdImage.compressImage = false;

  # The NixOS release that this system starts with. Leave it when you upgrade.
  system.stateVersion = "26.05";
}
