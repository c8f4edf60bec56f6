{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  networking.firewall.allowedTCPPorts = [ 80-90 ];
  system.stateVersion = "26.05";
}
