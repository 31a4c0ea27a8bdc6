"""Programs that people send mail with, and that share no code with this one, all relay through one
mansiod: Exim, Postfix, msmtp, s-nail and `git send-email`."""

import email
import email.policy
import os
import re
import smtplib
import subprocess

import pytest

from content import EIGHT_BIT, NASTY
from counts import wait_for
from daemon import Daemon, Sink, free_port
from peer import Peer
from peers import Exim, Postfix

SENDER = "ann@sender.example"
HEADER = (b"From: Ann <ann@sender.example>\r\nTo: Bob <bob@dest.example>\r\nSubject: from a program\r\n"
          b"Date: Sun, 22 Nov 2026 10:00:00 +0000\r\nMessage-ID: <1@sender.example>\r\n"
          b"MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
          b"Content-Transfer-Encoding: 8bit\r\n\r\n")
# Whatever follows a header section that is as it should be.
BODIES = {name: HEADER + NASTY[name].partition(b"\r\n\r\n")[2] for name in
          ("dots", "line-ends-at-the-end", "eight-bit", "commands", "white-space-at-the-end", "long-lines",
           "controls")}
LARGE = HEADER + b"".join(b".%07d %s\r\n" % (line, EIGHT_BIT[:56]) for line in range(20000))


class Relay:
    """The one mansiod, with two listeners, and the sink that it delivers to."""

    def __init__(self, folder, certificate):
        self.sink = Sink(extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES"))
        self.tls_port = free_port()
        self.daemon = Daemon(folder, next_hop=[self.sink.endpoint], tables={"limits": {"message": "10MiB"}}, listeners=[
            {"protocol": "smtp", "address": f"127.0.0.1:{self.tls_port}", "relay_from": ["127.0.0.0/8"],
             "tls": "starttls", "certificate": certificate[0], "key": certificate[1]}])
        self.port = self.daemon.smtp_port
        self.daemon.start()

    def delivered(self, count, timeout=30):
        """Waits until `count` messages have come since the last call; they come in any order."""
        self.daemon.wait_until(lambda: len(self.sink.messages) >= count, timeout, f"{count} messages")
        wait_for(self.daemon, queued=0)
        messages = list(self.sink.messages)
        assert len(messages) == count
        self.sink.messages.clear()
        return messages

    def one(self, recipients):
        (message,) = self.delivered(1)
        assert (message.sender, message.recipients) == (SENDER, recipients)
        return message.content


@pytest.fixture(scope="module")
def relay(tmp_path_factory, certificate):
    folder = tmp_path_factory.mktemp("relay")
    relay = Relay(folder / "node", certificate)
    yield relay
    summary = relay.daemon.summary()
    relay.daemon.stop()
    relay.sink.close()
    # What all of them together have sent.
    assert summary["accepted"] == summary["delivered"] > 0
    assert summary["failed"] == summary["queued"] == 0


def run(*arguments, **options):
    result = subprocess.run([str(argument) for argument in arguments], capture_output=True, timeout=60, **options)
    assert result.returncode == 0, (arguments, result.stdout, result.stderr)
    return result


# ---- servers --------------------------------------------------------------------------------------


@pytest.fixture
def make_exim():
    started = []

    def make(*arguments, **options):
        started.append(Exim(*arguments, **options))
        return started[-1]

    yield make
    for exim in started:
        exim.close()


def through(server, contents):
    with smtplib.SMTP("127.0.0.1", server.port, "client.test.example", timeout=20) as client:
        for content in contents:
            assert client.sendmail(SENDER, ["bob@dest.example"], content, mail_options=["BODY=8BITMIME"]) == {}


def test_exim_relays_with_bdat(relay, make_exim):
    """Exim uses CHUNKING wherever it is offered: nothing is escaped, and all octets are the same."""
    exim = make_exim(relay.port)
    contents = [*BODIES.values(), LARGE]
    through(exim, contents)
    messages = relay.delivered(len(contents))
    for content in contents:
        found = [message for message in messages if message.content.endswith(b"\r\n" + content)]
        assert len(found) == 1, content[-80:]
        assert (found[0].sender, found[0].recipients) == (SENDER, ["bob@dest.example"])
    # Exim marks with K what went in chunks.
    exim_says = exim.deliveries()
    assert len(exim_says) == len(contents) and all(" K " in line for line in exim_says), exim_says
    assert all(re.search(rb"\sby mail\.test\.example [^;]*with ESMTP", message.content) for message in messages)


def test_exim_relays_with_data(relay, make_exim):
    exim = make_exim(relay.port, transport=["hosts_try_chunking ="])
    contents = [*BODIES.values(), LARGE]
    through(exim, contents)
    messages = relay.delivered(len(contents))
    for content in contents:
        assert any(message.content.endswith(b"\r\n" + content) for message in messages), content[-80:]
    assert all(" K " not in line for line in exim.deliveries())


def test_exim_relays_over_tls(relay, make_exim):
    exim = make_exim(relay.tls_port, transport=["hosts_require_tls = *", "tls_verify_hosts =",
                                                "tls_try_verify_hosts ="])
    through(exim, [LARGE])
    assert relay.one(["bob@dest.example"]).endswith(LARGE)
    (line,) = exim.deliveries()
    assert " X=TLS1.3:" in line, line


def test_exim_has_many_recipients(relay, make_exim):
    exim = make_exim(relay.port)
    addresses = [f"user{number}@dest.example" for number in range(60)]
    with smtplib.SMTP("127.0.0.1", exim.port, "client.test.example", timeout=20) as client:
        client.sendmail(SENDER, addresses, BODIES["dots"])
    messages = relay.delivered(1)
    assert sorted(messages[0].recipients) == sorted(addresses)
    assert messages[0].content.endswith(BODIES["dots"])


def test_postfix_relays(relay):
    postfix = Postfix("dest.example", ["bob"], settings={
        "relay_transport": f"smtp:[127.0.0.1]:{relay.tls_port}", "smtp_tls_security_level": "encrypt",
        "message_size_limit": "0", "always_add_missing_headers": "no"})
    try:
        contents = [*BODIES.values(), LARGE]
        through(postfix, contents)
        messages = relay.delivered(len(contents))
        for content in contents:
            assert any(message.content.endswith(b"\r\n" + content) for message in messages), content[-80:]
        assert postfix.log().count("status=sent (250 2.0.0") == len(contents)
    finally:
        postfix.close()


# ---- programs of people -----------------------------------------------------------------------------


def msmtp(port, *options, content, sender=SENDER, recipients=("bob@dest.example",)):
    return run("msmtp", "--host=127.0.0.1", f"--port={port}", "--domain=client.test.example", f"--from={sender}",
               *options, "--", *recipients, input=content)


@pytest.mark.parametrize("name", [*BODIES, "large"])
def test_msmtp(relay, name):
    content = {**BODIES, "large": LARGE}[name]
    msmtp(relay.port, content=content.replace(b"\r\n", b"\n"))
    assert without_received(relay.one(["bob@dest.example"])) == content


def without_received(content):
    """The message without the one field that mansiod adds."""
    assert content.startswith(b"Received: ")
    return re.sub(rb"\AReceived: .*?\r\n(?![ \t])", b"", content, count=1, flags=re.DOTALL)


def test_msmtp_with_starttls_and_a_verified_certificate(relay, certificate):
    msmtp(relay.tls_port, "--tls=on", "--tls-starttls=on", f"--tls-trust-file={certificate[0]}",
          "--tls-host-override=mail.test.example", content=BODIES["dots"].replace(b"\r\n", b"\n"),
          recipients=["bob@dest.example", "carol@dest.example"])
    content = relay.one(["bob@dest.example", "carol@dest.example"])
    assert without_received(content) == BODIES["dots"]
    assert b"with ESMTPS" in content.split(b"From: ")[0]


def test_msmtp_asks_for_notices(tmp_path):
    peer = Peer(extensions=("PIPELINING", "8BITMIME", "DSN"))
    with Daemon(tmp_path / "node", next_hop=[peer.endpoint]) as daemon:
        msmtp(daemon.smtp_port, "--dsn-notify=failure,delay,success", "--dsn-return=full",
              content=BODIES["dots"].replace(b"\r\n", b"\n"))
        wait_for(daemon, delivered=1, queued=0)
    peer.close()
    (mail,), (recipient,) = peer.verbs("MAIL"), peer.verbs("RCPT")
    assert "RET=FULL" in mail.split()
    (notify,) = [word for word in recipient.split() if word.startswith("NOTIFY=")]
    assert sorted(notify[7:].upper().split(",")) == ["DELAY", "FAILURE", "SUCCESS"]


def s_nail(port, *options, text, recipients=("bob@dest.example",)):
    return run("s-nail", "-:/", "-S", "v15-compat", "-S", f"mta=smtp://127.0.0.1:{port}", "-S", "smtp-auth=none",
               "-S", "hostname=client.test.example", "-S", f"from={SENDER}", "-S", "ttycharset=utf-8",
               "-S", "sendwait", "-r", SENDER, *options, *recipients, input=text.encode(),
               env={**os.environ, "LC_ALL": "C.UTF-8"})


def test_s_nail(relay, tmp_path):
    attachment = tmp_path / "all-octets"
    attachment.write_bytes(bytes(range(256)) * 400)
    text = "Grüße, 你好\n.\n..\nFrom here\n" + "long " * 100 + "\n"
    s_nail(relay.port, "-s", "Grüße", "-a", attachment, text=text,
           recipients=["bob@dest.example", "carol@dest.example"])
    message = email.message_from_bytes(relay.one(["bob@dest.example", "carol@dest.example"]),
                                       policy=email.policy.default)
    assert message["Subject"] == "Grüße"
    body, file = message.iter_parts()
    assert body.get_content().replace("\r\n", "\n") == text
    assert file.get_content() == attachment.read_bytes()


def git(folder, *arguments, **options):
    environment = {**os.environ, "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1",
                   "GIT_AUTHOR_NAME": "Ånn", "GIT_AUTHOR_EMAIL": SENDER,
                   "GIT_COMMITTER_NAME": "Ånn", "GIT_COMMITTER_EMAIL": SENDER}
    return run("/usr/bin/git", "-C", folder, "-c", "init.defaultBranch=main", *arguments,
               env=environment, **options).stdout.decode().strip()


def repository(folder):
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "file").write_text("first\n")
    git(folder, "add", "file")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def test_git_send_email(relay, tmp_path):
    """Patches that went through mansiod make the same files where they are applied."""
    there = repository(tmp_path / "there")
    here = tmp_path / "here"
    git(tmp_path, "clone", "-q", there, here)
    texts = ["first\nGrüße\n\n.\n..\n.From\nFrom here\n\ttab \n", "x" * 900 + "\n", "no end"]
    for number, text in enumerate(texts):
        (here / "file").write_text(text)
        git(here, "commit", "-q", "-a", "-m", f"Änderung {number}\n\n.\nFrom the start.")
    git(here, "send-email", "--to=bob@dest.example", "--cc=carol@dest.example", f"--from=Ånn <{SENDER}>",
        f"--envelope-sender={SENDER}", "--suppress-cc=all", "--smtp-server=127.0.0.1",
        f"--smtp-server-port={relay.port}", "--smtp-domain=client.test.example", "--transfer-encoding=8bit",
        "--no-validate", "--confirm=never", "--quiet", f"-{len(texts)}")
    messages = relay.delivered(len(texts))
    assert {message.sender for message in messages} == {SENDER}
    assert {tuple(message.recipients) for message in messages} == {("bob@dest.example", "carol@dest.example")}
    messages.sort(key=lambda message: re.search(rb"PATCH (\d)", message.content)[1])
    for number, message in enumerate(messages):
        (tmp_path / f"{number}.eml").write_bytes(message.content.replace(b"\r\n", b"\n"))
        git(there, "am", "-q", tmp_path / f"{number}.eml")
        assert (there / "file").read_text() == texts[number]
    assert git(there, "log", "--format=%an %s%n%b") == git(here, "log", "--format=%an %s%n%b")


