# sudo, where `security.sudo.package` names it: it would make every image larger. It is set-user-ID, which nothing in the store can be.
{ config, lib, ... }:
let
  cfg = config.security.sudo;
  wrapper = "/run/wrappers/bin/sudo";
  own = "ALL=(ALL:ALL) ${lib.optionalString (!cfg.wheelNeedsPassword) "NOPASSWD:"}ALL";
in
{
  config = lib.mkIf (cfg.enable && cfg ? package) {
    environment.etc = {
      sudoers = { mode = "0440"; text = "root ALL=(ALL:ALL) ALL\n%wheel ${own}\nDefaults secure_path=/run/current-system/sw/bin\n"; };
      "sudo.conf".text = "Path plugin_dir ${cfg.package}/libexec/\n";
      "pam.d/sudo".text = lib.concatMapStrings (line: "${line}\n") [
        "auth required ${cfg.package}/lib/security/pam_unix.so"
        "account required ${cfg.package}/lib/security/pam_permit.so"
        "session required ${cfg.package}/lib/security/pam_permit.so"
      ];
    };
    system.activationScripts.wrappers = ''
      mkdir -p /run/wrappers/bin
      cp ${cfg.package}/bin/sudo ${wrapper}.new
      chmod 4755 ${wrapper}.new
      mv ${wrapper}.new ${wrapper}
      # Where Debian's PAM looks for it.
      mkdir -p /usr/sbin
      ln -sfn ${cfg.package}/bin/unix_chkpwd /usr/sbin/unix_chkpwd
    '';
  };
}
