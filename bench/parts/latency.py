"""How long a client waits for its reply, and how long one message takes on an idle machine."""

import json
import time

from harness import Failed, machine
from harness.bench import part
from harness.figures import at_most, percentile, row
from harness.processes import Load, Sink
from harness.relay import relay


@part("latency", "final dot to reply at 1,000 messages/s")
def measure_latency(bench):
    rate = 1000
    messages = bench.count(5000)
    bare, runs = [], []
    with Sink() as sink:
        daemon = bench.mansiod("latency", {"*": sink})
        with daemon:
            relay(daemon, sink, messages, "--rate", f"{rate}/s")
            for _ in range(bench.rounds):
                bare += machine.sync_times(bench.folder, 1000)
                runs.append(relay(daemon, sink, messages, "--rate", f"{rate}/s"))
                if runs[-1].rate < rate * 0.9:
                    raise Failed(f"the load was not taken at {rate}/s but at {runs[-1].rate:.0f}/s")
                bench.note(f"latency: p50 {runs[-1].p50:.2f} ms, p99 {runs[-1].p99:.2f} ms")
    bench.forget(daemon)
    bench.keep("latency", runs)
    bare_p99 = percentile(bare, 0.99)
    yield row("accept at 1,000/s: p50", [run.p50 for run in runs], "ms", at_most(2))
    yield row("accept at 1,000/s: p99", [run.p99 for run in runs], "ms", at_most(max(10, 5 * bare_p99)))
    yield row("accept at 1,000/s: CPU per message", [run.cost for run in runs], "ms")
    yield row("bare fdatasync between these runs: p50", percentile(bare, 0.5), "ms")
    yield row("bare fdatasync between these runs: p99", bare_p99, "ms")


def times_by_token(path, name):
    return {line["token"]: line[name] for line in map(json.loads, path.read_text().splitlines())}


def one_at_a_time(bench, tables, per_second):
    """Milliseconds from the final dot to the arrival at the sink, and from the reply to it."""
    messages = bench.count(200)
    sent, arrived = bench.folder / "sent.jsonl", bench.folder / "arrived.jsonl"
    sink = Sink(arguments=["--record", arrived])
    daemon = bench.mansiod("one", {"*": sink}, tables=tables)
    with sink, daemon:
        time.sleep(1)
        Load(daemon.smtp_port, messages, "--rate", f"{per_second}/s", "--record", sent, sessions=1).result()
        sink.wait_for(messages, 30)
    bench.forget(daemon)
    arrivals = times_by_token(arrived, "at")
    dots, replies = times_by_token(sent, "dot"), times_by_token(sent, "at")
    if set(arrivals) != set(dots):
        raise Failed(f"{len(dots)} messages were sent, {len(arrivals)} arrived")
    return ([(at - dots[token]) * 1000 for token, at in arrivals.items()],
            [(at - replies[token]) * 1000 for token, at in arrivals.items()])


@part("alone", "one message alone on an idle machine, accept to arrival")
def measure_alone(bench):
    per_second = 100 if bench.quick else 20
    from_dot, from_reply = one_at_a_time(bench, None, per_second)
    cold, _ = one_at_a_time(bench, {"timeouts": {"idle": "5ms"}}, per_second)
    bench.keep("alone", [from_dot, from_reply, cold])
    yield row("one message alone: final dot to arrival", from_dot, "ms", at_most(5))
    yield row("one message alone: final dot to arrival, p99", percentile(from_dot, 0.99), "ms")
    yield row("one message alone: reply to arrival", from_reply, "ms")
    yield row("one message alone, new connection to the next hop: final dot to arrival", cold, "ms")
