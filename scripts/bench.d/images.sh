# Container images from cached packages to loaded, against `docker build` with apt, whose package lists and downloads
# lie in the base image already. That one (Debian with apt, nothing else) is made beforehand and not counted; like
# Docker's own Debian images it lets dpkg skip its fsync. Sourced by scripts/bench.
# shellcheck shell=bash disable=SC2154  # variables of scripts/bench

base=sdbuild-bench-base

images() {
  local round
  build >/dev/null
  debian_base
  build_context builder nix --version
  build_context registrar qemu-aarch64 --version
  rm -f "$work"/images-*
  for round in $(seq "$rounds"); do
    docker rmi --force "$(image_of builder)" "$(image_of registrar)" >/dev/null
    events_of
    jq 'select(.event == "phase-ended" and .phase == "container-images").seconds' "$work/events" >>"$work/images-ours"
    timed docker_build
    in_seconds "$elapsed" >>"$work/images-theirs"
    say "images, round $round: $(tail -qn 1 "$work"/images-ours "$work"/images-theirs | tr '\n' ' ')s"
  done
  [ "$(wc -l <"$work/images-ours")" = "$rounds" ] || die "a round made no container images"
  docker rmi --force $base $base-builder $base-registrar >/dev/null
  record "both container images, cached packages to loaded, s" "$(median <"$work/images-ours")" "$(median <"$work/images-theirs")" ratio 5
}

# What either image is asked for, of Debian 13 alone: its QEMU stands for the newer one.
asked_for() {
  case $1 in
    builder) jq -r '.packages[]' "$root/containers/builder/packages.json" ;;
    registrar) printf 'busybox-static\nqemu-user\n' ;;
  esac
}

debian_base() {
  local tree=$work/base
  if [ ! -e "$work/base.tar" ]; then
    command -v debootstrap >/dev/null || die "debootstrap is missing: apt-get install debootstrap"
    rm -rf "$tree"
    debootstrap --variant=minbase trixie "$tree" "$(mirrors | head -n 1)" >"$work/debootstrap.log" || die "see $work/debootstrap.log"
    echo force-unsafe-io >"$tree/etc/dpkg/dpkg.cfg.d/docker-apt-speedup"
    # One by one: what the first one needs is to be there for the second one as well.
    chroot "$tree" apt-get clean
    for image in builder registrar; do
      # shellcheck disable=SC2046  # names of packages
      DEBIAN_FRONTEND=noninteractive chroot "$tree" apt-get install -qq --no-install-recommends --download-only \
        $(asked_for $image) >>"$work/debootstrap.log" 2>&1 || die "see $work/debootstrap.log"
    done
    tar -C "$tree" -cf "$work/base.part" .
    mv "$work/base.part" "$work/base.tar"
    rm -rf "$tree"
  fi
  docker import "$work/base.tar" $base >/dev/null
}

# The image $1's Dockerfile; what is built must be able to run the rest.
build_context() {
  local name=$1
  shift
  mkdir -p "$work/context-$name"
  cat >"$work/context-$name/Dockerfile" <<DOCKERFILE
FROM $base
RUN DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-download --no-install-recommends $(asked_for "$name" | tr '\n' ' ')
DOCKERFILE
  docker_build_one "$name"
  docker run --rm --network none "$base-$name" "$@" >/dev/null || die "the image that docker build made cannot run $*"
}
docker_build() {
  docker_build_one builder
  docker_build_one registrar
}
docker_build_one() {
  docker build --quiet --no-cache --network none --tag "$base-$1" "$work/context-$1" >"$work/docker-build.log" 2>&1 ||
    die "see $work/docker-build.log"
}
