# callPackage and what makes a package's arguments changeable afterwards (`override`).
lib: {
  makeOverridable =
    f: args:
    let
      result = f args;
      change = new: lib.makeOverridable f (args // (if lib.isFunction new then new args else new));
      override = lib.setFunctionArgs change (lib.functionArgs f);
    in
    if builtins.isAttrs result then
      result // { inherit override; }
    else if lib.isFunction result then
      lib.setFunctionArgs result (lib.functionArgs result) // { inherit override; }
    else
      result;

  callPackageWith =
    scope: fn: args:
    let
      f = if lib.isFunction fn then fn else import fn;
      wanted = builtins.functionArgs f;
      missing = builtins.filter (name: !wanted.${name} && !(scope ? ${name}) && !(args ? ${name})) (builtins.attrNames wanted);
      name = builtins.head missing;
      place = builtins.unsafeGetAttrPos name wanted;
      where = if place == null then "<unknown location>" else "${place.file}:${toString place.line}";
    in
    if missing != [ ] then
      abort "lib.customisation.callPackageWith: Function called without required argument \"${name}\" at ${where}"
    else
      lib.makeOverridable f (builtins.intersectAttrs wanted scope // args);

  composeExtensions =
    f: g: final: previous:
    let
      first = f final previous;
    in
    first // g final (previous // first);
  composeManyExtensions = lib.foldr lib.composeExtensions (_: _: { });
  fix = f: let x = f x; in x;
  extends =
    overlay: f: final:
    let
      previous = f final;
    in
    previous // overlay final previous;
}
