#!/usr/bin/env bash
# From a fresh clone to a running store: installs what is missing, builds, and serves S3 from six local folders (4+2).
# Usage: scripts/quickstart.sh [--detach] [--stop]
#   --detach   run in the background; --stop ends it
# Environment: OSTRAKA_DATA (./data), OSTRAKA_ADDRESS (127.0.0.1:9000), OSTRAKA_CONSOLE_ADDRESS (127.0.0.1:9001)
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/packages.sh

detach=false
stop=false
for argument in "$@"; do
  case "$argument" in
    --detach) detach=true ;;
    --stop) stop=true ;;
    *) sed -n '2,5s/^# //p' "$0"; [ "$argument" = --help ] && exit 0 || exit 2 ;;
  esac
done

data=${OSTRAKA_DATA:-$PWD/data}
export OSTRAKA_ADDRESS=${OSTRAKA_ADDRESS:-127.0.0.1:9000}
export OSTRAKA_CONSOLE_ADDRESS=${OSTRAKA_CONSOLE_ADDRESS:-127.0.0.1:9001}
mkdir -p "$data"
data=$(cd "$data" && pwd)
pid_file=$data/ostraka.pid
credentials=$data/credentials
log=$data/ostraka.log
binary=$PWD/build/release/bin/ostraka

# The process of the pid file, if it is still a server of ours and not someone else with a reused number.
running_pid() {
  local pid
  pid=$(cat "$pid_file" 2>/dev/null) || return 1
  [ -n "$pid" ] && [[ "$(readlink "/proc/$pid/exe" 2>/dev/null)" == */ostraka* ]] && echo "$pid"
}

how_to_connect() {
  cat <<TEXT

  S3 address    http://$1
  Status page   http://$2
  Access key    $OSTRAKA_ROOT_USER
  Secret key    $OSTRAKA_ROOT_PASSWORD   (kept in $credentials)

  Try it:
    AWS_ACCESS_KEY_ID=$OSTRAKA_ROOT_USER AWS_SECRET_ACCESS_KEY=$OSTRAKA_ROOT_PASSWORD AWS_DEFAULT_REGION=us-east-1 \\
      aws --endpoint-url http://$1 s3 mb s3://first

TEXT
}

if $stop; then
  if pid=$(running_pid); then
    kill -TERM "$pid"
    while kill -0 "$pid" 2>/dev/null; do sleep 0.1; done
    echo "Stopped (process $pid)."
  else
    echo "No server of $data is running."
  fi
  rm -f "$pid_file" "$data/ostraka.addresses"
  exit 0
fi

if [ ! -s "$credentials" ]; then
  umask_before=$(umask)
  umask 077
  {
    echo "# The root credential of the store in this folder, made by scripts/quickstart.sh."
    echo "OSTRAKA_ROOT_USER=OS$(od -An -N9 -tx1 /dev/urandom | tr -d ' \n' | tr '[:lower:]' '[:upper:]')"
    echo "OSTRAKA_ROOT_PASSWORD=$(od -An -N20 -tx1 /dev/urandom | tr -d ' \n')"
  } >"$credentials.new"
  mv "$credentials.new" "$credentials"
  umask "$umask_before"
fi
. "$credentials"
export OSTRAKA_ROOT_USER OSTRAKA_ROOT_PASSWORD

if pid=$(running_pid); then
  read -r address console <"$data/ostraka.addresses"
  echo "Already running (process $pid, data in $data). Stop it with scripts/quickstart.sh --stop"
  how_to_connect "$address" "$console"
  exit 0
fi

install_packages build
[ -f build/release/build.ninja ] || cmake --preset release >/dev/null
echo "Building (the first time takes some minutes)"
cmake --build --preset release --target ostraka

echo "$OSTRAKA_ADDRESS $OSTRAKA_CONSOLE_ADDRESS" >"$data/ostraka.addresses"
serve=("$binary" server --erasure-set 4+2 "$data/d{1...6}")
if ! $detach; then
  how_to_connect "$OSTRAKA_ADDRESS" "$OSTRAKA_CONSOLE_ADDRESS"
  echo $$ >"$pid_file"
  exec "${serve[@]}"
fi

setsid "${serve[@]}" >>"$log" 2>&1 </dev/null &
pid=$!
echo "$pid" >"$pid_file"
for _ in $(seq 200); do
  if python3 - "$OSTRAKA_CONSOLE_ADDRESS" <<'PY' 2>/dev/null; then ready=true; break; fi
import sys, urllib.request
urllib.request.urlopen(f"http://{sys.argv[1]}/health/ready", timeout=1)
PY
  kill -0 "$pid" 2>/dev/null || break
  sleep 0.1
done
if [ "${ready:-false}" != true ]; then
  echo "The server did not start; the end of $log:" >&2
  tail -n 15 "$log" >&2
  rm -f "$pid_file"
  exit 1
fi
echo "Running in the background (process $pid, log in $log). Stop it with scripts/quickstart.sh --stop"
how_to_connect "$OSTRAKA_ADDRESS" "$OSTRAKA_CONSOLE_ADDRESS"
