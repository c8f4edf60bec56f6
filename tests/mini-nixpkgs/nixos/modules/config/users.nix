# Users and groups: ids are given out when the image is built, passwords set on the first boot.
{ config, lib, pkgs, ... }:
let
  inherit (lib) types mkOption;
  cfg = config.users;
  optionalText = mkOption { type = types.nullOr types.str; default = null; };

  user =
    { name, config, ... }:
    {
      options = {
        name = mkOption { type = types.str; default = name; };
        description = mkOption { type = types.str; default = ""; };
        uid = mkOption { type = types.nullOr types.int; default = null; };
        isNormalUser = mkOption { type = types.bool; default = false; };
        isSystemUser = mkOption { type = types.bool; default = false; };
        group = mkOption { type = types.str; default = ""; };
        extraGroups = mkOption { type = types.listOf types.str; default = [ ]; };
        home = mkOption { type = types.path; default = if config.isNormalUser then "/home/${name}" else "/var/empty"; };
        homeMode = mkOption { type = types.str; default = "700"; };
        createHome = mkOption { type = types.bool; default = config.isNormalUser; };
        shell = mkOption { type = types.nullOr (types.either types.shellPackage types.path); default = null; description = "Not acted upon: every shell is bash."; };
        useDefaultShell = mkOption { type = types.bool; default = config.isNormalUser; };
        packages = mkOption { type = types.listOf types.package; default = [ ]; };
        linger = mkOption { type = types.bool; default = false; };
        password = optionalText;
        initialPassword = optionalText;
        hashedPassword = optionalText;
        initialHashedPassword = optionalText;
        hashedPasswordFile = optionalText;
        openssh.authorizedKeys = {
          keys = mkOption { type = types.listOf types.singleLineStr; default = [ ]; description = "Public keys that may log in."; };
          keyFiles = mkOption { type = types.listOf types.path; default = [ ]; description = "Files with such keys."; };
        };
      };
      config.group = lib.mkIf config.isNormalUser (lib.mkDefault "users");
    };
  group =
    { name, ... }:
    {
      options = {
        name = mkOption { type = types.str; default = name; };
        gid = mkOption { type = types.nullOr types.int; default = null; };
        members = mkOption { type = types.listOf types.str; default = [ ]; };
      };
    };

  # Those without a number get the next ones, in the order of their names.
  numbered =
    field: first: entries:
    let
      without = lib.filter (e: e.${field} == null) entries;
      taken = lib.filter (e: e.${field} != null) entries;
    in
    taken ++ lib.imap0 (i: e: e // { ${field} = first + i; }) without;
  users = lib.sort (a: b: a.uid < b.uid) (
    numbered "uid" 1000 (lib.filter (u: !u.isSystemUser) (lib.attrValues cfg.users)) ++ numbered "uid" 400 (lib.filter (u: u.isSystemUser) (lib.attrValues cfg.users))
  );
  groups = lib.sort (a: b: a.gid < b.gid) (numbered "gid" 400 (lib.attrValues cfg.groups));
  # Without a group an assertion fails.
  gidOf = name: if name == "" then 65534 else (lib.findFirst (g: g.name == name) (throw "The group `${name}' is not defined: add users.groups.${name} = { };") groups).gid;

  passwdLine = u: "${u.name}:x:${toString u.uid}:${toString (gidOf u.group)}:${u.description}:${u.home}:${if u.isSystemUser && u.shell == null && !u.useDefaultShell then "/bin/nologin" else "/bin/bash"}\n";
  groupLine = g: "${g.name}:x:${toString g.gid}:${lib.concatStringsSep "," (lib.unique (g.members ++ map (u: u.name) (lib.filter (u: lib.elem g.name u.extraGroups) users)))}\n";
  firstOf = values: lib.findFirst (v: v != null) null values;
  hash = u: firstOf [ u.hashedPassword u.initialHashedPassword ];
  plain = u: firstOf [ u.password u.initialPassword ];
  # The password is the first part that is set: a hash, a text to be hashed on the machine, or none that fits.
  shadowLine =
    u:
    let
      secret = if hash u != null then lib.escapeShellArg (hash u) else if plain u != null then ''"$(mkpasswd -m sha512 ${lib.escapeShellArg (plain u)})"'' else "'!'";
    in
    "printf '%s:%s:1::::::\\n' ${u.name} ${secret}";
  homeLine = u: "make_home ${u.name} ${toString u.uid}:${toString (gidOf u.group)} ${u.homeMode} ${u.home}";

  oneKind = u: {
    assertion = (u.isNormalUser != u.isSystemUser) || u.name == "root";
    message = "Exactly one of users.users.${u.name}.isSystemUser and users.users.${u.name}.isNormalUser must be set.";
  };
  hasGroup = u: {
    assertion = u.group != "";
    message = "users.users.${u.name}.group is unset. This used to default to nogroup, but this is unsafe. For example you can create a group for this user with:\nusers.users.${u.name}.group = \"${u.name}\";\nusers.groups.${u.name} = {};";
  };
in
{
  options.users = {
    users = mkOption { type = types.attrsOf (types.submodule user); default = { }; };
    groups = mkOption { type = types.attrsOf (types.submodule group); default = { }; };
    mutableUsers = mkOption { type = types.bool; default = true; };
    allowNoPasswordLogin = mkOption { type = types.bool; default = false; };
    defaultUserShell = mkOption { type = types.either types.path types.shellPackage; default = pkgs.bash; };
    motd = optionalText;
  };

  config = {
    users.users.root = { uid = 0; group = "root"; home = "/root"; createHome = true; description = "System administrator"; };
    users.groups = lib.mapAttrs (_: gid: { inherit gid; }) {
      root = 0; wheel = 1; kmem = 2; tty = 3; audio = 17; disk = 6; video = 26; dialout = 27; systemd-journal = 62;
      networkmanager = 57; docker = 131; input = 174; render = 303; gpio = 997; i2c = 996; spi = 995; users = 100; nogroup = 65534;
    };
    assertions = map oneKind users ++ map hasGroup users;

    environment.etc = {
      passwd = { mode = "0644"; text = lib.concatMapStrings passwdLine users; };
      group = { mode = "0644"; text = lib.concatMapStrings groupLine groups; };
      shells.text = "/bin/bash\n/bin/sh\n/run/current-system/sw/bin/bash\n";
    };
    system.activationScripts.users = ''
      [ -e /etc/shadow ] || (
        umask 077
        {
          ${lib.concatMapStringsSep "\n" shadowLine users}
        } >/etc/shadow
      )
      make_home() {
        mkdir -p "$4"
        chmod "$3" "$4"
        chown "$2" "$4"
      }
      ${lib.concatMapStringsSep "\n" homeLine (lib.filter (u: u.createHome) users)}
    '';
  };
}
