#!/usr/bin/env bash
# clang-tidy 19 with .clang-tidy, warnings as errors. Usage: scripts/tidy.sh changed|all BUILD_DIR
#   changed   the sources that differ from the merge base with origin/main (or from the commit before), at most
#             OSTRAKA_TIDY_SECONDS (600) of them: what was not looked at is named
#   all       every source of the project
set -euo pipefail
cd "$(dirname "$0")/.."
what=$1
build=$2
folders=(base runtime control net disk iam erasure cluster object s3api admin cmd)

changed_files() {
  local base
  base=$(git merge-base HEAD origin/main 2>/dev/null || true)
  if [ -z "$base" ] || [ "$base" = "$(git rev-parse HEAD)" ]; then base=$(git rev-parse -q --verify HEAD~1 || git rev-parse HEAD); fi
  { git diff --name-only --diff-filter=d "$base"; git ls-files --others --exclude-standard; } | sort -u
}

if [ "$what" = all ]; then
  mapfile -t files < <(git ls-files -- "${folders[@]/%//*.cc}")
else
  # A changed header is looked at through the source of its name.
  mapfile -t files < <(changed_files | grep -E "^($(IFS='|'; echo "${folders[*]}"))/.*\.(cc|h)$" | sed 's/\.h$/.cc/' | sort -u |
                       while read -r file; do [ -f "$file" ] && echo "$file"; done)
fi
if [ ${#files[@]} -eq 0 ]; then echo "tidy: no source has changed"; exit 0; fi

export budget_end=$(($(date +%s) + ${OSTRAKA_TIDY_SECONDS:-600}))
export what build
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
export results
look_at() {
  local file=$1 out=$results/${1//\//_}
  if [ "$what" = changed ] && [ "$(date +%s)" -ge "$budget_end" ]; then echo "$file" >>"$results/skipped"; return 0; fi
  if ! clang-tidy-19 --quiet -p "$build" "$file" >"$out.log" 2>&1; then echo "$file" >>"$results/failed"; grep -E 'warning:|error:' -A 3 "$out.log" || cat "$out.log"; fi
}
export -f look_at
printf '%s\n' "${files[@]}" | xargs -P "$(nproc)" -I{} bash -c 'look_at {}'

[ -f "$results/skipped" ] && { echo "tidy: out of time, not looked at (run scripts/tidy.sh all):"; sort "$results/skipped"; }
if [ -f "$results/failed" ]; then echo "tidy: $(sort -u "$results/failed" | wc -l) of ${#files[@]} sources have findings"; exit 1; fi
echo "tidy: ${#files[@]} sources, no findings"
