"""Mail from end to end, over the file spool and real sockets: what arrives, what is tried again, what is
reported, and how the next hop is spoken to."""

import email
import email.policy
import json
import re
import smtplib
import socket
import ssl
import subprocess

import pytest

from daemon import BIN, Sink, free_port
from peer import Peer, make_certificate

SLOW = {"retry": {"min": "1h", "max": "1h"}}


@pytest.fixture
def make_peer():
    peers = []

    def make(**options):
        peers.append(Peer(**options))
        return peers[-1]

    yield make
    for peer in peers:
        peer.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("tls"))


def settled(node, **expected):
    """Waits until nothing is queued any more; compares the totals."""
    summary = node.wait_until(lambda: (lambda now: now if now["queued"] == 0 else None)(node.summary()),
                              what="everything settled")
    assert {name: summary[name] for name in expected} == expected
    assert summary["accepted"] == sum(
        summary[name] for name in ("delivered", "failed", "expired", "removed", "moved", "queued"))


def recipients_of(node, id):
    return {recipient["address"]: recipient
            for message in node.json_lines("list") if message["id"] == id for recipient in message["recipients"]}


# ---- outcomes --------------------------------------------------------------------------------------


def test_a_message_with_every_kind_of_recipient(make_daemon, sink):
    seen = []

    def answer(address):
        seen.append(address)
        return {"later": "451 4.7.1 not yet" if seen.count(address) < 3 else None,
                "never": "550 5.1.1 no such user"}.get(address.split("@")[0])

    sink.answers["rcpt"] = answer
    node = make_daemon(next_hop=[sink.endpoint], tables={"retry": {"min": "200ms", "max": "200ms"}})
    id = node.submit("ann@a.example", ["now@b.example", "later@b.example", "never@b.example", "now@c.example"])
    settled(node, accepted=5, delivered=4, failed=1)
    assert sorted(sink.recipients()) == ["ann@a.example", "later@b.example", "now@b.example", "now@c.example"]
    assert seen.count("never@b.example") == 1 and seen.count("now@b.example") == 1
    (notice,) = [message for message in sink.messages if message.sender == ""]
    report = email.message_from_bytes(notice.content, policy=email.policy.default)
    status = list(report.iter_parts())[1].get_payload()
    assert [block["Final-Recipient"] for block in status[1:]] == ["rfc822; never@b.example"]
    assert status[1]["Status"] == "5.1.1"
    events = [(event["recipient"], event["event"]) for event in node.json_lines("history", id)]
    assert events.count((1, "deferred")) == 2
    assert {(0, "delivered"), (1, "delivered"), (2, "failed"), (3, "delivered")} <= set(events)


def test_no_notice_about_mail_without_a_sender(make_daemon, sink):
    sink.answers["rcpt"] = lambda address: "550 5.1.1 no" if address.startswith("never") else None
    node = make_daemon(next_hop=[sink.endpoint])
    node.submit("", ["never@b.example", "now@b.example"])
    settled(node, accepted=2, failed=1, delivered=1)
    assert [message.sender for message in sink.messages] == [""]
    assert sink.recipients() == ["now@b.example"]


def test_what_is_too_old_expires_with_a_notice(make_daemon, sink):
    sink.answers["rcpt"] = lambda address: "451 4.7.1 never in time" if address.startswith("later") else None
    node = make_daemon(next_hop=[sink.endpoint],
                       tables={"retry": {"min": "300ms", "max": "300ms", "lifetime": "1s"}})
    id = node.submit("ann@a.example", ["later@b.example"])
    settled(node, accepted=2, expired=1, delivered=1)
    (notice,) = sink.messages
    assert notice.sender == "" and notice.recipients == ["ann@a.example"]
    text = notice.content.decode()
    assert re.search(r"^Status: [45]\.4\.7", text, re.MULTILINE), text
    assert "never in time" in text
    assert "expired" in [event["event"] for event in node.json_lines("history", id)]


