# What the SD card images of 25.05 and older have in common: all but the names of the file.
{ config, lib, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.sdImage;
in
{
  options.sdImage = {
    storePaths = mkOption { type = types.listOf types.package; description = "Packages that go into the image's store, with all that they need."; };
    firmwarePartitionOffset = mkOption { type = types.int; default = 8; description = "MiB left free before the first partition."; };
    firmwarePartitionID = mkOption { type = types.str; default = "0x2178694e"; description = "Volume ID of the firmware partition, and the disk's own."; };
    firmwarePartitionName = mkOption { type = types.str; default = "FIRMWARE"; description = "Its label."; };
    firmwareSize = mkOption { type = types.int; default = 30; description = "Its size in MiB."; };
    rootPartitionUUID = mkOption { type = types.nullOr types.str; default = null; description = "UUID of the root file system."; };
    rootVolumeLabel = mkOption { type = types.str; default = "NIXOS_SD"; description = "Label of the root file system."; };
    populateFirmwareCommands = mkOption { type = types.lines; description = "Shell commands that fill the directory ./firmware."; };
    populateRootCommands = mkOption { type = types.lines; description = "Shell commands that fill the directory ./files with what is in the root beside the store."; };
    postBuildCommands = mkOption { type = types.lines; default = ""; description = "Shell commands run on the finished image, $img, before it is compressed."; };
    compressImage = mkOption { type = types.bool; default = true; description = "Whether the image is compressed with zstd."; };
    expandOnBoot = mkOption { type = types.bool; default = true; description = "Whether the root file system grows into the whole card on the first boot."; };
    nixPathRegistrationFile = mkOption { type = types.str; default = "/nix-path-registration"; description = "The store's contents, removed on the first boot."; };
  };

  config = {
    hardware.enableAllHardware = true;
    fileSystems = {
      "/boot/firmware" = { device = "/dev/disk/by-label/${cfg.firmwarePartitionName}"; fsType = "vfat"; options = [ "nofail" "noauto" ]; };
      "/" = { device = "/dev/disk/by-label/${cfg.rootVolumeLabel}"; fsType = "ext4"; };
    };
    sdImage.storePaths = [ config.system.build.toplevel ];
    boot.growPartition = cfg.expandOnBoot;
  };
}
