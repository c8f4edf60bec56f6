# Growing the root partition of a GPT, and its file system, on every boot that finds room behind it.
{ config, lib, pkgs, ... }:
let
  root = config.fileSystems."/";
in
{
  boot.postBootCommands = lib.mkIf (config.boot.growPartition && root.autoResize) ''
    device=$(findfs ${builtins.replaceStrings [ "/dev/disk/by-label/" ] [ "LABEL=" ] root.device})
    disk=/dev/$(basename "$(readlink -f "/sys/class/block/''${device##*/}/..")")
    number=$(cat "/sys/class/block/''${device##*/}/partition")
    if [ "$(dd if="$disk" bs=1 skip=512 count=8 2>/dev/null)" = "EFI PART" ]; then
      echo ", +" | ${pkgs.util-linux}/bin/sfdisk -q --no-reread --no-tell-kernel -N "$number" "$disk" &&
        ${pkgs.util-linux}/bin/partx -u --nr "$number" "$disk"
    fi
    ${pkgs.e2fsprogs}/bin/resize2fs "$device"
  '';
}