# ---- the other way ----------------------------------------------------------------------------------


def test_exim_is_the_next_hop(tmp_path, make_exim, sink):
    """From mansiod to Exim, which relays to the sink; a binary message becomes base64 on the way, since
    Exim has no BINARYMIME."""
    exim = make_exim(sink.port, transport=["hosts_try_chunking ="])
    octets = bytes(range(256)) * 100
    binary = (HEADER.replace(b"text/plain; charset=utf-8", b"application/octet-stream").replace(b"8bit", b"binary") +
              octets)
    with Daemon(tmp_path / "node", next_hop=[exim.endpoint]) as daemon:
        for content in BODIES.values():
            daemon.submit(SENDER, ["bob@dest.example"], content)
        with smtplib.SMTP("127.0.0.1", daemon.smtp_port, "client.test.example", timeout=20) as client:
            client.ehlo()
            assert client.has_extn("chunking") and client.has_extn("binarymime")
            assert client.mail(SENDER, ["BODY=BINARYMIME"])[0] == client.rcpt("carol@dest.example")[0] == 250
            client.send(b"BDAT %d LAST\r\n" % len(binary) + binary)
            assert client.getreply()[0] == 250
        wait_for(daemon, delivered=len(BODIES) + 1, queued=0)
        daemon.wait_until(lambda: len(sink.messages) > len(BODIES), what="arrival behind Exim")
    contents = {tuple(message.recipients): [] for message in sink.messages}
    for message in sink.messages:
        contents[tuple(message.recipients)].append(message.content)
    for content in BODIES.values():
        assert any(taken.endswith(b"\r\n" + content) for taken in contents["bob@dest.example",]), content[-80:]
    (taken,) = contents["carol@dest.example",]
    assert email.message_from_bytes(taken, policy=email.policy.default).get_content() == octets
