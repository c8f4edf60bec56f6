# Container images from cached packages to loaded, against `docker build` with the same packages in a folder beside the
# Dockerfile, installed by dpkg alone: quicker than apt, which would also want what our images leave out. Its base
# image (Debian with apt, nothing else) is made beforehand and not counted. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

base=sdbuild-bench-base
# (The script of ca-certificates fails for want of openssl, which our image does without: that is no failure here.)

images() {
  local round name
  build >/dev/null
  debian_base
  for name in builder registrar; do build_context $name; done
  rm -f "$work"/images-*
  for round in $(seq "$rounds"); do
    docker images --quiet --filter label=dev.sdbuild.definition | sort -u | xargs -r docker rmi --force >/dev/null
    build_events >"$work/events"
    jq 'select(.event == "phase-ended" and .phase == "container-images").seconds' "$work/events" >>"$work/images-ours"
    in_seconds "$(milliseconds docker_build)" >>"$work/images-theirs"
    say "images, round $round: $(tail -qn 1 "$work"/images-ours "$work"/images-theirs | tr '\n' ' ')s"
  done
  docker rmi --force $base $base-builder $base-registrar >/dev/null
  record "both container images, cached packages to loaded, s" "$(median <"$work/images-ours")" "$(median <"$work/images-theirs")" ratio 5
}

debian_base() {
  rm -rf "$work/base"
  command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
  debootstrap --variant=minbase trixie "$work/base" "$(mirrors | head -n 1)" >"$work/debootstrap.log" || die "see $work/debootstrap.log"
  tar -C "$work/base" -c . | docker import - $base >/dev/null
  rm -rf "$work/base"
}

build_context() {
  local lock=${SDBUILD_LOCKS:-$root/containers}/$1/amd64.lock.json path sha256
  mkdir -p "$work/context-$1/packages"
  jq -r '.packages[] | select(.name | contains(":") | not) | "\(.path) \(.sha256)"' "$lock" | while read -r path sha256; do
    locked_package "$path" "$sha256" >"$work/context-$1/packages/$(basename "$path")"
  done
  cat >"$work/context-$1/Dockerfile" <<DOCKERFILE
FROM $base
COPY packages /packages
RUN dpkg --force-depends --install /packages/*.deb; rm -rf /packages
DOCKERFILE
}
docker_build() {
  local name
  for name in builder registrar; do
    DOCKER_BUILDKIT=0 docker build --quiet --no-cache --network none --tag $base-$name "$work/context-$name" >"$work/docker-build.log" 2>&1 ||
      die "see $work/docker-build.log"
  done
}