def test_the_octets_arrive_as_they_were_sent(make_daemon, sink):
    node = make_daemon(next_hop=[sink.endpoint])
    body = b"".join([b"Subject: dots\r\n\r\n", b".\r\n", b"..\r\n", b".x\r\n", b"\xc3\xa4\r\n", b"\r\n" * 3,
                     b"a" * 998 + b"\r\n", b"end\r\n"])
    with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        client.mail('"o d.d"@a.example', ["BODY=8BITMIME"])
        client.rcpt('"B \\"q\\""@B.Example')
        assert client.data(body)[0] == 250
    settled(node, delivered=1)
    (message,) = sink.messages
    assert message.content.endswith(body)
    assert message.content.startswith(b"Received: from client.test.example")
    assert message.sender == '"o d.d"@a.example'
    assert message.recipients[0].startswith('"B \\"q\\""@')


# ---- next hops -------------------------------------------------------------------------------------


def test_fail_over_happens_within_one_attempt(make_daemon, sink):
    busy = Sink()
    busy.answers["greeting"] = lambda _: "421 4.3.2 busy"
    node = make_daemon(next_hop=[f"127.0.0.1:{free_port()}", busy.endpoint, sink.endpoint], tables=SLOW)
    id = node.submit("a@a.example", ["b@b.example"])
    settled(node, delivered=1)
    assert [event["event"] for event in node.json_lines("history", id)] == ["accepted", "delivered"]
    assert busy.connections == 1
    busy.close()


def test_a_dead_next_hop_is_found_out_once_and_delays_nobody_else(make_daemon, sink):
    dead = f"127.0.0.1:{free_port()}"
    node = make_daemon(next_hop=[sink.endpoint], tables={
        **SLOW, 'route."dead.example"': {"channel": "smtp", "next_hop": [dead]}})
    ids = [node.submit("a@a.example", [f"r{i}@dead.example"]) for i in range(3)]

    def down(id):
        (wait,) = node.json_lines("why", id)
        return wait if wait["reason"] == "host_down" else None

    for id in ids[1:]:  # the first one found it out and waits for its own next try
        wait = node.wait_until(lambda: down(id), what="host_down")
        assert wait["next_attempt"] > wait["since"]
        assert "refused" in json.dumps(wait).lower()
    assert node.log().count(" destination_delayed ") == 1
    assert sum(recipients_of(node, id)[f"r{i}@dead.example"]["tries"] for i, id in enumerate(ids)) <= 1
    for i in range(20):
        node.submit("a@a.example", [f"b{i}@alive{i}.example"])
    node.wait_until(lambda: node.summary()["delivered"] == 20, what="mail for others")


def test_an_operators_retry_wakes_a_destination_that_rests(make_daemon, sink):
    node = make_daemon(next_hop=[f"127.0.0.1:{free_port()}"], tables=SLOW)
    for i in range(3):
        node.submit("a@a.example", [f"r{i}@b.example"])
    node.wait_until(lambda: " destination_delayed " in node.log(), what="the rest")
    node.tables['route."*"']["next_hop"] = [sink.endpoint]
    node.reload()
    node.wait_until(lambda: " reloaded " in node.log(), what="the reload")
    assert node.command("retry", "--destination", "b.example").returncode == 0
    settled(node, delivered=3)


def test_a_busy_destination_takes_its_new_route_after_a_reload(make_daemon, sink):
    other = Sink()
    stays = lambda address: "451 4.7.1 not yet" if address.startswith("later") else None
    sink.answers["rcpt"] = other.answers["rcpt"] = stays
    # Retries come faster than the connection would be closed for idleness.
    node = make_daemon(next_hop=[sink.endpoint], tables={
        "retry": {"min": "200ms", "max": "200ms"}, "timeouts": {"idle": "30s"}})
    node.submit("a@a.example", ["later@b.example"])
    node.wait_until(lambda: sink.attempts >= 2, what="tries over the old route")
    node.tables['route."*"']["next_hop"] = [other.endpoint]
    node.reload()
    node.wait_until(lambda: other.attempts >= 1, what="a try over the new route")
    assert sink.connections == 1
    other.close()


def test_three_hundred_destinations_at_once(make_daemon, make_peer):
    peer = make_peer()
    node = make_daemon(next_hop=[peer.endpoint])
    node.submit("a@a.example", [f"x@d{i}.example" for i in range(300)])
    settled(node, accepted=300, delivered=300)
    assert sorted(peer.delivered) == sorted(f"x@d{i}.example" for i in range(300))


