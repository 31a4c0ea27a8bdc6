"""Postfix's smtp-source as client and smtp-sink, with its ways to misbehave, as next hop."""

import collections

import pytest

from counts import totals, wait_for_settled
from daemon import free_port
from peers import smtp_source

SENDER = "ann@sender.example"
QUICK = {"retry": {"min": "300ms", "max": "300ms"}, "timeouts": {"idle": "1s"}}
LARGE = b"Subject: large\r\n\r\n" + b"".join(b"%07d ..............................\r\n" % line
                                           for line in range(25000))


def tried(daemon):
    """The last replies of queued recipients that were tried: {address: (stage, code)}."""
    return {recipient["address"]: (recipient["last_reply"]["stage"], recipient["last_reply"]["code"])
            for message in daemon.get("/v1/messages")["messages"] for recipient in message["recipients"]
            if recipient["last_reply"]}


# ---- load -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_2000_messages_of_20_sessions(make_daemon, make_smtp_sink, protocol):
    lmtp = ["-L"] if protocol == "lmtp" else []
    sink = make_smtp_sink(*lmtp)
    port = free_port()
    daemon = make_daemon(next_hop=[sink.endpoint], tables={'route."*"': {"channel": protocol}}, listeners=[
        {"protocol": protocol, "address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"]}])
    result = smtp_source(port, *lmtp, "-s", 20, "-m", 2000, "-l", 2000, "-N",
                         "-f", SENDER, "-t", "user@dest.example")
    assert result.returncode == 0, result.stderr
    wait_for_settled(daemon)
    assert totals(daemon) == {"accepted": 2000, "delivered": 2000, "failed": 0, "queued": 0}
    arrived = sink.transactions()
    assert len(arrived) == 2000
    assert {sender for sender, _, _ in arrived} == {SENDER}
    recipients = collections.Counter(address for _, addresses, _ in arrived for address in addresses)
    assert len(recipients) == 2000 and set(recipients.values()) == {1}
    # Our Received field stands on top, and the body is what smtp-source sends.
    assert all(content.startswith(b"Received: from ") for _, _, content in arrived)
    assert len({content.partition(b"\n\n")[2] for _, _, content in arrived}) == 1
    daemon.stop()


def test_sessions_that_are_reused_and_messages_of_many_recipients(make_daemon, make_smtp_sink):
    sink = make_smtp_sink()
    daemon = make_daemon(next_hop=[sink.endpoint])
    result = smtp_source(daemon.smtp_port, "-d", "-s", 5, "-m", 100, "-r", 30, "-l", 60000,
                         "-f", SENDER, "-t", "user@dest.example")
    assert result.returncode == 0, result.stderr
    wait_for_settled(daemon)
    assert totals(daemon) == {"accepted": 3000, "delivered": 3000, "failed": 0, "queued": 0}
    arrived = sink.transactions()
    assert sum(len(addresses) for _, addresses, _ in arrived) == 3000
    assert len(arrived) == 100  # a transaction for all recipients of a message


# ---- next hops that refuse, hang up or are strange --------------------------------------------------


def routes(sinks, **tables):
    """Tables of a daemon with a route to each of `sinks`, {destination: SmtpSink}."""
    return {**QUICK, **tables,
            **{f'route."{destination}"': {"next_hop": [sink.endpoint]} for destination, sink in sinks.items()}}


def arrived_at(sink):
    return sorted(address for _, addresses, _ in sink.transactions() for address in addresses)


