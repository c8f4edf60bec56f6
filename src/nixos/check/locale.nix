# The default locale, and whether NixOS builds it by its name: the build then fails if glibc does not have it.
{ config, options }:
let
  inherit (builtins) any elem isString replaceStrings;

  i18n = config.i18n or { };
  name = i18n.defaultLocale or null;
  supported = i18n.supportedLocales or [ ];
  # Before 25.11 NixOS itself writes the encoding so.
  written = replaceStrings [ "utf8" "utf-8" "UTF8" ] [ "UTF-8" "UTF-8" "UTF-8" ];
  # An option's default has priority 1500.
  isOwn = ((options.i18n or { }).glibcLocales.highestPrio or 1500) < 1500;
  isOther = i18n.defaultCharset or "UTF-8" != "UTF-8";
  isListed = isString name && any (form: elem "${form name}/UTF-8" supported) [ written (text: text) ];
in
{
  locale = if isOwn || isOther then null else name;
  # With `all` no name is looked up.
  locale_is_built = isListed && !elem "all" supported;
}
