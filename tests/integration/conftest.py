"""The fixtures of these tests; tests/interop has them too."""

from fixtures import daemon, make_daemon, sink  # noqa: F401
