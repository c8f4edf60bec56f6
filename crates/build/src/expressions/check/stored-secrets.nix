# The options whose secrets get into the store, where everybody can read them: as a text, or as a copy of a file. Each with the object that
# has it and its name; the secret itself is not among them.
{ config, commands }:
let
  inherit (builtins) attrNames concatMap filter isAttrs isList isString match stringLength;
  inherit (commands) isInStore safely;

  networking = config.networking or { };
  services = config.services or { };

  # What is no such key is none of WireGuard's, such as a placeholder.
  isWireGuardKey = value: isString value && stringLength value < 100 && match "[A-Za-z0-9+/]{43}=[ \n]*" value != null;

  text = object: name: { inherit object name; is_file = false; };
  file = object: name: { inherit object name; is_file = true; };
  # Those of `texts` and `files` that `set`, the value of the object, has in the store.
  inObject =
    object: set: texts: files:
    map (text object) (filter (name: isWireGuardKey (set.${name} or null)) texts)
    ++ map (file object) (filter (name: isInStore (set.${name} or null)) files);
  # A token, which has no form.
  ofText = path: set: names: map (text path) (filter (name: isString (set.${name} or null) && set.${name} != "") names);
  ofCluster = name: (set: if set.enable or false == true then ofText [ "services" name ] set [ "token" "agentToken" ] ++ inObject [ "services" name ] set [ ] [ "tokenFile" "agentTokenFile" ] else [ ]) (services.${name} or { });
  first = list: if list == [ ] then [ ] else [ (builtins.head list) ];

  ofInterface =
    kind: interfaces: name:
    let
      interface = interfaces.${name};
      object = [ "networking" kind "interfaces" name ];
      peers = interface.peers or [ ];
      ofPeers = concatMap (peer: inObject object peer [ "presharedKey" ] [ "presharedKeyFile" ]) (if isList peers then filter isAttrs peers else [ ]);
      isReplaced = (interface.configFile or null) != null;
    in
    if !isAttrs interface || isReplaced then [ ] else inObject object interface [ "privateKey" ] [ "privateKeyFile" ] ++ first ofPeers;
  ofInterfaces = kind: (interfaces: concatMap (ofInterface kind interfaces) (attrNames interfaces)) ((networking.${kind} or { }).interfaces or { });
  ofEnabled = default: path: set: files: if (set.enable or default) == true then inObject path set [ ] files else [ ];
  wireguard = networking.wireguard or { };
in
concatMap safely [
  (if wireguard.enable or true then ofInterfaces "wireguard" else [ ])
  (ofInterfaces "wg-quick")
  (ofEnabled false [ "services" "tailscale" ] (services.tailscale or { }) [ "authKeyFile" ])
  (ofCluster "k3s")
  (ofCluster "rke2")
  (ofEnabled false [ "networking" "wireless" ] (networking.wireless or { }) [ "secretsFile" ])
]
