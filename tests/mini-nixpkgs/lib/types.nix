# The types of options: what they accept, how several definitions become one value, what they are called.
lib:
let
  mkOptionType = lib.types.mkOptionType;
  simple = name: description: check: mkOptionType { inherit name description check; merge = lib.mergeEqualOption; };
  joined = separator: loc: defs: builtins.concatStringsSep separator (map (def: def.value) defs);
  quote = lib.concatMapStringsSep ", " builtins.toJSON;

  between =
    name: low: high:
    simple name "integer between ${toString low} and ${toString high} (both inclusive)" (x: builtins.isInt x && x >= low && x <= high);
  unsigned =
    bits: high:
    simple "unsignedInt${toString bits}" "${toString bits} bit unsigned integer; between 0 and ${toString high} (both inclusive)" (x: builtins.isInt x && x >= 0 && x <= high);

  attributes =
    name: description: keep: elem:
    mkOptionType {
      inherit name;
      description = "${description} of ${elem.description}";
      check = builtins.isAttrs;
      emptyValue = { };
      merge =
        loc: defs:
        let
          split = def: map (builtins.mapAttrs (_: value: { inherit (def) file; inherit value; })) (lib.pushDown def.value);
          merged = builtins.zipAttrsWith (member: lib.mergeDefinitions (loc ++ [ member ]) elem) (builtins.concatMap split defs);
        in
        builtins.mapAttrs (_: m: m.value) (keep merged);
    };

  either =
    a: b:
    mkOptionType {
      name = "either";
      description = "${a.description} or ${b.description}";
      check = x: a.check x || b.check x;
      merge = loc: defs: if builtins.all (def: a.check def.value) defs then a.merge loc defs else b.merge loc defs;
    };

  # Attribute sets grow together, lists are joined, everything else must agree.
  mergeAnything =
    loc: defs:
    let
      all = test: builtins.all (def: test def.value) defs;
    in
    if all (v: builtins.isAttrs v && !lib.isDerivation v) then
      (lib.types.lazyAttrsOf lib.types.anything).merge loc defs
    else if all builtins.isList then
      builtins.concatMap (def: def.value) defs
    else
      lib.mergeEqualOption loc defs;

  listOf =
    elem:
    mkOptionType {
      name = "listOf";
      description = "list of ${elem.description}";
      check = builtins.isList;
      emptyValue = [ ];
      merge =
        loc: defs:
        let
          entry = n: def: i: value: lib.mergeDefinitions (loc ++ [ "[definition ${toString n}-entry ${toString i}]" ]) elem [ { inherit (def) file; inherit value; } ];
          entries = n: def: lib.imap1 (entry n def) def.value;
        in
        map (m: m.value) (builtins.filter (m: m.isDefined) (builtins.concatLists (lib.imap1 entries defs)));
    };

  submoduleWith =
    { modules, specialArgs ? { }, shorthandOnlyDefinesConfig ? false, description ? "submodule" }:
    let
      asModule = def: if shorthandOnlyDefinesConfig && builtins.isAttrs def.value then { _file = def.file; config = def.value; } else { _file = def.file; imports = [ def.value ]; };
      evaluate = loc: defs: (lib.evalModules { modules = modules ++ [ { _module.args.name = lib.last loc; } ] ++ map asModule defs; inherit specialArgs; prefix = loc; }).config;
    in
    mkOptionType {
      name = "submodule";
      inherit description;
      check = x: builtins.isAttrs x || lib.isFunction x || builtins.isPath x;
      merge = evaluate;
    };
