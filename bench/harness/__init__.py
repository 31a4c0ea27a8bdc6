"""What every part of the benchmark uses: the processes, their resources, and how figures become rows."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.setdefault("MANSIO_BUILD", str(ROOT / "build")))
BIN = BUILD / "bin"

# Ports, TOML and the unpacked Postfix are those of the tests.
sys.path[:0] = [str(ROOT / "tests" / "integration"), str(ROOT / "tests" / "interop")]
sys.dont_write_bytecode = True


class Failed(Exception):
    """The measurement cannot be made, or is not valid."""