def test_recipients_of_a_message_share_a_transaction_up_to_the_limit(make_daemon, sink):
    node = make_daemon(next_hop=[sink.endpoint],
                       tables={'destination."*"': {"recipients_per_transaction": 40}})
    node.submit("a@a.example", [f"r{i}@b.example" for i in range(100)])
    settled(node, delivered=100)
    assert sorted(len(message.recipients) for message in sink.messages) == [20, 40, 40]


def test_a_connection_carries_many_messages_up_to_its_limit(make_daemon, make_peer):
    peer = make_peer()
    peer.may_greet.clear()
    node = make_daemon(next_hop=[peer.endpoint],
                       tables={'destination."*"': {"connections": 1, "messages_per_connection": 4}})
    for i in range(12):
        node.submit("a@a.example", [f"r{i}@b.example"])
    peer.may_greet.set()
    settled(node, delivered=12)
    assert peer.connections == 3
    assert len(peer.delivered) == 12


def test_the_next_message_goes_out_with_the_last_octets_of_the_one_before(make_daemon, make_peer):
    peer = make_peer(wait_behind_dot=2.0)
    peer.may_greet.clear()
    node = make_daemon(next_hop=[peer.endpoint], tables={'destination."*"': {"connections": 1}})
    for i in range(5):
        node.submit(f"s{i}@a.example", [f"r{i}@b.example"])
    node.wait_until(lambda: peer.connections == 1, what="the connection")
    peer.may_greet.set()
    node.wait_until(lambda: len(peer.behind_dots) >= 4, what="four messages")
    assert all(line.startswith("MAIL FROM:<s") for line in peer.behind_dots[:4])
    assert peer.connections == 1
    node.wait_until(lambda: node.summary()["delivered"] == 5, what="all of them")


def test_without_pipelining_one_command_at_a_time(make_daemon, make_peer):
    peer = make_peer(extensions=["8BITMIME"], wait_behind_dot=0.2)
    node = make_daemon(next_hop=[peer.endpoint], tables={'destination."*"': {"connections": 1}})
    for i in range(3):
        node.submit("a@a.example", [f"r{i}@b.example"])
    settled(node, delivered=3)
    assert peer.behind_dots == [None, None, None]


# ---- extensions ------------------------------------------------------------------------------------


def send_with_dsn(node):
    with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        assert "dsn" in client.esmtp_features
        client.mail("a@a.example", ["RET=HDRS", "ENVID=order+2B7"])
        client.rcpt("b@b.example", ["NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Blast@b.example"])
        assert client.data(b"Subject: x\r\n\r\nbody\r\n")[0] == 250


@pytest.mark.parametrize("offers", [True, False])
def test_dsn_parameters_go_to_a_next_hop_that_offers_dsn(make_daemon, make_peer, offers):
    peer = make_peer(extensions=["PIPELINING"] + (["DSN"] if offers else []))
    node = make_daemon(next_hop=[peer.endpoint])
    send_with_dsn(node)
    node.wait_until(lambda: node.summary()["queued"] == 0, what="the delivery")
    (mail,) = [line for line in peer.verbs("MAIL") if "<a@a.example>" in line]
    (rcpt,) = [line for line in peer.verbs("RCPT") if "<b@b.example>" in line]
    if offers:
        assert {"RET=HDRS", "ENVID=order+2B7"} <= set(mail.split())
        assert {"NOTIFY=SUCCESS,FAILURE", "ORCPT=rfc822;first+2Blast@b.example"} <= set(rcpt.split())
    else:
        assert mail == "MAIL FROM:<a@a.example>" and rcpt == "RCPT TO:<b@b.example>"


def test_login_at_a_smart_host_over_tls(make_daemon, make_peer, certificate):
    peer = make_peer(certificate=certificate, login=("mansio", "s3cret words"))
    node = make_daemon(next_hop=[peer.endpoint], tables={
        'route."*"': {"tls": "required", "auth.user": "mansio", "auth.password": "s3cret words"}})
    id = node.submit("a@a.example", ["b@b.example"])
    settled(node, delivered=1)
    assert peer.secure == [True] and peer.delivered == ["b@b.example"]
    assert node.json_lines("history", id)[-1]["tls"].startswith("TLS")
    assert "s3cret" not in node.log()


