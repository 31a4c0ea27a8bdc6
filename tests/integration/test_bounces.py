"""Notices of other servers: mansiod delivers with return paths of its own, the test answers as other
servers do, and the history names the recipient. The configuration is that of docs/manual/bounces.md."""

import smtplib
import time

import pytest

from daemon import wait_until
from peer import Peer

SECRET = "a secret of the test, long enough"
DOMAIN = "bounces.test.example"
RECIPIENTS = ["ann@dest.example", "bob@dest.example", "cy@dest.example"]


def tables(**options):
    return {"bounces": {"domain": DOMAIN, "secret": SECRET, **options}}


@pytest.fixture
def bouncing(make_daemon, sink):
    """VERP and ENVID on; a second listener that relays for nobody takes the notices."""
    daemon = make_daemon(next_hop=[sink.endpoint], tables=tables(verp=True, envelope_id=True))
    return daemon


def return_paths(sink, count):
    wait_until(lambda: len(sink.messages) >= count, what="delivered")
    return {message.recipients[0]: message.sender for message in sink.messages}


def send(daemon, to, content, sender="<>"):
    """The reply to the whole, or to what was refused before."""
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "mx.dest.example", timeout=60) as client:
        client.ehlo()
        client.docmd("MAIL", f"FROM:{sender}")
        code, text = client.rcpt(to)
        if code != 250:
            return code, text.decode()
        code, text = client.data(content)
        return code, text.decode()


def report(fields, mta="mx.dest.example"):
    return "\r\n".join([
        "From: Mail Delivery System <MAILER-DAEMON@mx.dest.example>", "Subject: Undelivered Mail",
        "Auto-Submitted: auto-replied", "MIME-Version: 1.0",
        'Content-Type: multipart/report; report-type=delivery-status; boundary="==b"', "", "--==b",
        "Content-Type: text/plain; charset=utf-8", "", "It could not be delivered.", "--==b",
        "Content-Type: message/delivery-status", "", f"Reporting-MTA: dns; {mta}", *fields, "--==b",
        "Content-Type: message/rfc822", "", "Message-ID: <1@shop.example>", "", "Hello", "--==b--",
        ""]).encode()


def failed(address):
    return ["", f"Final-Recipient: rfc822; {address}", "Action: failed", "Status: 5.1.1",
            "Remote-MTA: dns; store.dest.example",
            "Diagnostic-Code: smtp; 550 5.1.1 No such user"]


QMAIL = """From: MAILER-DAEMON@q.example\r
Subject: failure notice\r
\r
Hi. This is the qmail-send program at q.example.\r
I'm afraid I wasn't able to deliver your message to the following addresses.\r
\r
<bob@dest.example>:\r
Sorry, no mailbox here by that name. (#5.1.1)\r
\r
--- Below this line is a copy of the message.\r
\r
Subject: test\r
"""

POSTFIX = """From: MAILER-DAEMON@p.example (Mail Delivery System)\r
Subject: Undelivered Mail Returned to Sender\r
\r
This is the mail system at host p.example.\r
\r
<cy@dest.example>: host store.dest.example[192.0.2.9] said: 552 5.2.2 Over\r
    quota (in reply to RCPT TO command)\r
"""


def bounced(daemon, queue_id):
    return [entry for entry in daemon.json_lines("history", queue_id) if entry["event"] == "bounced"]


def test_notices_are_recorded_on_the_recipient_that_they_are_about(bouncing, sink):
    queue_id = bouncing.submit("shop@shop.example", RECIPIENTS)
    paths = return_paths(sink, 3)
    assert sorted(paths) == sorted(RECIPIENTS)  # one transaction each
    assert len(set(paths.values())) == 3
    assert all(path.endswith("@" + DOMAIN) and len(path.split("@")[0]) <= 64 for path in paths.values())
    bouncing.wait_until(lambda: bouncing.summary()["delivered"] == 3, what="settled")

    assert send(bouncing, paths["ann@dest.example"], report(failed("ann@dest.example")))[0] == 250
    assert send(bouncing, paths["bob@dest.example"].upper(), QMAIL.encode())[0] == 250
    assert send(bouncing, paths["cy@dest.example"], POSTFIX.encode())[0] == 250

    ann, bob, cy = bounced(bouncing, queue_id)
    assert (ann["recipient"], ann["address"], ann["outcome"]) == (0, "ann@dest.example", "failed")
    assert ann["reply"]["code"] == 550 and ann["reply"]["enhanced"] == "5.1.1"
    assert ann["reply"]["text"] == "No such user"
    assert ann["reason"] == "notice of mx.dest.example"
    assert (bob["recipient"], bob["outcome"], bob["reason"]) == (1, "failed", "notice of q.example")
    assert bob["reply"]["enhanced"] == "5.1.1"
    assert (cy["recipient"], cy["outcome"], cy["reason"]) == (2, "failed", "notice of p.example")
    assert cy["reply"]["enhanced"] == "5.2.2"
    assert "bounced" in bouncing.command("history", queue_id).stdout

    summary = bouncing.summary()
    assert (summary["accepted"], summary["delivered"], summary["failed"]) == (3, 3, 0)
    metrics = bouncing.request("GET", "/metrics")[2].decode()
    assert 'mansio_bounces_total{kind="delivery_status"} 1' in metrics
    assert 'mansio_bounces_total{kind="bounce"} 2' in metrics


