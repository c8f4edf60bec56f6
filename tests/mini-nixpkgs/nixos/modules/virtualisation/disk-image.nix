# A disk for UEFI. As in nixpkgs it is made in a virtual machine, which is not here: it can be evaluated and not built.
{ config, lib, pkgs, ... }:
let
  cfg = config.image;
in
{
  imports = [ ../image/file-options.nix ];
  options.image.format = lib.mkOption { type = lib.types.enum [ "raw" "qcow2" ]; default = "qcow2"; };
  config = {
    boot.loader.systemd-boot.enable = true;
    boot.growPartition = lib.mkDefault true;
    fileSystems."/" = { device = "/dev/disk/by-label/nixos"; autoResize = true; fsType = "ext4"; };
    fileSystems."/boot" = { device = "/dev/disk/by-label/ESP"; fsType = "vfat"; };
    system.nixos.tags = [ cfg.format "efi" ];
    image.extension = if cfg.format == "raw" then "img" else cfg.format;
    system.build.image = pkgs.stdenv.mkDerivation {
      name = "nixos-disk-image";
      requiredSystemFeatures = [ "kvm" ];
      buildCommand = "echo a virtual machine would install ${config.system.build.toplevel}; false";
    };
  };
}
