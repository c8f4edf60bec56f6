# mkIf, mkMerge, mkOverride, mkOrder: wrappers around values, and what takes them off again.
lib:
let
  kind = v: if builtins.isAttrs v then v._type or "" else "";
  default = { priority = 100; rank = 1000; };
in
{
  mkIf = condition: content: { _type = "if"; inherit condition content; };
  mkMerge = contents: { _type = "merge"; inherit contents; };
  mkOverride = priority: content: { _type = "override"; inherit priority content; };
  mkOrder = priority: content: { _type = "order"; inherit priority content; };
  mkDefinition = { file, value }: { _type = "definition"; inherit file value; };
  mkVMOverride = lib.mkOverride 10;
  mkForce = lib.mkOverride 50;
  mkImageMediaOverride = lib.mkOverride 60;
  mkDefault = lib.mkOverride 1000;
  mkOptionDefault = lib.mkOverride 1500;
  mkBefore = lib.mkOrder 500;
  mkAfter = lib.mkOrder 1500;

  # Wrapped attribute sets → attribute sets whose members carry the wrapper. Conditions stay unread, so that one
  # option's condition may depend on another option.
  pushDown =
    value:
    if kind value == "merge" then
      builtins.concatMap lib.pushDown value.contents
    else if builtins.elem (kind value) [ "if" "override" "order" ] then
      map (builtins.mapAttrs (_: content: value // { inherit content; })) (lib.pushDown value.content)
    else
      [ value ];

  # One definition { file, value } → the plain definitions in it, each with its priority and rank. Of nested
  # wrappers of one kind the outermost counts.
  unwrap =
    def:
    let
      inherit (def) value;
      outer = field: if def ? ${field} then def.${field} else value.priority;
      inside = new: lib.unwrap (def // new);
      by = {
        "if" = if value.condition then inside { value = value.content; } else [ ];
        merge = builtins.concatMap (content: inside { value = content; }) value.contents;
        override = inside { value = value.content; priority = outer "priority"; };
        order = inside { value = value.content; rank = outer "rank"; };
        definition = inside { inherit (value) file value; };
      };
    in
    by.${kind value} or [ (default // def) ];

  # Only the definitions of the strongest priority, in their order.
  strongest =
    defs:
    let
      best = builtins.foldl' (least: def: lib.min least def.priority) 9999 defs;
      kept = builtins.filter (def: def.priority == best) defs;
    in
    builtins.sort (a: b: a.rank < b.rank) kept;
}
