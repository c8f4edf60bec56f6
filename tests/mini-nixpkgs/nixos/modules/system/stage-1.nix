# The initial RAM disk: loads the modules, finds the root file system, lets it grow into the card, goes on in it.
{ config, lib, pkgs, ... }:
let
  root = config.fileSystems."/" or (throw "The ‘fileSystems’ option does not specify your root file system.");
  device = if root.device == null then "" else builtins.replaceStrings [ "/dev/disk/by-label/" "/dev/disk/by-uuid/" ] [ "LABEL=" "UUID=" ] root.device;
  # Of a system that runs from memory: a file of the initial RAM disk.
  store = builtins.replaceStrings [ "../" ] [ "/" ] (config.fileSystems."/nix/.ro-store" or { device = ""; }).device;
  kernel = config.boot.kernelPackages.kernel;
  # Of a systemd in the initial RAM disk there are the scripts of its services, once the root file system is mounted. An option of
  # coreutils' rm is one that busybox does not have.
  services = builtins.replaceStrings [ "rm -rf --one-file-system" ] [ "rm -rf" ] (
    lib.concatMapStrings (service: "${service.script or ""}\n") (lib.attrValues config.boot.initrd.systemd.services)
  );
  script = pkgs.writeScript "stage-1" (
    builtins.replaceStrings
      [ "@root@" "@fsType@" "@modules@" "@grow@" "@store@" "@services@" ]
      [ device root.fsType "/lib/modules/${kernel.modDirVersion}" (lib.boolToString config.boot.growPartition) store services ]
      (builtins.readFile ./stage-1.sh)
  );
in
{
  options.boot.initrd.systemd = {
    enable = lib.mkOption { type = lib.types.bool; default = false; };
    services = lib.mkOption { type = lib.types.attrsOf (lib.types.attrsOf lib.types.anything); default = { }; };
  };
  options.boot.growPartition = lib.mkEnableOption "growing the root partition to the end of its disk, on every boot that finds room there";

  config.system.build.initialRamdisk = pkgs.makeInitrd {
    contents = [
      { object = script; symlink = "/init"; }
      { object = "${pkgs.busybox}/bin/busybox"; symlink = "/bin/busybox"; }
      { object = "${config.system.build.modulesClosure}/lib/modules"; symlink = "/lib/modules"; }
    ];
  };
}
