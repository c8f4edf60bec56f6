# A system whose store is in its initial RAM disk, under the names of nixpkgs' module.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  inherit (config.boot.kernelPackages) kernel;
  params = "init=${config.system.build.toplevel}/init";
  file = name: path: { inherit name path; };
in
{
  imports = [ ../../image/file-options.nix ];

  options.netboot = {
    squashfsCompression = mkOption { type = types.str; default = "zstd -Xcompression-level 19"; description = "How the store is compressed."; };
    storeContents = mkOption { type = types.listOf types.package; description = "What is in it, with all that it needs."; };
  };

  config = {
    fileSystems = {
      "/" = { fsType = "tmpfs"; options = [ "mode=0755" ]; };
      "/nix/.ro-store" = { fsType = "squashfs"; device = "../nix-store.squashfs"; options = [ "loop" ]; neededForBoot = true; };
      "/nix/.rw-store" = { fsType = "tmpfs"; options = [ "mode=0755" ]; neededForBoot = true; };
      "/nix/store" = {
        overlay = { lowerdir = [ "/nix/.ro-store" ]; upperdir = "/nix/.rw-store/store"; workdir = "/nix/.rw-store/work"; };
        neededForBoot = true;
      };
    };
    boot.initrd.availableKernelModules = [ "squashfs" "overlay" ];
    boot.initrd.kernelModules = [ "loop" "overlay" ];
    netboot.storeContents = [ config.system.build.toplevel ];
    system.nixos.tags = [ "kexec" ];

    system.build = {
      squashfsStore = pkgs.callPackage ../../../lib/make-squashfs.nix {
        inherit (config.netboot) storeContents;
        comp = config.netboot.squashfsCompression;
      };
      netbootRamdisk = pkgs.makeInitrdNG {
        prepend = [ "${config.system.build.initialRamdisk}/initrd" ];
        contents = [ { source = config.system.build.squashfsStore; target = "/nix-store.squashfs"; } ];
      };
      netbootIpxeScript = pkgs.writeTextDir "netboot.ipxe" ''
        #!ipxe
        kernel ${kernel.target} ${params} initrd=initrd ${toString config.boot.kernelParams} ''${cmdline}
        initrd initrd
        boot
      '';
      kexecScript = pkgs.writeScript "kexec-boot" ''
        #!/usr/bin/env bash
        SCRIPT_DIR=$( cd -- "$( dirname -- "''${BASH_SOURCE[0]}" )" &> /dev/null && pwd )
        kexec --load ''${SCRIPT_DIR}/bzImage \
          --initrd=''${SCRIPT_DIR}/initrd.gz \
          --command-line "${params} ${toString config.boot.kernelParams}"
        kexec -e
      '';
      kexecTree = pkgs.linkFarm "kexec-tree" [
        (file "initrd.gz" "${config.system.build.netbootRamdisk}/initrd")
        (file "bzImage" "${kernel}/${kernel.target}")
        (file "kexec-boot" config.system.build.kexecScript)
      ];
      image = config.system.build.kexecTree;
    };
  };
}
