"""The failure notice as its reader gets it: sent by the daemon, parsed by Python's own mail package."""

import email
import email.policy
import smtplib

import pytest

CONTENT = b"From: Ann <ann@sender.example>\r\nSubject: Offer\r\nMessage-ID: <1@sender.example>\r\n\r\nThe body.\r\n"


def refuse_nobody(path):
    return "550-5.1.1 No such user\r\n550 5.1.1 Action: delivered" if path.startswith("nobody") else None


def send(daemon, recipients, mail_options=(), recipient_options=(), sender="ann@sender.example"):
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        client.mail(sender, list(mail_options))
        for recipient in recipients:
            assert client.rcpt(recipient, list(recipient_options))[0] == 250
        assert client.data(CONTENT)[0] == 250


def notices(sink):
    return [message for message in list(sink.messages) if message.sender == ""]


def wait_for_settled(daemon):
    daemon.wait_until(lambda: daemon.summary()["queued"] == 0, what="everything settled")


@pytest.fixture
def refusing(sink):
    sink.answers["rcpt"] = refuse_nobody
    return sink


def parsed(message):
    report = email.message_from_bytes(message.content, policy=email.policy.default)
    for part in report.walk():
        assert not part.defects
    return report


def test_the_sender_reads_who_why_and_what_next(daemon, refusing):
    send(daemon, ["nobody@dest.example", "bob@dest.example"],
         mail_options=["ENVID=offer+2B1", "RET=HDRS"], recipient_options=["ORCPT=rfc822;first+2Buser@dest.example"])
    wait_for_settled(daemon)
    assert len(notices(refusing)) == 1
    message = notices(refusing)[0]
    assert message.recipients == ["ann@sender.example"]
    report = parsed(message)
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert report["Auto-Submitted"] == "auto-replied"
    assert report["To"].addresses[0].addr_spec == "ann@sender.example"
    assert report["From"].addresses[0].username == "MAILER-DAEMON"
    text, status, header = report.iter_parts()
    words = " ".join(text.get_content().split())
    assert "<nobody@dest.example>" in words and "550 5.1.1 No such user" in words
    assert "bob@dest.example" not in words
    whole, recipient = status.get_payload()
    assert whole["Reporting-MTA"] == "dns; mail.test.example"
    assert whole["Original-Envelope-Id"] == "offer+1"
    assert whole["Arrival-Date"]
    assert recipient["Original-Recipient"] == "rfc822; first+user@dest.example"
    assert recipient["Final-Recipient"] == "rfc822; nobody@dest.example"
    assert recipient.get_all("Action") == ["failed"]  # the reply could not add one
    assert recipient["Status"] == "5.1.1"
    assert recipient["Diagnostic-Code"].startswith("smtp; 550 5.1.1 No such user")
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Subject: Offer" in header.get_content() and "The body" not in header.get_content()


def test_the_whole_message_comes_back_if_it_was_asked_for(daemon, refusing):
    send(daemon, ["nobody@dest.example"], mail_options=["RET=FULL"])
    wait_for_settled(daemon)
    returned = list(parsed(notices(refusing)[0]).iter_parts())[2]
    assert returned.get_content_type() == "message/rfc822"
    assert returned.get_payload(0).get_content().splitlines() == ["The body."]


def test_no_notice_without_a_wish_or_a_sender(daemon, refusing):
    send(daemon, ["nobody@dest.example"], recipient_options=["NOTIFY=NEVER"])
    send(daemon, ["nobody@dest.example"], recipient_options=["NOTIFY=SUCCESS"])
    send(daemon, ["nobody@dest.example"], sender="")
    wait_for_settled(daemon)
    assert notices(refusing) == []
    assert daemon.summary()["failed"] == 3


def test_a_notice_that_fails_ends_there(daemon, sink):
    sink.answers["rcpt"] = lambda path: "550 5.1.1 No such user"
    send(daemon, ["nobody@dest.example"])
    wait_for_settled(daemon)
    summary = daemon.summary()
    assert summary["accepted"] == summary["failed"] == 2  # the message and its notice
    assert sink.messages == []
