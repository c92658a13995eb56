#!/usr/bin/env bash
# Sets mxmp up in .venv and trains the built-in translation task on two CPU contexts.
# Arguments go to scripts/train_translation.py. Environment: see scripts/setup_env.sh.
set -euo pipefail

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
bash scripts/setup_env.sh
exec .venv/bin/python scripts/train_translation.py \
    --dataset numbers --contexts "cpu(0-1)" "$@"
