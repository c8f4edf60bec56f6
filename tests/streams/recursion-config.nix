{ config, lib, ... }:
{
  imports = lib.optional config.services.openssh.enable <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix>;
}
