#!/usr/bin/env bash
# Sets mxmp up in .venv with its test tools and runs lint, types and tests. Arguments go to pytest.
# Environment: see scripts/setup_env.sh.
set -euo pipefail

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
bash scripts/setup_env.sh test
.venv/bin/python -m ruff check .
.venv/bin/python -m mypy
exec .venv/bin/python -m pytest "$@"
