"""A daemon with a million messages that wait, deferred for real, and mail for a healthy destination that
passes them.

    d1.g0.deep.example ... d100.g9.deep.example   1,000 destinations whose host answers 451 to every recipient
    healthy.example                               goes to a sink that takes everything
    load.example                                  the senders' domain: notices go to a sink of their own

The spool is filled once and serves several parts; what of it is there is written beside it, so that a part
asked for alone fills what it needs.
"""

import json
import shutil
import time

from harness import Failed
from harness.processes import Load, Mansiod, Sink

GROUPS = 10

# Long enough that nothing deferred is tried again while something is measured.
TABLES = {"retry": {"min": "12h", "max": "12h"}}


def destinations(name, number=1000):
    """`number` destinations in ten groups, which selectors can name one by one: *.g0.NAME.example."""
    return ",".join(f"d{{1..{number // GROUPS}}}.g{group}.{name}.example" for group in range(GROUPS))


class DeepQueue:
    """Use it with `with`: the daemon runs inside."""

    def __init__(self, bench, name="deep", size="4KiB"):
        self.bench, self.size = bench, size
        self.folder = bench.folder / f"queue-{name}"
        self._state = self.folder / "holds.json"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.holds = json.loads(self._state.read_text()) if self._state.exists() else {}
        # Without it the spool is not to be trusted: a part that breaks off leaves it so.
        self._state.unlink(missing_ok=True)
        if not self.holds:
            shutil.rmtree(self.folder / "spool", ignore_errors=True)
        self.sink, self.notices = Sink(), Sink()
        self.refusing = Sink("phase=rcpt code=451 text=4.2.1 Not now")
        routes = {"healthy.example": self.sink, "load.example": self.notices, "*": self.refusing}
        self.daemon = Mansiod(self.folder, routes, tables=TABLES)

    def __enter__(self):
        self.daemon.start()
        return self

    def __exit__(self, kind, *rest):
        self.daemon.__exit__(kind, *rest)
        for sink in (self.sink, self.notices, self.refusing):
            sink.stop()
        if kind is None and self.holds:
            self._state.write_text(json.dumps(self.holds))
        else:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def queued(self):
        return sum(self.holds.values())

    def fill(self, name, messages, domains, timeout=1800):
        """Adds `messages` to the `name` group of destinations, and waits until each was deferred."""
        deferred = self.daemon.status()["queue"]["deferrals"]
        started = time.monotonic()
        sent = Load(self.daemon.smtp_port, messages, size=self.size, domains=domains).result(timeout)
        self._wait_deferred(deferred + messages, started + timeout)
        self.holds[name] = self.holds.get(name, 0) + messages
        self.check()
        seconds = time.monotonic() - started
        self.bench.note(f"{messages:,} messages deferred in {seconds:.0f} s, accepted in {sent.seconds:.0f} s; "
                        f"{self.queued:,} are queued")
        return sent.seconds, seconds

    def _wait_deferred(self, deferrals, end):
        while self.daemon.status()["queue"]["deferrals"] < deferrals:
            if time.monotonic() > end:
                raise Failed(f"only {self.daemon.status()['queue']['deferrals']} of {deferrals} were deferred")
            time.sleep(0.1)
        self.daemon.wait_until_nothing_in_flight()

    def gone(self, name, timeout=600):
        """The part has ended that group's mail; what that brought about is waited for."""
        del self.holds[name]
        end = time.monotonic() + timeout
        while self.daemon.summary()["queued"] > self.queued and time.monotonic() < end:
            time.sleep(0.1)
        self.check()

    def check(self):
        queued = self.daemon.summary()["queued"]
        if queued != self.queued:
            raise Failed(f"{queued} recipients are queued, not {self.queued}")
