"""The life of mansiod: how it refuses to start, reloads, drains, ends, and what it tells on the way."""

import json
import pathlib
import re
import resource
import signal
import smtplib
import socket
import subprocess
import threading
import time

import pytest

from daemon import BIN, ROOT, Sink, free_port, wait_until


@pytest.fixture
def make_stalling():
    """make_stalling("rcpt"): a next hop that never answers in that phase."""
    sinks = []

    def make(phase):
        sink = Sink()
        sink.release = threading.Event()
        sink.reached = threading.Event()

        def stall(_):
            sink.reached.set()
            sink.release.wait(60)
            return "close"

        sink.answers[phase] = stall
        sinks.append(sink)
        return sink

    yield make
    for sink in sinks:
        sink.release.set()
        sink.close()


def ends_with(node, status):
    node.spawn()
    assert node.process.wait(20) == status, node.log()
    return node.log()


# ---- start -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("tables, key, words", [
    ({"retry": {"min": "soon"}}, "retry.min", ["soon", "duration"]),
    ({"retry": {"minimum": "1s"}}, "retry.minimum", ["expected"]),
    ({"limits": {"recipients": 0}}, "limits.recipients", ["0", "at least 1"]),
    ({"limits": {"message": True}}, "limits.message", ["expected"]),
    ({"[[listener]]": [{"protocol": "smtp", "address": "nowhere"}]}, "listener[0].address", ["nowhere", "expected"]),
    ({'route."*"': {"channel": "pigeon"}}, "channel", ["pigeon"]),
    ({'route."*"': {"next_hop": ["not a host"]}}, "next_hop", ["not a host", "expected"]),
    ({"policy": {"lua": "x.lua"}}, "policy.lua", ["not available in this version"]),
    ({"admin": {"listen": "0.0.0.0:8025"}}, "admin.listen", ["loopback"]),
])
def test_a_wrong_configuration_names_file_line_key_and_what_was_expected(make_daemon, tables, key, words):
    node = make_daemon(start=False, tables=tables)
    log = ends_with(node, 78)
    line = next(line for line in log.splitlines() if key in line)
    assert re.match(rf"mansiod: {re.escape(str(node.config))}:\d+: ", line), line
    for word in words:
        assert word in line, line
    number = int(line.split(":")[2])
    named = node.config.read_text().splitlines()[number - 1]
    assert key.rsplit(".", 1)[-1] in named or named.startswith("["), (line, named)


def test_a_file_that_is_no_toml_or_not_there_is_a_configuration_error(make_daemon):
    node = make_daemon(start=False)
    node.write_config = lambda: node.config.write_text("[server]\nhostname = \n")
    assert re.search(rf"{re.escape(str(node.config))}:2: ", ends_with(node, 78))
    node.write_config = lambda: node.config.unlink()
    assert str(node.config) in ends_with(node, 78)


@pytest.mark.parametrize("which", ["smtp_port", "admin_port"])
def test_an_address_in_use_is_named(make_daemon, which):
    first = make_daemon()
    second = make_daemon(name="second", start=False)
    setattr(second, which, getattr(first, which))
    second.tables["[[listener]]"][0]["address"] = f"127.0.0.1:{second.smtp_port}"
    second.tables["admin"]["listen"] = f"127.0.0.1:{second.admin_port}"
    log = ends_with(second, 69)
    assert str(getattr(first, which)) in log
    # The spool that it opened meanwhile is good for the next start.
    second.tables["[[listener]]"][0]["address"] = f"127.0.0.1:{free_port()}"
    second.admin_port = free_port()
    second.tables["admin"]["listen"] = f"127.0.0.1:{second.admin_port}"
    second.start()
    second.stop()


def test_the_descriptor_limit_is_raised(make_daemon):
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    hard = 4096 if hard == resource.RLIM_INFINITY else min(hard, 4096)
    node = make_daemon(prefix=["prlimit", f"--nofile=256:{hard}"])
    limits = pathlib.Path(f"/proc/{node.process.pid}/limits").read_text()
    soft = int(re.search(r"Max open files\s+(\d+)", limits)[1])
    assert soft == hard


def test_the_service_manager_is_told(make_daemon, tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(20)
        node = make_daemon(start=False)
        node.environment["NOTIFY_SOCKET"] = str(tmp_path / "notify")
        node.start()
        assert manager.recv(1000) == b"READY=1"
        node.reload()
        assert manager.recv(1000).startswith(b"RELOADING=1")
        assert manager.recv(1000) == b"READY=1"
        node.stop()
        assert manager.recv(1000) == b"STOPPING=1"


# ---- end -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("phase", ["greeting", "mail", "data", "dot"])
def test_sigterm_ends_within_the_deadline_and_keeps_the_mail(make_daemon, make_stalling, phase):
    hop = make_stalling(phase)
    node = make_daemon(next_hop=[hop.endpoint], tables={"server": {"drain": "1s"}})
    id = node.submit("a@a.example", ["b@b.example"])
    assert hop.reached.wait(20)
    begun = time.monotonic()
    node.stop()
    assert time.monotonic() - begun < 1 + 2
    hop.release.set()
    hop.answers.clear()
    node.start()
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="the delivery after the restart")
    # What a shutdown cuts is no try of the recipient, except for a dot without an answer.
    attempts = [event for event in node.json_lines("history", id) if event["event"] != "accepted"]
    assert attempts[-1]["event"] == "delivered"
    assert hop.recipients() == ["b@b.example"]


