"""Fixtures for tests that run the real programs. What a test started is stopped after it."""

import shutil

import pytest

from daemon import Daemon, Sink


@pytest.fixture
def sink():
    sink = Sink()
    yield sink
    sink.close()


@pytest.fixture
def make_daemon(tmp_path):
    """make_daemon(next_hop=[...], tables={...}) starts a daemon; all are killed after the test
    unless the test stopped them."""
    started = []

    def make(name="node", start=True, **options):
        daemon = Daemon(tmp_path / name, **options)
        started.append(daemon)
        return daemon.start() if start else daemon

    yield make
    for daemon in started:
        daemon.kill()
        shutil.rmtree(daemon.folder / "spool", ignore_errors=True)  # journal segments are large


@pytest.fixture
def daemon(make_daemon, sink):
    """A daemon that delivers to `sink`."""
    return make_daemon(next_hop=[sink.endpoint])
