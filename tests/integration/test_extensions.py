"""Internationalised and binary mail through the daemon, end to end: SMTPUTF8 to a server that is not
ours (aiosmtpd), BDAT with BODY=BINARYMIME from a bare socket, through a second daemon that takes it as
it is, to a server that must get it converted."""

import base64
import email
import socket

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from daemon import free_port

UTF8 = "Subject: Grüße\r\nFrom: jörg@bücher.example\r\n\r\nüber alles\r\n".encode()
PAYLOAD = bytes(range(256)) * 300 + b"\n.\r\n.\r\n\r"
BINARY = (b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/x-test\r\n"
          b"Content-Transfer-Encoding: binary\r\n\r\n") + PAYLOAD


class NextHop(Controller):
    def __init__(self, smtputf8):
        self.smtputf8 = smtputf8
        self.taken = []  # (sender, recipients, content, options of MAIL)
        super().__init__(self, hostname="127.0.0.1", port=free_port())
        self.endpoint = f"127.0.0.1:{self.port}"

    def factory(self):
        return SMTP(self, hostname="hop.test.example", enable_SMTPUTF8=self.smtputf8)

    async def handle_DATA(self, server, session, envelope):
        self.taken.append((envelope.mail_from, list(envelope.rcpt_tos), envelope.content,
                           envelope.mail_options))
        return "250 2.0.0 taken"


@pytest.fixture
def make_hop():
    started = []

    def make(smtputf8):
        hop = NextHop(smtputf8)
        hop.start()
        started.append(hop)
        return hop

    yield make
    for hop in started:
        hop.stop()


class Client:
    """Writes octets, reads replies."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.file = self.socket.makefile("rb")
        assert self.reply().startswith("220")

    def reply(self):
        while True:
            line = self.file.readline().decode()
            assert line, "the connection was closed"
            if line[3] == " ":
                return line.rstrip()

    def say(self, octets):
        self.socket.sendall(octets if isinstance(octets, bytes) else octets.encode() + b"\r\n")
        return self.reply()

    def begin(self, mail, recipients):
        assert self.say("EHLO client.test.example").startswith("250")
        assert self.say(mail).startswith("250")
        for recipient in recipients:
            assert self.say(f"RCPT TO:<{recipient}>").startswith("250"), recipient

    def close(self):
        assert self.say("QUIT").startswith("221")
        self.socket.close()


def send_utf8(daemon, recipients, content=UTF8, sender="jörg@bücher.example"):
    client = Client(daemon.smtp_port)
    client.begin(f"MAIL FROM:<{sender}> SMTPUTF8 BODY=8BITMIME", recipients)
    assert client.say("DATA").startswith("354")
    assert client.say(content + b".\r\n").startswith("250 2.0.0")
    client.close()


def send_binary(daemon, content, recipients, chunk):
    client = Client(daemon.smtp_port)
    client.begin("MAIL FROM:<ann@sender.example> BODY=BINARYMIME", recipients)
    pieces = [content[i:i + chunk] for i in range(0, len(content), chunk)]
    for piece in pieces[:-1]:
        assert client.say(b"BDAT %d\r\n" % len(piece) + piece).startswith("250 2.0.0")
    reply = client.say(b"BDAT %d LAST\r\n" % len(pieces[-1]) + pieces[-1])
    assert reply.startswith("250 2.0.0 Ok: queued as "), reply
    client.close()


def test_internationalised_mail_reaches_a_host_with_smtputf8_as_it_came(make_daemon, make_hop):
    hop = make_hop(smtputf8=True)
    # The route fits by the ASCII form of its pattern and of the domain.
    daemon = make_daemon(tables={'route."*.bücher.example"': {"channel": "smtp", "next_hop": [hop.endpoint]}})
    send_utf8(daemon, ["größe@Mail.BÜCHER.example"])
    daemon.wait_until(lambda: daemon.summary()["delivered"] == 1)
    sender, recipients, content, options = hop.taken[0]
    assert sender == "jörg@bücher.example"
    assert recipients == ["größe@Mail.BÜCHER.example"]
    assert "SMTPUTF8" in options
    assert content.endswith(UTF8)
    assert b"with UTF8SMTP" in content
    daemon.stop()


def test_a_host_without_smtputf8_gets_what_has_an_ascii_form_and_the_sender_hears_of_the_rest(
        make_daemon, make_hop):
    hop = make_hop(smtputf8=False)
    daemon = make_daemon(next_hop=[hop.endpoint])
    send_utf8(daemon, ["größe@b.example", "ann@bücher.example", "bob@b.example"],
              b"Subject: plain\r\n\r\nhello\r\n", sender="sender@a.example")
    daemon.wait_until(lambda: daemon.summary()["delivered"] == 3)  # two, and the notice
    assert daemon.summary()["failed"] == 1
    taken = {recipient: content for _, recipients, content, _ in hop.taken for recipient in recipients}
    assert set(taken) == {"ann@xn--bcher-kva.example", "bob@b.example", "sender@a.example"}
    notice = taken["sender@a.example"].decode("utf-8", "replace")
    assert "5.6.7" in notice
    assert "bücher" not in notice.split("message/")[0]  # only the one that failed
    daemon.stop()


@pytest.mark.parametrize("chunk", [1 << 20, 1000])
def test_binary_mail_goes_from_daemon_to_daemon_octet_for_octet(make_daemon, make_hop, chunk):
    hop = make_hop(smtputf8=False)
    second = make_daemon("second", next_hop=[hop.endpoint])
    first = make_daemon("first", next_hop=[f"127.0.0.1:{second.smtp_port}"])
    send_binary(first, BINARY, ["bob@b.example"], chunk)
    first.wait_until(lambda: first.summary()["delivered"] == 1)
    second.wait_until(lambda: second.summary()["delivered"] == 1)
    _, recipients, content, options = hop.taken[0]
    assert recipients == ["bob@b.example"]
    assert not any("BINARYMIME" in option for option in options)
    message = email.message_from_bytes(content)
    assert message["Content-Transfer-Encoding"] == "base64"
    assert base64.b64decode(message.get_payload()) == PAYLOAD
    assert content.count(b"\nReceived:") + content.startswith(b"Received:") == 2
    first.stop()
    second.stop()


def test_binary_mail_survives_a_restart_while_it_waits(make_daemon, make_hop):
    hop = make_hop(smtputf8=False)
    daemon = make_daemon(next_hop=["127.0.0.1:1"])
    send_binary(daemon, BINARY, ["bob@b.example"], 5000)
    daemon.kill()
    daemon.tables['route."*"']["next_hop"] = [hop.endpoint]
    daemon.start()
    daemon.wait_until(lambda: daemon.summary()["delivered"] == 1)
    assert base64.b64decode(email.message_from_bytes(hop.taken[0][2]).get_payload()) == PAYLOAD
    daemon.stop()


def test_chunks_of_text_that_are_refused_are_never_taken_for_commands(daemon):
    client = Client(daemon.smtp_port)
    assert client.say("EHLO client.test.example").startswith("250")
    hidden = b"MAIL FROM:<evil@x.example>\r\nRCPT TO:<evil@y.example>\r\n"
    assert client.say(b"BDAT %d LAST\r\n" % len(hidden) + hidden).startswith("503 5.5.1")
    assert client.say("RSET").startswith("250")
    client.begin("MAIL FROM:<ann@sender.example>", ["bob@b.example"])
    assert client.say(b"BDAT 6\r\na\nb\r\nc").startswith("550 5.5.2")
    assert client.file.read() == b""  # closed: the two of us do not agree about line ends
    assert daemon.summary()["accepted"] == 0
