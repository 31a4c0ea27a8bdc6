"""What is passed to write calls for one message, and what stays on the disk afterwards."""

import time

from harness import Failed, resources
from harness.bench import part
from harness.figures import at_least, at_most, row
from harness.processes import Load, Sink
from harness.relay import relay

MIB = 2**20
SEGMENT = 64 * MIB


def octets_per_message(bench, name, sink, messages, arguments=(), **load):
    """From ready until everything was delivered, the daemon idle, and stopped; and how many of these are the
    zeros of new segments."""
    daemon = bench.mansiod(name, {"*": sink})
    with daemon:
        idle(daemon, bench.quiet)
        before, filled = daemon.octets_written(), zeros(daemon)
        relay(daemon, sink, messages, *arguments, timeout=600, **load)
        idle(daemon, bench.quiet)
        if daemon.status()["queue"]["deferrals"] != 0:
            raise Failed("some messages were not delivered at the first attempt")
        filled = zeros(daemon) - filled
        written = daemon.stop() - before
    bench.forget(daemon)
    return written / messages, filled / messages


def zeros(daemon):
    return daemon.status()["spool"]["statistics"]["journal_filled_octets"]


def idle(daemon, quiet, timeout=60):
    """Until nothing was written for so many seconds."""
    end = time.monotonic() + timeout
    since, known = time.monotonic(), daemon.octets_written()
    while time.monotonic() - since < quiet and time.monotonic() < end:
        time.sleep(0.2)
        now = daemon.octets_written()
        if now - known > 4096:
            since, known = time.monotonic(), now


@part("written", "octets passed to write calls for each message")
def measure_written(bench):
    size = 4096
    bound = at_most(1.5 * size + 1024)
    delay = 1 if bench.quick else 5
    with Sink() as sink, Sink(f"phase=dot delay={delay}s") as slow:
        yield from rows("at full load", octets_per_message(bench, "full", sink, bench.count(100000)), bound)
        bench.note("written: at full load done")
        yield from rows(f"600 a second, replies delayed by {delay} s", octets_per_message(
            bench, "slow", slow, bench.count(60000), arguments=("--rate", "600/s"), domains="d{1..2000}.example"), bound)
        bench.note("written: with delayed replies done")
        yield from rows(f"20,000 at once, replies delayed by {delay} s", octets_per_message(
            bench, "burst", slow, bench.count(20000), domains="d{1..2000}.example"), bound)
        bench.note("written: a burst with delayed replies done")
        yield from rows("one a second", octets_per_message(
            bench, "trickle", sink, 2 if bench.quick else 30, arguments=("--rate", "1/s"), sessions=1), None)


def rows(when, octets, bound):
    written, filled = octets
    yield row(f"written per message of 4 KiB, {when}", written, "B", bound)
    yield row(f"of that zeros of new segments, {when}", filled, "B")


@part("drain", "a million due at once for one destination, and the disk afterwards")
def measure_drain(bench):
    messages = bench.count(20000)
    slices = bench.rounds
    each = round(bench.million * 0.8 / slices)
    with Sink() as sink, Sink() as other:
        deep = bench.mansiod("drain", {"*": sink})
        with deep, bench.mansiod("relay", {"*": other}) as empty:
            deep.suspend("one.example")
            bench.note(f"{bench.million:,} messages go in")
            sent = Load(deep.smtp_port, bench.million, domains="one.example").result()
            bench.note(f"in after {sent.seconds:.0f} s: {bench.million / sent.seconds:,.0f}/s")
            drained, relayed, costs = [], [], []
            relay(empty, other, messages)
            while len(drained) < slices and sink.arrivals().messages + each <= bench.million:
                rate, cost = drain_slice(deep, sink, each)
                drained.append(rate)
                costs.append(cost)
                relayed.append(relay(empty, other, messages))
                bench.note(f"drain: {drained[-1]:,.0f}/s {cost * 1000:.1f} us against relay {relayed[-1].rate:,.0f}/s")
            deep.resume("one.example")
            sink.wait_for(bench.million, 600)
            deep.wait_until_nothing_in_flight()
            totals = deep.summary()
            if (totals["queued"], totals["delivered"]) != (0, bench.million):
                raise Failed(f"after the drain: {totals}")
            time.sleep(1 if bench.quick else 10)
            used = resources.disk_used(deep.spool)
            bench.keep("drain", [drained, relayed, used, deep.status()["spool"]["statistics"]])
            yield row("drain against relay: throughput",
                      [rate / run.rate for rate, run in zip(drained, relayed)], "x", at_least(1.3))
            yield row("drain against relay: CPU (relay / drain)",
                      [run.cost / cost for cost, run in zip(costs, relayed)], "x")
            yield row("drain: messages per second", drained, "/s")
            yield row("drain: CPU per message", costs, "ms")
            yield row("accepted while suspended: messages per second", bench.million / sent.seconds, "/s")
            yield from disk_rows(used)
        bench.forget(deep, empty)


def drain_slice(daemon, sink, messages):
    """(messages per second, milliseconds of processor time for each) from resuming until so many have arrived."""
    before, processor = sink.arrivals(), daemon.processor_seconds()
    started = time.monotonic()
    daemon.resume("one.example")
    after = sink.wait_for(before.messages + messages, 600)
    daemon.suspend("one.example")
    daemon.wait_until_nothing_in_flight()
    processor = daemon.processor_seconds() - processor
    arrived = sink.arrivals().messages - before.messages
    return (after.messages - before.messages) / (after.last - started), processor * 1000 / arrived


def disk_rows(used):
    """What is live after a drain: no mail any more, but the history that is kept, which is in the index, and
    the events. The journal holds nothing of it; two segments of it are allowed."""
    live = used.get("index", 0) + used.get("events", 0)
    everything = sum(used.values())
    yield row("disk used 10 s after the drain, beyond two segments, against live octets",
              (everything - 2 * SEGMENT) / live, "x", at_most(1.1))
    for name in ("journal", "index", "events"):
        yield row(f"disk used 10 s after the drain: {name}", used.get(name, 0) / MIB, "MiB")
