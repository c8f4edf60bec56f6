# The initial RAM disk: loads the modules, finds the root file system, lets it grow into the card, goes on in it.
{ config, lib, pkgs, ... }:
let
  root = config.fileSystems."/" or (throw "The ‘fileSystems’ option does not specify your root file system.");
  device = if root.device == null then "" else builtins.replaceStrings [ "/dev/disk/by-label/" "/dev/disk/by-uuid/" ] [ "LABEL=" "UUID=" ] root.device;
  # Of a system that runs from memory: a file of the initial RAM disk.
  store = builtins.replaceStrings [ "../" ] [ "/" ] (config.fileSystems."/nix/.ro-store" or { device = ""; }).device;
  kernel = config.boot.kernelPackages.kernel;
  script = pkgs.writeScript "stage-1" (
    builtins.replaceStrings
      [ "@root@" "@fsType@" "@modules@" "@grow@" "@store@" ]
      [ device root.fsType "/lib/modules/${kernel.modDirVersion}" (lib.boolToString config.boot.growPartition) store ]
      (builtins.readFile ./stage-1.sh)
  );
in
{
  options.boot.growPartition = lib.mkEnableOption "growing the root partition to the end of its disk, on every boot that finds room there";

  config.system.build.initialRamdisk = pkgs.makeInitrd {
    contents = [
      { object = script; symlink = "/init"; }
      { object = "${pkgs.busybox}/bin/busybox"; symlink = "/bin/busybox"; }
      { object = "${config.system.build.modulesClosure}/lib/modules"; symlink = "/lib/modules"; }
    ];
  };
}
