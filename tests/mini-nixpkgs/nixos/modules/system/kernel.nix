{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  modules = default: mkOption { type = types.listOf types.str; inherit default; };
in
{
  options.boot = {
    kernelPackages = mkOption { type = types.raw; default = pkgs.linuxPackages; apply = p: p; description = "The kernel."; };
    kernelParams = mkOption { type = types.listOf types.str; default = [ ]; description = "The kernel's command line."; };
    consoleLogLevel = mkOption { type = types.int; default = 4; };
    kernelModules = modules [ ];
    extraModulePackages = mkOption { type = types.listOf types.package; default = [ ]; };
    initrd = {
      availableKernelModules = modules [ ];
      kernelModules = modules [ ];
      includeDefaultModules = mkOption { type = types.bool; default = true; };
      # As in 26.11, with another default: configurations for real boards name modules that Debian's kernel does not have.
      allowMissingModules = mkOption { type = types.bool; default = true; description = "Whether modules that the kernel does not have are passed over."; };
    };
  };

  config = {
    boot.kernelParams =
      [ "loglevel=${toString config.boot.consoleLogLevel}" ]
      # On a busy machine an emulated PC fails Linux' check of its timer, and the kernel panics.
      ++ lib.optional pkgs.stdenv.hostPlatform.isx86_64 "no_timer_check";
    boot.initrd.availableKernelModules = lib.mkIf config.boot.initrd.includeDefaultModules [
      "virtio_pci" "virtio_mmio" "virtio_blk" "virtio_scsi" "virtio_net" "virtio_rng" "nvme" "ext4"
    ];
    system.build.kernel = config.boot.kernelPackages.kernel;
    system.build.modulesClosure = pkgs.makeModulesClosure {
      inherit (config.boot.kernelPackages) kernel;
      rootModules = lib.unique (config.boot.initrd.availableKernelModules ++ config.boot.initrd.kernelModules ++ config.boot.kernelModules);
      allowMissing = config.boot.initrd.allowMissingModules;
    };
  };
}
