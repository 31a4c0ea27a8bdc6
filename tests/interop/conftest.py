"""Fixtures of tests/integration, and those for programs that are not ours."""

import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

from fixtures import daemon, make_daemon, sink  # noqa: E402, F401
from peers import Postfix, SmtpSink, make_certificate  # noqa: E402


@pytest.fixture
def make_smtp_sink(tmp_path):
    """make_smtp_sink("-f", "RCPT") starts Postfix smtp-sink with these options."""
    started = []

    def make(*options, port=None):
        started.append(SmtpSink(tmp_path / f"smtp-sink-{len(started)}", *options, port=port))
        return started[-1]

    yield make
    for program in started:
        program.close()


@pytest.fixture
def make_postfix():
    """make_postfix("dest.example", ["bob"]) starts a Postfix that takes mail for bob@dest.example."""
    started = []

    def make(*arguments, **options):
        started.append(Postfix(*arguments, **options))
        return started[-1]

    yield make
    for program in started:
        program.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """Paths of a self-signed certificate for mail.test.example and of its key."""
    return make_certificate(tmp_path_factory.mktemp("certificate"), "mail.test.example")
