lib: {
  inherit (builtins) head tail length elem elemAt filter map concatLists concatMap all any foldl' genList sort partition groupBy;
  singleton = x: [ x ];
  optional = condition: x: if condition then [ x ] else [ ];
  optionals = condition: xs: if condition then xs else [ ];
  toList = x: if builtins.isList x then x else [ x ];
  last = xs: builtins.elemAt xs (builtins.length xs - 1);
  init = xs: lib.take (builtins.length xs - 1) xs;
  take = n: lib.sublist 0 n;
  drop = n: xs: lib.sublist n (builtins.length xs) xs;
  sublist =
    start: count: xs:
    let
      available = lib.max 0 (builtins.length xs - start);
    in
    builtins.genList (i: builtins.elemAt xs (start + i)) (lib.min count available);
  range = first: last: if first > last then [ ] else builtins.genList (i: first + i) (last - first + 1);
  reverseList = xs: builtins.genList (i: builtins.elemAt xs (builtins.length xs - i - 1)) (builtins.length xs);
  imap0 = f: xs: builtins.genList (i: f i (builtins.elemAt xs i)) (builtins.length xs);
  imap1 = f: lib.imap0 (i: f (i + 1));
  flatten = x: if builtins.isList x then builtins.concatMap lib.flatten x else [ x ];
  remove = x: builtins.filter (y: y != x);
  subtractLists = unwanted: builtins.filter (x: !builtins.elem x unwanted);
  intersectLists = wanted: builtins.filter (x: builtins.elem x wanted);
  unique = builtins.foldl' (seen: x: if builtins.elem x seen then seen else seen ++ [ x ]) [ ];
  count = test: xs: builtins.length (builtins.filter test xs);
  findFirst =
    test: default: xs:
    let
      found = builtins.filter test xs;
    in
    if found == [ ] then default else builtins.head found;
  foldr =
    f: z: xs:
    if xs == [ ] then z else f (builtins.head xs) (lib.foldr f z (builtins.tail xs));
  foldl = builtins.foldl';
  forEach = xs: f: map f xs;
  zipListsWith =
    f: xs: ys:
    builtins.genList (i: f (builtins.elemAt xs i) (builtins.elemAt ys i)) (lib.min (builtins.length xs) (builtins.length ys));
}
