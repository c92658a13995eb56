"""What has to be set before MXNet loads, and where the tests' helpers lie."""
import sys
from pathlib import Path

from mxmp import runtime

runtime.configure(threads_per_context=1)
for folder in ("pipeline", "tones", "translation"):
    sys.path.insert(0, str(Path(__file__).parent / folder))
