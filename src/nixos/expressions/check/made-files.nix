# Whether something in the configuration makes the file, or the directory, with a path.
{ config, commands }:
let
  inherit (builtins) any elem filter genList isString length;
  inherit (commands) contains list;

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
in
path:
config ? home-manager && builtins.match "/(home|root)/.*" path != null
|| any (isOfRule path) (tmpfiles.rules or [ ])
|| any (isOfSettings path) (list (tmpfiles.settings or { }))
|| any (isOfMount path) (list (units.mounts or [ ]) ++ list (units.automounts or [ ]))
