# A container of Docker or Podman that runs a whole NixOS. Put your key in, change what you like, then run `sdbuild build`.
{ lib, pkgs, ... }:
{
  # For an engine on a PC: "x86_64-linux" here, and the line  system = "x86_64-linux"  in sdbuild.toml.
  nixpkgs.hostPlatform = "aarch64-linux";

  # The container's name in its own log and prompt, and with nixos- before it the name of the image.
  networking.hostName = "nixos-sd";

  # Your time zone, as in https://en.wikipedia.org/wiki/List_of_tz_database_time_zones
  time.timeZone = "Europe/Berlin";

  # Language, and how dates and numbers are written. Any other than en_US.UTF-8 is built for the image, which takes minutes.
  i18n.defaultLocale = "en_US.UTF-8";

  # Remote login, with keys only: docker run --publish 2222:22, then ssh -p 2222
  services.openssh.enable = true;
  services.openssh.settings.PasswordAuthentication = false;
  services.openssh.settings.KbdInteractiveAuthentication = false;

  # Who may log in: your public key, the one line in ~/.ssh/id_ed25519.pub
  users.users.root.openssh.authorizedKeys.keys = [
    "ssh-ed25519 REPLACE-ME-WITH-YOUR-PUBLIC-KEY"
  ];

  # Programs that you want to have there.
  environment.systemPackages = with pkgs; [ vim htop git ];

  # Hundreds of MB of manuals less.
  documentation.enable = lib.mkDefault false;

  # The NixOS release that this system starts with. Leave it when you upgrade.
  system.stateVersion = "26.05";
}
