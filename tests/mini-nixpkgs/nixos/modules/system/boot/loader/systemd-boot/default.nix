# systemd-boot. A disk has it when it is made; here is what writes its entries on the machine.
{ config, lib, pkgs, ... }:
let
  boot = config.fileSystems."/boot" or null;
  builder = pkgs.writeShellScript "systemd-boot-builder" (builtins.readFile ./systemd-boot-builder.sh);
in
{
  options.boot.loader.systemd-boot = lib.mkOption { type = lib.types.attrsOf lib.types.anything; default = { }; };
  config = lib.mkIf (config.system.switch.enable && config.boot.loader.systemd-boot.enable or false) {
    system.build.installBootLoader = builder;
    boot.initrd.availableKernelModules = [ "vfat" "nls_ascii" "nls_cp437" "nls_iso8859-1" ];
    system.activationScripts.boot = lib.mkIf (boot != null) ''
      mkdir -p /boot
      grep -q ' /boot ' /proc/mounts || mount /boot
    '';
  };
}
