# The enabled services that certainly listen on all interfaces at TCP ports which the firewall keeps closed: each with those ports,
# and whether an option of its own opens them. `isOpen` says so of a port.
{ config, options, isOpen }:
let
  inherit (builtins) any attrNames concatMap elem elemAt filter fromJSON isInt isString match replaceStrings;

  services = config.services or { };
  # The value of an option with a new name is that of another option, which need not exist.
  isOld = name: ((options.services or { }).${name}.enable or { }).visible or true == false;
  isOn = name: services ? ${name} && !isOld name && services.${name}.enable or false == true;
  hosts = set: builtins.attrValues (set.virtualHosts or { });
  hasSsl = host: any (name: host.${name} or false) [ "addSSL" "forceSSL" "onlySSL" ];
  isEverywhere = address: elem address [ "" "0.0.0.0" "::" "[::]" "*" ];
  ifEverywhere = address: port: if isEverywhere address then [ port ] else [ ];
  # Whether a text of the user's own, in the words of the program, says where it listens.
  mentions = word: text: isString text && replaceStrings [ word ] [ "" ] text != text;
  mentionsAny = word: any (mentions word);
  isOfMachine = name: match "localhost(:.*)?|127[.].*|.*[.]localhost(:.*)?" name != null;

  portsOfNginx =
    nginx:
    let
      isPlain = host: host.listen or [ ] == [ ] && host.listenAddresses or [ ] == [ ];
      names = filter (name: isPlain nginx.virtualHosts.${name} && !isOfMachine name) (attrNames (nginx.virtualHosts or { }));
      portsOf = host: (if host.onlySSL or false then [ ] else [ (nginx.defaultHTTPListenPort or 80) ]) ++ (if hasSsl host then [ (nginx.defaultSSLListenPort or 443) ] else [ ]);
    in
    if !mentionsAny "listen" (map (host: host.extraConfig or "") (hosts nginx) ++ map (name: nginx.${name} or "") [ "config" "appendConfig" "httpConfig" "appendHttpConfig" "commonHttpConfig" ]) && nginx.defaultListen or [ ] == [ ] && any isEverywhere (nginx.defaultListenAddresses or [ "0.0.0.0" ]) then concatMap (name: portsOf nginx.virtualHosts.${name}) names else [ ];

  portsOfApache = httpd: concatMap (host: if host.listen or [ ] == [ ] then [ (if hasSsl host then 443 else 80) ] else [ ]) (hosts httpd);

  # The name of a virtual host of Caddy decides the port: `http://a`, `:8080`, `a`.
  portsOfName =
    caddy: name:
    let
      parts = match "(https?://)?([^:/]*)(:([0-9]{1,5}))?" name;
      scheme = elemAt parts 0;
      port = elemAt parts 3;
      http = caddy.httpPort or 80;
      https = caddy.httpsPort or 443;
    in
    if parts == null || isOfMachine (elemAt parts 1) then
      [ ]
    else if port != null then
      [ (fromJSON port) ]
    else if scheme == "http://" then
      [ http ]
    else
      [ http https ];
  # A file of its own may say anything.
  isUnread = caddy: (caddy.settings or { }) != { } || (((options.services or { }).caddy or { }).configFile or { }).highestPrio or 1500 < 1500 || mentionsAny "bind" (map (host: host.extraConfig or "") (hosts caddy) ++ [ (caddy.globalConfig or "") (caddy.extraConfig or "") ]);
  portsOfCaddy = caddy: if isUnread caddy then [ ] else concatMap (host: if host.listenAddresses or [ ] == [ ] && isString (host.hostName or null) then portsOfName caddy host.hostName else [ ]) (hosts caddy);

  # Web servers, which others may be behind.
  fronts = { nginx = portsOfNginx; httpd = portsOfApache; caddy = portsOfCaddy; lighttpd = s: if mentionsAny "bind" [ (s.extraConfig or "") (s.configText or "") ] then [ ] else [ (s.port or 80) ]; };
  # Their defaults, where no option names the address.
  others = {
    adguardhome = s: ifEverywhere (s.host or null) (s.port or null);
    audiobookshelf = s: ifEverywhere (s.host or null) (s.port or null);
    forgejo = portsOfForge;
    gitea = portsOfForge;
    grafana = s: ifEverywhere ((s.settings or { }).server or { }).http_addr or null ((s.settings or { }).server or { }).http_port or null;
    home-assistant = s: (http: if any isEverywhere (listOf (http.server_host or [ ])) then [ (http.server_port or null) ] else [ ]) ((if s.config or null == null then { } else s.config).http or { });
    jellyfin = _: [ 8096 ];
    mosquitto = s: concatMap (listener: if listener.address or null == null && !((listener.settings or { }) ? bind_interface) then [ (listener.port or null) ] else [ ]) (s.listeners or [ ]);
    navidrome = s: ifEverywhere ((s.settings or { }).Address or null) ((s.settings or { }).Port or null);
    node-red = s: [ (s.port or 1880) ];
    octoprint = s: ifEverywhere (s.host or null) (s.port or null);
    plex = _: [ 32400 ];
    vsftpd = s: if mentions "listen" (s.extraConfig or "") then [ ] else [ 21 ];
  };
  portsOfForge = s: (server: if server.PROTOCOL or "http" == "http" then ifEverywhere (server.HTTP_ADDR or null) (server.HTTP_PORT or null) else [ ]) ((s.settings or { }).server or { });
  listOf = value: if builtins.isList value then value else [ value ];

  # These lead to services by ways of their own.
  tunnels = [ "cloudflared" "frp" "i2pd" "netbird" "ngrok" "tailscale" "tor" "traefik" "haproxy" "zerotierone" ];
  isTunnelled = any isOn tunnels || (services.nebula or { }).networks or { } != { } || (services.frp or { }).instances or { } != { };
  known = if isTunnelled then { } else if any isOn (attrNames fronts) then fronts else others;
  unique = list: builtins.foldl' (seen: port: if elem port seen then seen else seen ++ [ port ]) [ ] list;
  switchOf = name: ((options.services or { }).${name} or { }).openFirewall or null;
  # A user who has set it knows of the firewall.
  isMeant = name: if switchOf name == null then services.${name} ? openFirewall else (switchOf name).highestPrio or 1500 < 1500;
  closedOf =
    name:
    let
      ports = unique (filter (port: isInt port && !isOpen port) (known.${name} services.${name}));
    in
    if isOn name && !isMeant name && ports != [ ] then [ { service = name; inherit ports; has_switch = switchOf name != null; } ] else [ ];
  safely = value: (r: if r.success then r.value else [ ]) (builtins.tryEval (builtins.deepSeq value value));
in
concatMap (name: safely (closedOf name)) (attrNames known)
