"""The failure notice as its reader gets it: sent by the daemon, parsed by Python's own mail package."""

import email
import email.policy
import smtplib

import pytest

from peer import Peer

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


# ---- into an LMTP server, and out of one -----------------------------------------------------------


@pytest.fixture
def lmtp():
    peer = Peer(lmtp=True)
    yield peer
    peer.close()


def through_lmtp(lmtp, domain):
    return {f'route."{domain}"': {"channel": "lmtp", "next_hop": [lmtp.endpoint]}}


def test_maddy_48_a_failing_remote_reaches_the_senders_lmtp_server(make_daemon, refusing, lmtp):
    daemon = make_daemon(next_hop=[refusing.endpoint], tables=through_lmtp(lmtp, "sender.example"))
    send(daemon, ["nobody@dest.example"])
    wait_for_settled(daemon)
    assert lmtp.delivered == ["ann@sender.example"]
    assert lmtp.verbs("MAIL")[0].startswith("MAIL FROM:<>")
    report = email.message_from_bytes(lmtp.contents[0], policy=email.policy.default)
    recipient = list(report.iter_parts())[1].get_payload()[1]
    assert recipient["Final-Recipient"] == "rfc822; nobody@dest.example"
    assert recipient["Action"] == "failed"


def test_maddy_49_an_error_of_lmtp_reads_as_one_of_smtp(make_daemon, sink, lmtp):
    # Of two recipients of one transaction, one is refused after the dot.
    lmtp.final_reply = lambda address: "552 5.2.2 over quota" if address.startswith("full") else None
    daemon = make_daemon(next_hop=[sink.endpoint], tables=through_lmtp(lmtp, "dest.example"))
    send(daemon, ["full@dest.example", "bob@dest.example"])
    wait_for_settled(daemon)
    assert lmtp.delivered == ["bob@dest.example"]
    report = parsed(notices(sink)[0])
    blocks = list(report.iter_parts())[1].get_payload()
    assert len(blocks) == 2  # the message's and that of the one that failed
    assert blocks[1]["Final-Recipient"] == "rfc822; full@dest.example"
    assert blocks[1]["Status"] == "5.2.2"
    assert blocks[1]["Diagnostic-Code"] == "smtp; 552 5.2.2 over quota"


# ---- success and delay ------------------------------------------------------------------------------


def actions(message):
    blocks = list(parsed(message).iter_parts())[1].get_payload()
    return [block["Action"] for block in blocks[1:]]


def test_N4_success_is_told_by_whoever_knows_last(make_daemon, sink, lmtp):
    with_dsn = Peer(extensions=("PIPELINING", "8BITMIME", "DSN"))
    daemon = make_daemon(next_hop=[sink.endpoint], tables={
        **through_lmtp(lmtp, "lmtp.example"),
        'route."dsn.example"': {"channel": "smtp", "next_hop": [with_dsn.endpoint]}})
    wish = ["NOTIFY=SUCCESS,FAILURE"]
    for domain in ("lmtp.example", "dsn.example", "plain.example"):
        send(daemon, [f"bob@{domain}"], recipient_options=wish)
    wait_for_settled(daemon)
    told = {}
    for message in notices(sink):
        blocks = list(parsed(message).iter_parts())[1].get_payload()
        told[blocks[1]["Final-Recipient"]] = blocks[1]["Action"]
    assert told == {"rfc822; bob@lmtp.example": "delivered", "rfc822; bob@plain.example": "relayed"}
    assert any("NOTIFY=SUCCESS,FAILURE" in line for line in with_dsn.verbs("RCPT"))
    with_dsn.close()


def test_N9_the_sender_hears_of_a_delay_behind_a_dead_destination(make_daemon, sink):
    daemon = make_daemon(next_hop=["127.0.0.1:1"], tables={
        'route."sender.example"': {"channel": "smtp", "next_hop": [sink.endpoint]},
        "notify": {"delay": ["1s"]}})
    for number in range(3):  # all but the first wait behind its trouble
        send(daemon, [f"bob{number}@dest.example"])
    daemon.wait_until(lambda: len(notices(sink)) == 3, what="one notice each")
    for message in notices(sink):
        assert actions(message) == ["delayed"]
        block = list(parsed(message).iter_parts())[1].get_payload()[1]
        assert block["Will-Retry-Until"] and block["Status"].startswith("4.")
