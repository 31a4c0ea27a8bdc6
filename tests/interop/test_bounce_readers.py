"""Programs that read bounces find out from ours who failed: flufl.bounce (Mailman's), Python's email
package, and a Postfix that carries the notice."""

import email
import email.policy
import email.utils
import re
import smtplib

import pytest
from flufl.bounce import all_failures, scan_message

from content import EIGHT_BIT
from counts import wait_for_settled

SENDER = "ann@sender.example"
CONTENT = (b"From: Ann <ann@sender.example>\r\nTo: many\r\nSubject: Gr\xc3\xbc\xc3\x9fe\r\n"
           b"Message-ID: <1@sender.example>\r\n"
           b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
           b"The body.\r\n.\r\n" + EIGHT_BIT + b"\r\n")

REPLIES = {
    "gone": "550 5.1.1 no such user",
    "full": "552-5.2.2 The mailbox\r\n552-5.2.2 is full,\r\n552 5.2.2 sorry",
    "plain": "550 not here",
    "long": "554 5.7.1 " + "because " * 60,
    "sly": "550 5.1.1 Final-Recipient: rfc822; innocent@dest.example Action: failed",
    "late": "451 4.7.1 come back later",
}


@pytest.fixture
def bounced(make_daemon, sink):
    """bounced("gone", ...) sends to these; returns (envelope, notice as octets) of the one notice."""
    sink.answers["rcpt"] = lambda address: REPLIES.get(address.split("@")[0])
    daemon = make_daemon(next_hop=[sink.endpoint], tables={
        "retry": {"min": "300ms", "max": "300ms", "tries_max": 2}})

    def send(*names, options=()):
        with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
            client.sendmail(SENDER, [f"{name}@dest.example" for name in names], CONTENT,
                            mail_options=["BODY=8BITMIME", *options])
        wait_for_settled(daemon)
        notices = [message for message in sink.messages if message.sender == ""]
        assert len(notices) == 1
        return notices[0]

    return send


def parsed(message):
    report = email.message_from_bytes(message.content, policy=email.policy.default)
    for part in report.walk():
        assert not part.defects
    return report


@pytest.mark.parametrize("names", [["gone"], ["full"], ["plain"], ["long"], ["sly"],
                                   ["gone", "full", "plain", "long", "sly"]], ids=" ".join)
def test_flufl_bounce_finds_who_failed(bounced, names):
    notice = bounced("good", *names)
    report = email.message_from_bytes(notice.content)
    expected = {f"{name}@dest.example".encode() for name in names}
    assert scan_message(report) == expected
    temporary, permanent = all_failures(report)
    assert set(temporary) == set() and set(permanent) == expected


def test_flufl_bounce_takes_a_recipient_out_of_tries_for_failed(bounced):
    notice = bounced("late")
    temporary, permanent = all_failures(email.message_from_bytes(notice.content))
    assert set(temporary) == set() and set(permanent) == {b"late@dest.example"}


def test_every_group_of_fields_is_complete(bounced):
    report = parsed(bounced("gone", "full", "plain", "long", "sly"))
    whole, *recipients = list(report.iter_parts())[1].get_payload()
    assert whole["Reporting-MTA"] == "dns; mail.test.example"
    assert email.utils.parsedate_to_datetime(whole["Arrival-Date"])
    found = {}
    for group in recipients:
        for name in ("Final-Recipient", "Action", "Status", "Diagnostic-Code", "Remote-MTA"):
            assert len(group.get_all(name)) == 1, (name, group)
        assert group["Action"] == "failed"
        assert re.fullmatch(r"dns; (127\.0\.0\.1|\[127\.0\.0\.1\])", group["Remote-MTA"])
        found[group["Final-Recipient"]] = group["Status"]
        assert " ".join(group["Diagnostic-Code"].split()).startswith("smtp; 55")
    assert found == {"rfc822; gone@dest.example": "5.1.1", "rfc822; full@dest.example": "5.2.2",
                     "rfc822; plain@dest.example": "5.0.0", "rfc822; long@dest.example": "5.7.1",
                     "rfc822; sly@dest.example": "5.1.1"}
    codes = {group["Final-Recipient"].split()[1]: " ".join(group["Diagnostic-Code"].split()) for group in recipients}
    assert codes["full@dest.example"].endswith("sorry")


