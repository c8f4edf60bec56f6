{ ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  networking.hostName = "kitchen";
  time.timeZone = "Europe/Berlin";
  networking.hostName = "garage";
}
