#!/usr/bin/env bash
# Sets mxmp up in .venv with its tools, runs lint and types, builds the documentation and tests. Arguments go to pytest.
# Environment: see scripts/setup_env.sh.
set -euo pipefail

CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
bash scripts/setup_env.sh test docs
.venv/bin/python -m ruff check .
.venv/bin/python -m mypy
NO_MKDOCS_2_WARNING=1 .venv/bin/python -m mkdocs build --strict --quiet  # without the theme's advertisement
exec .venv/bin/python -m pytest "$@"
