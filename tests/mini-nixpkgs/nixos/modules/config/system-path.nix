# The programs that everyone has, and the environment of a login.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.environment;
  userPackages = lib.concatMap (user: user.packages) (lib.attrValues config.users.users);
  export = name: value: "export ${name}=${lib.escapeShellArg (if lib.isList value then lib.concatMapStringsSep ":" toString value else value)}\n";
  variables = lib.filterAttrs (_: value: value != null) (cfg.variables // cfg.sessionVariables);
  variable = types.nullOr (types.oneOf [ types.str types.int types.path (types.listOf types.str) ]);
in
{
  options.environment = {
    systemPackages = mkOption { type = types.listOf types.package; default = [ ]; description = "Packages whose programs are in everyone's PATH."; };
    defaultPackages = mkOption { type = types.listOf types.package; default = [ ]; };
    pathsToLink = mkOption { type = types.listOf types.str; default = [ ]; };
    variables = mkOption { type = types.attrsOf variable; default = { }; };
    sessionVariables = mkOption { type = types.attrsOf variable; default = { }; };
    shellAliases = mkOption { type = types.attrsOf (types.nullOr types.str); default = { }; };
    shellInit = mkOption { type = types.lines; default = ""; };
    extraSetup = mkOption { type = types.lines; default = ""; description = "Shell commands run when all programs are linked into $out."; };
    loginShellInit = mkOption { type = types.lines; default = ""; };
    interactiveShellInit = mkOption { type = types.lines; default = ""; };
  };

  config = {
    environment.pathsToLink = [ "/bin" "/share" ];
    environment.etc.profile.text = ''
      export PATH=/run/current-system/sw/bin
      ${lib.concatMapAttrsStringSep "" export variables}
      ${lib.concatMapAttrsStringSep "" (name: value: "alias ${name}=${lib.escapeShellArg (toString value)}\n") cfg.shellAliases}
      ${cfg.shellInit}${cfg.loginShellInit}${cfg.interactiveShellInit}
    '';
    system.path = pkgs.buildEnv {
      name = "system-path";
      paths = cfg.systemPackages ++ cfg.defaultPackages ++ userPackages ++ [ pkgs.bash pkgs.busybox pkgs.e2fsprogs ];
      inherit (cfg) pathsToLink;
      postBuild = cfg.extraSetup;
    };
  };

  options.system.path = mkOption { type = types.package; internal = true; };
}
