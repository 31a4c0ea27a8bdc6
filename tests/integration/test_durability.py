"""Accepted is durable: seen in the system calls of an accept, and after every way to die. Also what the
spool refuses to open, and that a restart changes nothing of what waits."""

import json
import re
import shutil
import smtplib
import struct
import subprocess
import threading

import pytest

from daemon import BIN, Sink, free_port, wait_until

HOLD = {'route."*"': {"channel": "hold", "next_hop": []}}
STATES_AT_REST = ("active", "deferred", "held", "in_doubt")


def strace(output, *arguments):
    """A prefix for mansiod that traces it from its first instruction; the process stays our child."""
    return ["strace", "-D", "-f", "-y", "-s", "65536", "-o", str(output), *arguments]


def check_spool(daemon):
    return subprocess.run([str(BIN / "mansio"), "spool", "check", str(daemon.folder / "spool")],
                          capture_output=True, text=True, timeout=60)


def assert_sound(daemon):
    """The daemon must have ended."""
    result = check_spool(daemon)
    assert result.returncode == 0, result


def assert_balanced(summary):
    assert summary["accepted"] == sum(
        summary[name] for name in ("delivered", "failed", "expired", "removed", "moved", "queued")), summary


def queued_messages(daemon):
    return {message["id"]: message for message in daemon.json_lines("list")}


# ---- the order of system calls --------------------------------------------------------------------


def test_the_sync_has_returned_before_the_reply_is_written(make_daemon, tmp_path):
    trace = tmp_path / "trace"
    node = make_daemon(tables=HOLD, prefix=strace(
        trace, "-e", "trace=fdatasync,fsync,pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg"))
    id = node.submit("a@a.example", ["b@b.example"], b"Subject: x\r\n\r\nthe-octets-of-this-message\r\n")
    node.stop()
    wait_until(lambda: "+++ exited with 0 +++" in trace.read_text(errors="replace").splitlines()[-1],
               what="the end of the trace")
    written = synced = replied = None
    syncing = set()  # threads in a sync that began after the content was written
    for number, line in enumerate(trace.read_text(errors="replace").splitlines()):
        thread = line.split(" ", 1)[0]
        if "pwrite" in line and "the-octets-of-this-message" in line:
            assert "/journal/segment-" in line
            assert written is None and "unfinished" not in line
            written = number
        elif "fdatasync(" in line and "/journal/segment-" in line and written is not None:
            if "unfinished" in line:
                syncing.add(thread)
            elif synced is None:
                assert line.endswith("= 0")
                synced = number
        elif "fdatasync resumed" in line and thread in syncing and synced is None:
            assert line.endswith("= 0")
            synced = number
        elif "send" in line and f"250 2.0.0 Ok: queued as {id}" in line:
            replied = number
    assert None not in (written, synced, replied)
    assert written < synced < replied


def test_one_commit_serves_many_sessions(make_daemon, tmp_path):
    # A sync takes 5 ms here, however fast the disk is, so that a group can gather meanwhile.
    trace = tmp_path / "trace"
    node = make_daemon(tables=HOLD, prefix=strace(
        trace, "--seccomp-bpf", "-e", "trace=fdatasync", "-e", "inject=fdatasync:delay_exit=5000"))
    load = subprocess.run(
        [str(BIN / "mansio"), "load", "--json", "--to", f"127.0.0.1:{node.smtp_port}", "--messages", "2000",
         "--sessions", "64", "--pipeline", "commands"], capture_output=True, text=True, timeout=60)
    assert load.returncode == 0, load
    syncs = sum(1 for line in trace.read_text(errors="replace").splitlines()
                if "fdatasync(" in line and "/journal/segment-" in line)
    assert node.summary()["queued"] == 2000
    assert syncs <= 2000 / 8
    node.stop()
    assert_sound(node)


# ---- a disk that fails ----------------------------------------------------------------------------


@pytest.mark.parametrize("failing", [4, 24])
def test_a_failed_sync_is_never_answered_and_loses_nothing_acknowledged(make_daemon, sink, tmp_path, failing):
    node = make_daemon(start=False, next_hop=[sink.endpoint],
                       tables={'route."held.example"': {"channel": "hold"}},
                       prefix=strace(tmp_path / "trace", "-e", "trace=fdatasync",
                                     "-e", f"inject=fdatasync:error=EIO:when={failing}"))
    node.spawn()
    acknowledged = []

    def send_until_it_fails():
        try:
            # Two recipients: one is delivered at once, so outcomes are written too.
            acknowledged.append(node.submit("a@a.example", ["b@b.example", "c@held.example"]))
        except (OSError, smtplib.SMTPException):
            pass  # not listening yet, or closed without a reply
        return node.process.poll() is not None

    wait_until(send_until_it_fails, what="the end of mansiod")
    assert node.process.returncode == 74, node.log()
    assert "spool_latched" in node.log() or "start_failed" in node.log()
    node.prefix = []
    node.start()
    kept = queued_messages(node)
    assert set(acknowledged) <= set(kept)
    node.wait_until(lambda: node.summary()["queued"] == len(kept), what="the rest delivered")
    assert_balanced(node.summary())
    assert node.summary()["delivered"] == len(kept)
    node.stop()
    assert_sound(node)


