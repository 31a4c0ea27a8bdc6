"""The measurement that most parts repeat: so many messages through a relay, from the first connection of
the load generator until the last of them has arrived."""

import dataclasses

from harness import Failed
from harness.processes import Load


@dataclasses.dataclass(frozen=True)
class Relayed:
    rate: float             # messages per second, in and out
    cost: float             # milliseconds of processor time of the relay per message
    p50: float              # milliseconds from final dot to reply
    p99: float
    load_cost: float        # of the two tools
    sink_cost: float


def relay(daemon, sink, messages, *arguments, timeout=300, recipients=1, copies=None, others=False, **load):
    """Through `daemon`, which delivers to `sink`. `copies`: messages that arrive for one that was accepted
    (recipients at several destinations get one each). `others`: mail for other sinks is under way too."""
    expected = messages * (copies or 1)
    before, processor = sink.arrivals(), daemon.processor_seconds()
    if recipients != 1:
        arguments += ("--recipients", recipients)
    sent = Load(daemon.smtp_port, messages, *arguments, **load).result(timeout)
    after = sink.wait_for(before.messages + expected, timeout)
    if not others:
        daemon.wait_until_nothing_in_flight()
    processor = daemon.processor_seconds() - processor
    return relayed(before, after, sent, expected, processor)


def alone(sink, messages, **load):
    """The same load straight into the sink: what the two tools cost themselves."""
    before = sink.arrivals()
    sent = Load(sink.port, messages, **load).result()
    return relayed(before, sink.wait_for(before.messages + messages, 60), sent, messages, 0)


def relayed(before, after, sent, expected, processor):
    arrived = after.messages - before.messages
    if arrived != expected:
        raise Failed(f"{arrived} messages arrived, not {expected}")
    sink_seconds = after.processor_seconds - before.processor_seconds
    tools = sent.processor_seconds + sink_seconds
    cost = (processor or tools) * 1000 / sent.messages
    return Relayed(sent.messages / (after.last - sent.started), cost, sent.p50, sent.p99,
                   sent.processor_seconds * 1000 / sent.messages, sink_seconds * 1000 / sent.messages)
