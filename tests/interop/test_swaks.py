"""swaks, the tool that people try a mail server with, as client: SMTP, STARTTLS, TLS from the start, LMTP."""

import re

import pytest

from daemon import free_port, wait_until
from peers import swaks


def queue_ids(dialogue):
    return re.findall(r"queued as (\w{26})\b", dialogue)


def wait_for(sink, count):
    wait_until(lambda: len(sink.recipients()) >= count, what=f"{count} recipients at the sink")


def refuse_carol(address):
    return "550 5.1.1 no such user" if address.startswith("carol") else None


def test_a_message(daemon, sink):
    result = swaks(daemon.smtp_port, "--from", "ann@sender.example", "--to", "bob@dest.example",
                   "--header", "Subject: from swaks", "--body", "one line\n.a line with a dot\n")
    assert result.returncode == 0, result.stdout
    wait_for(sink, 1)
    message = sink.messages[0]
    assert (message.sender, message.recipients) == ("ann@sender.example", ["bob@dest.example"])
    assert b"Subject: from swaks\r\n" in message.content
    assert b"\r\none line\r\n.a line with a dot\r\n" in message.content
    (queue_id,) = queue_ids(result.stdout)
    daemon.wait_until(lambda: "delivered" in str(daemon.get(f"/v1/messages/{queue_id}/history")),
                      what="the history of the id in the reply")


def test_several_recipients_of_which_one_is_refused_later(daemon, sink):
    sink.answers["rcpt"] = refuse_carol
    result = swaks(daemon.smtp_port, "--from", "ann@sender.example", "--to",
                   "bob@dest.example,carol@dest.example,dave@other.example")
    assert result.returncode == 0, result.stdout
    wait_for(sink, 3)  # two, and the notice
    assert sorted(sink.recipients()) == ["ann@sender.example", "bob@dest.example", "dave@other.example"]


def test_an_address_that_is_none_is_refused_and_the_rest_goes(daemon, sink):
    result = swaks(daemon.smtp_port, "--from", "ann@sender.example", "--to",
                   "bob@dest.example,carol@-dest-.example")
    assert "501 5.1.3" in result.stdout
    wait_for(sink, 1)
    assert sink.recipients() == ["bob@dest.example"]


def test_a_pipelining_client(daemon, sink):
    result = swaks(daemon.smtp_port, "--pipeline", "--from", "ann@sender.example", "--to",
                   "bob@dest.example,carol@dest.example")
    assert result.returncode == 0, result.stdout
    wait_for(sink, 2)
    assert sink.messages[0].recipients == ["bob@dest.example", "carol@dest.example"]


@pytest.fixture
def tls_port(make_daemon, sink, certificate):
    """Ports of listeners with STARTTLS and with TLS from the first octet, and their daemon."""
    starttls, implicit = free_port(), free_port()
    files = {"certificate": certificate[0], "key": certificate[1], "relay_from": ["127.0.0.0/8"]}
    make_daemon(next_hop=[sink.endpoint], listeners=[
        {"protocol": "smtp", "address": f"127.0.0.1:{starttls}", "tls": "starttls", **files},
        {"protocol": "smtp", "address": f"127.0.0.1:{implicit}", "tls": "implicit", **files}])
    return {"starttls": starttls, "implicit": implicit}


def received_with(content):
    """The protocol that our Received line names."""
    return re.search(rb"\swith (\w+)\s", content.replace(b"\r\n\t", b" ").replace(b"\r\n ", b" ")).group(1)


@pytest.mark.parametrize("way, option", [("starttls", "--tls"), ("implicit", "--tls-on-connect")])
def test_tls(tls_port, sink, certificate, way, option):
    result = swaks(tls_port[way], option, "--tls-verify", "--tls-ca-path", certificate[0],
                   "--from", "ann@sender.example", "--to", "bob@dest.example")
    assert result.returncode == 0, result.stdout
    assert "TLS started with cipher TLSv1.3" in result.stdout
    wait_for(sink, 1)
    assert received_with(sink.messages[0].content) == b"ESMTPS"


def test_starttls_is_not_forced_on_a_client(tls_port, sink):
    result = swaks(tls_port["starttls"], "--from", "ann@sender.example", "--to", "bob@dest.example")
    assert result.returncode == 0, result.stdout
    wait_for(sink, 1)
    assert received_with(sink.messages[0].content) == b"ESMTP"


def test_old_tls_is_refused_and_the_listener_goes_on(tls_port, sink):
    envelope = ["--from", "ann@sender.example", "--to", "bob@dest.example"]
    for protocol in ("tlsv1", "tlsv1_1"):
        assert swaks(tls_port["starttls"], "--tls", "--tls-protocol", protocol, *envelope).returncode != 0
    result = swaks(tls_port["starttls"], "--tls", *envelope)
    assert result.returncode == 0, result.stdout
    wait_for(sink, 1)


def test_lmtp_has_a_reply_for_each_recipient(make_daemon, sink):
    port = free_port()
    make_daemon(next_hop=[sink.endpoint], listeners=[
        {"protocol": "lmtp", "address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"]}])
    result = swaks(port, "--protocol", "LMTP", "--from", "ann@sender.example", "--to",
                   "bob@dest.example,carol@dest.example")
    assert result.returncode == 0, result.stdout
    assert len(queue_ids(result.stdout)) >= 2
    assert len(set(queue_ids(result.stdout))) == 1
    wait_for(sink, 2)
    assert received_with(sink.messages[0].content) == b"LMTP"


def test_a_unix_socket(make_daemon, sink, tmp_path):
    path = tmp_path / "smtp.sock"
    make_daemon(next_hop=[sink.endpoint], listeners=[{"protocol": "smtp", "address": path}])
    result = swaks(None, "--socket", path, "--from", "ann@sender.example", "--to", "bob@dest.example")
    assert result.returncode == 0, result.stdout + result.stderr
    wait_for(sink, 1)