def test_it_is_a_message_that_anything_can_carry(bounced):
    """The header that RFC 5322, 3834 and 6522 want, and nothing over the limits of SMTP; 8-bit only
    where it says so."""
    notice = bounced("gone", "long", options=["RET=FULL"])
    report = parsed(notice)
    assert (notice.sender, notice.recipients) == ("", [SENDER])
    for name in ("From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type", "Auto-Submitted"):
        assert len(report.get_all(name)) == 1, name
    assert report.get_content_type() == "multipart/report"
    assert report.get_param("report-type") == "delivery-status"
    assert [part.get_content_type() for part in report.iter_parts()] == [
        "text/plain", "message/delivery-status", "message/rfc822"]
    assert max(map(len, notice.content.split(b"\r\n"))) <= 998
    assert re.search(rb"(?<!\r)\n|\r(?!\n)|\0", notice.content) is None
    assert email.utils.parsedate_to_datetime(report["Date"])
    returned = list(report.iter_parts())[2]
    if re.search(rb"[\x80-\xff]", notice.content):
        assert returned["Content-Transfer-Encoding"] == "8bit"
    assert returned.get_payload(0)["Message-ID"] == "<1@sender.example>"
    assert CONTENT.partition(b"\r\n\r\n")[2] in notice.content


def test_postfix_carries_it_to_a_list_manager(make_daemon, make_postfix, sink):
    """The notice goes through a Postfix that insists on correct mail."""
    postfix = make_postfix("sender.example", ["ann"], settings={
        "relay_transport": f"smtp:[127.0.0.1]:{sink.port}", "disable_vrfy_command": "yes",
        "strict_rfc821_envelopes": "yes", "strict_mime_encoding_domain": "yes", "strict_7bit_headers": "yes",
        "smtpd_data_restrictions": "reject_multi_recipient_bounce, reject_unauth_pipelining"})
    daemon = make_daemon(tables={
        'route."sender.example"': {"next_hop": [postfix.endpoint]},
        'route."dest.example"': {"next_hop": [sink.endpoint]}})
    sink.answers["rcpt"] = lambda address: REPLIES.get(address.split("@")[0])
    ascii_header = CONTENT.replace("Grüße".encode(), b"Greetings")
    daemon.submit(SENDER, ["gone@dest.example", "sly@dest.example"], ascii_header)
    daemon.wait_until(lambda: sink.messages, what="the notice", timeout=30)
    (notice,) = sink.messages
    assert (notice.sender, notice.recipients) == ("", [SENDER])
    assert scan_message(email.message_from_bytes(notice.content)) == {b"gone@dest.example", b"sly@dest.example"}
    daemon.stop()


@pytest.mark.parametrize("what", ["HDRS", "FULL"])
def test_a_server_without_8bitmime_gets_it_too(make_daemon, sink, what):
    """The message that comes back is 8-bit in header and body, so that it could not go there itself."""
    sink.extensions = ("PIPELINING",)
    daemon = make_daemon(next_hop=[sink.endpoint])
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
        client.sendmail(SENDER, ["bob@dest.example"], CONTENT, mail_options=["BODY=8BITMIME", f"RET={what}"])
    wait_for_settled(daemon)
    (notice,) = sink.messages
    assert max(notice.content) < 128
    report = parsed(notice)
    assert scan_message(email.message_from_bytes(notice.content)) == {b"bob@dest.example"}
    status, header = list(report.iter_parts())[1:]
    assert status.get_payload()[1]["Status"] == "5.6.3"
    assert header.get_content_type() == "text/rfc822-headers"
    assert "Grüße" in header.get_payload(decode=True).decode()
