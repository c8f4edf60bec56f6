# What the binary cache of the tests has: an image and its two parts, for each case another. The builder's own programs make
# them, and their content is never the same twice.
{ case }:
let
  of = name: command: derivation {
    name = "${case}-${name}";
    system = builtins.currentSystem;
    builder = "/bin/sh";
    args = [ "-ec" ("PATH=/usr/bin:/bin\nmkdir $out\n" + command) ];
  };
  part = name: of name "head -c 400000 /dev/urandom >$out/data";
in
of "image" ''
  mkdir $out/sd-image $out/nix-support
  cat ${part "one"}/data ${part "two"}/data >$out/sd-image/${case}.img
  echo ${part "one"} ${part "two"} >$out/parts
  echo "file sd-image $out/sd-image/${case}.img" >$out/nix-support/hydra-build-products
''
