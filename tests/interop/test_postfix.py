"""A whole Postfix, unpacked and started by the test: as next hop, and as client."""

import email
import email.policy
import smtplib

import pytest

from content import EIGHT_BIT, NASTY
from counts import wait_for
from daemon import free_port
from peers import smtp_source

SENDER = "ann@sender.example"


def beside(sink, postfix):
    """Routes: mail for dest.example to Postfix, everything else (notices) to the sink."""
    return {'route."*"': {"next_hop": [sink.endpoint]}, 'route."dest.example"': {"next_hop": [postfix.endpoint]}}


def test_mail_arrives_with_its_envelope_and_refusals_come_back(make_daemon, make_postfix, sink):
    postfix = make_postfix("dest.example", ["bob", "carol"])
    daemon = make_daemon(tables=beside(sink, postfix))
    daemon.submit(SENDER, ["bob@dest.example", "nobody@dest.example", "carol@dest.example"],
                  b"From: ann@sender.example\r\nSubject: to Postfix\r\n\r\nhello\r\n")
    wait_for(daemon, accepted=4, delivered=3, failed=1, queued=0)
    daemon.wait_until(lambda: len(postfix.discarded()) == 2, what="delivery in Postfix")
    assert sorted(postfix.discarded()) == [(SENDER, "bob@dest.example"), (SENDER, "carol@dest.example")]
    assert len(postfix.rejected()) == 1 and postfix.rejected()[0].startswith("550 5.1.1 <nobody@dest.example>")
    (notice,) = sink.messages
    assert (notice.sender, notice.recipients) == ("", [SENDER])
    report = email.message_from_bytes(notice.content, policy=email.policy.default)
    assert report.get_content_type() == "multipart/report"
    recipient = list(report.iter_parts())[1].get_payload()[1]
    assert recipient["Final-Recipient"] == "rfc822; nobody@dest.example"
    assert recipient["Action"] == "failed" and recipient["Status"] == "5.1.1"
    assert "User unknown in relay recipient table" in " ".join(recipient["Diagnostic-Code"].split())
    daemon.stop()


def test_refusals_of_the_sender_of_the_content_and_of_the_size(make_daemon, make_postfix, sink):
    postfix = make_postfix("dest.example", ["bob"], files={
        "senders": "bad@sender.example REJECT\nlater@sender.example DEFER\n",
        "header_checks": "/^Subject: forbidden/ REJECT not here\n"}, settings={
        "smtpd_sender_restrictions": "check_sender_access texthash:{folder}/senders",
        "header_checks": "regexp:{folder}/header_checks",
        "message_size_limit": "20000"})
    daemon = make_daemon(tables={**beside(sink, postfix), "retry": {"min": "1h", "max": "1h"}})
    replies = {
        "bad@sender.example": b"Subject: any\r\n\r\nhello\r\n",
        "later@sender.example": b"Subject: any\r\n\r\nhello\r\n",
        "content@sender.example": b"Subject: forbidden\r\n\r\nhello\r\n",
        "size@sender.example": b"Subject: large\r\n\r\n" + b"hello\r\n" * 4000,
        "good@sender.example": b"Subject: any\r\n\r\nhello\r\n",
    }
    for sender, content in replies.items():
        daemon.submit(sender, ["bob@dest.example"], content)
    wait_for(daemon, accepted=8, delivered=4, failed=3, queued=1)
    status = {message.recipients[0]: recipient_status(message.content) for message in sink.messages}
    assert status == {"bad@sender.example": "5.7.1", "content@sender.example": "5.7.1",
                      "size@sender.example": "5.3.4"}
    (waiting,) = daemon.get("/v1/messages")["messages"]
    assert waiting["reverse_path"] == "later@sender.example"
    assert waiting["recipients"][0]["last_reply"]["code"] == 450
    daemon.wait_until(lambda: postfix.discarded() == [("good@sender.example", "bob@dest.example")],
                      what="delivery in Postfix")
    daemon.stop()


def recipient_status(content):
    report = email.message_from_bytes(content, policy=email.policy.default)
    return list(report.iter_parts())[1].get_payload()[1]["Status"]


