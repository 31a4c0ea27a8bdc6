"""The parts, in the order in which all of them run: those that share the deep queue follow each other, and
those that destroy it come last."""

from parts import relay, latency, written, mixed, shapes, deep, bulk, lanes, soak  # noqa: F401
