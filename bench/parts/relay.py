"""Accept and deliver at full speed: against the load tools alone, against Postfix, and without syncs."""

import pathlib

from harness import Failed
from harness.bench import part
from harness.figures import at_least, at_most, ratios, row
from harness.processes import Load, Sink
from harness.relay import alone, relay


def check_octets(bench, daemon, sink_port_taken_over):
    """One run whose every octet is compared. Its sink stands in for the usual one, on its port."""
    record = bench.folder / "load.jsonl"
    with Sink(port=sink_port_taken_over, arguments=["--check", record]) as sink:
        messages = bench.count(2000)
        Load(daemon.smtp_port, messages, "--record", record).result()
        sink.wait_for(messages, 60)
        daemon.wait_until_nothing_in_flight()
        check = sink.checked()
    if check["arrived"] != messages or check["twice"] != 0:
        raise Failed(f"what arrived is not what was acknowledged: {check}")


@part("relay", "accept and deliver, every accept synced")
def measure_relay(bench):
    messages = bench.count(20000)
    with Sink() as tools, Sink() as first:
        daemon = bench.mansiod("relay", {"*": first})
        with daemon:
            first.stop()
            check_octets(bench, daemon, first.port)
            with Sink(port=first.port) as sink:
                pairs = bench.pairs("relay against load tools alone", lambda: relay(daemon, sink, messages),
                                    lambda: alone(tools, messages))
    bench.forget(daemon)
    ours, alone_ = zip(*pairs)
    yield row("relay: CPU per message", [run.cost for run in ours], "ms", at_most(0.060))
    yield row("relay: against the load tools alone", ratios(pairs, "rate"), "x", at_least(0.30))
    yield row("relay: messages per second", [run.rate for run in ours], "/s")
    yield row("relay: final dot to reply, p50", [run.p50 for run in ours], "ms")
    yield row("relay: final dot to reply, p99", [run.p99 for run in ours], "ms")
    yield row("load tools alone: messages per second", [run.rate for run in alone_], "/s")
    yield row("load tools alone: CPU per message", [run.cost for run in alone_], "ms")


@part("postfix", "the same against Postfix, with its own durability")
def measure_postfix(bench):
    from harness.postfix import relay_through_postfix, running_postfix  # unpacks it: only if it is asked for
    messages, fewer = bench.count(20000), bench.count(3000)
    with Sink() as sink, Sink() as other, running_postfix(bench, other) as postfix:
        daemon = bench.mansiod("postfix", {"*": sink})
        with daemon:
            pairs = bench.pairs("mansiod against Postfix", lambda: relay(daemon, sink, messages),
                                lambda: relay_through_postfix(postfix, other, fewer))
    bench.forget(daemon)
    yield row("against Postfix: throughput", ratios(pairs, "rate"), "x", at_least(25))
    yield row("against Postfix: CPU per message", ratios(pairs, "cost"), "x", at_most(1 / 40))
    yield row("Postfix: messages per second", [theirs.rate for _, theirs in pairs], "/s")
    yield row("Postfix: CPU per message", [theirs.cost for _, theirs in pairs], "ms")


def library_without_syncs():
    """libeatmydata, which turns fsync, fdatasync and their like into nothing. It is no setting of the daemon,
    and no setting can lead to it."""
    for folder in sorted(pathlib.Path("/usr/lib").glob("*-linux-gnu*")):
        library = folder / "libeatmydata.so"
        if library.exists():
            return library
    raise Failed("libeatmydata is missing: scripts/install-deps --bench")


def sees_no_syncs(daemon):
    maps = pathlib.Path(f"/proc/{daemon.process.pid}/maps").read_text()
    if "libeatmydata" not in maps:
        raise Failed("the daemon without syncs has not loaded libeatmydata")


@part("sync", "syncs on against syncs off")
def measure_sync(bench):
    messages = bench.count(20000)
    with Sink() as sink, Sink() as other:
        synced = bench.mansiod("synced", {"*": sink})
        unsynced = bench.mansiod("unsynced", {"*": other}, preload=library_without_syncs())
        with synced, unsynced:
            sees_no_syncs(unsynced)
            for sessions in (64, 256):
                pairs = bench.pairs(f"sync on against off, {sessions} sessions",
                                    lambda: relay(synced, sink, messages, sessions=sessions),
                                    lambda: relay(unsynced, other, messages, sessions=sessions))
                costs = [off.cost / on.cost for on, off in pairs]
                yield row(f"sync on against off, {sessions} sessions: throughput", ratios(pairs, "rate"), "x",
                          at_least(0.85))
                yield row(f"sync on against off, {sessions} sessions: CPU (off / on)", costs, "x", at_least(0.90))
    bench.forget(synced, unsynced)
