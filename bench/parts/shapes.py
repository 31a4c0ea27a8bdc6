"""Mail of other shapes: nothing to reach, but nothing may collapse either."""

from harness.bench import part
from harness.figures import row
from harness.processes import Load, Sink
from harness.relay import relay

ROUNDS = 3


def several(bench, what, measure):
    """Rows of one shape: throughput and processor time."""
    measure()
    runs = [measure() for _ in range(ROUNDS)]
    bench.note(f"{what}: {runs[-1].rate:,.0f}/s, {runs[-1].cost * 1000:,.0f} us")
    return [row(f"{what}: messages per second", [run.rate for run in runs], "/s"),
            row(f"{what}: CPU per message", [run.cost for run in runs], "ms")]


@part("shapes", "other sizes, recipients, destinations, sessions, and trouble")
def measure_shapes(bench):
    with Sink() as sink:
        daemon = bench.mansiod("shapes", {"*": sink})
        with daemon:
            for size, messages in (("1KiB", 20000), ("10KiB", 20000), ("100KiB", 3000), ("10MiB", 40)):
                messages = min(messages, bench.count(messages))
                yield from several(bench, f"{size} each",
                                   lambda: relay(daemon, sink, messages, size=size, sessions=min(64, messages)))
            for sessions, messages in ((1, 2000), (16, 10000), (256, 20000), (2000, 20000)):
                yield from several(bench, f"{sessions} sessions",
                                   lambda: relay(daemon, sink, bench.count(messages), sessions=sessions))
            messages = bench.count(1000)
            yield from several(bench, "50 recipients at one destination",
                               lambda: relay(daemon, sink, messages, recipients=50))
            yield from several(bench, "50 recipients at 50 destinations",
                               lambda: relay(daemon, sink, messages, recipients=50, copies=50,
                                             domains="d{1..50}.example"))
            many = round(bench.million / 10)
            yield from several(bench, f"{many:,} destinations of one message",
                               lambda: relay(daemon, sink, many, domains=f"d{{1..{many}}}.many.example"))
        bench.forget(daemon)
    yield from beside_a_tarpit(bench)
    yield from with_deferrals(bench)


def beside_a_tarpit(bench):
    """Nine healthy destinations while a tenth takes five seconds for every reply."""
    messages = bench.count(20000)
    with Sink() as sink, Sink("phase=rcpt delay=5s", "phase=dot delay=5s") as slow:
        daemon = bench.mansiod("tarpit", {"*": sink, "tarpit.example": slow})
        with daemon:
            Load(daemon.smtp_port, messages, domains="tarpit.example").result()
            yield from several(bench, "nine healthy destinations beside a tarpit",
                               lambda: relay(daemon, sink, messages, domains="h{1..9}.example", others=True))
            daemon.kill()  # the tarpit's mail would take hours
        bench.forget(daemon)


def with_deferrals(bench):
    """One recipient of ten is told to come again, and does a second later; the rate is that of all."""
    messages = bench.count(20000)
    tables = {"retry": {"min": "1s", "max": "1s", "factor": 1.0}}
    with Sink("phase=rcpt code=451 share=0.1 text=4.2.1 Not now") as sink:
        daemon = bench.mansiod("deferrals", {"*": sink}, tables=tables)
        with daemon:
            yield from several(bench, "10 % 4xx, tried again after 1 s", lambda: relay(daemon, sink, messages))
        bench.forget(daemon)
