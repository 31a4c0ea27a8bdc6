"""Internationalised mail end to end: from Python's smtplib or from Postfix, through mansiod, to aiosmtpd
or Postfix that offer SMTPUTF8; and what becomes of it where the next hop does not."""

import email
import email.policy
import re
import smtplib

import pytest

from counts import wait_for
from daemon import Sink
from peers import Exim
from test_aiosmtpd import make_next_hop  # noqa: F401

SENDER = "änne@sender.example"
RECIPIENT = "björn@bücher.example"
CONTENT = ("From: Änne <änne@sender.example>\r\nTo: Björn <björn@bücher.example>\r\nSubject: Grüße, 你好\r\n"
           "Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n"
           "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
           "\r\nGrüße, 你好\r\n.\r\n").encode()


def send(port, recipients, sender=SENDER, content=CONTENT):
    with smtplib.SMTP("127.0.0.1", port, "client.test.example", timeout=20) as client:
        client.ehlo()
        assert client.has_extn("smtputf8") and client.has_extn("8bitmime")
        refused = client.sendmail(sender, recipients, content, mail_options=["SMTPUTF8", "BODY=8BITMIME"])
        assert refused == {}


def test_aiosmtpd_gets_it_as_it_was(make_daemon, make_next_hop):  # noqa: F811
    next_hop = make_next_hop(enable_SMTPUTF8=True, decode_data=False)
    daemon = make_daemon(next_hop=[next_hop.endpoint])
    send(daemon.smtp_port, [RECIPIENT, "carol@dest.example"])
    wait_for(daemon, accepted=2, delivered=2, queued=0)
    assert sorted(next_hop.recipients()) == sorted([RECIPIENT, "carol@dest.example"])
    for sender, _, content, *_ in next_hop.taken:
        assert sender == SENDER
        assert content.endswith(CONTENT)
    daemon.stop()


def test_postfix_gets_it_as_it_was(make_daemon, make_postfix, sink):
    """Postfix relays it to the sink, which offers SMTPUTF8 too."""
    sink.extensions = (*sink.extensions, "SMTPUTF8")
    postfix = make_postfix("bücher.example", ["björn"], settings={
        "smtputf8_enable": "yes", "relay_transport": f"smtp:[127.0.0.1]:{sink.port}",
        "always_add_missing_headers": "no", "relay_domains": "bücher.example, xn--bcher-kva.example",
        "relay_recipient_maps": ""})
    daemon = make_daemon(next_hop=[postfix.endpoint])
    send(daemon.smtp_port, [RECIPIENT])
    wait_for(daemon, accepted=1, delivered=1, queued=0)
    daemon.wait_until(lambda: sink.messages, what="arrival behind Postfix")
    (message,) = sink.messages
    assert message.sender == SENDER
    assert message.content.endswith(CONTENT)
    assert message.recipients[0].split("@")[0] == "björn"
    daemon.stop()


def test_postfix_sends_it(make_daemon, make_postfix, sink):
    sink.extensions = (*sink.extensions, "SMTPUTF8")
    daemon = make_daemon(next_hop=[sink.endpoint])
    postfix = make_postfix("bücher.example", ["björn"], settings={
        "smtputf8_enable": "yes", "relay_transport": f"smtp:[127.0.0.1]:{daemon.smtp_port}",
        "always_add_missing_headers": "no", "relay_domains": "bücher.example, xn--bcher-kva.example",
        "relay_recipient_maps": ""})
    send(postfix.port, [RECIPIENT])
    daemon.wait_until(lambda: "status=" in postfix.log() or sink.messages, what="Postfix's delivery")
    assert "status=sent" in postfix.log(), postfix.log()
    daemon.wait_until(lambda: sink.messages, what="arrival")
    wait_for(daemon, accepted=1, delivered=1, queued=0)
    (message,) = sink.messages
    assert message.sender == SENDER
    assert message.content.endswith(CONTENT)
    assert message.recipients[0].split("@")[0] == "björn"
    assert b"with UTF8SMTP" in message.content[:message.content.index(b"by postfix")]
    daemon.stop()


def test_exim_sends_it(make_daemon, sink):
    sink.extensions = (*sink.extensions, "SMTPUTF8")
    daemon = make_daemon(next_hop=[sink.endpoint])
    exim = Exim(daemon.smtp_port, main=["smtputf8_advertise_hosts = *"])
    try:
        send(exim.port, [RECIPIENT])
        daemon.wait_until(lambda: sink.messages, what="arrival")
        wait_for(daemon, accepted=1, delivered=1, queued=0)
        (message,) = sink.messages
        assert message.sender == SENDER and message.recipients[0].split("@")[0] == "björn"
        assert message.content.endswith(CONTENT)
    finally:
        exim.close()
    daemon.stop()


@pytest.mark.parametrize("next_hop", ["postfix", "sink"])
def test_where_it_cannot_go_the_sender_reads_why(make_daemon, make_postfix, next_hop):
    """The next hop has no SMTPUTF8: 5.6.7 for every recipient, and the notices go where it is."""
    home = Sink(extensions=("PIPELINING", "8BITMIME", "SMTPUTF8"))
    away = Sink() if next_hop == "sink" else make_postfix("dest.example", ["carol"])
    daemon = make_daemon(next_hop=[away.endpoint], tables={'route."sender.example"': {"next_hop": [home.endpoint]}})
    send(daemon.smtp_port, [RECIPIENT, "carol@dest.example"])
    # The two go different ways: a notice about each.
    wait_for(daemon, accepted=4, delivered=2, failed=2, queued=0)
    found = {}
    for notice in home.messages:
        assert (notice.sender, notice.recipients) == ("", [SENDER])
        report = email.message_from_bytes(notice.content, policy=email.policy.default)
        _, status, returned = report.iter_parts()
        assert status.get_content_type() == "message/global-delivery-status"
        assert returned.get_content_type() in ("message/global", "message/global-headers")
        text = notice.content.decode()
        found[re.search("^Final-Recipient: (.*)$", text, re.MULTILINE)[1].strip()] = text
    assert set(found) == {f"utf-8; {RECIPIENT}", "rfc822; carol@dest.example"}
    for text in found.values():
        assert text.count("Status: 5.6.7") == 1 and "Subject: Grüße, 你好" in text
    daemon.stop()
    home.close()
    if next_hop == "sink":
        away.close()


def test_an_ascii_message_of_an_smtputf8_client_needs_no_smtputf8(make_daemon, sink):
    """RFC 6531 §3.2: nothing in it that would need the extension."""
    daemon = make_daemon(next_hop=[sink.endpoint])
    send(daemon.smtp_port, ["bob@dest.example"], "ann@sender.example",
         b"From: ann@sender.example\r\nSubject: plain\r\n\r\nhello\r\n")
    wait_for(daemon, accepted=1, delivered=1, queued=0)
    assert sink.messages[0].recipients == ["bob@dest.example"]
    daemon.stop()


def test_a_domain_alone_goes_as_a_labels(make_daemon, sink):
    """bob@bücher.example is bob@xn--bcher-kva.example for a next hop without SMTPUTF8."""
    daemon = make_daemon(next_hop=[sink.endpoint])
    send(daemon.smtp_port, ["bob@bücher.example"], "ann@sender.example",
         b"From: ann@sender.example\r\nSubject: plain\r\n\r\nhello\r\n")
    wait_for(daemon, accepted=1, delivered=1, queued=0)
    assert sink.messages[0].recipients == ["bob@xn--bcher-kva.example"]
    daemon.stop()