def test_sigterm_waits_for_the_reply_to_the_dot(make_daemon, make_stalling):
    hop = make_stalling("dot")
    hop.answers["dot"] = lambda _: hop.reached.set() or hop.release.wait(60) and None
    node = make_daemon(next_hop=[hop.endpoint], tables={"server": {"drain": "20s"}})
    node.submit("a@a.example", ["b@b.example"])
    assert hop.reached.wait(20)
    node.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "signal" in node.log(), what="the signal seen")
    assert node.process.poll() is None
    hop.release.set()
    assert node.process.wait(20) == 0
    node.start()
    assert node.summary()["delivered"] == 1  # no repetition
    assert hop.recipients() == ["b@b.example"]


def open_data(node):
    client = smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20)
    client.ehlo()
    client.mail("a@a.example")
    client.rcpt("b@b.example")
    assert client.docmd("DATA")[0] == 354
    client.send(b"Subject: half\r\n\r\nfirst half\r\n")
    return client


def test_sigterm_lets_a_running_transfer_finish(make_daemon):
    node = make_daemon(tables={"server": {"drain": "20s"}, 'route."*"': {"channel": "hold", "next_hop": []}})
    idle = smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20)
    idle.ehlo()
    client = open_data(node)
    node.process.send_signal(signal.SIGTERM)
    code, _ = idle.getreply()  # an idle session is told at once
    assert code == 421
    with pytest.raises(OSError):
        wait_until(lambda: not socket.create_connection(("127.0.0.1", node.smtp_port), 5).close() and None,
                   what="the listener closed")
    client.send(b"second half\r\n.\r\n")
    code, text = client.getreply()
    assert code == 250
    assert node.process.wait(20) == 0
    node.start()
    assert text.decode().split()[-1] in {message["id"] for message in node.json_lines("list")}


def test_sigterm_cuts_a_transfer_that_stalls_and_promises_nothing(make_daemon):
    node = make_daemon(tables={"server": {"drain": "1s"}})
    client = open_data(node)
    begun = time.monotonic()
    node.stop()
    assert time.monotonic() - begun < 1 + 2
    try:
        said = client.sock.recv(1000)
    except ConnectionError:
        said = b""
    assert said == b"" or said.startswith(b"421 ")
    node.start()
    assert node.summary()["accepted"] == 0


def test_a_second_sigterm_does_not_wait(make_daemon, make_stalling):
    hop = make_stalling("dot")
    node = make_daemon(next_hop=[hop.endpoint], tables={"server": {"drain": "60s"}})
    node.submit("a@a.example", ["b@b.example"])
    assert hop.reached.wait(20)
    node.process.send_signal(signal.SIGTERM)
    wait_until(lambda: "signal" in node.log(), what="the signal seen")
    node.process.send_signal(signal.SIGTERM)
    assert node.process.wait(5) == 0
    assert "stop_forced" in node.log()
    hop.answers.clear()
    hop.release.set()
    node.start()
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="the delivery after the restart")


# ---- reload ----------------------------------------------------------------------------------------


def reloaded(node, event="reloaded"):
    before = node.log().count(f" {event} ")
    node.reload()
    node.wait_until(lambda: node.log().count(f" {event} ") > before, what=event)


def test_sighup_takes_a_good_file(make_daemon, sink):
    other = Sink()
    node = make_daemon(next_hop=[sink.endpoint])
    node.submit("a@a.example", ["b@b.example"])
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="the first delivery")
    node.tables['route."*"']["next_hop"] = [other.endpoint]
    node.tables["limits"] = {"message": "1MiB"}
    reloaded(node)
    with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == str(1 << 20)
    node.submit("a@a.example", ["c@c.example"])
    node.wait_until(lambda: node.summary()["delivered"] == 2, what="the second delivery")
    assert sink.recipients() == ["b@b.example"]
    assert other.recipients() == ["c@c.example"]
    other.close()


def test_sighup_with_a_broken_file_changes_nothing(make_daemon, sink):
    node = make_daemon(next_hop=[sink.endpoint])
    for tables in ({"limits": {"message": "very large"}},
                   {"limits": {"message": "1MiB"}, "spool": {**node.tables["spool"], "url": "memory:"}}):
        good = dict(node.tables)
        node.tables = {**good, **tables}
        reloaded(node, "reload_refused")
        node.tables = good
        with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20) as client:
            client.ehlo()
            assert client.esmtp_features["size"] == str(50 << 20)
    refusals = [line for line in node.log().splitlines() if " reload_refused " in line]
    assert str(node.config) in refusals[0] and "limits.message" in refusals[0]
    assert "spool.url" in refusals[1]
    node.submit("a@a.example", ["b@b.example"])
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="a delivery")