def test_trouble_that_passes_is_survived(make_daemon, make_smtp_sink):
    """-r answers 450, -q hangs up, -Q says 421 and hangs up: each defers, and nothing is lost or
    delivered twice once the next hop is well."""
    commands = ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."]
    options = [(option, command) for option in ("-r", "-q", "-Q") for command in commands]
    options.remove(("-Q", "CONNECT"))  # which smtp-sink does not do
    options.append(("-r", "EHLO,HELO"))
    sinks = {f"d{number}.example": make_smtp_sink(*option) for number, option in enumerate(options)}
    daemon = make_daemon(tables=routes(sinks))
    expected = {}
    for destination in sinks:
        expected[destination] = [f"user{number}@{destination}" for number in range(3)]
        daemon.submit(SENDER, expected[destination])
    count = 3 * len(sinks)
    replies = daemon.wait_until(lambda: len(seen := tried(daemon)) == count and seen,
                                what="a try of each recipient")
    assert {code // 100 for _, code in replies.values()} == {4}
    assert totals(daemon) == {"accepted": count, "delivered": 0, "failed": 0, "queued": count}
    for destination, bad in sinks.items():
        bad.close()
        sinks[destination] = make_smtp_sink(port=bad.port)
    wait_for_settled(daemon)
    assert totals(daemon) == {"accepted": count, "delivered": count, "failed": 0, "queued": 0}
    assert {destination: arrived_at(sink) for destination, sink in sinks.items()} == expected
    daemon.stop()


def test_a_refusal_for_good_fails(make_daemon, make_smtp_sink):
    """Senders live where the refusals come from, so that the notices fail there too, and end."""
    sinks = {f"d{number}.example": make_smtp_sink("-f", command, *plain) for number, (command, plain) in
             enumerate((command, plain) for command in ("MAIL", "RCPT", "DATA", ".") for plain in ([], ["-E"]))}
    daemon = make_daemon(tables=routes(sinks))
    for destination in sinks:
        daemon.submit(f"ann@{destination}", [f"bob@{destination}", f"carol@{destination}"])
    wait_for_settled(daemon)
    count = 3 * len(sinks)
    assert totals(daemon) == {"accepted": count, "delivered": 0, "failed": count, "queued": 0}
    assert daemon.log().count('reply="500 ') + daemon.log().count("code=500") >= count
    daemon.stop()


STRANGE = [
    ["-f", "QUIT"], ["-q", "QUIT"], ["-r", "QUIT"], ["-W", "QUIT:60"], ["-f", "RSET"], ["-q", "RSET"],
    ["-f", "EHLO"],  # HELO is left
    ["-e"], ["-p"], ["-8"], ["-E"], ["-N"], ["-P"], ["-8", "-a", "-E", "-N", "-p"],
    ["-w", "1"], ["-p", "-W", "MAIL:1"], ["-p", "-W", "RCPT:1"], ["-W", ".:1"], ["-m", "1"],
]


def test_strange_next_hops_get_everything_once(make_daemon, make_smtp_sink):
    sinks = {f"d{number}.example": make_smtp_sink(*options) for number, options in enumerate(STRANGE)}
    daemon = make_daemon(tables=routes(
        sinks, timeouts={"quit": "500ms", "idle": "300ms"}, **{'destination."*"': {"connections": 2}}))
    expected = {}
    for destination in sinks:
        expected[destination] = [f"user{number}@{destination}" for number in range(6)]
        for number in range(0, 6, 2):
            daemon.submit(SENDER, expected[destination][number:number + 2])
    wait_for_settled(daemon)
    count = 6 * len(sinks)
    assert totals(daemon) == {"accepted": count, "delivered": count, "failed": 0, "queued": 0}
    assert {destination: arrived_at(sink) for destination, sink in sinks.items()} == expected
    daemon.stop()


# ---- slow ones ------------------------------------------------------------------------------------


def test_a_next_hop_that_never_answers_is_given_up(make_daemon, make_smtp_sink):
    stages = {"MAIL": "mail", "RCPT": "rcpt", "DATA": "data", ".": "final_dot"}
    # Without -p, smtp-sink mixes up replies that it delays.
    sinks = {f"d{number}.example": make_smtp_sink("-p", "-W", f"{command}:100")
             for number, command in enumerate(stages)}
    daemon = make_daemon(tables=routes(
        sinks, retry={"min": "1h", "max": "1h"}, log={"level": "debug"},
        timeouts={stage: "300ms" for stage in stages.values()}))
    for destination in sinks:
        daemon.submit(SENDER, [f"bob@{destination}"])
    replies = daemon.wait_until(lambda: len(seen := tried(daemon)) == 4 and seen, what="a try of each")
    assert sorted(replies.values()) == sorted((stage, 451) for stage in stages.values())
    assert totals(daemon)["queued"] == 4
    assert daemon.log().count("may_be_duplicate=true") == 1  # after the final dot
    daemon.stop()


@pytest.mark.parametrize("options", [["-T", "1024"], ["-T", "2048", "-H", "1"]], ids=" ".join)
def test_a_narrow_window_takes_a_large_message(make_daemon, make_smtp_sink, options):
    sink = make_smtp_sink(*options)
    daemon = make_daemon(next_hop=[sink.endpoint])
    daemon.submit(SENDER, ["bob@dest.example"], LARGE)
    wait_for_settled(daemon)
    ((_, _, content),) = sink.transactions()
    assert content.endswith(LARGE.replace(b"\r\n", b"\n"))
    daemon.stop()


def test_a_refusal_while_the_data_is_on_its_way(make_daemon, make_smtp_sink):
    """-A 0 answers DATA with 354, then 550 at once and hangs up, while we still write."""
    sink = make_smtp_sink("-A", "0")
    daemon = make_daemon(next_hop=[sink.endpoint], tables={"retry": {"min": "1h", "max": "1h"}})
    daemon.submit(SENDER, ["bob@dest.example"], LARGE)
    daemon.wait_until(lambda: tried(daemon) or daemon.summary()["failed"], what="a try")
    assert totals(daemon)["delivered"] == 0
    daemon.stop()
