# The root file system of an image of 25.05 or older, which no option names.
{ pkgs, lib, cfg }:
pkgs.callPackage ../../../lib/make-ext4-fs.nix (
  {
    inherit (cfg) storePaths compressImage;
    populateImageCommands = cfg.populateRootCommands;
    volumeLabel = cfg.rootVolumeLabel;
  }
  // lib.optionalAttrs (cfg.rootPartitionUUID != null) { uuid = cfg.rootPartitionUUID; }
)
