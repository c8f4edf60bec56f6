{ ... }:
{
  imports = [ <nixpkgs/nixos/modules/installer/sd-card/sd-image-aarch64.nix> ];
  fileSystems."/" = {
    device = "/dev/disk/by-uuid/0a1b2c3d-1111-2222-3333-444455556666";
    fsType = "btrfs";
  };
}
