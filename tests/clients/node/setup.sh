#!/usr/bin/env bash
# Installs the JavaScript clients. Takes the virtual environment, whose Node serves where the system has no Node 22.
set -euo pipefail
cd "$(dirname "$0")"
bin=$(./which-node.sh "$1")
export PATH="$bin:$PATH" npm_config_loglevel=error
install=(ci --no-audit --no-fund --ignore-scripts)
cli="$bin/../lib/node_modules/npm/bin/npm-cli.js"   # a wheel can't hold the link that `npm` is
if [ -f "$cli" ]; then node "$cli" "${install[@]}"; else npm "${install[@]}"; fi
