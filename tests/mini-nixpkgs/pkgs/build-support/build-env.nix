{ lib, runCommandLocal }:
# Several packages' files as one tree of links; the first package that has a file wins.
{ name, paths, pathsToLink ? [ "/" ], postBuild ? "", ignoreCollisions ? false, ... }:
runCommandLocal name { reversed = lib.reverseList (lib.unique (map toString paths)); inherit pathsToLink; } ''
  mkdir -p $out
  for path in $reversed; do
    for part in $pathsToLink; do
      [ -d "$path$part" ] || continue
      mkdir -p "$out$part"
      cp -rsf "$path$part/." "$out$part/"
    done
  done
  ${postBuild}
''
