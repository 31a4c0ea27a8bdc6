"""Messages with lines over the limit of SMTP: what arrives has none, and says the same to a reader
that is not ours (the email package of Python)."""

import email
import email.policy
import smtplib

import pytest

LONG = "öäü = " * 400 + "x" * 2000
HTML = "<p>" + "word " * 1000 + "</p>"
HEADER = b"From: a@example.org\r\nSubject: long\r\n"


def mime(kind, encoding, body, boundary=None):
    extra = f'; boundary="{boundary}"' if boundary else ""
    return (f"MIME-Version: 1.0\r\nContent-Type: {kind}{extra}\r\n"
            f"Content-Transfer-Encoding: {encoding}\r\n\r\n").encode() + body


def parts(*bodies, boundary):
    joined = b"".join(b"--" + boundary + b"\r\n" + body + b"\r\n" for body in bodies)
    return joined + b"--" + boundary + b"--\r\n"


NESTED = mime("multipart/mixed", "8bit", parts(
    mime("multipart/alternative", "8bit", parts(
        mime("text/plain; charset=utf-8", "8bit", b"short \xc3\xa4 =\r\n"),
        mime("text/html; charset=utf-8", "8bit", HTML.encode()), boundary=b"inner"), "inner"),
    mime("application/json", "7bit", b'{"a": "' + b"b" * 3000 + b'"}\r\n'),
    mime("image/png", "base64", b"iVBORw0KGgo" * 400 + b"\r\n"),
    mime("text/plain; charset=utf-8", "quoted-printable", b"=C3=A4 =3D" * 300 + b"=\r\nend\r\n"),
    boundary=b"outer"), "outer")

MESSAGES = {
    "plain": HEADER + b"\r\n" + b"no mime " * 300 + b"\r\n.\r\n..\r\nend \r\n",
    "text": HEADER + mime("text/plain; charset=utf-8", "8bit", LONG.encode() + b"\r\nlast"),
    "nested": HEADER + NESTED,
    "header": HEADER + b"References: " + b" ".join(b"<%d@example.org>" % i for i in range(500)) +
              b"\r\n\r\nbody\r\n",
}


def leaves(content):
    """(type, decoded octets) of each part; line ends at the very end of one do not count."""
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    return [(part.get_content_type(), part.get_payload(decode=True).rstrip(b"\r\n"))
            for part in message.walk() if not part.is_multipart()]


def fields(content):
    message = email.message_from_bytes(content, policy=email.policy.compat32)
    return [(name, value.replace("\r\n", "").replace("\n", "")) for name, value in message.items()
            if name not in ("Received", "MIME-Version", "Content-Transfer-Encoding")]


@pytest.mark.parametrize("name", MESSAGES)
def test_what_arrives_has_no_long_line_and_says_the_same(daemon, sink, name):
    sent = MESSAGES[name]
    assert max(map(len, sent.split(b"\r\n"))) > 998
    id = daemon.submit("alice@example.org", ["bob@b.example"], sent)
    daemon.wait_until(lambda: sink.messages, what="the delivery")
    arrived = sink.messages[0].content
    assert max(map(len, arrived.split(b"\r\n"))) <= 998
    assert leaves(arrived) == leaves(sent)
    assert fields(arrived) == fields(sent)
    assert f"message_reencoded id={id}" in daemon.log()


@pytest.mark.parametrize("content, why", [
    (b"DKIM-Signature: v=1\r\n\r\n" + b"x" * 999 + b"\r\n", "it is signed"),
    (b"X-Long: " + b"x" * 999 + b"\r\n\r\nbody\r\n", "no white space"),
    (HEADER + b"\r\n" + b"x" * 400_000 + b"\r\n", "too large"),
], ids=["signed", "header", "large"])
def test_what_cannot_be_reencoded_is_refused_with_the_reason(daemon, sink, content, why):
    with pytest.raises(AssertionError) as refusal:
        daemon.submit("alice@example.org", ["bob@b.example"], content)
    assert why in str(refusal.value)
    assert "998 octets" in str(refusal.value)
    with smtplib.SMTP("127.0.0.1", daemon.smtp_port, timeout=20) as client:
        with pytest.raises(smtplib.SMTPDataError) as error:
            client.sendmail("alice@example.org", ["bob@b.example"], content)
    assert error.value.smtp_code == 554 and error.value.smtp_error.startswith(b"5.6.0 ")
    assert daemon.summary()["accepted"] == 0
