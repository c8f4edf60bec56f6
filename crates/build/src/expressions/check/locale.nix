# The default locale, and whether NixOS builds it by its name: the build then fails if glibc does not have it.
{ config, options }:
let
  inherit (builtins) any elem isString match replaceStrings stringLength substring;

  i18n = config.i18n or { };
  name = i18n.defaultLocale or null;
  supported = i18n.supportedLocales or [ ];
  # Before 25.11 NixOS itself writes the encoding so.
  written = replaceStrings [ "utf8" "utf-8" "UTF8" ] [ "UTF-8" "UTF-8" "UTF-8" ];
  # An option's default has priority 1500.
  isOwn = ((options.i18n or { }).glibcLocales.highestPrio or 1500) < 1500;
  isOther = i18n.defaultCharset or "UTF-8" != "UTF-8";
  # glibc has such a name with another encoding.
  isOfOther = isString name && any (form: isString form && substring 0 (stringLength name + 1) form == "${name}/" && form != "${name}/UTF-8") supported;
  isInAll = isString name && elem "all" supported && match "[a-z]{2,3}_[A-Z]{2}(@[a-z]+)?" name != null;
  isListed = isString name && any (form: elem "${form name}/UTF-8" supported) [ written (text: text) ];
in
{
  locale = if isOwn || isOther || isOfOther || isInAll then null else name;
  # With `all` no name is looked up.
  locale_is_built = isListed && !elem "all" supported;
}
