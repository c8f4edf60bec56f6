# An installer: a user `nixos` without a password who is logged in on the console, and a running SSH server.
{ lib, ... }:
{
  users.users.nixos = {
    isNormalUser = true;
    extraGroups = [ "wheel" "networkmanager" "video" ];
    initialHashedPassword = "";
  };
  users.users.root.initialHashedPassword = "";
  services.getty.autologinUser = lib.mkDefault "nixos";
  services.getty.helpLine = "The users `nixos' and `root' have empty passwords. To log in over SSH, set a password or give a key.";
  services.openssh.enable = lib.mkDefault true;
  services.openssh.settings.PermitRootLogin = lib.mkDefault "yes";
}
