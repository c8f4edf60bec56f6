# A module for nixpkgs' variants `iso` and `iso-installer`: the image is nixpkgs' own, with the same contents, but mksquashfs and
# xorriso run natively. What is in it is built already, so it cannot depend on them.
#
# nixpkgs makes these images bootable by BIOS only unless the configuration says otherwise; on AArch64 nothing would start them.
#
# `base` is the configuration without the variant.
base:
{ config, lib, pkgs, ... }:
let
  native = import ./native.nix pkgs;
  takes = builtins.functionArgs (import (pkgs.path + "/nixos/lib/make-iso9660-image.nix"));
  tools = { inherit (native) callPackage closureInfo libossp_uuid squashfsTools stdenv xorriso zstd; };
  weak = lib.mkOverride 1400;
  # Stronger than mkImageMediaOverride.
  slightlyStronger = lib.mkOverride 59;
in
{
  config = {
    isoImage.makeEfiBootable = weak true;
    isoImage.makeUsbBootable = weak true;
    # A configuration for a disk names file systems that are not here: the boot would wait for them, and end in emergency mode.
    # nixpkgs' installers override them in the same way; definitions of the same strength would be merged, and their lists be doubled.
    fileSystems = slightlyStronger config.lib.isoFileSystems;
    swapDevices = slightlyStronger [ ];
    # nixpkgs defines it as strongly as the configuration: both would contradict each other.
    boot.loader.timeout = lib.mkIf (base.options.boot.loader.timeout.highestPrio < 1000) (lib.mkOverride 99 base.config.boot.loader.timeout);
    system.build.image = lib.mkForce (config.system.build.isoImage.override (builtins.intersectAttrs takes tools));
  };
}
