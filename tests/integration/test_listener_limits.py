"""What a listener does to clients that ask for too much or send what must not be sent: a definite reply
each, over real sockets, and nothing queued."""

import json
import re
import smtplib
import socket
import time

import pytest

from daemon import free_port
from peer import make_certificate

HOLD = {'route."*"': {"channel": "hold", "next_hop": []}}


class Client:
    """A bare connection; says what it is told to, octet for octet."""

    def __init__(self, node, source=None, greet=True, port=None):
        self.socket = socket.create_connection(("127.0.0.1", port or node.smtp_port), 20,
                                               source_address=(source, 0) if source else None)
        self.lines = self.socket.makefile("rb")
        if greet:
            assert self.reply().startswith("220 ")

    def reply(self):
        """The last line of one reply; "" at the end of the connection."""
        while True:
            try:
                line = self.lines.readline().decode()
            except ConnectionError:
                return ""
            if line[3:4] != "-":
                return line.rstrip("\r\n")

    def say(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode() + b"\r\n")

    def ask(self, octets):
        self.say(octets)
        return self.reply()

    def to_data(self):
        assert self.ask("EHLO client.test.example").startswith("250 ")
        assert self.ask("MAIL FROM:<a@a.example>").startswith("250 ")
        assert self.ask("RCPT TO:<b@b.example>").startswith("250 ")
        assert self.ask("DATA").startswith("354 ")
        return self

    def rest(self):
        """All that comes until the server closes."""
        replies = []
        while reply := self.reply():
            replies.append(reply)
        return replies

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.lines.close()
        self.socket.close()


# ---- who may connect, and relay --------------------------------------------------------------------


def test_connections_of_a_client_beyond_the_limit_hear_421_at_once(make_daemon):
    node = make_daemon(tables={**HOLD, "limits": {"connections_per_client": 3}})
    held = [Client(node) for _ in range(3)]
    begun = time.monotonic()
    with Client(node, greet=False) as refused:
        assert refused.reply().startswith("421 4.3.2 ")
        assert refused.reply() == ""
    assert time.monotonic() - begun < 1
    with Client(node, source="127.0.0.2"):  # another client is not concerned
        pass
    assert held[0].ask("NOOP").startswith("250 ")
    for client in held:
        assert client.ask("QUIT").startswith("221 ")
        client.__exit__()
    node.wait_until(lambda: node.submit("a@a.example", ["b@b.example"]), what="room again")


def test_connections_of_all_beyond_the_limit_hear_421(make_daemon):
    node = make_daemon(tables={**HOLD, "limits": {"connections": 2}})
    with Client(node), Client(node, source="127.0.0.2"), Client(node, source="127.0.0.3", greet=False) as refused:
        assert refused.reply().startswith("421 4.3.2 ")


def test_relaying_is_for_relay_from_only(make_daemon):
    node = make_daemon(start=False, tables=HOLD)
    node.tables["[[listener]]"][0]["relay_from"] = ["127.0.0.1/32"]
    node.start()
    with Client(node, source="127.0.0.2") as stranger:
        stranger.ask("EHLO x")
        assert stranger.ask("MAIL FROM:<a@a.example>").startswith("250 ")
        assert stranger.ask("RCPT TO:<b@b.example>").startswith("550 5.7.1 ")
        assert stranger.ask("DATA").startswith(("503 ", "554 "))
    with Client(node) as friend:
        friend.to_data()
        assert friend.ask(b"Subject: x\r\n\r\nbody\r\n.\r\n").startswith("250 ")
    assert node.summary()["accepted"] == 1


# ---- limits of a transaction -----------------------------------------------------------------------


def test_recipients_beyond_the_limit_get_452_and_the_others_their_mail(make_daemon):
    node = make_daemon(tables={**HOLD, "limits": {"recipients": 5}})
    with Client(node) as client:
        client.ask("EHLO x")
        client.ask("MAIL FROM:<a@a.example>")
        replies = [client.ask(f"RCPT TO:<r{i}@b.example>") for i in range(8)]
        assert [reply[:10] for reply in replies] == ["250 2.1.5 "] * 5 + ["452 4.5.3 "] * 3
        assert client.ask("DATA").startswith("354 ")
        assert client.ask(b"Subject: x\r\n\r\nbody\r\n.\r\n").startswith("250 ")
    assert node.summary()["accepted"] == 5


