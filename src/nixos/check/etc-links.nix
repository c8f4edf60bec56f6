# The files in `/etc` that are links to a path that is neither in the store nor made by anything in the configuration, each with its
# name and its path.
{ config, commands }:
let
  inherit (builtins) any attrNames elem filter genList isString length;
  inherit (commands) contains isEnabled list;

  etc = config.environment.etc or { };
  units = config.systemd or { };
  tmpfiles = units.tmpfiles or { };
  # The directories above a path, without `/`.
  parentsOf =
    path:
    let
      names = filter (part: isString part && part != "") (builtins.split "/" path);
      first = n: builtins.concatStringsSep "/" (genList (builtins.elemAt names) n);
    in
    genList (n: "/${first (n + 1)}") (if names == [ ] then 0 else length names - 1);

  # A rule may copy a whole directory.
  spaced = builtins.replaceStrings [ "\t" "\"" "'" "\n" ] [ " " " " " " " " ];
  names = rule: dir: contains " ${dir} " " ${spaced rule} " || contains " ${dir}/ " " ${spaced rule} ";
  isOfRule = path: rule: isString rule && (contains path rule || any (names rule) (parentsOf path));
  isOfSettings = path: set: any (dir: set ? ${dir} || set ? "${dir}/") ([ path ] ++ parentsOf path);
  isOfMount = path: mount: elem (mount.where or null) (parentsOf path);

  isMade =
    path:
    config ? home-manager && builtins.match "/(home|root)/.*" path != null
    || any (isOfRule path) (tmpfiles.rules or [ ])
    || any (isOfSettings path) (list (tmpfiles.settings or { }))
    || any (isOfMount path) (list (units.mounts or [ ]) ++ list (units.automounts or [ ]));
  isLink = file: isEnabled file && isString (file.source or null) && !builtins.hasContext file.source;
in
map (name: { inherit name; inherit (etc.${name}) source; }) (filter (name: isLink etc.${name} && !isMade etc.${name}.source) (attrNames etc))
