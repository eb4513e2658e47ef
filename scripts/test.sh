#!/usr/bin/env bash
# Builds and tests everything. Usage: scripts/test.sh [--all]
#   (nothing)  installs what is missing, builds the release preset, runs ctest without the long tests
#   --all      also: the long tests, clang-tidy over every source, and the unit and fuzz tests under ASan + UBSan and TSan
# Everything is a ctest case, so the last lines printed are ctest's own summary; the exit status is 0 only if all of it passed.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

all=false
case "${1:-}" in
  "") ;;
  --all) all=true ;;
  *) sed -n '2,5s/^# //p' "$0"; [ "$1" = --help ] && exit 0 || exit 2 ;;
esac

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

step "packages"
install_packages build test
scripts/clients_venv.sh

step "release build"
cmake --preset release >/dev/null
cmake --build --preset release --target all tests

status=0
if $all; then
  for preset in dev tsan; do
    step "preset $preset: build and test"
    cmake --preset "$preset" >/dev/null
    cmake --build --preset "$preset" --target all tests
    ctest --test-dir "build/$preset" -j "$(nproc)" --output-on-failure -L '^(unit|fuzz)$' || status=1
  done
fi

step "tests"
excluded=()
$all || excluded=(-LE '^long$')
# Under another umask or locale, or with an AWS configuration of the caller's, the clients would behave differently.
ctest --test-dir build/release -j "$(nproc)" --output-on-failure "${excluded[@]}" || status=1
exit "$status"
