"""Python's smtplib, and dialogues on a bare socket, as clients."""

import email
import email.policy
import smtplib
import socket
import ssl

import pytest

from content import NASTY, to_wire, without_our_field
from daemon import free_port
from dialogue import Dialogue

SENDER = "ann@sender.example"
WHOLE = b"Subject: test\r\n\r\nhello\r\n"


@pytest.fixture
def client(daemon):
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        yield client


def arrived(daemon, sink, count):
    daemon.wait_until(lambda: len(sink.messages) >= count, what=f"{count} messages at the sink")
    assert len(sink.messages) == count
    return sink.messages


# ---- content ----------------------------------------------------------------------------------------


def test_octets_out_are_octets_in(daemon, sink):
    """One message after the other on one connection, each under the name of its kind."""
    with Dialogue(daemon.smtp_port) as dialogue:
        for name, content in NASTY.items():
            dialogue.send(f"MAIL FROM:<{name}@sender.example> BODY=8BITMIME\r\nRCPT TO:<bob@dest.example>\r\nDATA\r\n")
            assert dialogue.replies(3) == ["250", "250", "354"]
            dialogue.send(to_wire(content))
            assert dialogue.reply().startswith("250 2.0.0 ")
    messages = arrived(daemon, sink, len(NASTY))
    received = {message.sender.split("@")[0]: without_our_field(message.content) for message in messages}
    different = [name for name, content in NASTY.items() if received[name] != content]
    assert not different
    daemon.stop()


def test_octets_out_are_octets_in_after_a_restart(make_daemon, sink):
    """The same from the disk: nothing is delivered before the daemon was stopped and started."""
    sink.answers["greeting"] = lambda _: "421 4.3.2 not now"
    daemon = make_daemon(next_hop=[sink.endpoint])
    for name, content in NASTY.items():
        with Dialogue(daemon.smtp_port) as dialogue:
            dialogue.send(f"MAIL FROM:<{name}@sender.example>\r\nRCPT TO:<bob@dest.example>\r\nDATA\r\n")
            assert dialogue.replies(3) == ["250", "250", "354"]
            dialogue.send(to_wire(content))
            assert dialogue.reply().startswith("250 2.0.0 ")
    daemon.stop()
    del sink.answers["greeting"]
    daemon.start()
    messages = arrived(daemon, sink, len(NASTY))
    received = {message.sender.split("@")[0]: without_our_field(message.content) for message in messages}
    assert not [name for name, content in NASTY.items() if received[name] != content]
    daemon.stop()


