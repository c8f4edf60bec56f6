# Looks at every value that somebody set, also of the options that change nothing in a miniature image: a wrong type in
# one of them would otherwise pass unseen. Not at what is computed from them, and not into packages (they have no end).
lib:
let
  computed = [ "_module" "assertions" "warnings" "nixpkgs" "kernelPackages" "build" ];
  isSet = o: o.highestPrio < 1500 && o.isDefined;
  seen = v: if builtins.isAttrs v && !lib.isDerivation v && !(v ? __functor) then lib.all seen (lib.attrValues v) else true;
  lookAt = o: if lib.isOption o then !isSet o || seen o.value else look o;
  look = tree: lib.all (name: lib.elem name computed || lookAt tree.${name}) (lib.attrNames tree);
in
look
