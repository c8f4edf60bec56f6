# The files of `environment.etc` that get into a directory `etc` in `/etc`, each with its name, what is behind that directory, the option
# that says so and the one with its content.
{ config, commands }:
let
  inherit (builtins) attrNames concatMap head isString match;

  etc = config.environment.etc or { };
  found =
    name:
    let
      file = etc.${name};
      target = file.target or name;
      parts = if isString target then match "/*etc/+(.+)" target else null;
      content = if file.text or null != null then "text" else "source";
    in
    if !commands.isEnabled file || parts == null then [ ] else [ { inherit name target content; meant = head parts; } ];
in
concatMap (name: commands.safely (found name)) (attrNames etc)
