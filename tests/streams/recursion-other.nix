{ config, ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  networking.hostName = config.networking.hostName + "x";
}
