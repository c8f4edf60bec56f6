{ lib, pkgs, ... }:
{
  networking.hostName = "pi";
  services.getty.greetingLine = "say "hi"";
  system.stateVersion = "26.05";
}