def test_a_client_hears_nothing_when_the_outcome_is_unknown(make_daemon, tmp_path):
    # Neither 250 nor 4yz: the record may be on the disk. The failure begins once the greeting is out.
    node = make_daemon(tables=HOLD)
    client = smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20)
    client.ehlo()
    client.mail("a@a.example")
    client.rcpt("b@b.example")
    assert client.docmd("DATA")[0] == 354
    tracer = subprocess.Popen(["strace", "-f", "-o", str(tmp_path / "trace"), "-p", str(node.process.pid),
                               "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO"],
                              stderr=subprocess.PIPE, text=True)
    assert "attached" in tracer.stderr.readline()
    client.sock.sendall(b"Subject: x\r\n\r\nbody\r\n.\r\n")
    try:
        said = client.sock.recv(1000)
    except ConnectionError:
        said = b""
    assert said == b""
    client.close()
    assert node.process.wait(20) == 74
    tracer.wait(20)


# ---- crashes under load ---------------------------------------------------------------------------


def test_five_crashes_under_load_lose_nothing(make_daemon, tmp_path):
    record = tmp_path / "load.jsonl"
    connections, domains, crashes, messages = 4, 4, 5, 1500
    sink_port = free_port()
    sink = subprocess.Popen(
        [str(BIN / "mansio"), "sink", "--json", "--listen", f"127.0.0.1:{sink_port}", "--check", str(record),
         "--rule", "phase=rcpt code=450 share=0.05 times=1"], stdout=subprocess.PIPE, text=True)
    assert "listening" in sink.stdout.readline()
    node = make_daemon(next_hop=[f"127.0.0.1:{sink_port}"],
                       tables={'destination."*"': {"connections": connections},
                               "retry": {"min": "200ms", "max": "200ms"}})
    load = subprocess.Popen(
        [str(BIN / "mansio"), "load", "--json", "--to", f"127.0.0.1:{node.smtp_port}",
         "--messages", str(messages), "--sessions", "20", "--connect-timeout", "60",
         "--domains", ",".join(f"d{i}.example=1" for i in range(domains)), "--record", str(record)],
        stdout=subprocess.PIPE, text=True)
    try:
        for crash in range(1, crashes + 1):
            node.wait_until(lambda: node.summary()["accepted"] >= messages * crash / (crashes + 1),
                            timeout=60, what="part of the load")
            node.kill()
            node.start()
            assert_balanced(node.summary())
        loaded = json.loads(load.communicate(timeout=120)[0])
        node.wait_until(lambda: node.summary()["queued"] == 0, timeout=60, what="everything settled")
        totals = node.summary()
        node.stop()
        sink.terminate()
        found = json.loads(sink.communicate(timeout=60)[0].splitlines()[-1])["check"]
    finally:
        for process in (sink, load):
            if process.poll() is None:
                process.kill()
                process.wait()
    assert_balanced(totals)
    assert totals["accepted"] == totals["delivered"]
    assert found["missing"] == 0 and found["damaged"] == 0, found
    assert found["arrived"] == loaded["accepted"]
    # One transaction of each connection was in flight, and one had its outcome on the way to the disk.
    assert found["twice"] <= crashes * connections * domains * 2, found
    assert_sound(node)


# ---- a restart changes nothing ---------------------------------------------------------------------


@pytest.fixture
def stalling():
    """A next hop that does not answer the final dot before it is released. Without PIPELINING, so that
    only the message whose dot it is counts as in flight."""
    sink = Sink(extensions=("8BITMIME", "ENHANCEDSTATUSCODES"))
    sink.release = threading.Event()
    sink.reached = threading.Event()

    def dot(_):
        sink.reached.set()
        sink.release.wait(60)
        return None

    sink.answers["dot"] = dot
    yield sink
    sink.release.set()
    sink.close()


