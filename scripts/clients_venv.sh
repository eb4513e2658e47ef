#!/usr/bin/env bash
# The virtual environment of tests/clients (aws-cli and boto3, pinned), in build/clients-venv; made anew when the pins change.
set -euo pipefail
cd "$(dirname "$0")/.."
venv=build/clients-venv
pins=tests/clients/requirements.txt
cmp -s "$pins" "$venv/installed.txt" && exit 0
rm -rf "$venv"
mkdir -p build
python3 -m venv "$venv"
"$venv/bin/pip" install --quiet --disable-pip-version-check -r "$pins"
cp "$pins" "$venv/installed.txt"
