"""The `sendmail` command with a running daemon, without one, and across crashes of either."""

import os
import subprocess

import pytest

import maildrop
from daemon import BIN, wait_until

# Where a daemon that takes a message dies: before it is durable, and before its file goes.
PLACES = ("fdatasync:1", "fdatasync:2", "unlinkat:1")


@pytest.fixture
def local(make_daemon, sink, tmp_path):
    """A daemon with a socket for local programs and a maildrop, not started."""
    folder = tmp_path / "node" / "drop"
    folder.mkdir(parents=True)
    daemon = make_daemon(
        start=False, next_hop=[sink.endpoint], tables={"maildrop": {"path": str(folder)}},
        listeners=[{"address": str(tmp_path / "node" / "s.sock"), "mode": "0666"}])
    daemon.maildrop = folder
    daemon.write_config()
    return daemon


def sendmail(daemon, *words, text="Subject: x\n\nhello\n", name="sendmail", prefix=()):
    """Runs the program under one of its names; `text` is its standard input."""
    link = daemon.folder / name
    if not link.exists():
        link.symlink_to(BIN / "mansio")
    words = [str(link), "-C", str(daemon.config), *words]
    return subprocess.run([*prefix, *words], input=text.encode(), capture_output=True, timeout=60)


def messages(daemon, sink, count):
    daemon.wait_until(lambda: len(sink.messages) >= count, what=f"{count} messages")
    return sink.messages


def waiting(daemon):
    return sorted(path.name for path in daemon.maildrop.iterdir())


def test_a_message_goes_through_the_socket_of_the_daemon(local, sink):
    local.start()
    result = sendmail(local, "-f", "ann@example.org", "-F", "Ann", "bob@b.example", "--", "-x@b.example")
    assert result.returncode == 0, result
    [message] = messages(local, sink, 1)
    assert message.sender == "ann@example.org"
    assert message.recipients == ["bob@b.example", "-x@b.example"]
    text = message.content.decode()
    user = os.getuid()
    assert f"(local, userid {user})\r\n" in text and " with ESMTP\r\n" in text
    assert "From: Ann <ann@example.org>\r\n" in text
    assert text.count("\r\nDate: ") == 1 and text.count("\r\nMessage-ID: ") == 1
    assert text.endswith("\r\n\r\nhello\r\n")
    assert f"user=uid:{user}" in local.log() or f'user="uid:{user}"' in local.log()


def test_recipients_come_from_the_header_and_bcc_goes_nowhere(local, sink):
    local.start()
    text = ("To: Bob <bob@b.example>, team: carl@c.example;\nCc: dora\n"
            "Bcc: secret@s.example\n\n.\nafter the dot\n")
    assert sendmail(local, "-t", "-i", text=text).returncode == 0
    wait_until(lambda: len(sink.recipients()) == 4)
    assert sorted(sink.recipients()) == ["bob@b.example", "carl@c.example", "dora@mail.test.example",
                                         "secret@s.example"]
    for message in sink.messages:
        assert b"secret" not in message.content
        assert message.content.endswith(b"\r\n\r\n.\r\nafter the dot\r\n")
    # Without -i the dot ends the message, and the null sender has no notice to fear.
    assert sendmail(local, "-f", "<>", "bob@b.example", text="a\n.\nb\n").returncode == 0
    wait_until(lambda: len(sink.recipients()) == 5)
    assert sink.messages[-1].sender == "" and sink.messages[-1].content.endswith(b"\r\n\r\na\r\n")