def test_size_is_refused_as_announced_and_as_counted(make_daemon):
    node = make_daemon(tables={**HOLD, "limits": {"message": "64KiB"}})
    with Client(node) as client:
        client.ask("EHLO x")
        assert client.ask(f"MAIL FROM:<a@a.example> SIZE={65 << 10}").startswith("552 5.3.4 ")
        assert client.ask("MAIL FROM:<a@a.example> SIZE=-1").startswith("501 ")
        assert client.ask(f"MAIL FROM:<a@a.example> SIZE={1 << 64}").startswith(("501 ", "552 "))
        assert client.ask("MAIL FROM:<a@a.example> SIZE=10").startswith("250 ")  # a lie
        client.ask("RCPT TO:<b@b.example>")
        client.ask("DATA")
        client.say(b"Subject: x\r\n\r\n" + (b"y" * 70 + b"\r\n") * 1200)
        assert client.ask(b".\r\n").startswith("552 5.3.4 ")
        # The same connection goes on.
        assert client.ask("MAIL FROM:<a@a.example>").startswith("250 ")
        client.ask("RCPT TO:<b@b.example>")
        client.ask("DATA")
        assert client.ask(b"Subject: small\r\n\r\n.\r\n").startswith("250 ")
    assert node.summary()["accepted"] == 1


def test_errors_end_a_session_with_421(make_daemon):
    node = make_daemon(tables={**HOLD, "limits": {"errors_soft": 3, "errors_hard": 4}})
    with Client(node) as client:
        client.ask("EHLO x")
        replies = []
        begun = time.monotonic()
        while reply := client.ask("NONSENSE"):
            replies.append(reply[:3])
            if reply.startswith("421 "):
                break
        assert replies == ["500"] * 4 + ["421"]
        assert time.monotonic() - begun > 0.9  # slowed down after the soft limit
        assert client.reply() == ""


def test_a_command_line_without_end_is_cut(make_daemon):
    node = make_daemon(tables=HOLD)
    with Client(node) as client:
        client.ask("EHLO x")
        assert client.ask(b"NOOP " + b"x" * 5000 + b"\r\n").startswith("500 5.5.2 ")
        assert client.ask("NOOP").startswith("250 ")
        try:
            for _ in range(64):
                client.say(b"y" * 65536)
        except OSError:
            pass  # closed meanwhile
        else:
            assert client.ask(b"\r\n")[:4] in ("500 ", "421 ")


def test_messages_of_a_connection_are_limited(make_daemon):
    node = make_daemon(tables={**HOLD, "limits": {"messages_per_connection": 2}})
    with Client(node) as client:
        client.ask("EHLO x")
        for _ in range(2):
            client.ask("MAIL FROM:<a@a.example>")
            client.ask("RCPT TO:<b@b.example>")
            client.ask("DATA")
            assert client.ask(b"Subject: x\r\n\r\n.\r\n").startswith("250 ")
        assert client.ask("MAIL FROM:<a@a.example>").startswith("421 ")
        assert client.reply() == ""
    assert node.summary()["accepted"] == 2


# ---- what must not be sent -------------------------------------------------------------------------

SECOND = (b"MAIL FROM:<evil@a.example>\r\nRCPT TO:<victim@b.example>\r\nDATA\r\n"
          b"Subject: smuggled\r\n\r\nsmuggled\r\n")
ODD_ENDS = {"LF.LF": b"\n.\n", "LF.CRLF": b"\n.\r\n", "CRLF.LF": b"\r\n.\n", "CR.CR": b"\r.\r",
            "CRLF.CR": b"\r\n.\r", "CR.CRLF": b"\r.\r\n", "LF.CR": b"\n.\r", "NUL before": b"\r\n\0.\r\n",
            "NUL behind": b"\r\n.\0\r\n"}


@pytest.mark.parametrize("policy", ["reject", "normalize"])
def test_no_odd_end_of_data_smuggles_a_second_message(make_daemon, sink, policy):
    node = make_daemon(start=False, next_hop=[sink.endpoint])
    node.tables["[[listener]]"][0]["bare_newline"] = policy
    node.start()
    accepted = 0
    for name, end in ODD_ENDS.items():
        with Client(node) as client:
            client.to_data()
            client.say(b"Subject: first\r\n\r\nfirst" + end + SECOND + b".\r\nQUIT\r\n")
            replies = client.rest()
        accepted += sum(reply.startswith("250 2.0.0 Ok: queued") for reply in replies)
        # One answer to the data; nothing of what follows the odd end was taken for a command.
        assert len(replies) <= 2, (name, replies)
        if policy == "reject" or "NUL" in name:
            assert re.match(r"5\d\d ", replies[0]), (name, replies)
    summary = node.summary()
    assert summary["accepted"] == accepted
    assert accepted == 0 if policy == "reject" else accepted >= 1
    node.wait_until(lambda: node.summary()["queued"] == 0, what="deliveries")
    assert "victim@b.example" not in sink.recipients()
    for message in sink.messages:
        assert not re.search(rb"(\A|[^\r])\n|\r([^\n]|\Z)", message.content)