FALSE_ENDS = [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\r\n\0.\r\n", b"\r\n.\0\r\n"]


def test_no_other_end_of_data_smuggles_a_message(daemon, sink):
    smuggled = b"MAIL FROM:<evil@sender.example>\r\nRCPT TO:<victim@dest.example>\r\nDATA\r\nSubject: x\r\n"
    replies = {}
    for end in FALSE_ENDS:
        with Dialogue(daemon.smtp_port) as dialogue:
            dialogue.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<bob@dest.example>\r\nDATA\r\n")
            assert dialogue.replies(3) == ["250", "250", "354"]
            dialogue.send(b"Subject: first\r\n\r\nbody" + end + smuggled + b"\r\n.\r\n")
            replies[end] = dialogue.reply()[:6]
    assert replies == dict.fromkeys(FALSE_ENDS, "550 5.")
    daemon.submit(SENDER, ["carol@dest.example"])
    assert [message.recipients for message in arrived(daemon, sink, 1)] == [["carol@dest.example"]]
    assert daemon.summary()["accepted"] == 1


def test_a_message_that_the_client_broke_off_is_none(daemon, sink):
    with Dialogue(daemon.smtp_port) as dialogue:
        dialogue.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<bob@dest.example>\r\nDATA\r\n")
        assert dialogue.replies(3) == ["250", "250", "354"]
        dialogue.send(b"Subject: half\r\n\r\nbody\r\n.")
    daemon.submit(SENDER, ["carol@dest.example"])
    assert [message.recipients for message in arrived(daemon, sink, 1)] == [["carol@dest.example"]]


# ---- long lines -------------------------------------------------------------------------------------

LONG_TEXT = "word " * 400 + "ünd " * 10 + "x" * 3000
LONG = ("Subject: long\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
        "Content-Transfer-Encoding: 8bit\r\n\r\nshort\r\n" + LONG_TEXT + "\r\n").encode()


def test_a_line_that_is_too_long_is_encoded(daemon, client, sink):
    client.sendmail(SENDER, ["bob@dest.example"], LONG, mail_options=["BODY=8BITMIME"])
    (message,) = arrived(daemon, sink, 1)
    assert max(map(len, message.content.split(b"\r\n"))) <= 998
    parsed = email.message_from_bytes(message.content, policy=email.policy.SMTP)
    assert parsed.get_content().splitlines() == ["short", LONG_TEXT]


def test_a_line_that_is_too_long_is_refused_if_settings_say_so(make_daemon, sink):
    daemon = make_daemon(next_hop=[sink.endpoint], tables={"limits": {"line_over": "reject"}})
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
        with pytest.raises(smtplib.SMTPDataError) as error:
            client.sendmail(SENDER, ["bob@dest.example"], LONG, mail_options=["BODY=8BITMIME"])
        assert error.value.smtp_code == 554 and error.value.smtp_error.startswith(b"5.6.0 ")
        # The session goes on.
        client.sendmail(SENDER, ["bob@dest.example"], NASTY["long-lines"])
    (message,) = arrived(daemon, sink, 1)
    assert without_our_field(message.content) == NASTY["long-lines"]


# ---- smtplib ----------------------------------------------------------------------------------------


def test_a_message_made_by_the_email_package(daemon, client, sink):
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["From"] = "Änne <ann@sender.example>"
    message["To"] = "bob@dest.example, carol@other.example"
    message["Subject"] = "Grüße"
    message.set_content("Schöne Grüße\n.\n", cte="8bit")
    message.add_attachment(bytes(range(256)), maintype="application", subtype="octet-stream")
    assert client.send_message(message) == {}
    messages = arrived(daemon, sink, 2)
    assert sorted(message.recipients[0] for message in messages) == ["bob@dest.example", "carol@other.example"]
    for received in messages:
        parsed = email.message_from_bytes(received.content, policy=email.policy.default)
        assert parsed["Subject"] == "Grüße"
        text, attachment = parsed.iter_parts()
        assert text.get_content().splitlines() == ["Schöne Grüße", "."]
        assert attachment.get_content() == bytes(range(256))


def test_it_learns_which_recipients_were_refused(client):
    refused = client.sendmail(SENDER, ["bob@dest.example", "carol@-dest.example"], WHOLE)
    assert {address: code for address, (code, _) in refused.items()} == {"carol@-dest.example": 501}


def test_extensions_are_as_documented(client):
    assert set(client.esmtp_features) == {"pipelining", "size", "8bitmime", "enhancedstatuscodes", "dsn",
                                          "smtputf8", "chunking", "binarymime"}
    assert client.esmtp_features["size"] == str(50 << 20)
    with pytest.raises(smtplib.SMTPNotSupportedError):
        client.login("ann", "secret")


def test_a_message_over_the_limit_is_refused_by_size_or_by_count(make_daemon, sink):
    daemon = make_daemon(next_hop=[sink.endpoint], tables={"limits": {"message": "100KiB"}})
    large = b"Subject: large\r\n\r\n" + b"0123456789abcdef0123456789abcd\r\n" * 4000
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
        with pytest.raises(smtplib.SMTPSenderRefused) as error:
            client.sendmail(SENDER, ["bob@dest.example"], large)  # declares the size
        assert error.value.smtp_code == 552 and error.value.smtp_error.startswith(b"5.3.4 ")
        client.rset()
        assert client.mail(SENDER)[0] == 250
        assert client.rcpt("bob@dest.example")[0] == 250
        code, text = client.data(large)
        assert code == 552 and text.startswith(b"5.3.4 ")
        client.sendmail(SENDER, ["bob@dest.example"], large[:90000])
    assert len(arrived(daemon, sink, 1)[0].content) > 90000


def test_starttls_with_a_certificate_that_is_verified(make_daemon, sink, certificate):
    port = free_port()
    make_daemon(next_hop=[sink.endpoint], listeners=[
        {"protocol": "smtp", "address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"],
         "tls": "starttls", "certificate": certificate[0], "key": certificate[1]}])
    context = ssl.create_default_context(cafile=str(certificate[0]))
    with smtplib.SMTP("127.0.0.1", port, "client.test.example", timeout=20) as client:
        client._host = "mail.test.example"  # what the certificate is for
        assert client.starttls(context=context)[0] == 220
        client.ehlo()
        assert "starttls" not in client.esmtp_features
        client.sendmail(SENDER, ["bob@dest.example"], NASTY["large"])
        with pytest.raises(smtplib.SMTPNotSupportedError):
            client.starttls(context=context)


