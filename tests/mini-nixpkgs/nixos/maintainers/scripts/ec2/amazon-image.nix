# A disk for Amazon EC2: it can be evaluated and not built, as that of disk-image.nix.
{ config, pkgs, ... }:
{
  imports = [
    ../../../modules/virtualisation/amazon-image.nix
    ../../../modules/image/file-options.nix
  ];
  config = {
    system.nixos.tags = [ "amazon" ];
    image.extension = "vhd";
    system.build.image = pkgs.stdenv.mkDerivation {
      name = "nixos-amazon-image";
      requiredSystemFeatures = [ "kvm" ];
      buildCommand = "echo a virtual machine would install ${config.system.build.toplevel}; false";
    };
  };
}
