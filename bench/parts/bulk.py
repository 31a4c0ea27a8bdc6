"""Removing and bouncing a million by selector, and what deliveries to others notice of it."""

import time

from harness import Failed
from harness.bench import part
from harness.deep_queue import GROUPS, DeepQueue, destinations
from harness.figures import at_least, row
from harness.parallel import Stream


@part("remove", "removing a million by selector")
def measure_remove(bench):
    yield from measure_verb(bench, "remove", "deep", 0.90)


@part("bounce", "bouncing a million by selector: as many notices")
def measure_bounce(bench):
    yield from measure_verb(bench, "bounce", "more", 0.75)


def measure_verb(bench, verb, name, bound):
    """The selectors name a tenth of the million each, so that normal times and the verb take turns."""
    with DeepQueue(bench) as queue:
        if name not in queue.holds:
            queue.fill(name, bench.million, destinations(name))
        stream = Stream(queue.daemon, queue.sink, bench.count(4000))
        stream.run(lambda: stream.chunks == 2)  # warms up
        normal, meanwhile, changed, seconds, looks = [], [], 0, 0.0, 0
        took = 2.0
        for group in range(GROUPS):
            until = time.monotonic() + min(max(took, bench.quiet / 3), 5.0)
            normal.append(stream.run(lambda: time.monotonic() > until))
            selector = {"destination": f"*.g{group}.{name}.example"}
            expected = queue.daemon.ask("POST", f"/v1/messages/{verb}",
                                        {"selector": selector, "dry_run": True, "wait": True})["matched"]
            job = Job(queue.daemon, verb, selector)
            meanwhile.append(stream.run(job.ended))
            took = job.seconds
            if job.matched != expected or job.changed != expected:
                raise Failed(f"{verb}: {expected} match, {job.matched} matched and {job.changed} changed")
            changed, seconds, looks = changed + job.changed, seconds + job.seconds, looks + len(job.progress)
            bench.note(f"{verb}: {job.changed:,} in {job.seconds:.1f} s, {len(job.progress)} steps seen; others "
                       f"{meanwhile[-1]:,.0f}/s against {normal[-1]:,.0f}/s")
        if changed != bench.million:
            raise Failed(f"{verb} has changed {changed}, not {bench.million}")
        queue.gone(name)
        if verb == "bounce" and queue.notices.arrivals().messages != bench.million:
            raise Failed(f"{queue.notices.arrivals().messages} notices arrived, not {bench.million}")
    bench.keep(verb, [normal, meanwhile])
    # With few messages a slice may be too short for even one arrival.
    ratios = [during / usual for during, usual in zip(meanwhile, normal) if usual > 0]
    yield row(f"{verb} {bench.million:,} by selector: deliveries to others meanwhile", ratios, "x", at_least(bound))
    yield row(f"{verb} {bench.million:,} by selector: changed exactly", changed)
    yield row(f"{verb} {bench.million:,} by selector: per second", changed / seconds, "/s")
    yield row(f"{verb} {bench.million:,} by selector: different counts seen while it ran", looks)


class Job:
    """A bulk verb at work in the daemon, which is asked for its counts at most every 50 ms."""

    def __init__(self, daemon, verb, selector):
        self._daemon = daemon
        self._started = self._asked = time.monotonic()
        self._job = daemon.ask("POST", f"/v1/messages/{verb}", {"selector": selector, "wait": False})
        self.progress = set()
        self.seconds = 0.0

    def ended(self):
        if self._job["state"] == "running" and time.monotonic() - self._asked > 0.05:
            self._asked = time.monotonic()
            self._job = self._daemon.ask("GET", f"/v1/jobs/{self._job['job']}")
            self.progress.add(self._job["changed"])
            self.seconds = self._asked - self._started
        if self._job["state"] == "failed":
            raise Failed(f"the verb failed: {self._job['error']}")
        return self._job["state"] != "running"

    @property
    def matched(self):
        return self._job["matched"]

    @property
    def changed(self):
        return self._job["changed"]