@pytest.fixture
def full_of_states(make_daemon, sink, stalling):
    """A queue with deferred, held and waiting mail, and one message in flight."""
    stalling.answers["mail"] = stalling.answers.pop("dot")
    sink.answers["rcpt"] = lambda address: "451 4.7.1 not now" if address.startswith("later") else None
    node = make_daemon(next_hop=[sink.endpoint], tables={
        "server": {"drain": "200ms"},
        "retry": {"min": "1h", "max": "1h", "jitter": 0.3},
        'route."held.example"': {"channel": "hold"},
        'route."stalls.example"': {"channel": "smtp", "next_hop": [stalling.endpoint]},
        'destination."stalls.example"': {"connections": 1}})
    for i in range(3):
        node.submit("a@a.example", [f"later{i}@b.example", "now@b.example", "kept@held.example"])
    node.wait_until(lambda: node.summary()["delivered"] == 3, what="three deliveries")
    stopped = node.submit("a@a.example", ["later9@c.example"])
    node.wait_until(lambda: all(recipient["state"] in ("deferred", "held")
                                for message in queued_messages(node).values()
                                for recipient in message["recipients"]), what="deferrals")
    assert node.command("hold", stopped, "--reason", "test").returncode == 0
    assert node.command("retry", "--recipient", "later0@b.example").returncode == 0  # a second try
    node.wait_until(lambda: any(recipient["tries"] == 2 for message in queued_messages(node).values()
                                for recipient in message["recipients"]), what="a second try")
    node.in_flight = node.submit("a@a.example", ["x@stalls.example"])
    assert stalling.reached.wait(20)
    for i in range(2):
        node.submit("a@a.example", [f"y{i}@stalls.example"])
    return node


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_a_restart_changes_no_try_no_due_time_and_no_history(full_of_states, stalling, end):
    node = full_of_states

    def picture():
        messages = queued_messages(node)
        del messages[node.in_flight]
        return messages, {id: node.json_lines("history", id) for id in messages}

    before = picture()
    states = {recipient["state"] for message in before[0].values() for recipient in message["recipients"]}
    assert states == {"active", "deferred", "held"}
    summary = node.summary()
    stalling.reached.clear()
    getattr(node, end)()
    assert_sound(node)
    node.start()
    assert stalling.reached.wait(20)  # the message that was in flight is again, and only that one
    after = picture()
    for old, new in zip(before, after):
        assert set(old) == set(new)
        for id in old:
            assert old[id] == new[id]
    assert {key: node.summary()[key] for key in ("accepted", "delivered", "queued")} == {
        key: summary[key] for key in ("accepted", "delivered", "queued")}
    stalling.release.set()
    node.wait_until(lambda: node.summary()["delivered"] == 6, what="the waiting mail delivered")
    node.stop()
    assert_sound(node)


# ---- in doubt --------------------------------------------------------------------------------------


def crash_after_the_dot(make_daemon, stalling, in_doubt):
    node = make_daemon(next_hop=[stalling.endpoint], tables={"retry": {"in_doubt": in_doubt}})
    id = node.submit("a@a.example", ["b@b.example"])
    assert stalling.reached.wait(20)
    node.kill()
    stalling.release.set()
    stalling.reached.clear()
    node.start()
    return node, id


def test_in_doubt_hold_waits_for_the_operator(make_daemon, stalling):
    node, id = crash_after_the_dot(make_daemon, stalling, "hold")
    (recipient,) = queued_messages(node)[id]["recipients"]
    assert recipient["state"] == "in_doubt"
    assert node.summary()["in_doubt"] == 1
    (reason,) = node.json_lines("why", id)
    assert reason["reason"] == "in_doubt"
    arrived = len(stalling.recipients())
    # It stays so over another restart, and nothing was sent meanwhile.
    node.stop()
    node.start()
    assert queued_messages(node)[id]["recipients"][0]["state"] == "in_doubt"
    assert len(stalling.recipients()) == arrived
    assert node.command("release", id).returncode == 0
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="the delivery")
    assert len(stalling.recipients()) == arrived + 1
    events = [event["event"] for event in node.json_lines("history", id)]
    assert events[0] == "accepted" and "in_doubt" in events and events[-1] == "delivered"
    node.stop()
    assert_sound(node)


def test_in_doubt_resend_sends_again_and_says_so(make_daemon, stalling):
    node, id = crash_after_the_dot(make_daemon, stalling, "resend")
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="the delivery")
    assert re.search(f"warning in_doubt id={id} recipients=1 action=resend", node.log())
    node.stop()
    assert_sound(node)


# ---- what is refused -------------------------------------------------------------------------------


