#!/usr/bin/env bash
# make_certificates.sh AUTHORITY NODES NODE...: makes the cluster's authority into the folder AUTHORITY and each node's certificate into
# NODES/NODE. May run again at any time: what is there stays, and what is older than half a year is renewed, which a running server
# notices by itself (docs/cluster.md). OSTRAKA_TRUST_DOMAIN is the cluster's name in the certificates.
set -euo pipefail
authority=$1 nodes=$2
shift 2
renew_after_days=180 # of the 365 for which they are good

complete() { [ -s "$1/node.key" ] && [ -s "$1/node.crt" ] && [ -s "$1/ca.crt" ]; }

wanted=() kept=()
for node in "$@"; do
  if complete "$nodes/$node"; then
    kept+=("$node")
    [ -z "$(find "$nodes/$node/node.crt" -mtime "+$renew_after_days")" ] && continue
  fi
  wanted+=("$node")
done
if [ ${#wanted[@]} -eq 0 ]; then
  echo "The certificates of $* are there."
  exit 0
fi

if [ ! -s "$authority/ca.crt" ]; then # written last: without it a first run was interrupted, or none was made yet
  if [ ${#kept[@]} -gt 0 ]; then
    echo "The authority that signed the certificates of ${kept[*]} is not in $authority: another one would not be trusted by them." \
      "Bring its volume back, or remove all volumes with certificates." >&2
    exit 1
  fi
  rm -f "$authority/ca.key"
  ostraka admin certs ca --out "$authority" --trust-domain "${OSTRAKA_TRUST_DOMAIN:-cluster.ostraka}"
fi
for node in "${wanted[@]}"; do
  made=$nodes/$node/.made
  rm -rf "$made"
  ostraka admin certs node --ca "$authority" --out "$made" "$node" >/dev/null
  mv -f "$made/$node/ca.crt" "$made/$node/node.key" "$made/$node/node.crt" "$nodes/$node/"
  rm -rf "$made"
  echo "Made the certificate of $node."
done
