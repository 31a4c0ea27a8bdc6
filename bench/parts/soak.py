"""Ten million small messages over ten thousand destinations. Takes an hour or so: `make soak`."""

import time

from harness.bench import part
from harness.deep_queue import DeepQueue, destinations
from harness.figures import at_least, at_most, ratios, row
from harness.processes import Sink
from harness.relay import relay

GIB = 2**30


@part("soak", "ten million messages over ten thousand destinations", by_default=False)
def measure_soak(bench):
    messages, all_of_them = bench.count(20000), 10 * bench.million
    with DeepQueue(bench, "soak", size="512") as queue, Sink() as other:
        missing = all_of_them - queue.holds.get("soak", 0)
        if missing:
            queue.fill("soak", missing, destinations("soak", 10000), timeout=4 * 3600)
        resident, _ = queue.daemon.settled_memory(bench.quiet)
        queue.daemon.stop()
        started = queue.daemon.spawn()
        while not queue.daemon.ready():
            time.sleep(0.005)
        ready = time.monotonic() - started
        with bench.mansiod("empty", {"*": other}) as empty:
            pairs = bench.pairs("deep against empty", lambda: relay(queue.daemon, queue.sink, messages),
                                lambda: relay(empty, other, messages))
        bench.forget(empty)
        after, _ = queue.daemon.settled_memory(bench.quiet)
        queue.check()
    yield row(f"{10 * bench.million:,} queued: start to ready", ready, "s", at_most(2))
    yield row(f"{10 * bench.million:,} queued: resident memory", max(resident, after) / GIB, "GiB", at_most(1))
    yield row(f"{10 * bench.million:,} queued: healthy destination against empty", ratios(pairs, "rate"), "x", at_least(0.95))
