{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  systemd.services.x.script = echo hi;
  system.stateVersion = "26.05";
}