def test_commands_behind_the_final_dot_are_legal(make_daemon):
    node = make_daemon(tables=HOLD)
    with Client(node) as client:
        client.to_data()
        client.say(b"Subject: first\r\n\r\n.\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<c@c.example>\r\nDATA\r\n")
        assert [client.reply()[:3] for _ in range(4)] == ["250", "250", "250", "354"]
        assert client.ask(b"Subject: second\r\n\r\n.\r\n").startswith("250 ")
    assert node.summary()["accepted"] == 2


@pytest.mark.parametrize("octets", [
    b"EHLO x\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\nSubject: x\r\n\r\nbody\r\n.\r\n",
    b"HELO x\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n"],
    ids=["content before 354", "pipelining after HELO"])
def test_input_that_did_not_wait_is_refused(make_daemon, octets):
    node = make_daemon(tables=HOLD)
    with Client(node) as client:
        client.say(octets)
        replies = client.rest()
    assert replies[-1][:4] in ("554 ", "503 ", "421 "), replies
    assert node.summary()["accepted"] == 0


def test_commands_before_the_greeting_are_refused(make_daemon):
    node = make_daemon(tables=HOLD)
    outcomes = []
    # The greeting may win the race; then the commands were late enough to be legal.
    for _ in range(20):
        with Client(node, greet=False) as client:
            client.say(b"EHLO x\r\nMAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nDATA\r\n")
            client.say(b"Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n")
            outcomes.append(client.rest())
    assert not any("queued as" in reply for replies in outcomes for reply in replies)
    assert node.summary()["accepted"] == 0


def test_what_is_pipelined_behind_starttls_is_refused(make_daemon, tmp_path):
    certificate, key = make_certificate(tmp_path)
    port = free_port()
    node = make_daemon(tables=HOLD, listeners=[
        {"address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"], "tls": "starttls",
         "certificate": str(certificate), "key": str(key)}])
    with Client(node, port=port) as client:
        client.ask("EHLO x")
        client.say(b"STARTTLS\r\nMAIL FROM:<injected@a.example>\r\n")
        assert client.rest()[0].startswith("554 5.5.1 ")
    assert node.summary()["accepted"] == 0


@pytest.mark.parametrize("octets", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:25 HTTP/1.1\r\n\r\n",
                                    b"POST / HTTP/1.1\r\n\r\nMAIL FROM:<a@a.example>\r\n",
                                    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n"])
def test_another_protocol_hears_521(make_daemon, octets):
    node = make_daemon(tables=HOLD)
    with Client(node) as client:
        client.say(octets)
        replies = client.rest()
    assert [reply[:3] for reply in replies] == ["521"], replies
    node.wait_until(lambda: node.log().count(" connection_ended ") == 1, what="one line about it")


# ---- the reserve of the spool ----------------------------------------------------------------------


def test_below_the_reserve_nothing_is_taken_and_the_queue_drains(make_daemon, sink):
    sink.answers["rcpt"] = lambda _: "451 4.7.1 not yet"
    node = make_daemon(next_hop=[sink.endpoint], tables={"retry": {"min": "300ms", "max": "300ms"}})
    node.submit("a@a.example", ["b@b.example"])
    node.stop()
    node.tables["spool"]["reserve"] = "1000TiB"
    node.spawn()

    def ready_status():
        try:
            return node.request("GET", "/readyz")[0]
        except OSError:
            return None

    node.wait_until(lambda: ready_status() == 503, what="/readyz 503")
    assert node.request("GET", "/healthz")[0] == 200
    with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        said = client.mail("a@a.example")
        if said[0] == 250:
            client.rcpt("c@c.example")
            said = client.docmd("DATA")
            if said[0] == 354:
                client.send(b"Subject: x\r\n\r\n.\r\n")
                said = client.getreply()
        assert said[0] == 452 and said[1].startswith(b"4.3.1 "), said
    assert "reserve" in json.dumps(json.loads(node.command("status", "--json").stdout))
    sink.answers.clear()
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="the queued mail delivered")
    assert node.summary()["accepted"] == 1
    node.stop()
    node.tables["spool"]["reserve"] = "1MiB"
    node.start()
    node.submit("a@a.example", ["c@c.example"])
