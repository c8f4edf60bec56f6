{ ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  users.mutableUsers = false;
  assertions = [ { assertion = false; message = "The option x must be set."; } { assertion = false; message = "y is wrong"; } ];
}
