"""A million messages wait, deferred: what does that cost everything else?"""

import subprocess
import threading
import time

from harness import BIN, Failed
from harness.bench import part
from harness.deep_queue import DeepQueue, destinations
from harness.figures import at_least, at_most, percentile, ratios, row
from harness.processes import Load, Sink
from harness.relay import relay

MIB = 2**20

# Depths at which the charts have points, in millions.
DEPTHS = (0, 0.1, 0.25, 0.5, 1)


def fill_to_a_million(bench, queue, at_depth=lambda: None):
    """In steps, with a look at each depth of the charts."""
    from_nothing = not queue.holds
    for depth in DEPTHS:
        missing = round(depth * bench.million) - queue.holds.get("deep", 0)
        if missing > 0:
            queue.fill("deep", missing, destinations("deep"))
        at_depth()
    if from_nothing:
        bench.shared["filled one million"], _ = queue.daemon.settled_memory(bench.quiet)


@part("deep", "a healthy destination, memory and start while a million messages wait")
def measure_deep(bench):
    messages = bench.count(20000)
    points = []

    with DeepQueue(bench) as queue, Sink() as other:
        def at_depth():
            rates = [relay(queue.daemon, queue.sink, messages).rate for _ in range(3)]
            resident, _ = queue.daemon.settled_memory(bench.quiet)
            points.append({"depth": queue.queued, "rates": rates, "resident": resident})
            bench.note(f"depth {queue.queued:,}: {max(rates):,.0f}/s, {resident / MIB:.0f} MiB")

        fill_to_a_million(bench, queue, at_depth)
        resident, anonymous = queue.daemon.settled_memory(bench.quiet)
        with bench.mansiod("empty", {"*": other}) as empty:
            pairs = bench.pairs("deep against empty", lambda: relay(queue.daemon, queue.sink, messages),
                                lambda: relay(empty, other, messages))
        bench.forget(empty)
        yield row(f"healthy destination, {bench.million:,} deferred against empty: throughput", ratios(pairs, "rate"), "x",
                  at_least(0.95))
        yield row(f"healthy destination, {bench.million:,} deferred against empty: CPU (empty / deep)",
                  [empty.cost / deep.cost for deep, empty in pairs], "x", at_least(0.95))
        yield row(f"resident memory, {bench.million:,} queued", resident / MIB, "MiB", at_most(256))
        yield row("of that anonymous", anonymous / MIB, "MiB")
        yield from summary_under_load(bench, queue)
        queue.check()
    bench.charts["depth"] = points


def summary_under_load(bench, queue):
    """The command as an operator runs it, and the request alone, while mail goes through at full speed."""
    load = Load(queue.daemon.smtp_port, bench.count(60000))
    command, request = [], []
    before = queue.sink.arrivals().messages
    while load.process.poll() is None:
        command.append(timed(lambda: summary_command(queue.daemon)))
        request.append(timed(queue.daemon.summary))
        time.sleep(0.005)
    sent = load.result()
    queue.sink.wait_for(before + sent.messages, 120)
    yield row("mansio summary under load", command, "ms", at_most(20))
    yield row("mansio summary under load, p99", percentile(command, 0.99), "ms")
    yield row("the request alone, p99", percentile(request, 0.99), "ms")


def summary_command(daemon):
    done = subprocess.run([BIN / "mansio", "--admin", daemon.admin, "summary"], capture_output=True, text=True,
                          timeout=60, check=False)
    if done.returncode != 0:
        raise Failed(f"mansio summary: exit {done.returncode}: {done.stdout}{done.stderr}")


def timed(work):
    start = time.perf_counter()
    work()
    return (time.perf_counter() - start) * 1000


