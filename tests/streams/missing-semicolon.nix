{ ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  networking.hostName = "pi"

  # Remote login.
  services.openssh.enable = true;
}
