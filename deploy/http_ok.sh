#!/usr/bin/env bash
# http_ok.sh HOST PORT PATH: exit status 0 when a GET is answered with 200 within 3 s. For health checks of containers: needs bash alone.
set -u
[ "${4:-}" = now ] || exec timeout 3 "$BASH" "$0" "$1" "$2" "$3" now
exec 3<>"/dev/tcp/$1/$2" || exit 1
printf 'GET %s HTTP/1.1\r\nHost: %s:%s\r\nConnection: close\r\n\r\n' "$3" "$1" "$2" >&3
read -r -u 3 _ status _ && [ "$status" = 200 ]
