"""Large messages beside small ones."""

from harness import Failed
from harness.bench import part
from harness.figures import at_most, row
from harness.processes import Load, Sink

SMALL_PER_SECOND = 200
LARGE_PER_SECOND = 4  # of 10 MiB: 40 MB/s


@part("mixed", "40 MB/s of 10 MiB messages beside small ones")
def measure_mixed(bench):
    seconds = 1 if bench.quick else 5
    with Sink() as small, Sink() as large:
        daemon = bench.mansiod("mixed", {"*": small, "large.example": large})
        with daemon:
            def beside():
                many = seconds * LARGE_PER_SECOND
                before = large.arrivals().messages
                load = Load(daemon.smtp_port, many, "--rate", f"{LARGE_PER_SECOND}/s", sessions=8, size="10MiB",
                            domains="large.example")
                sent = small_ones(daemon, small, seconds)
                rate = load.result()
                large.wait_for(before + many, 60)
                if many / rate.seconds < 0.8 * LARGE_PER_SECOND:
                    raise Failed(f"the large messages were taken at {many / rate.seconds * 10:.0f} MiB/s only")
                return sent.p99

            pairs = bench.pairs("p99 of small messages beside large ones and alone, ms", beside,
                                lambda: small_ones(daemon, small, seconds).p99)
    bench.forget(daemon)
    yield row("small messages beside 40 MB/s of 10 MiB: p99 against alone", [with_ / without for with_, without in pairs],
              "x", at_most(2))
    yield row("small messages beside 40 MB/s: p99", [with_ for with_, _ in pairs], "ms")
    yield row("small messages alone: p99", [without for _, without in pairs], "ms")


def small_ones(daemon, sink, seconds):
    messages = seconds * SMALL_PER_SECOND
    before = sink.arrivals().messages
    sent = Load(daemon.smtp_port, messages, "--rate", f"{SMALL_PER_SECOND}/s", sessions=16).result()
    sink.wait_for(before + messages, 60)
    return sent