def test_lmtp_answers_for_each_recipient(make_daemon, sink):
    port = free_port()
    daemon = make_daemon(next_hop=[sink.endpoint], listeners=[
        {"protocol": "lmtp", "address": f"127.0.0.1:{port}", "relay_from": ["127.0.0.0/8"]}])
    with smtplib.LMTP("127.0.0.1", port, "client.test.example") as client:
        client.ehlo()
        assert client.mail(SENDER)[0] == 250
        for name in ("bob", "carol", "dave"):
            assert client.rcpt(f"{name}@dest.example")[0] == 250
        assert client.data(WHOLE)[0] == 250
        assert [client.getreply()[0] for _ in range(2)] == [250, 250]  # smtplib has read the first
        assert client.noop()[0] == 250
    (message,) = arrived(daemon, sink, 1)
    assert message.recipients == ["bob@dest.example", "carol@dest.example", "dave@dest.example"]


# ---- parameters and pipelining ----------------------------------------------------------------------


def test_dsn_parameters_are_passed_on(make_daemon, make_smtp_sink):
    """smtp-sink offers DSN and writes down what it got; the mail waits on disk in between."""
    port = free_port()
    daemon = make_daemon(next_hop=[f"127.0.0.1:{port}"])
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        client.mail(SENDER, ["RET=HDRS", "ENVID=QQ+2B314159", "BODY=8BITMIME"])
        client.rcpt("bob@dest.example", ["NOTIFY=SUCCESS,DELAY", "ORCPT=rfc822;Bob+2Bx@dest.example"])
        client.rcpt("carol@dest.example", ["NOTIFY=NEVER"])
        client.rcpt("dave@dest.example")
        assert client.data(WHOLE)[0] == 250
    daemon.stop()
    sink = make_smtp_sink(port=port)
    daemon.start()
    daemon.wait_until(lambda: daemon.summary()["delivered"] == 3, what="delivery")
    (path,) = sink.folder.iterdir()
    head = path.read_text().partition("\nReceived:")[0]
    mail = [line.split(": ", 1)[1] for line in head.splitlines() if line.startswith("X-Mail-Args")][0]
    assert set(mail.split()[1:]) >= {"RET=HDRS", "ENVID=QQ+2B314159"}
    assert [line.split(": ", 1)[1] for line in head.splitlines() if line.startswith("X-Rcpt-Args")] == [
        "<bob@dest.example> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;Bob+2Bx@dest.example",
        "<carol@dest.example> NOTIFY=NEVER", "<dave@dest.example>"]
    daemon.stop()


def test_a_whole_session_in_two_writes(daemon, sink):
    """Commands behind the final dot are legal (RFC 2920 section 3.1)."""
    def transaction(name):
        return (f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<{name}1@dest.example>\r\n"
                f"RCPT TO:<bad@>\r\nRCPT TO:<{name}2@dest.example>\r\nDATA\r\n").encode()

    with Dialogue(daemon.smtp_port) as dialogue:
        dialogue.send(transaction("a"))
        assert dialogue.replies(5) == ["250", "250", "501", "250", "354"]
        dialogue.send(to_wire(WHOLE) + b"RSET\r\n" + transaction("b"))
        assert dialogue.replies(7) == ["250", "250", "250", "250", "501", "250", "354"]
        dialogue.send(to_wire(WHOLE) + b"NOOP\r\nQUIT\r\n")
        assert dialogue.replies(4) == ["250", "250", "221", ""]
    messages = arrived(daemon, sink, 2)
    assert sorted(message.recipients for message in messages) == [
        ["a1@dest.example", "a2@dest.example"], ["b1@dest.example", "b2@dest.example"]]


def test_content_sent_before_354_is_refused(daemon, sink):
    with Dialogue(daemon.smtp_port) as dialogue:
        dialogue.send(f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<bob@dest.example>\r\nDATA\r\n".encode() + to_wire(WHOLE))
        assert dialogue.replies(4)[:3] == ["250", "250", "554"]
    assert daemon.summary()["accepted"] == 0
    assert sink.messages == []


def test_octets_in_small_pieces(daemon, sink):
    with Dialogue(daemon.smtp_port) as dialogue:
        dialogue.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        everything = f"MAIL FROM:<{SENDER}>\r\nRCPT TO:<bob@dest.example>\r\nDATA\r\n"
        for character in everything:
            dialogue.send(character)
        assert dialogue.replies(3) == ["250", "250", "354"]
        for octet in to_wire(NASTY["dots"]):
            dialogue.send(bytes([octet]))
        assert dialogue.replies(1) == ["250"]
    assert without_our_field(arrived(daemon, sink, 1)[0].content) == NASTY["dots"]
