"""Packaging of mxmp. The tests have run with all lower bounds together, which are tests/lowest.txt's, and with all of
tests/newest.txt's versions, whose next major ones (minor ones where there is no major one yet) are excluded."""
import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).resolve().parent


def read_version() -> str:
    """Read the version as text: importing mxmp would need MXNet at build time."""
    path = ROOT / "mxmp" / "__init__.py"
    match = re.search(r'^__version__ = "([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE)
    if match is None:
        raise RuntimeError(f'no line like __version__ = "0.1.0" in {path}')
    return match.group(1)


setup(
    name="mxmp",
    version=read_version(),
    description="Model-parallel LSTMs in MXNet Gluon: layers on several devices, run as a pipeline",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["mxmp", "mxmp.*"]),
    # MXNet 1.9.1 uses names that numpy 1.24 removed, and numpy < 1.24 has no wheels for Python 3.12.
    python_requires=">=3.8,<3.12",
    install_requires=[
        "numpy>=1.17.3,<1.24",
        "gluonnlp==0.10.0",
        "sentencepiece>=0.1.97,<0.3",
        "sacrebleu>=2.3.0,<3",  # older ones refuse an empty reference
        "tqdm>=4.60.0,<5",
        "matplotlib>=3.5.0,<3.11",  # 3.11 needs numpy >= 1.25
        "num2words>=0.5.12,<0.6",
        "pooch>=1.7.0,<2",
    ],
    extras_require={
        # Exactly one of cpu and cu112: both install the same `mxnet` folder.
        "cpu": ["mxnet==1.9.1"],
        "cu112": ["mxnet-cu112==1.9.1"],
        # For scripts/benchmark alone, which also takes a PyTorch from another Python. Pipelines came with 2.4.
        "torch": ["torch>=2.4,<3"],
        "test": ["pytest>=7.4.0,<10", "hypothesis>=6.80.0,<7", "numpydoc>=1.7.0,<2", "ruff>=0.17.0,<0.18",
                 "mypy>=1.14.1,<3"],
        "docs": ["mkdocs>=1.6.0,<2", "mkdocs-material>=9.5.0,<10", "mkdocstrings[python]>=0.26.1,<2"],
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX :: Linux",
        "Programming Language :: Python :: 3.8",
        "Programming Language :: Python :: 3.9",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
    ],
)