def test_the_record_outlives_a_crash(bouncing, sink):
    queue_id = bouncing.submit("shop@shop.example", RECIPIENTS[:1])
    path = return_paths(sink, 1)["ann@dest.example"]
    bouncing.wait_until(lambda: bouncing.summary()["delivered"] == 1, what="settled")
    assert send(bouncing, path, report(failed("ann@dest.example")))[0] == 250
    bouncing.kill()
    bouncing.start()
    assert [entry["recipient"] for entry in bounced(bouncing, queue_id)] == [0]


def test_forged_tokens_are_refused_and_nothing_is_relayed_or_answered(make_daemon, sink):
    daemon = make_daemon(next_hop=[sink.endpoint], tables=tables(verp=True))
    queue_id = daemon.submit("shop@shop.example", RECIPIENTS[:1])
    path = return_paths(sink, 1)["ann@dest.example"]
    local = path.split("@")[0]
    forged = local[:-1] + ("0" if local[-1] != "0" else "1")
    other = local.replace("-0-", "-1-")
    for address in [f"{forged}@{DOMAIN}", f"{other}@{DOMAIN}", f"ann@{DOMAIN}", f"bounces@{DOMAIN}"]:
        code, text = send(daemon, address, report(failed("ann@dest.example")))
        assert (code, text) == (550, "5.1.1 No such address")
    # A bounce of a bounce, and a vacation notice.
    assert send(daemon, path, report(failed(path)), sender=f"<{path}>")[0] == 250
    assert send(daemon, path, b"Auto-Submitted: auto-replied\r\n\r\nI am away.\r\n")[0] == 250
    assert len(bounced(daemon, queue_id)) == 1
    assert daemon.summary()["accepted"] == 1
    assert len(sink.messages) == 1
    assert 'mansio_bounces_total{kind="refused"} 4' in daemon.request("GET", "/metrics")[2].decode()


def test_an_envid_of_ours_finds_the_message_at_the_plain_address(make_daemon):
    peer = Peer(extensions=("PIPELINING", "DSN"))
    daemon = make_daemon(next_hop=[peer.endpoint], tables=tables(envelope_id=True))
    queue_id = daemon.submit("shop@shop.example", RECIPIENTS)
    daemon.wait_until(lambda: daemon.summary()["delivered"] == 3, what="delivered")
    (mail,) = peer.verbs("MAIL")
    assert mail.startswith("MAIL FROM:<shop@shop.example>")
    envelope_id = mail.split("ENVID=")[1].split()[0]
    peer.close()

    plain = f"bounces@{DOMAIN}"
    answer = report([f"Original-Envelope-Id: {envelope_id}", *failed("Bob@dest.example"),
                     *failed("cy@dest.example")])
    assert send(daemon, plain, answer)[0] == 250
    assert [(entry["recipient"], entry["outcome"]) for entry in bounced(daemon, queue_id)] == [
        (1, "failed"), (2, "failed")]
    wrong = report([f"Original-Envelope-Id: {envelope_id[:-1]}", *failed("bob@dest.example")])
    assert send(daemon, plain, wrong)[0] == 550
    assert len(bounced(daemon, queue_id)) == 2


def memory_kib(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def test_a_bounce_of_20_mb_with_5000_parts_costs_little(bouncing, sink):
    queue_id = bouncing.submit("shop@shop.example", RECIPIENTS[:1])
    path = return_paths(sink, 1)["ann@dest.example"]
    before = memory_kib(bouncing)
    part = b"--==b\r\nContent-Type: text/plain\r\n\r\n" + (b"x" * 78 + b"\r\n") * 52
    content = report(failed("ann@dest.example")).replace(b"--==b--\r\n", part * 5000 + b"--==b--\r\n")
    assert len(content) > 20_000_000
    begin = time.monotonic()
    assert send(bouncing, path, content)[0] == 250
    assert time.monotonic() - begin < 60
    assert memory_kib(bouncing) - before < 16 * 1024
    assert [entry["reply"]["enhanced"] for entry in bounced(bouncing, queue_id)] == ["5.1.1"]


def test_the_secret_is_never_shown(bouncing):
    shown = bouncing.command("config", "effective", "--config", str(bouncing.config))
    assert shown.returncode == 0 and DOMAIN in shown.stdout
    assert SECRET not in shown.stdout + shown.stderr + bouncing.log()
