# cloud-init, which is Debian's, under the names of nixpkgs' module, and in the order of its services.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption mkDefault;
  cfg = config.services.cloud-init;
  hasFs = name: lib.any (fs: fs.fsType == name) (lib.attrValues config.fileSystems);
  enable = default: mkOption { type = types.bool; inherit default; };
  settings = pkgs.writeText "cloud.cfg" (builtins.toJSON cfg.settings);

  # Before the network and before anyone can log in.
  early = pkgs.writeShellScript "cloud-init-early" ''
    export PATH=/run/current-system/sw/bin
    cloud-init init --local
    ${lib.optionalString cfg.network.enable "ifup -a"}
    cloud-init init
  '';
  # Without a seed cloud-init asks for an address of IPv6 as well, which ifup would wait for.
  noDhcp6 = pkgs.writeShellScriptBin "udhcpc6" "";
  late = pkgs.writeShellScript "cloud-init-late" ''
    export PATH=/run/current-system/sw/bin
    cloud-init modules --mode=config
    cloud-init modules --mode=final
  '';
in
{
  options.services.cloud-init = {
    enable = enable false;
    btrfs.enable = enable (hasFs "btrfs");
    ext4.enable = enable (hasFs "ext4");
    xfs.enable = enable (hasFs "xfs");
    network.enable = enable false;
    extraPackages = mkOption { type = types.listOf types.package; default = [ ]; };
    settings = mkOption { type = types.submodule { freeformType = types.attrsOf types.anything; }; default = { }; };
    config = mkOption { type = types.str; default = ""; };
  };

  config = lib.mkIf cfg.enable {
    services.cloud-init.settings = {
      # nixpkgs says `nixos` and `networkd`, and patches the former into its package. Debian's cloud-init does not know it, and there
      # is no systemd here.
      system_info = mkDefault { distro = "debian"; network.renderers = [ "eni" ]; };
      users = mkDefault [ "root" ];
      disable_root = mkDefault false;
      preserve_hostname = mkDefault false;
      # dropbear's host key is not OpenSSH's, and is made by the activation.
      ssh_deletekeys = mkDefault false;
      ssh_genkeytypes = mkDefault [ ];
      # Without `migrator` and `rightscale_userdata`, which are no longer there, and `keys-to-console`, which needs OpenSSH's programs.
      cloud_init_modules = mkDefault [
        "seed_random" "bootcmd" "write-files" "growpart" "resizefs" "update_hostname" "resolv_conf" "ca-certs" "rsyslog" "users-groups"
      ];
      cloud_config_modules = mkDefault [ "disk_setup" "mounts" "ssh-import-id" "set-passwords" "timezone" "disable-ec2-metadata" "runcmd" "ssh" ];
      cloud_final_modules = mkDefault [
        "scripts-vendor" "scripts-per-once" "scripts-per-boot" "scripts-per-instance" "scripts-user" "ssh-authkey-fingerprints" "phone-home"
        "final-message" "power-state-change"
      ];
    };

    boot.initrd.availableKernelModules = [ "vfat" "nls_cp437" "nls_ascii" "nls_iso8859-1" "isofs" ];
    environment.systemPackages = [ pkgs.cloud-init pkgs.shadow pkgs.ifupdown pkgs.blkid pkgs.ip noDhcp6 ] ++ cfg.extraPackages;
    environment.etc = {
      "cloud/cloud.cfg" = if cfg.config == "" then { source = settings; } else { text = cfg.config; };
      "login.defs".text = "UID_MIN 1000\nUID_MAX 29999\nGID_MIN 1000\nGID_MAX 29999\nUSERGROUPS_ENAB yes\nENCRYPT_METHOD SHA512\n";
      "default/useradd".text = "GROUP=100\nHOME=/home\nSHELL=/bin/bash\n";
      "network/interfaces".text = "source /etc/network/interfaces.d/*\n";
      "udhcpc/default.script".source = "/etc/udhcpc.script";
      # ifup leaves this to another program.
      "network/if-up.d/dns".source = pkgs.writeShellScript "dns" ''
        for server in $IF_DNS_NAMESERVERS; do echo "nameserver $server" >>/etc/resolv.conf; done
      '';
    };
    system.activationScripts.cloud-init = ''
      mkdir -p /run/network /etc/network/if-pre-up.d /etc/network/interfaces.d /var/lib/cloud /usr/lib
      ln -sfn ${pkgs.cloud-init}/lib/cloud-init /usr/lib/cloud-init
      echo "::sysinit:${early}" >>/run/inittab
      echo "::once:${late}" >>/run/inittab
    '';
  };
}
