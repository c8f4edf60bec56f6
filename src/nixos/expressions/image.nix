# The image of a configuration: the first of the format's attributes of `config.system.build` that it has. Without one it is
# the first, whose absence Nix reports.
configuration:
let
  inherit (configuration.config.system) build;
  has = path: set: path == [ ] || builtins.isAttrs set && set ? ${builtins.head path} && has (builtins.tail path) set.${builtins.head path};
  get = builtins.foldl' (set: name: set.${name}) build;
  candidates = import ./format.nix;
  # Not one more than needed is looked at: nixpkgs 26.11 warns if `images` is used beside an image of another kind.
  first = paths: if paths == [ ] then builtins.head candidates else if has (builtins.head paths) build then builtins.head paths else first (builtins.tail paths);
in
get (first candidates)
