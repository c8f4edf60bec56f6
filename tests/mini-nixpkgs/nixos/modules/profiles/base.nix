# Tools that every image has.
{ pkgs, lib, ... }:
{
  environment.systemPackages = [ pkgs.util-linux pkgs.dosfstools ];
  boot.supportedFilesystems = lib.genAttrs [ "btrfs" "cifs" "f2fs" "ntfs" "vfat" "xfs" "zfs" ] (_: lib.mkDefault true);
}
