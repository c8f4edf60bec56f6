# An installer: a user `nixos` without a password who is logged in on the console, and a running SSH server.
{ lib, ... }:
{
  options.installer.cloneConfig = lib.mkOption { type = lib.types.bool; default = true; description = "Whether the installed system gets the installer's configuration."; };
  config.users.users.nixos = {
    isNormalUser = true;
    extraGroups = [ "wheel" "networkmanager" "video" ];
    initialHashedPassword = "";
  };
  config.users.users.root.initialHashedPassword = "";
  config.services.getty.autologinUser = lib.mkDefault "nixos";
  config.services.getty.helpLine = "The users `nixos' and `root' have empty passwords. To log in over SSH, set a password or give a key.";
  config.services.openssh.enable = lib.mkDefault true;
  config.services.openssh.settings.PermitRootLogin = lib.mkDefault "yes";
}