def test_a_reload_moves_a_listener(make_daemon, sink):
    node = make_daemon(next_hop=[sink.endpoint])
    old = node.smtp_port
    staying = smtplib.SMTP("127.0.0.1", old, "client.test.example", timeout=20)
    staying.ehlo()
    node.smtp_port = free_port()
    node.tables["[[listener]]"][0]["address"] = f"127.0.0.1:{node.smtp_port}"
    reloaded(node)
    node.submit("a@a.example", ["b@b.example"])
    assert staying.noop()[0] == 250  # who was connected stays so

    def closed():
        try:
            socket.create_connection(("127.0.0.1", old), 5).close()
            return False
        except OSError:
            return True

    wait_until(closed, what="the old port closed")


def test_lowering_tries_max_by_reload_ends_retries(make_daemon, sink):
    sink.answers["rcpt"] = lambda address: "451 4.7.1 not now" if address.startswith("later") else None
    node = make_daemon(next_hop=[sink.endpoint], tables={"retry": {"min": "200ms", "max": "200ms"}})
    id = node.submit("a@a.example", ["later@b.example"])
    node.wait_until(lambda: node.json_lines("list")[0]["recipients"][0]["tries"] >= 3, what="three tries")
    node.tables["retry"]["tries_max"] = 2
    reloaded(node)
    node.wait_until(lambda: node.summary()["failed"] == 1, what="the failure")
    last = [event for event in node.json_lines("history", id) if event["event"] == "failed"]
    assert len(last) == 1 and "not now" in json.dumps(last)
    node.wait_until(lambda: [m.sender for m in sink.messages] == [""], what="the notice")


def test_a_removed_route_keeps_the_mail_and_says_so(make_daemon, sink):
    sink.answers["rcpt"] = lambda address: "451 4.7.1 not now" if address.startswith("later") else None
    node = make_daemon(next_hop=[sink.endpoint], tables={
        'route."b.example"': {"channel": "smtp", "next_hop": [sink.endpoint]},
        "retry": {"min": "300ms", "max": "300ms"}, "timeouts": {"idle": "50ms"}})
    id = node.submit("a@a.example", ["later@b.example"])
    node.wait_until(lambda: node.json_lines("list")[0]["recipients"][0]["tries"] >= 1, what="a try")
    del node.tables['route."*"'], node.tables['route."b.example"']
    node.tables['route."other.example"'] = {"channel": "smtp", "next_hop": [sink.endpoint]}
    reloaded(node)

    def without_route():
        (wait,) = node.json_lines("why", id)
        return "route" in json.dumps(wait) and wait
    wait = node.wait_until(without_route, what="why naming the route")
    assert wait["reason"] in ("policy", "backoff", "host_down")
    tries = node.json_lines("list")[0]["recipients"][0]["tries"]
    node.command("retry", id)
    assert node.json_lines("list")[0]["recipients"][0]["tries"] == tries  # burns no try
    sink.answers.clear()
    node.tables['route."*"'] = {"channel": "smtp", "next_hop": [sink.endpoint]}
    reloaded(node)
    node.command("retry", id)
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="the delivery")


# ---- log, and verbs of later versions ---------------------------------------------------------------


def documented_events():
    text = (ROOT / "docs" / "LOGGING.md").read_text()
    return {match[1]: set(re.findall(r"`(\w+)`", match[2]))
            for match in re.finditer(r"^\| `(\w+)` \|([^|]*)\|", text, re.MULTILINE)}


def test_every_line_of_the_log_is_a_documented_event_in_json(make_daemon, sink):
    sink.answers["rcpt"] = lambda address: {
        "later": '451 4.7.1 not "now" \x1b[1m\\', "never": "550 5.1.1 no"}.get(address.split("@")[0])
    node = make_daemon(next_hop=["127.0.0.1:1", sink.endpoint], arguments=["--log-format", "json"],
                       tables={"log": {"level": "debug"}, "server": {"drain": "1s"}})
    node.submit("a@a.example", ["b@b.example", "later@b.example", "never@b.example"])
    node.wait_until(lambda: node.summary()["failed"] == 1 and node.summary()["delivered"] == 2, what="outcomes")
    node.command("hold", "--everything", "--reason", 'a "reason"\nof two lines')
    with socket.create_connection(("127.0.0.1", node.smtp_port), 5) as client:
        client.sendall(b"EHLO x\x1b[0m\r\nMAIL FROM:<a\"@b>\r\n")
        client.recv(1000)
    node.reload()
    node.wait_until(lambda: '"reloaded"' in node.log(), what="the reload")
    node.stop()
    events = documented_events()
    seen = set()
    for line in node.log().splitlines():
        entry = json.loads(line)
        name = entry["event"]
        assert list(entry)[:3] == ["time", "level", "event"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", entry["time"])
        assert entry["level"] in ("debug", "info", "warning", "error")
        assert name in events, line
        assert set(entry) - {"time", "level", "event"} <= events[name], line
        seen.add(name)
    assert seen >= {"listening", "ready", "message_accepted", "delivered", "deferred", "failed", "notice",
                    "operator", "reloaded", "signal", "stopped", "connection_ended"}
