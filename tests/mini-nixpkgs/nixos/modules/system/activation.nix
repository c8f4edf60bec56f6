# What a boot does once the root file system is there: /etc, users, services, then busybox' init.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  scripts = config.system.activationScripts;
  # /etc first, because the others read it; the rest by name.
  order = [ "etc" "users" ] ++ lib.filter (name: !lib.elem name [ "etc" "users" ]) (lib.attrNames scripts);
  mounts = ''
    mount -o remount,rw /
    mkdir -p /dev/pts /dev/shm
    mount -t devpts -o mode=620,gid=3 devpts /dev/pts
    mount -t tmpfs -o mode=1777 tmpfs /dev/shm
  '';
  # The consoles that the kernel really has, the last one being /dev/console. They keep their speed, as NixOS's do.
  consoles = ''
    for console in ${lib.optionalString (!config.boot.isContainer) "$(cat /sys/class/tty/console/active)"}; do
      [ "$console" != tty0 ] || console=tty1
      echo "$console::respawn:/bin/getty -L ${config.services.getty.autologin} 0 $console vt220" >>/run/inittab
    done
    printf '::shutdown:/bin/sync\n::shutdown:/bin/umount -a -r\n::ctrlaltdel:/bin/reboot\n' >>/run/inittab
  '';
  # Of systemd's services those that run once at the start, in the order of their names.
  once = lib.filter (service: service.enable && service.wantedBy != [ ] && service.serviceConfig.Type or "" == "oneshot") (lib.attrValues config.systemd.services);
  runOnce = service: ''
    ${lib.concatMapStrings (dir: "mkdir -p ${dir}; mount ${dir}\n") (lib.toList (service.unitConfig.RequiresMountsFor or [ ]))}
    [ ! -e ${service.unitConfig.ConditionPathExists or "/"} ] ||
      PATH=${lib.concatMapStrings (package: "${package}/bin:") service.path}$PATH ${pkgs.writeShellScript "script" service.script}
  '';
  textOf = script: if lib.isString script then script else script.text or "";
in
{
  options = {
    system.activationScripts = mkOption { type = types.attrsOf (types.either types.str types.attrs); default = { }; description = "Shell commands run on every boot."; };
    boot.isContainer = mkOption { type = types.bool; default = false; description = "Whether the system runs in a container, without a kernel of its own."; };
    boot.postBootCommands = mkOption { type = types.lines; default = ""; description = "Shell commands run on every boot, before the services."; };
  };

  config.system.build.activate = pkgs.writeShellScript "activate" ''
    # The fixed places of a Linux system are links here, so that a plain PATH works in `ssh host command`.
    mkdir -p /bin /usr /var/empty /var/log /home /root /etc
    for place in /bin /sbin /usr/bin; do
      [ -L $place ] || rmdir $place 2>/dev/null
      ln -sfn /run/current-system/sw/bin $place
    done
    : >/run/inittab
    ${lib.concatMapStringsSep "\n" (name: "# ${name}\n${textOf scripts.${name}}") order}
  '';

  # For switch-to-configuration, too.
  config.system.build.consoles = consoles;
  config.system.build.stage2 = pkgs.writeShellScript "stage-2" ''
    export PATH=${pkgs.busybox}/bin
    echo
    echo "<<< NixOS Stage 2 >>>"
    echo
    mkdir -p -m 1777 /tmp
    ${lib.optionalString (!config.boot.isContainer) mounts}
    ln -sfn @systemConfig@ /run/current-system
    ln -sfn @systemConfig@ /run/booted-system
    ${config.system.build.activate}

    ${consoles}
    cp /run/inittab /etc/inittab
    ${lib.concatMapStrings runOnce once}

    ${config.boot.postBootCommands}
    exec ${pkgs.busybox}/bin/init
  '';

  options.services.getty = {
    autologinUser = mkOption { type = types.nullOr types.str; default = null; };
    helpLine = mkOption { type = types.lines; default = ""; };
    autologin = mkOption { type = types.str; internal = true; };
  };
  config.services.getty.autologin =
    lib.optionalString (config.services.getty.autologinUser != null)
      "-n -l ${pkgs.writeShellScript "autologin" "exec /bin/login -f ${config.services.getty.autologinUser}"}";
  config.environment.etc.issue.text = "\nNixOS ${config.system.nixos.label} (\\m) - \\l\n\n${config.services.getty.helpLine}\n";
}