in
{
  mkOptionType = attrs: { _type = "option-type"; check = _: true; merge = lib.mergeOneOption; } // attrs;

  unspecified = mkOptionType { name = "unspecified"; description = "unspecified value"; merge = mergeAnything; };
  raw = mkOptionType { name = "raw"; description = "raw value"; };
  anything = mkOptionType { name = "anything"; description = "anything"; merge = mergeAnything; };
  bool = simple "bool" "boolean" builtins.isBool;
  int = simple "int" "signed integer" builtins.isInt;
  ints = {
    inherit between;
    unsigned = simple "unsignedInt" "unsigned integer, meaning >=0" (x: builtins.isInt x && x >= 0);
    positive = simple "positiveInt" "positive integer, meaning >0" (x: builtins.isInt x && x > 0);
    u8 = unsigned 8 255;
    u16 = unsigned 16 65535;
  };
  port = unsigned 16 65535;
  float = simple "float" "floating point number" builtins.isFloat;
  number = simple "number" "signed integer or floating point number" (x: builtins.isInt x || builtins.isFloat x);
  str = simple "str" "string" builtins.isString;
  nonEmptyStr = simple "nonEmptyStr" "non-empty string" (x: builtins.isString x && builtins.match "[[:space:]]*" x == null);
  singleLineStr = simple "singleLineStr" "(optionally newline-terminated) single-line string" (x: builtins.isString x && builtins.match "[^\n\r]*\n?" x != null);
  strMatching = pattern: simple "strMatching" "string matching the pattern ${pattern}" (x: builtins.isString x && builtins.match pattern x != null);
  separatedString = separator: mkOptionType { name = "separatedString"; description = "strings concatenated with ${builtins.toJSON separator}"; check = builtins.isString; merge = joined separator; };
  lines = lib.types.separatedString "\n";
  commas = lib.types.separatedString ",";
  enum = values: simple "enum" "one of ${quote values}" (x: builtins.elem x values);
  path = simple "path" "absolute path" (x: lib.isStringLike x && builtins.substring 0 1 (toString x) == "/");
  package = mkOptionType { name = "package"; description = "package"; check = x: lib.isDerivation x || lib.isStorePath x; };
  shellPackage = lib.types.package;
  attrs = mkOptionType { name = "attrs"; description = "attribute set"; check = builtins.isAttrs; emptyValue = { }; merge = _: builtins.foldl' (set: def: set // def.value) { }; };
  attrsOf = attributes "attrsOf" "attribute set" (lib.filterAttrs (_: m: m.isDefined));
  lazyAttrsOf = attributes "lazyAttrsOf" "lazy attribute set" lib.id;
  inherit listOf either submoduleWith;
  nonEmptyListOf = elem: lib.types.addCheck (builtins.removeAttrs (listOf elem) [ "emptyValue" ]) (x: x != [ ]);
  oneOf = types: builtins.foldl' either (builtins.head types) (builtins.tail types);
  nullOr =
    elem:
    mkOptionType {
      name = "nullOr";
      description = "null or ${elem.description}";
      check = x: x == null || elem.check x;
      merge = loc: defs: if builtins.all (def: def.value == null) defs then null else if builtins.any (def: def.value == null) defs then lib.mergeEqualOption loc defs else elem.merge loc defs;
    };
  uniq = elem: elem // { merge = lib.mergeOneOption; };
  unique = { message, ... }: lib.types.uniq;
  addCheck = elem: check: elem // { check = x: elem.check x && check x; };
  coercedTo =
    from: convert: to:
    to
    // {
      name = "coercedTo";
      description = "${to.description} or ${from.description} convertible to it";
      check = x: (from.check x && to.check (convert x)) || to.check x;
      merge = loc: defs: to.merge loc (map (def: def // { value = if from.check def.value then convert def.value else def.value; }) defs);
    };
  functionTo = elem: mkOptionType { name = "functionTo"; description = "function that evaluates to a(n) ${elem.description}"; check = lib.isFunction; merge = loc: defs: arg: elem.merge loc (map (def: def // { value = def.value arg; }) defs); };
  submodule = module: submoduleWith { modules = lib.toList module; shorthandOnlyDefinesConfig = true; };
  deferredModule = mkOptionType { name = "deferredModule"; description = "module"; check = x: builtins.isAttrs x || lib.isFunction x || builtins.isPath x; emptyValue = { }; merge = _: defs: { imports = map (def: { _file = def.file; imports = [ def.value ]; }) defs; }; };
}
