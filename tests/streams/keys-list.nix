{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  users.users.root.openssh.authorizedKeys = [ "ssh-ed25519 AAAA me" ];
  system.stateVersion = "26.05";
}