@part("start", "start to first delivery with a million queued, after a stop and after kill -9")
def measure_start(bench):
    with DeepQueue(bench) as queue:
        fill_to_a_million(bench, queue)
        stopped, killed = [], []
        for _ in range(bench.rounds):
            with_backlog(bench, queue, queue.daemon.stop)
            stopped.append(time_to_first_delivery(queue))
            with_backlog(bench, queue, queue.daemon.kill)
            killed.append(time_to_first_delivery(queue))
            bench.note("start: " + ", ".join(f"{first:.2f} s to the first delivery, {ready:.2f} s to ready"
                                             for first, ready in (stopped[-1], killed[-1])))
        queue.check()
    bench.keep("start", [stopped, killed])
    yield row("start to first delivery, after a clean stop", [first for first, _ in stopped], "s", at_most(2))
    yield row("start to first delivery, after kill -9 under load", [first for first, _ in killed], "s", at_most(2))
    yield row("start to ready, after a clean stop", [ready for _, ready in stopped], "s")
    yield row("start to ready, after kill -9 under load", [ready for _, ready in killed], "s")


def with_backlog(bench, queue, end):
    """Ends the daemon in the middle of a load, so that mail is due when it starts again."""
    load = Load(queue.daemon.smtp_port, 10_000_000)
    time.sleep(0.3 if bench.quick else 1)
    end()
    load.stop()


def time_to_first_delivery(queue):
    """(Seconds from exec to the first arrival of anything, seconds to ready). What was left over is due at
    once, and one more message goes in as soon as the daemon answers."""
    time.sleep(0.1)  # what the sink had in its buffers
    before = queue.sink.arrivals()
    started = queue.daemon.spawn()
    ready = []

    def watch():
        while not queue.daemon.ready():
            time.sleep(0.005)
        ready.append(time.monotonic() - started)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        load = Load(queue.daemon.smtp_port, 1, "--connect-timeout", "60", sessions=1)
        arrived = queue.sink.wait_for(before.messages + 1, 120, pause=0.002)
        load.result()
    finally:
        watcher.join(120)
    if not ready:
        raise Failed("the daemon did not get ready after its start:\n" + queue.daemon.log())
    wait_until_only_the_deep_wait(queue)
    return arrived.fresh - started, ready[0]


def wait_until_only_the_deep_wait(queue, timeout=300):
    end = time.monotonic() + timeout
    while queue.daemon.summary()["queued"] != queue.queued:
        if time.monotonic() > end:
            raise Failed(f"{queue.daemon.summary()['queued']} recipients stay queued, not {queue.queued}")
        time.sleep(0.02)


@part("growth", "memory from one to two million")
def measure_growth(bench):
    """Compared alike with alike: two daemons that have just started and relayed some mail, and two that have
    taken in all that waits."""
    with DeepQueue(bench) as queue:
        fill_to_a_million(bench, queue)
        filled_one = bench.shared.get("filled one million")
        restart(queue)
        started_one, _ = warm_memory(bench, queue)
        if "more" not in queue.holds:
            queue.fill("more", bench.million, destinations("more"))
        filled_two, anonymous = queue.daemon.settled_memory(bench.quiet)
        restart(queue)
        started_two, _ = warm_memory(bench, queue)
        rates = [relay(queue.daemon, queue.sink, bench.count(20000)).rate for _ in range(3)]
    bench.charts["depth"] = [{"depth": 2 * bench.million, "rates": rates, "resident": filled_two}]
    yield row(f"resident memory, {2 * bench.million:,} queued", filled_two / MIB, "MiB")
    yield row("of that anonymous", anonymous / MIB, "MiB")
    yield row(f"growth of resident memory from {bench.million:,} to {2 * bench.million:,}, both just started",
              (started_two / started_one - 1) * 100, "%", at_most(5))
    if filled_one:
        yield row(f"growth of resident memory from {bench.million:,} to {2 * bench.million:,}, both just filled",
                  (filled_two / filled_one - 1) * 100, "%", at_most(5))


def restart(queue):
    queue.daemon.stop()
    queue.daemon.start()


def warm_memory(bench, queue):
    for _ in range(3):
        relay(queue.daemon, queue.sink, bench.count(20000))
    return queue.daemon.settled_memory(bench.quiet)