def test_a_wrong_password_defers_and_never_reaches_mail(make_daemon, make_peer, certificate):
    peer = make_peer(certificate=certificate, login=("mansio", "right-one"))
    node = make_daemon(next_hop=[peer.endpoint], tables={
        'route."*"': {"tls": "required", "auth.user": "mansio", "auth.password": "mistaken-one"}})
    id = node.submit("a@a.example", ["b@b.example"])
    node.wait_until(lambda: "535" in json.dumps(node.json_lines("why", id)), what="the refusal in why")
    assert peer.verbs("MAIL") == [] and node.summary()["queued"] == 1
    assert "mistaken-one" not in node.log()


@pytest.mark.parametrize("policy, offered, delivered, secure", [
    ("opportunistic", True, 1, [True]), ("opportunistic", False, 1, [False]),
    ("none", True, 1, [False]), ("required", False, 0, [])])
def test_tls_to_a_next_hop_as_the_route_says(make_daemon, make_peer, certificate, policy, offered, delivered, secure):
    peer = make_peer(certificate=certificate if offered else None)
    node = make_daemon(next_hop=[peer.endpoint], tables={**SLOW, 'route."*"': {"tls": policy}})
    id = node.submit("a@a.example", ["b@b.example"])
    if delivered:
        settled(node, delivered=1)
    else:
        wait = node.wait_until(lambda: [wait for wait in node.json_lines("why", id)
                                        if wait["reason"] not in ("due", "in_flight")], what="a reason")
        assert "TLS" in json.dumps(wait)
        assert node.summary()["queued"] == 1
    assert peer.secure == secure


def test_a_certificate_that_nobody_vouches_for_is_refused_when_verified(make_daemon, make_peer, certificate):
    peer = make_peer(certificate=certificate)
    node = make_daemon(next_hop=[peer.endpoint],
                       tables={**SLOW, 'route."*"': {"tls": "required", "tls_verify": True}})
    id = node.submit("a@a.example", ["b@b.example"])
    node.wait_until(lambda: "certificate" in json.dumps(node.json_lines("why", id)), what="the reason")
    assert peer.verbs("MAIL") == []


# ---- LMTP ------------------------------------------------------------------------------------------


def test_lmtp_out_settles_each_recipient_by_its_own_reply(make_daemon, make_peer, sink):
    peer = make_peer(lmtp=True, recipient_reply=lambda address: "550 5.1.1 no" if address[0] == "x" else None,
                     final_reply=lambda address: {"f": "452 4.2.2 full", "r": "554 5.6.0 bad"}.get(address[0]))
    node = make_daemon(next_hop=[sink.endpoint], tables={
        **SLOW, 'route."b.example"': {"channel": "lmtp", "next_hop": [peer.endpoint]}})
    id = node.submit("ann@a.example", [f"{name}@b.example" for name in ("ok1", "full", "xx", "refused", "ok2")])
    node.wait_until(lambda: node.summary()["queued"] == 1, what="all but one settled")
    assert node.summary()["delivered"] == 2 + 1 and node.summary()["failed"] == 2
    assert sorted(peer.delivered) == ["ok1@b.example", "ok2@b.example"]
    (waiting,) = recipients_of(node, id).values()
    assert waiting["address"] == "full@b.example" and waiting["last_reply"]["code"] == 452
    report = sink.messages[0].content.decode()
    assert "xx@b.example" in report and "refused@b.example" in report and "ok1@b.example" not in report
    assert peer.verbs("LHLO") and not peer.verbs("EHLO")


def test_lmtp_in_answers_for_every_recipient(make_daemon, sink):
    port = free_port()
    node = make_daemon(next_hop=[sink.endpoint], listeners=[
        {"protocol": "lmtp", "address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"]}])
    with socket.create_connection(("127.0.0.1", port), 20) as client:
        lines = client.makefile("rb")
        assert lines.readline().startswith(b"220 ")
        client.sendall(b"EHLO x\r\n")
        assert lines.readline().startswith(b"500 ")
        client.sendall(b"LHLO x\r\n")
        while lines.readline()[3:4] == b"-":
            pass
        client.sendall(b"MAIL FROM:<a@a.example>\r\nRCPT TO:<b@b.example>\r\nRCPT TO:<bad\r\n"
                       b"RCPT TO:<c@c.example>\r\nDATA\r\n")
        codes = [lines.readline()[:3] for _ in range(5)]
        assert codes == [b"250", b"250", b"501", b"250", b"354"]
        client.sendall(b"Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n")
        replies = [lines.readline() for _ in range(3)]
        assert [reply[:3] for reply in replies] == [b"250", b"250", b"221"]
        assert lines.readline() == b""
    settled(node, accepted=2, delivered=2)
    assert b"with LMTP" in sink.messages[0].content


