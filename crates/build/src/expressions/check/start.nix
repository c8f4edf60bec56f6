# What makes a card of nixpkgs' `sdImage` start, beside its files: its root file system, and the firmware of a Raspberry Pi.
{ config, options, sd, isSet, commands, wordsOf, tryOr }:
let
  inherit (builtins) any elem match;

  # What gives the card other partitions or file systems, in the image or at the first start.
  programs = "(btrfs(tune)?|cryptsetup|e2label|[cfs]?fdisk|sgdisk|gdisk|lv[a-z]+|mdadm|mke2fs|mkfs[.a-z0-9]*|parted|pv[a-z]+|tune2fs|vg[a-z]+|zpool)";
  isPartitioner = word: match "(.*/)?${programs}" word != null;
  initrd = config.boot.initrd or { };
  hooks = [ "preDeviceCommands" "preLVMCommands" "postDeviceCommands" "postResumeCommands" ];
  ofInitrd = (options.boot or { }).initrd or { };
  isMadeAtStart =
    any (name: commands.isSetByUser (ofInitrd.${name} or { })) hooks
    || commands.namesOfUser ((ofInitrd.systemd or { }).services or { }) [ ] != [ ]
    || any (repart: repart.enable or false) [ ((initrd.systemd or { }).repart or { }) ((config.systemd or { }).repart or { }) ];
  isChanged = any isPartitioner (wordsOf "preBuildCommands" ++ wordsOf "postBuildCommands") || isMadeAtStart;
  # Both of nixpkgs' programs that make a root file system take the label and the UUID.
  creator = match ".*/nixos/lib/make-(ext4|btrfs)-fs[.]nix" (toString (sd.rootFilesystemCreator or ""));

  # nixos-hardware's module for the Raspberry Pi.
  pi = (config.hardware or { }).raspberry-pi or { };
  firmware = tryOr "" (builtins.unsafeDiscardStringContext (sd.populateFirmwareCommands or ""));
  isOnlyFirmware = match "[[:space:]]*/[^[:space:]]*/install-rpi-firmware[[:space:]]+[.]/firmware/?[[:space:]]*" firmware != null;
  configTxt = tryOr null (((pi.configtxt or { }).file or { }).text or null);
  # Of other commands, which may copy what starts, nothing is known.
  addsNothing = wordsOf "preBuildCommands" ++ wordsOf "postBuildCommands" == [ ];
  extlinux = ((config.boot.loader or { }).generic-extlinux-compatible or { });
in
{
  inherit isMadeAtStart;
  root_type =
    if isChanged || isSet "rootFilesystemImage" then
      null
    else if !isSet "rootFilesystemCreator" then
      "ext4"
    else if creator == null then
      null
    else
      builtins.head creator;
  pi =
    if isOnlyFirmware && addsNothing then
      {
        u_boot = ((pi.firmware or { }).uboot or { }).enable or null;
        config_txt = if configTxt == null then null else builtins.unsafeDiscardStringContext configTxt;
      }
    else
      null;
  menu_has_tree = extlinux.enable or false && extlinux.useGenerationDeviceTree or true;
}
