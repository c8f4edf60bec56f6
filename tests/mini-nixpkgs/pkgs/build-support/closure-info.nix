{ runCommandLocal }:
# All store paths that some paths need at run time: their list, and the form that `nix-store --load-db` takes.
{ rootPaths }:
runCommandLocal "closure-info"
  {
    exportReferencesGraph = builtins.concatLists (
      builtins.genList (i: [ "closure-${toString i}" (builtins.elemAt rootPaths i) ]) (builtins.length rootPaths)
    );
  }
  ''
    mkdir $out
    # A graph has, for each path: the path, its deriver (empty), the number of its references, and these.
    awk '
      left == 0 { path = $0; getline; getline; left = $0 + 0; new = !(path in seen); seen[path] = 1
                  if (new) { print path > paths; print path "\n\n" left > graph }; next }
      { left--; if (new) print > graph }
    ' paths=$out/store-paths graph=$out/registration ../closure-*
    sort -o $out/store-paths $out/store-paths
  ''
