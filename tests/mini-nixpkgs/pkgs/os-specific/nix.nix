{ lib, fromDebian, stdenv }:
# Debian's Nix. Only a system with `nix.enable` has it.
fromDebian {
  pname = "nix";
  debs = [
    "nix-bin" "libacl1" "libarchive13t64" "libboost-context1.83.0" "libbrotli1" "libbsd0" "libbz2-1.0" "libcom-err2" "libcurl3t64-gnutls"
    "libffi8" "libgc1" "libgcc-s1" "libgit2-1.9" "libgmp10" "libgnutls30t64" "libgssapi-krb5-2" "libhogweed6t64" "libhttp-parser2.9" "libidn2-0"
    "libk5crypto3" "libkeyutils1" "libkrb5-3" "libkrb5support0" "libldap2" "liblowdown2" "liblz4-1" "liblzma5" "libmbedcrypto16"
    "libmbedtls21" "libmbedx509-7" "libmd0" "libnettle8t64" "libnghttp2-14" "libnghttp3-9" "libngtcp2-16" "libngtcp2-crypto-gnutls8"
    "libp11-kit0" "libpcre2-8-0" "libpsl5t64" "libreadline8t64" "librtmp1" "libsasl2-2" "libseccomp2" "libsodium23" "libsqlite3-0"
    "libssh2-1t64" "libssl3t64" "libstdc++6" "libtasn1-6" "libtinfo6" "libunistring5" "libxml2" "libxxhash0" "libzstd1" "zlib1g"
  ]
  ++ lib.optional stdenv.hostPlatform.isx86_64 "libcpuid17";
  programs = [ "nix" "nix-build" "nix-collect-garbage" "nix-env" "nix-instantiate" "nix-store" ];
}
