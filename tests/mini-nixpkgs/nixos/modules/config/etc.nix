# environment.etc: /etc as a store path, laid into the running system by the activation.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  entry =
    { name, config, ... }:
    {
      options = {
        enable = mkOption { type = types.bool; default = true; };
        target = mkOption { type = types.str; default = name; };
        text = mkOption { type = types.nullOr types.lines; default = null; };
        source = mkOption { type = types.path; description = "The file; made of `text` when that is set."; };
        mode = mkOption { type = types.str; default = "symlink"; description = "symlink, or the mode of a copy."; };
        user = mkOption { type = types.str; default = "root"; };
        group = mkOption { type = types.str; default = "root"; };
        uid = mkOption { type = types.int; default = 0; };
        gid = mkOption { type = types.int; default = 0; };
      };
      config.source = lib.mkIf (config.text != null) (lib.mkDefault (pkgs.writeText "etc-${builtins.replaceStrings [ "/" "@" ] [ "-" "-" ] name}" config.text));
    };
  entries = lib.filter (e: e.enable) (lib.attrValues config.environment.etc);
  directories = lib.unique (map (e: "$out/etc/${dirOf e.target}") entries);
  place = e: ''
    ln -s ${lib.escapeShellArg "${e.source}"} $out/etc/${lib.escapeShellArg e.target}
    ${lib.optionalString (e.mode != "symlink") "echo ${e.mode} ${e.user}:${e.group} ${lib.escapeShellArg e.target} >>$out/copies"}
  '';
in
{
  options.environment.etc = mkOption { type = types.attrsOf (types.submodule entry); default = { }; description = "Files in /etc."; };

  config.system.build.etc = pkgs.runCommandLocal "etc" { } ''
    mkdir -p $out/etc ${toString directories}
    touch $out/copies
    ${lib.concatMapStrings place entries}
  '';

  config.system.activationScripts.etc = ''
    ln -sfn ${config.system.build.etc}/etc /etc/static
    (cd /etc/static/ && find . -type d) | while read -r directory; do mkdir -p "/etc/$directory"; done
    (cd /etc/static/ && find . -type l) | while read -r file; do ln -sfn "/etc/static/''${file#./}" "/etc/$file"; done
    while read -r mode owner file; do
      rm -f "/etc/$file"
      cp -L "/etc/static/$file" "/etc/$file"
      chown "$owner" "/etc/$file"
      chmod "$mode" "/etc/$file"
    done <${config.system.build.etc}/copies
  '';
}
