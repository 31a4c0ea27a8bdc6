"""The internet of a test: a name server with a zone, mail hosts, and a mansiod that knows both."""

import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
for folder in ("integration", "interop"):
    sys.path.insert(0, str(HERE.parent / folder))

from fixtures import make_daemon  # noqa: E402, F401
from internet import Internet  # noqa: E402
from peers import make_certificate  # noqa: E402


@pytest.fixture
def internet(tmp_path, make_daemon):  # noqa: F811
    internet = Internet(tmp_path, make_daemon)
    yield internet
    internet.close()


@pytest.fixture
def certificate(tmp_path):
    """Paths of a self-signed certificate for mx.dest.example and of its key."""
    return make_certificate(tmp_path, "mx.dest.example")