# ---- TLS in ----------------------------------------------------------------------------------------


def test_tls_on_listeners(make_daemon, sink, certificate):
    files = {"certificate": str(certificate[0]), "key": str(certificate[1])}
    ports = {"starttls": free_port(), "implicit": free_port()}
    node = make_daemon(next_hop=[sink.endpoint], listeners=[
        {"address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"], "tls": kind, **files}
        for kind, port in ports.items()])
    context = ssl.create_default_context(cafile=str(certificate[0]))
    context.check_hostname = False
    with smtplib.SMTP("127.0.0.1", ports["starttls"], "client.test.example", timeout=20) as client:
        client.ehlo()
        assert client.has_extn("starttls")
        assert client.mail("lost@a.example")[0] == 250
        assert client.rset()[0] == 250
        assert client.starttls(context=context)[0] == 220
        assert client.mail("a@a.example")[0] == 503  # all is forgotten, EHLO too
        client.ehlo()
        assert not client.has_extn("starttls")
        assert client.sock.version() in ("TLSv1.2", "TLSv1.3")
        client.sendmail("a@a.example", ["b@b.example"], b"Subject: x\r\n\r\nbody\r\n")
    with smtplib.SMTP_SSL("127.0.0.1", ports["implicit"], "client.test.example", context=context,
                          timeout=20) as client:
        client.sendmail("a@a.example", ["c@c.example"], b"Subject: x\r\n\r\nbody\r\n")
    settled(node, delivered=2)
    assert all(b"with ESMTPS" in message.content for message in sink.messages)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection(("127.0.0.1", ports["implicit"]), 20) as plain, pytest.raises(OSError):
        old.wrap_socket(plain)


# ---- large mail ------------------------------------------------------------------------------------


def high_water_of(node):
    status = open(f"/proc/{node.process.pid}/status").read()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) << 10


def test_large_mail_streams_through(make_daemon, make_peer):
    peer = make_peer()
    node = make_daemon(next_hop=[peer.endpoint], tables={"limits": {"message": "30MiB"}})
    content = b"Subject: large\r\n\r\n" + b"0123456789" * 7 + b"\r\n"
    content += (b"." + b"x" * 70 + b"\r\n") * (20 * (1 << 20) // 73)
    before = high_water_of(node)
    node.submit("a@a.example", ["b@b.example"], content)
    settled(node, delivered=1)
    assert peer.sizes[0] > len(content)
    assert high_water_of(node) - before < 24 << 20


def test_memory_is_not_that_of_the_messages(make_daemon, tmp_path):
    record = tmp_path / "load.jsonl"
    port = free_port()
    sink = subprocess.Popen([str(BIN / "mansio"), "sink", "--json", "--listen", f"127.0.0.1:{port}", "--check",
                             str(record)], stdout=subprocess.PIPE, text=True)
    try:
        assert "listening" in sink.stdout.readline()
        node = make_daemon(next_hop=[f"127.0.0.1:{port}"])
        before = high_water_of(node)
        load = subprocess.run([str(BIN / "mansio"), "load", "--json", "--to", f"127.0.0.1:{node.smtp_port}",
                               "--messages", "20", "--sessions", "20", "--size", "10MiB", "--record", str(record)],
                              capture_output=True, text=True, timeout=60)
        assert load.returncode == 0, load
        settled(node, delivered=20)
        grown = high_water_of(node) - before
        sink.terminate()
        found = json.loads(sink.communicate(timeout=20)[0].splitlines()[-1])["check"]
    finally:
        if sink.poll() is None:
            sink.kill()
            sink.wait()
    assert found["arrived"] == 20 and found["missing"] == 0 and found["damaged"] == 0
    assert grown < 80 << 20, grown  # of 200 MiB
