{ lib, ... }:
{
  options.my.x = lib.mkOption { };
  boot.loader.grub.enable = false;
}
