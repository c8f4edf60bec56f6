# The variants of an image: each is this configuration with one more module.
{ config, lib, pkgs, extendModules, ... }:
let
  inherit (lib) types mkOption;
  imageModules = {
    amazon = ../../maintainers/scripts/ec2/amazon-image.nix;
    iso = ../installer/cd-dvd/iso-image.nix;
    iso-installer = ../installer/cd-dvd/installation-cd-base.nix;
    kexec = ../installer/netboot/netboot-minimal.nix;
    lxc = ../virtualisation/lxc-container.nix;
    qemu-efi = ../virtualisation/disk-image.nix;
    raw-efi = { imports = [ ../virtualisation/disk-image.nix ]; image.format = "raw"; };
    sd-card.imports = [ (../. + "/installer/sd-card/sd-image-${pkgs.stdenv.hostPlatform.qemuArch}.nix") ];
  };
  image =
    name: module:
    let
      variant = (extendModules { modules = [ module ]; }).config;
      builder = variant.system.build.image or (throw "Module for `system.build.images.${name}` misses required `system.build.image` option.");
    in
    lib.recursiveUpdate builder { passthru = { config = variant; inherit (variant.image) filePath; }; };
in
{
  options.image.modules = mkOption { type = types.attrsOf types.deferredModule; description = "The module of each variant."; };
  config.image.modules = imageModules;
  config.system.build.images =
    lib.warnIf (config.system.build ? image) "`system.build.image` is defined, while `system.build.images` is used." (lib.mapAttrs image config.image.modules);
}
