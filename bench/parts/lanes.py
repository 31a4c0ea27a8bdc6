"""A million destinations with one message each."""

import time

from harness import Failed
from harness.bench import part
from harness.deep_queue import DeepQueue
from harness.figures import at_most, row

MIB = 2**20


@part("lanes", "a million lanes of one message each")
def measure_lanes(bench):
    with DeepQueue(bench, "lanes") as queue:
        if "lane" not in queue.holds:
            accept, defer = queue.fill("lane", bench.million, f"d{{1..{bench.million}}}.lane.example")
            yield row(f"{bench.million:,} lanes: accepted per second", bench.million / accept, "/s")
            yield row(f"{bench.million:,} lanes: accepted and deferred per second", bench.million / defer, "/s")
        resident, anonymous = queue.daemon.settled_memory(bench.quiet)
        lanes = queue.daemon.status()["queue"]["lanes_in_memory"]
        yield row(f"resident memory, {bench.million:,} lanes of one message", resident / MIB, "MiB", at_most(256))
        yield row("of that anonymous", anonymous / MIB, "MiB")
        yield row("lanes in memory then", lanes)
        queue.daemon.stop()
        started = queue.daemon.spawn()
        while not queue.daemon.ready():
            time.sleep(0.005)
        yield row(f"start to ready with {bench.million:,} lanes", time.monotonic() - started, "s")
        resident, _ = queue.daemon.settled_memory(bench.quiet)
        yield row(f"resident memory, {bench.million:,} lanes, started anew", resident / MIB, "MiB", at_most(256))
        job = queue.daemon.ask("POST", "/v1/messages/remove", {"everything": True, "wait": True})
        if job["changed"] != bench.million:
            raise Failed(f"{job['changed']} lanes were emptied, not {bench.million}")
        queue.gone("lane")
        time.sleep(1)
        yield row("lanes in memory when all mail is gone", queue.daemon.status()["queue"]["lanes_in_memory"],
                  target=at_most(0))
