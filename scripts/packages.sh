# Sourced by the other scripts: install_packages GROUP... installs what is missing of the Debian packages of the groups
# `build` and `test`, and in images `runtime` and `balancer` (Dockerfile). Safe to run again; needs root or sudo
# only when something is missing.

build_packages=(
  g++ cmake ninja-build mold pkg-config git ca-certificates python3
  libboost1.81-dev libisal-dev libssl-dev nlohmann-json3-dev libgtest-dev libgmock-dev librocksdb-dev
  libprotobuf-dev protobuf-compiler libexpected-dev libxxhash-dev liburing-dev libspdlog-dev libfmt-dev
  libcli11-dev libtomlplusplus-dev libpugixml-dev libzstd-dev libbenchmark-dev libjemalloc-dev
)
test_packages=(
  clang-19 clang-tidy-19 clang-format-19 libclang-rt-19-dev
  libfuse3-dev fuse3 etcd-server etcd-client s3cmd rclone restic chromium chromium-driver python3-venv curl openssl
  iproute2 nftables docker-compose haproxy
)
runtime_packages=(
  ca-certificates libjemalloc2 libpugixml1v5 librocksdb7.8 libprotobuf-lite32 libssl3 libspdlog1.10 libfmt9 libisal2 libxxhash0
  libstdc++6 libgcc-s1
)
balancer_packages=(haproxy)
# Optional, and in Debian for amd64 only: AES-GCM between nodes (net/README.md).
if [ "$(dpkg --print-architecture 2>/dev/null)" = amd64 ]; then
  build_packages+=(libipsec-mb-dev)
  runtime_packages+=(libipsec-mb1)
fi
command -v go >/dev/null || test_packages+=(golang-go)

install_packages() {
  local group package missing=()
  for group in "$@"; do
    local -n list="${group}_packages"
    for package in "${list[@]}"; do
      if ! dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null | grep -qx installed; then
        missing+=("$package")
      fi
    done
  done
  [ ${#missing[@]} -eq 0 ] && return 0

  if ! command -v apt-get >/dev/null; then
    echo "Ostraka builds on Debian 12; apt-get is not here, and these packages are missing: ${missing[*]}" >&2
    return 1
  fi
  local as_root=()
  if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
      echo "Run this as root, or install sudo: these packages are missing: ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "Installing ${missing[*]}"
  # The lists may be absent (a fresh container) or old: only a failed install is a reason to fetch them.
  if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
       >/tmp/ostraka-apt.$$ 2>&1; then
    "${as_root[@]}" apt-get update -q >>/tmp/ostraka-apt.$$ 2>&1 || true
    if ! "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends "${missing[@]}" \
         >>/tmp/ostraka-apt.$$ 2>&1; then
      tail -n 20 /tmp/ostraka-apt.$$ >&2
      echo "apt-get could not install the packages above (the whole log: /tmp/ostraka-apt.$$)" >&2
      return 1
    fi
  fi
  rm -f /tmp/ostraka-apt.$$
}
