# The SD card image: options and steps under the names of nixpkgs' module, so that what is learned here holds there.
{ config, lib, options, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.sdImage;
  rootfsImage = pkgs.callPackage cfg.rootFilesystemCreator (
    {
      inherit (cfg) storePaths compressImage;
      populateImageCommands = cfg.populateRootCommands;
      volumeLabel = cfg.rootVolumeLabel;
    }
    // lib.optionalAttrs (cfg.rootPartitionUUID != null) { uuid = cfg.rootPartitionUUID; }
  );
  sdImage = import ./make-sd-image.nix { inherit cfg; inherit (config.image) fileName filePath; };
  lookAtAll = import ../../../lib/look-at-all.nix lib;
  gone = name: lib.mkRemovedOptionModule [ "sdImage" name ] "The FAT partition holds only the firmware now: see sdImage.firmwareSize and sdImage.firmwarePartitionID.";
in
{
  imports = [
    ../../image/file-options.nix
    (gone "bootPartitionID")
    (gone "bootSize")
    (lib.mkRenamedOptionModule [ "sdImage" "imageBaseName" ] [ "image" "baseName" ])
    (lib.mkRenamedOptionModule [ "sdImage" "imageName" ] [ "image" "fileName" ])
  ];

  options.sdImage = {
    storePaths = mkOption { type = types.listOf types.package; description = "Packages that go into the image's store, with all that they need."; };
    firmwarePartitionOffset = mkOption { type = types.int; default = 8; description = "MiB left free before the first partition."; };
    firmwarePartitionID = mkOption { type = types.str; default = "0x2178694e"; description = "Volume ID of the firmware partition, and the disk's own."; };
    firmwarePartitionName = mkOption { type = types.str; default = "FIRMWARE"; description = "Its label."; };
    firmwareSize = mkOption { type = types.int; default = 30; description = "Its size in MiB."; };
    rootPartitionUUID = mkOption { type = types.nullOr types.str; default = null; example = "14e19a7b-0ae0-484d-9d54-43bd6fdc20c7"; description = "UUID of the root file system."; };
    rootVolumeLabel = mkOption { type = types.str; default = "NIXOS_SD"; description = "Label of the root file system."; };
    rootFilesystemCreator = mkOption { type = types.either types.package types.path; default = ../../../lib/make-ext4-fs.nix; description = "The function that makes the root file system."; };
    rootFilesystemImage = mkOption { type = types.package; default = rootfsImage; description = "The root file system."; };
    populateFirmwareCommands = mkOption { type = types.lines; example = "cp \${pkgs.myBootLoader}/u-boot.bin firmware/"; description = "Shell commands that fill the directory ./firmware."; };
    populateRootCommands = mkOption { type = types.lines; example = "mkdir -p files/boot"; description = "Shell commands that fill the directory ./files with what is in the root beside the store."; };
    preBuildCommands = mkOption { type = types.lines; default = ""; description = "Shell commands run before the image is made; $root_fs is the root file system."; };
    postBuildCommands = mkOption { type = types.lines; default = ""; description = "Shell commands run on the finished image, $img, before it is compressed."; };
    compressImage = mkOption { type = types.bool; default = true; description = "Whether the image is compressed with zstd."; };
    expandOnBoot = mkOption { type = types.bool; default = true; description = "Whether the root file system grows into the whole card on the first boot."; };
    nixPathRegistrationFile = mkOption { type = types.str; default = "/nix-path-registration"; description = "The store's contents, read and removed on the first boot."; };
  };

  config = {
    hardware.enableAllHardware = true;
    fileSystems = {
      "/boot/firmware" = { device = "/dev/disk/by-label/${cfg.firmwarePartitionName}"; fsType = "vfat"; options = [ "nofail" "noauto" ]; };
      "/" = { device = "/dev/disk/by-label/${cfg.rootVolumeLabel}"; fsType = "ext4"; };
    };

    sdImage.storePaths = [ config.system.build.toplevel ];
    system.nixos.tags = [ "sd-card" ];
    image.extension = if cfg.compressImage then "img.zst" else "img";
    image.filePath = "sd-image/${config.image.fileName}";
    system.build.image = config.system.build.sdImage;
    # Toplevel first, for its assertions say more than a wrong type does.
    system.build.sdImage = builtins.seq config.system.build.toplevel.drvPath (builtins.seq (lookAtAll options) (pkgs.callPackage sdImage { }));

    boot.growPartition = cfg.expandOnBoot;
    boot.postBootCommands = ''
      # On the first boot only. Most miniature systems have no Nix that would read the registration.
      if [ -f ${cfg.nixPathRegistrationFile} ]; then
        ${lib.optionalString cfg.expandOnBoot "${pkgs.e2fsprogs}/bin/resize2fs $(findfs LABEL=${cfg.rootVolumeLabel})"}
        ${lib.optionalString config.nix.enable ''
          ${config.nix.package}/bin/nix-store --load-db <${cfg.nixPathRegistrationFile}
          touch /etc/NIXOS
          ${config.nix.package}/bin/nix-env -p /nix/var/nix/profiles/system --set /run/current-system
        ''}
        rm -f ${cfg.nixPathRegistrationFile}
      fi
    '';
  };
}