def ends_with(node, status):
    node.spawn()
    assert node.process.wait(20) == status, node.log()
    return node.log()


def test_a_second_process_on_the_same_spool_is_refused(make_daemon):
    first = make_daemon(tables=HOLD)
    id = first.submit("a@a.example", ["b@b.example"])
    second = make_daemon(name="second", start=False, tables=HOLD, spool=f"file:{first.folder / 'spool'}")
    log = ends_with(second, 73)
    assert "start_failed" in log
    result = check_spool(first)  # nor does the audit touch what a daemon has open
    assert result.returncode != 0
    assert set(queued_messages(first)) == {id}
    first.stop()
    assert_sound(first)


def test_an_empty_folder_is_refused_where_mail_must_be(make_daemon):
    node = make_daemon(start=False, tables={**HOLD, "spool": {"existing": True}})
    assert "empty" in ends_with(node, 76) or "no spool" in node.log()
    (node.folder / "spool").mkdir(exist_ok=True)
    ends_with(node, 76)
    assert list((node.folder / "spool").iterdir()) in ([], [node.folder / "spool" / "lock"])


@pytest.fixture
def filled(make_daemon):
    """A killed node with forty held messages, of which the high-water record knows."""
    node = make_daemon(tables=HOLD)
    for i in range(40):
        node.submit("a@a.example", [f"r{i}@b.example"], b"Subject: x\r\n\r\n" + b"line of text\r\n" * 60)

    def noted():
        octets = (node.folder / "spool" / "high-water").read_bytes()
        groups = [struct.unpack_from("<Q", octets, slot + 16)[0] for slot in (0, 512)]
        return max(groups) >= 40

    wait_until(noted, what="the high-water record at the last group")
    node.kill()
    return node


def test_a_spool_that_is_not_what_was_left_is_refused(filled):
    node = filled
    spool = node.folder / "spool"
    copy = node.folder / "copy"
    shutil.copytree(spool, copy)

    def refused_after(change):
        shutil.rmtree(spool)
        shutil.copytree(copy, spool)
        change()
        log = ends_with(node, 76)
        assert "start_failed" in log

    stamp = copy / "stamp"
    octets = stamp.read_bytes()
    refused_after(lambda: (spool / "stamp").write_bytes(b"something else entirely"))
    refused_after(lambda: (spool / "stamp").write_bytes(octets[:-1] + bytes([octets[-1] ^ 1])))
    refused_after(lambda: (spool / "stamp").unlink())
    refused_after(lambda: [path.unlink() for path in (spool / "journal").iterdir()])
    refused_after(lambda: [path.unlink() for path in (spool / "journal").iterdir()]
                  + [shutil.rmtree(spool / "index")])
    shutil.rmtree(spool)
    shutil.copytree(copy, spool)
    node.start()
    assert len(queued_messages(node)) == 40  # nothing of it is lost with the right files


@pytest.mark.parametrize("stop, share", [("kill", 0.3), ("stop", 0.6)])
def test_a_flipped_bit_is_found_and_never_makes_a_smaller_queue(filled, stop, share):
    node = filled
    if stop == "stop":  # now the index is complete, and the record is read when it is needed
        node.start()
        node.stop()
    journal = node.folder / "spool" / "journal"
    segment = max(journal.iterdir(), key=lambda path: path.read_bytes().count(b"line of text"))
    octets = bytearray(segment.read_bytes())
    places = [match.start() for match in re.finditer(rb"line of text", octets)]
    octets[places[int(len(places) * share)]] ^= 0x10
    segment.write_bytes(octets)
    result = check_spool(node)
    assert result.returncode == 4, result
    node.spawn()

    def open_or_ended():
        if node.process.poll() is not None:
            return True
        try:
            return node.request("GET", "/readyz")[0] in (200, 503)
        except OSError:
            return False

    wait_until(open_or_ended, what="mansiod up or ended")
    if node.process.poll() is not None:
        assert node.process.returncode == 76, node.log()
        return
    assert node.summary()["queued"] == 40
    assert len(queued_messages(node)) == 40
    # Sent out, the damaged one is set aside; the others go.
    sink = Sink()
    node.tables['route."*"'] = {"channel": "smtp", "next_hop": [sink.endpoint]}
    node.reload()
    node.wait_until(lambda: "event=reloaded" in node.log() or " reloaded " in node.log(), what="the reload")
    node.command("release", "--everything")
    node.wait_until(lambda: node.summary()["queued"] == 1, what="the sound ones delivered")
    assert node.summary()["quarantined"] == 1
    assert len(sink.recipients()) == 39
    sink.close()
    assert_balanced(node.summary())
