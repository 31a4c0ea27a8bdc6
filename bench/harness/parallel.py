"""Mail to a healthy destination for as long as something else goes on."""

import time

from harness.processes import Load


class Stream:
    """Relays chunk after chunk, each whole before the next, so that no backlog builds up."""

    def __init__(self, daemon, sink, chunk):
        self._daemon, self._sink, self._chunk = daemon, sink, chunk
        self.chunks = 0  # of the run that goes on, or was the last

    def run(self, ended):
        """Messages per second that arrived until `ended()` was true; it is asked again and again. The chunk
        that is under way then is let through, and what comes after the end does not count."""
        before = self._sink.arrivals()
        started = stopped = time.monotonic()
        arrived = self.chunks = 0
        over = False
        while not over:
            load = Load(self._daemon.smtp_port, self._chunk)
            while True:
                seen = self._sink.arrivals().messages - before.messages
                if not over:
                    arrived, stopped = seen, time.monotonic()
                    over = ended()
                if seen >= (self.chunks + 1) * self._chunk:
                    break
                time.sleep(0.005)
            load.result()
            self.chunks += 1
        return arrived / (stopped - started)
