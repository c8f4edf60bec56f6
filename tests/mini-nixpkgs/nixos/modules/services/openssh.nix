# An SSH server under the names of NixOS' OpenSSH module. The server is dropbear: `settings` that it cannot follow
# are accepted, checked for their type, and have no effect (the README lists those that have).
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.services.openssh;
  set = cfg.settings;
  flags =
    lib.concatMap (port: [ "-p" (toString port) ]) cfg.ports
    ++ lib.optional (set.PermitRootLogin == "no") "-w"
    ++ lib.optional (set.PermitRootLogin != "yes") "-g"
    ++ lib.optional (set.PasswordAuthentication == false) "-s"
    ++ lib.optional (set.AllowTcpForwarding == false || set.AllowTcpForwarding == "no") "-jk";

  keysOf = user: lib.concatLines (user.openssh.authorizedKeys.keys ++ map lib.fileContents user.openssh.authorizedKeys.keyFiles);
  withKeys = lib.filter (user: keysOf user != "") (lib.attrValues config.users.users);
  keyEntry = user: lib.nameValuePair "ssh/authorized_keys.d/${user.name}" { text = keysOf user; };
  free = types.attrsOf types.anything;
  hostKey = (lib.findFirst (key: key.type or "" == "ed25519") { path = "/etc/ssh/ssh_host_ed25519_key"; } cfg.hostKeys).path;
  yesNo = default: mkOption { type = types.nullOr types.bool; inherit default; };
in
{
  options.services.openssh = {
    enable = lib.mkEnableOption "the OpenSSH secure shell daemon, which allows secure remote logins";
    ports = mkOption { type = types.listOf types.port; default = [ 22 ]; };
    openFirewall = mkOption { type = types.bool; default = true; };
    startWhenNeeded = mkOption { type = types.bool; default = false; };
    package = mkOption { type = types.package; default = pkgs.dropbear; };
    listenAddresses = mkOption { type = types.listOf free; default = [ ]; };
    hostKeys = mkOption { type = types.listOf free; default = [ ]; };
    authorizedKeysFiles = mkOption { type = types.listOf types.str; default = [ ]; };
    banner = mkOption { type = types.nullOr types.lines; default = null; };
    extraConfig = mkOption { type = types.lines; default = ""; };
    allowSFTP = mkOption { type = types.bool; default = true; };
    settings = mkOption {
      default = { };
      type = types.submodule {
        freeformType = types.attrsOf (types.nullOr (types.oneOf [ types.bool types.int types.str (types.listOf types.str) ]));
        options = {
          PermitRootLogin = mkOption { type = types.nullOr (types.enum [ "yes" "without-password" "prohibit-password" "forced-commands-only" "no" ]); default = "prohibit-password"; };
          PasswordAuthentication = yesNo true;
          KbdInteractiveAuthentication = yesNo true;
          X11Forwarding = yesNo false;
          UseDns = yesNo false;
          AllowTcpForwarding = mkOption { type = types.nullOr (types.either types.bool types.str); default = null; };
        };
      };
    };
  };

  config = lib.mkIf cfg.enable {
    # As NixOS does, beside the lines of the user.
    services.openssh.authorizedKeysFiles = [ "%h/.ssh/authorized_keys" "/etc/ssh/authorized_keys.d/%u" ];
    services.openssh.extraConfig = lib.mkOrder 0 "AuthorizedKeysFile ${toString cfg.authorizedKeysFiles}";
    networking.firewall.allowedTCPPorts = lib.optionals cfg.openFirewall cfg.ports;
    environment.systemPackages = [ pkgs.dropbear ];
    environment.etc = lib.listToAttrs (map keyEntry withKeys);
    # dropbear knows one place for keys, in the user's own directory; what stands there already is left alone.
    system.activationScripts.sshd = ''
      for list in /etc/ssh/authorized_keys.d/*; do
        [ -e "$list" ] || continue
        IFS=: read -r name password uid gid gecos home shell <<<"$(grep "^''${list##*/}:" /etc/passwd)"
        [ ! -e "$home/.ssh/authorized_keys" ] || continue
        mkdir -p "$home/.ssh"
        cat "$list" >"$home/.ssh/authorized_keys"
        chmod 700 "$home/.ssh"
        chmod 600 "$home/.ssh/authorized_keys"
        chown -R "$uid:$gid" "$home/.ssh"
      done
      ${lib.optionalString cfg.allowSFTP ''
        # Debian's dropbear looks for it there.
        mkdir -p /usr/lib
        ln -sfn ${pkgs.sftp-server}/bin/sftp-server /usr/lib/sftp-server
      ''}
      # Each card makes its own host key, on its first boot.
      mkdir -p ${dirOf hostKey}
      [ -s ${hostKey} ] || ${cfg.package}/bin/dropbearkey -t ed25519 -f ${hostKey}
      # What was put onto the card before is in OpenSSH's format, which dropbear does not read.
      key=${hostKey}
      if [ "$(head -c 5 "$key")" = ----- ]; then
        key=/run/host_key
        ${cfg.package}/bin/dropbearconvert openssh dropbear ${hostKey} "$key"
      fi
      echo "::respawn:${cfg.package}/bin/dropbear -F -r $key ${toString flags}" >>/run/inittab
    '';
  };
}