def test_what_speaks_smtp_on_the_socket_submits_too(local, sink):
    local.start()
    program = subprocess.Popen([BIN / "mansio", "sendmail", "-C", local.config, "-bs"],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def reply():
        while True:
            line = program.stdout.readline()
            if line[3:4] != b"-":
                return line

    assert reply().startswith(b"220 ")
    for command in ("EHLO me", "MAIL FROM:<ann@example.org>", "RCPT TO:<bob@b.example>", "DATA",
                    "Subject: x\r\nBcc: y@z\r\n\r\nhello\r\n.", "QUIT"):
        program.stdin.write(command.encode() + b"\r\n")
        program.stdin.flush()
        assert reply()[:1] in b"23", command
    assert program.wait(20) == 0
    [message] = messages(local, sink, 1)
    assert b"\r\nDate: " in message.content and b"Bcc" not in message.content
    # Over TCP nothing is added: whoever relays is not ours to complete (RFC 6409 section 8).
    local.submit("ann@example.org", ["bob@b.example"], b"Subject: x\r\n\r\nhello\r\n")
    assert b"Date: " not in messages(local, sink, 2)[1].content


def test_the_queue_is_listed_and_flushed(local, sink):
    sink.answers["rcpt"] = lambda _: "450 4.2.1 come back"
    local.tables["retry"].update(min="1h", max="1h")
    local.start()
    assert sendmail(local, name="mailq").stdout == b"Mail queue is empty\n"
    assert sendmail(local, "-f", "ann@example.org", "bob@b.example").returncode == 0
    local.wait_until(lambda: local.summary()["queued"] == 1 and sink.attempts == 1)
    local.wait_until(lambda: b"come back" in sendmail(local, "-bp").stdout)
    listed = sendmail(local, name="mailq").stdout.decode()
    assert "ann@example.org" in listed and "bob@b.example" in listed
    assert listed.splitlines()[-1].endswith("in 1 message.")
    sink.answers.clear()
    assert sendmail(local, "-qRb.example").returncode == 0
    messages(local, sink, 1)
    assert sendmail(local, "-q").returncode == 0


def test_without_a_daemon_mail_is_left_and_delivered_once(local, sink):
    for number in range(3):
        assert sendmail(local, "-f", "ann@example.org", f"to{number}@b.example").returncode == 0
    assert len(waiting(local)) == 3
    result = sendmail(local, "-bs", text="QUIT\r\n")
    assert result.stdout.startswith(b"421 4.3.2 ") and result.returncode == 75
    assert sendmail(local, "-bp").returncode == 69
    local.start()
    messages(local, sink, 3)
    local.wait_until(lambda: not waiting(local))
    assert sorted(sink.recipients()) == [f"to{number}@b.example" for number in range(3)]
    assert b"(Mansio, from userid " in sink.messages[0].content
    local.stop()
    local.start()
    assert local.summary()["accepted"] == 3


def test_a_listener_that_does_not_relay_for_this_machine_is_not_asked(local, sink):
    """It would refuse for good what the maildrop takes."""
    local.tables["[[listener]]"] = [{"address": f"127.0.0.1:{local.smtp_port}", "relay_from": ["192.0.2.0/24"]}]
    local.start()
    assert sendmail(local, "bob@b.example").returncode == 0
    messages(local, sink, 1)


def test_exit_statuses(local):
    assert sendmail(local).returncode == 64
    assert sendmail(local, "-bd").returncode == 64
    assert sendmail(local, "-t", text="Subject: x\n\n").returncode == 65
    assert sendmail(local, name="newaliases").returncode == 0
    local.tables["limits"] = {"message": "64KiB"}
    local.write_config()
    assert sendmail(local, "bob@b.example", text="x\n" * 40_000).returncode == 69
    # Below the limit as it comes, over it as it would be left.
    assert sendmail(local, "bob@b.example", text="x\n" * 25_000).returncode == 69
    assert sendmail(local, "bob@b.example", text="x\0y\n").returncode == 65
    assert not waiting(local)
    del local.tables["maildrop"]
    local.write_config()
    result = sendmail(local, "bob@b.example")
    assert result.returncode == 75 and b"try again later" in result.stderr
    local.config.write_text("[server]\n")
    assert sendmail(local, "bob@b.example").returncode == 78


@pytest.mark.parametrize("call", ["write:2", "fsync:1", "fchmod:1", "renameat:1", "fsync:2"])
def test_a_killed_sendmail_leaves_a_whole_message_or_none(local, sink, call):
    name, number = call.split(":")
    result = sendmail(local, "bob@b.example", prefix=(
        "strace", "-f", "-o", "/dev/null", "-e", f"trace={name}",
        "-e", f"inject={name}:signal=SIGKILL:when={number}"))
    assert result.returncode != 0
    whole = [name for name in waiting(local) if not name.startswith("tmp-")]
    assert len(whole) == (1 if call == "fsync:2" else 0), waiting(local)
    assert sendmail(local, "carl@b.example").returncode == 0
    local.start()
    messages(local, sink, 1 + len(whole))
    expected = ["bob@b.example"] * len(whole) + ["carl@b.example"]
    assert sorted(sink.recipients()) == expected


@pytest.mark.parametrize("call", PLACES)
def test_a_killed_daemon_takes_a_message_once(local, sink, call):
    name, number = call.split(":")
    path = maildrop.name(1)
    maildrop.put(local.maildrop, maildrop.message("ann@example.org", ["bob@b.example"], b"hi\n"), path)
    local.prefix = ["strace", "-D", "-f", "-o", "/dev/null", "-e", f"trace={name}",
                    "-e", f"inject={name}:signal=SIGKILL:when={number}"]
    local.spawn()
    wait_until(lambda: local.process.poll() is not None, what="the crash")
    local.prefix = []
    local.start()
    local.wait_until(lambda: not waiting(local))
    local.wait_until(lambda: local.summary()["delivered"] == 1)
    assert local.summary()["accepted"] == 1
    # At most what was in flight when it was killed is sent again.
    assert set(sink.recipients()) == {"bob@b.example"}


def test_a_thousand_files_at_once_and_what_does_not_belong_there(local, sink):
    folder = local.maildrop
    good = maildrop.message("ann@example.org", ["bob@b.example"], b"Subject: x\n\nhello\n")
    secret = local.folder / "secret"
    secret.write_bytes(good)
    os.symlink(secret, folder / maildrop.name(5001))
    os.mkfifo(folder / maildrop.name(5002))
    os.mkdir(folder / maildrop.name(5003))
    os.link(secret, folder / maildrop.name(5004))
    maildrop.put(folder, good[:-3], maildrop.name(5005))
    maildrop.put(folder, b"x", maildrop.name(5006))
    maildrop.put(folder, good, "README")
    maildrop.put(folder, good, maildrop.name(5007), mode=0o666)
    odd = waiting(local)
    for number in range(1000):
        maildrop.put(folder, good, maildrop.name(number))
    local.start()
    local.wait_until(lambda: local.summary()["delivered"] == 1000, timeout=60)
    assert waiting(local) == odd
    assert local.log().count("maildrop_left") == len(odd)
    assert len(sink.recipients()) == 1000
    status = local.get("/v1/status")
    [seen] = [one for one in status["listeners"] if one["protocol"] == "maildrop"]
    assert seen["messages_total"] == 1000 and seen["connections_refused"] == len(odd)


PASS = """
import os, socket, sys
sockets = []
for address in sys.argv[1].split(","):
    if address.startswith("/"):
        one = socket.socket(socket.AF_UNIX); one.bind(address)
    else:
        one = socket.socket(); one.bind(("127.0.0.1", int(address)))
    one.listen(16); sockets.append(one)
for number, one in enumerate(sockets):
    os.dup2(one.fileno(), 100 + number)
for number in range(len(sockets)):
    os.dup2(100 + number, 3 + number); os.close(100 + number)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(sockets)),
                  LISTEN_FDNAMES=":".join(["mansio"] * len(sockets)))
os.execv(sys.argv[2], sys.argv[2:])
"""


def test_sockets_of_the_service_manager_are_taken_over(local, sink):
    path = local.folder / "s.sock"
    local.prefix = ["/usr/bin/python3", "-c", PASS, f"{local.smtp_port},{path}"]
    local.start()
    local.submit("ann@example.org", ["bob@b.example"])
    assert sendmail(local, "carl@b.example").returncode == 0
    messages(local, sink, 2)
    listeners = local.tables["[[listener]]"]
    local.tables["[[listener]]"] = listeners[1:]
    local.reload()
    local.wait_until(lambda: local.log().count(" reloaded") == 1)
    local.tables["[[listener]]"] = listeners  # a port below 1024 could not be bound anew
    local.reload()
    local.wait_until(lambda: local.log().count(" reloaded") == 2)
    local.submit("ann@example.org", ["dora@b.example"])
    messages(local, sink, 3)
    local.stop()
    assert path.exists(), "the socket belongs to who made it"


def test_a_passed_socket_that_no_listener_names_is_an_error(local):
    local.prefix = ["/usr/bin/python3", "-c", PASS, str(local.folder / "other.sock")]
    local.spawn()
    assert local.process.wait(20) == 78
    assert "other.sock" in local.log() and "[[listener]]" in local.log()
