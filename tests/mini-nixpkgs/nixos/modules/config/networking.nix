# The host's name, and an address by DHCP on every wired interface.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.networking;
in
{
  options.networking = {
    hostName = mkOption {
      type = types.strMatching "^$|^[[:alnum:]]([[:alnum:]_-]{0,61}[[:alnum:]])?$";
      default = "nixos";
      description = "The machine's name.";
    };
    nameservers = mkOption { type = types.listOf types.str; default = [ ]; };
    useDHCP = mkOption { type = types.bool; default = true; };
    extraHosts = mkOption { type = types.lines; default = ""; };
  };

  config = {
    environment.etc = {
      hostname = lib.mkIf (cfg.hostName != "") { text = cfg.hostName + "\n"; };
      hosts.text = "127.0.0.1 localhost\n::1 localhost\n127.0.0.2 ${cfg.hostName}\n${cfg.extraHosts}";
      "udhcpc.script".source = pkgs.writeScript "udhcpc.script" ''
        #!${pkgs.runtimeShell}
        # Called by udhcpc with what it was given in the environment.
        case $1 in
          deconfig) ifconfig "$interface" 0.0.0.0 up ;;
          bound | renew)
            ifconfig "$interface" "$ip" netmask "$subnet" up
            for gateway in $router; do route add default gw "$gateway" dev "$interface"; done
            for server in ${toString cfg.nameservers} $dns; do echo "nameserver $server"; done >/etc/resolv.conf
            ;;
        esac
      '';
    };
    # When the interfaces are there, not when the image is built: their names depend on the machine.
    system.activationScripts.network = ''
      ${lib.optionalString (!config.boot.isContainer) "[ ! -e /etc/hostname ] || hostname -F /etc/hostname\n  ifconfig lo up"}
      for path in ${lib.optionalString cfg.useDHCP "/sys/class/net/*"}; do
        interface=''${path##*/}
        [ "$interface" = lo ] || echo "::respawn:/bin/udhcpc -f -i $interface -s /etc/udhcpc.script -S" >>/run/inittab
      done
    '';
  };
}