def test_octets_survive_the_way_through_postfix(make_daemon, make_postfix, sink):
    """From us to Postfix over TLS, and from there to the sink."""
    postfix = make_postfix("dest.example", ["bob"], tls=True, settings={
        "relay_transport": f"smtp:[127.0.0.1]:{sink.port}", "message_size_limit": "0",
        "always_add_missing_headers": "no"})
    daemon = make_daemon(next_hop=[postfix.endpoint], tables={'route."*"': {"tls": "required"}})
    # Those whose header section Postfix leaves as it is.
    contents = {name: NASTY[name] for name in ("dots", "line-ends-at-the-end", "eight-bit", "commands",
                                               "white-space-at-the-end", "large")}
    for content in contents.values():
        daemon.submit(SENDER, ["bob@dest.example"], content)
    daemon.wait_until(lambda: len(sink.messages) >= len(contents), what="arrival")
    wait_for(daemon, delivered=len(contents), queued=0)
    bodies = {message.content.partition(b"\r\n\r\n")[2] for message in sink.messages}
    assert bodies == {content.partition(b"\r\n\r\n")[2] for content in contents.values()}
    daemon.stop()


def test_500_messages_of_10_sessions(make_daemon, make_postfix):
    """Postfix hangs up on a client that pipelines where it may not, or ends lines oddly."""
    postfix = make_postfix("dest.example", [f"{number}user" for number in range(1, 501)], settings={
        "smtpd_forbid_unauth_pipelining": "yes", "smtpd_forbid_bare_newline": "reject",
        "smtpd_data_restrictions": "reject_unauth_pipelining", "smtpd_hard_error_limit": "1"})
    daemon = make_daemon(next_hop=[postfix.endpoint])
    result = smtp_source(daemon.smtp_port, "-s", 10, "-m", 500, "-l", 2000, "-N",
                         "-f", SENDER, "-t", "user@dest.example")
    assert result.returncode == 0, result.stderr
    wait_for(daemon, accepted=500, delivered=500, failed=0, queued=0)
    daemon.wait_until(lambda: len(postfix.discarded()) >= 500, what="delivery in Postfix")
    assert len(set(postfix.discarded())) == len(postfix.discarded()) == 500
    assert "improper" not in postfix.log() and postfix.rejected() == []
    daemon.stop()


@pytest.mark.parametrize("protocol", ["smtp", "lmtp"])
def test_postfix_as_client(make_daemon, make_postfix, sink, certificate, protocol):
    """Postfix takes a message, gives it to us over TLS, and we deliver it; what we refuse it bounces."""
    port = free_port()
    daemon = make_daemon(next_hop=[sink.endpoint], tables={"limits": {"message": "1MiB"}}, listeners=[
        {"protocol": protocol, "address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"],
         "tls": "starttls", "certificate": certificate[0], "key": certificate[1]}])
    postfix = make_postfix("dest.example", ["bob", "carol"], settings={
        "relay_transport": f"{protocol}:inet:127.0.0.1:{port}" if protocol == "lmtp" else f"smtp:[127.0.0.1]:{port}",
        f"{protocol}_tls_security_level": "encrypt", "message_size_limit": "0"})
    content = b"Subject: from Postfix\r\n\r\n.\r\n..dots\r\n" + EIGHT_BIT + b"\r\n"
    with smtplib.SMTP("127.0.0.1", postfix.port, "client.test.example", timeout=20) as client:
        client.sendmail(SENDER, ["bob@dest.example", "carol@dest.example"], content,
                        mail_options=["BODY=8BITMIME", "ENVID=one+2Btwo", "RET=FULL"],
                        rcpt_options=["NOTIFY=FAILURE"])
        client.sendmail(SENDER, ["bob@dest.example"], b"Subject: large\r\n\r\n" + b"large\r\n" * 300000)
    wait_for(daemon, accepted=2, delivered=2, queued=0)
    (message,) = sink.messages
    assert (message.sender, sorted(message.recipients)) == (SENDER, ["bob@dest.example", "carol@dest.example"])
    assert message.content.partition(b"\r\n\r\n")[2] == content.partition(b"\r\n\r\n")[2]
    daemon.wait_until(lambda: "status=bounced" in postfix.log(), what="the bounce of the large one")
    daemon.stop()
