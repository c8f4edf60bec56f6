# A machine of Amazon EC2, with GRUB as nixpkgs has it.
{ config, lib, pkgs, ... }:
{
  options.ec2.efi = lib.mkOption { type = lib.types.bool; default = pkgs.stdenv.hostPlatform.isAarch64; };
  config = {
    fileSystems."/" = { device = "/dev/disk/by-label/nixos"; autoResize = true; fsType = "ext4"; };
    fileSystems."/boot" = lib.mkIf config.ec2.efi { device = "/dev/disk/by-label/ESP"; fsType = "vfat"; };
    boot.growPartition = true;
    boot.loader.grub = { device = if config.ec2.efi then "nodev" else "/dev/xvda"; efiSupport = config.ec2.efi; };
  };
}
