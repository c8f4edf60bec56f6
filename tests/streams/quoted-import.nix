{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  imports = [ "./wifi.nix" ];
  system.stateVersion = "26.05";
}
