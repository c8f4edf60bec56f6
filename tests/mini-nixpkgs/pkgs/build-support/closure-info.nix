{ stdenv, jq }:
# All store paths that some paths need at run time: their list, and the form that `nix-store --load-db` takes.
{ rootPaths }:
stdenv.mkDerivation {
  name = "closure-info";
  __structuredAttrs = true;
  exportReferencesGraph.closure = rootPaths;
  nativeBuildInputs = [ jq ];
  preferLocalBuild = true;
  allowSubstitutes = false;
  buildCommand = ''
    mkdir $out
    jq -r '.closure[].path' "$NIX_ATTRS_JSON_FILE" >$out/store-paths
    # A path, its hash and size, no deriver, the number of its references, and these: a line each.
    jq -r '.closure[] | .path, .narHash, .narSize, "", (.references | length), .references[]' "$NIX_ATTRS_JSON_FILE" >$out/registration
  '';
}
