"""Steering a running daemon: suspensions, lanes, drain and reload, bulk verbs with progress and exact
counts, the queue by age, the live view, probing and tracing."""

import json
import os
import pty
import re
import select
import signal
import smtplib
import subprocess
import threading
import time

import pytest

from daemon import BIN, wait_until


@pytest.fixture
def picky(sink):
    """The next hop defers everybody whose name begins with "later"."""
    sink.answers["rcpt"] = (
        lambda address: "451 4.7.1 come back later" if address.startswith("later") else None)
    return sink


@pytest.fixture
def node(make_daemon, picky):
    """A daemon whose deferred mail waits for an hour."""
    return make_daemon(next_hop=[picky.endpoint],
                       tables={"retry": {"min": "1h", "max": "1h"}})


def deferred(node, *recipients):
    """Submits a message and waits until every recipient was tried."""
    id = node.submit("alice@example.org", recipients or ["later@b.example"])

    def settled():
        status, _, body = node.request("GET", f"/v1/messages/{id}")
        return status == 200 and all(
            recipient["tries"] > 0 for recipient in json.loads(body)["recipients"])

    node.wait_until(settled, what="the first attempt")
    return id


def submit_many(node, count, recipient="later{}@b.example"):
    with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=60) as client:
        for i in range(count):
            client.sendmail("alice@example.org", [recipient.format(i)],
                            b"Subject: many\r\n\r\nbody\r\n")


def run(node, *arguments):
    result = node.command(*arguments)
    return result.returncode, result.stdout + result.stderr


def bulk(node, verb, *arguments):
    result = node.command(verb, *arguments, "--json")
    return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr


# ---- suspensions and lanes ------------------------------------------------------------------------


def test_a_suspended_destination_waits_and_is_delivered_when_it_is_resumed(node, picky):
    code, text = run(node, "suspend", "b.example", "--reason", "they asked")
    assert code == 0 and "b.example" in text and "they asked" in text
    id = node.submit("alice@example.org", ["now@b.example"])
    node.submit("alice@example.org", ["now@c.example"])
    node.wait_until(lambda: picky.recipients() == ["now@c.example"], what="the other destination")
    assert node.json_lines("list", "--state", "suspended")[0]["id"] == id
    (wait,) = node.json_lines("why", id)
    assert wait["reason"] == "suspended" and "they asked" in wait["detail"]

    (lane,) = node.json_lines("lanes", "--suspended")
    assert (lane["destination"], lane["state"]) == ("b.example", "suspended")
    assert lane["suspension"]["reason"] == "they asked"
    assert "they asked" in run(node, "lane", "b.example")[1]

    assert run(node, "resume", "b.example")[0] == 0
    node.wait_until(lambda: "now@b.example" in picky.recipients(), what="delivery")
    code, text = run(node, "resume", "b.example")
    assert code == 1 and "not suspended" in text


def test_a_suspension_ends_by_itself_and_survives_a_restart(node, picky):
    assert run(node, "suspend", "b.example", "--for", "2h")[0] == 0
    assert run(node, "suspend", "*.net", "--binding", "default")[0] == 0
    node.stop()
    node.start()
    suspensions = node.get("/v1/suspensions")["suspensions"]
    assert {(entry["destination"], entry["binding"]) for entry in suspensions} == {
        ("b.example", ""), ("*.net", "default")}
    assert run(node, "suspend", "b.example", "--for", "1s")[0] == 0, "it replaces the other"
    node.submit("alice@example.org", ["now@b.example"])
    node.wait_until(lambda: picky.recipients() == ["now@b.example"], what="the end of the pause")
    assert "*.net" in run(node, "lanes", "--suspended")[1]
    assert run(node, "resume", "*.net")[0] == 1, "that is another one"
    assert run(node, "resume", "*.net", "--binding", "default")[0] == 0


def test_suspend_refuses_what_is_none(node):
    assert run(node, "suspend", "b.example", "--for", "soon")[0] == 2
    assert run(node, "suspend", "a@b.example")[0] == 2
    assert run(node, "suspend")[0] == 2


def test_lanes_are_sorted_by_what_they_hold(node):
    deferred(node, "later@small.example")
    for i in range(3):
        deferred(node, f"later{i}@large.example")
    code, text = run(node, "lanes")
    lines = text.splitlines()
    assert code == 0 and lines[0].split()[:3] == ["destination", "binding", "queued"]
    assert [line.split()[0] for line in lines[1:]] == ["large.example", "small.example"]
    text = run(node, "lanes", "--limit", "1")[1]
    assert "small.example" not in text and "1 more" in text
    (lane,) = node.json_lines("lane", "small.example")
    assert (lane["queued"], lane["binding"]) == (1, "default")
    assert lane["oldest"] is not None
    code, text = run(node, "lane", "nowhere.example")
    assert code == 1 and "no mail is queued for nowhere.example" in text
    assert run(node, "lane", "small.example", "--binding", "other")[0] == 1


# ---- the daemon as a whole ------------------------------------------------------------------------


def test_drain_refuses_new_mail_and_delivers_the_rest(node, picky):
    id = deferred(node)
    assert run(node, "drain", "--reason", "kernel update") == (0, "draining: nothing new is accepted\n")
    assert node.request("GET", "/readyz")[0] == 503
    assert "kernel update" in run(node, "status")[1]
    with pytest.raises((smtplib.SMTPResponseException, smtplib.SMTPRecipientsRefused,
                        AssertionError, OSError)) as refusal:
        node.submit("alice@example.org", ["now@b.example"])
    assert "4" in str(refusal.value)
    picky.answers.clear()
    assert run(node, "retry", id)[0] == 0
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="delivery while it drains")
    assert run(node, "undrain")[0] == 0
    assert node.request("GET", "/readyz")[0] == 200
    node.submit("alice@example.org", ["now@b.example"])


def test_reload_takes_a_good_file_and_says_what_is_wrong_with_a_bad_one(node):
    node.tables["limits"] = {"message": "1MiB"}
    node.write_config()
    assert run(node, "reload") == (0, "reloaded: the new settings are in force\n")
    with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "1048576"

    node.tables["limits"] = {"mesage": "1GiB"}
    node.write_config()
    code, text = run(node, "reload")
    assert code == 5
    assert re.search(r"mansio\.toml:\d+: limits\.mesage", text), text
    assert 'did you mean "message"' in text
    assert "reload_refused" in node.log()
    with smtplib.SMTP("127.0.0.1", node.smtp_port, "client.test.example", timeout=20) as client:
        client.ehlo()
        assert client.esmtp_features["size"] == "1048576", "the old settings stay"

    # What only a start can change is refused, not passed over.
    for table, key, value in (("history", "keep", "1d"), ("log", "level", "debug"), ("spool", "reserve", "2MiB")):
        node.tables["limits"] = {"message": "2MiB"}
        before = dict(node.tables.get(table, {}))
        node.tables[table] = {**before, key: value}
        node.write_config()
        code, text = run(node, "reload")
        assert code == 5 and f"{table}.{key} cannot change without a restart" in text, text
        node.tables[table] = before


# ---- bulk verbs -----------------------------------------------------------------------------------


def test_a_thousand_messages_bounced_at_once(node, picky):
    submit_many(node, 1000)
    node.wait_until(lambda: node.summary()["in_flight"] == 0 and node.summary()["queued"] == 1000 and
                    not node.json_lines("list", "--state", "active", "--limit", 1),
                    timeout=60, what="every first attempt")
    code, text = run(node, "bounce", "--destination", "b.example", "--dry-run")
    assert code == 0 and "matched 1000, would change 1000" in text, text
    assert node.summary()["failed"] == 0
    code, text = run(node, "bounce", "--destination", "b.example", "--reason", "domain is closed")
    assert (code, text) == (0, "matched 1000, changed 1000\n"), "nothing else without a terminal"
    summary = node.summary()
    assert summary["failed"] == 1000 and summary["balanced"]
    node.wait_until(lambda: len(picky.recipients()) == 1000, timeout=60, what="a notice for each")
    assert set(picky.recipients()) == {"alice@example.org"}


def test_the_end_says_why_not_all_that_matched_has_changed(node):
    first, second = deferred(node), deferred(node, "later2@b.example")
    assert bulk(node, "hold", first) == (0, {"matched": 1, "changed": 1})
    code, text = run(node, "hold", "--everything")
    assert code == 0
    assert "matched 2, changed 1\n" in text
    assert "1 is not in a state that hold takes" in text
    code, text = run(node, "release", "--everything", "--dry-run")
    assert "matched 2, would change 2" in text and "nothing has changed" in text


def test_recipients_in_flight_are_left_alone_and_counted(node, picky):
    go_on = threading.Event()
    picky.answers["dot"] = lambda _: go_on.wait(30) and None
    node.submit("alice@example.org", ["now@b.example"])
    node.wait_until(lambda: node.summary()["in_flight"] == 1, what="the transaction")
    assert bulk(node, "remove", "--everything") == (
        0, {"matched": 1, "changed": 0, "in_flight": 1})
    text = run(node, "remove", "--everything")[1]
    assert "1 in flight was left alone" in text
    go_on.set()
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="delivery")


def test_progress_is_shown_on_a_terminal_only(node):
    submit_many(node, 50)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [str(BIN / "mansio"), "--admin", f"http://127.0.0.1:{node.admin_port}", "hold",
         "--everything"], stdout=subprocess.PIPE, stderr=slave, text=True)
    os.close(slave)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 0 and out.startswith("matched 50, changed")
    shown = b""
    while select.select([master], [], [], 1)[0]:
        try:
            shown += os.read(master, 65536)
        except OSError:
            break
    os.close(master)
    assert b"hold: matched" in shown
    assert shown.endswith(b"\r\x1b[K"), "the line is cleared at the end"


def test_ctrl_c_ends_a_bulk_verb_and_says_what_was_done(node):
    """The client gets the signal before it can have seen the end: whether the verb was quicker or
    not, it waits for the end and reports exact counts."""
    submit_many(node, 1500)
    process = subprocess.Popen(
        [str(BIN / "mansio"), "--admin", f"http://127.0.0.1:{node.admin_port}", "hold",
         "--everything"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: process.poll() is not None or node.get("/v1/jobs")["jobs"], what="the job")
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    out, error = process.communicate(timeout=60)
    changed = int(re.search(r"changed (\d+)", out).group(1))
    assert changed == node.summary()["held"], (out, error)
    (job,) = node.get("/v1/jobs")["jobs"]
    assert job["state"] in ("cancelled", "done")
    assert process.returncode == (4 if job["state"] == "cancelled" else 0), (out, error)


# ---- looking at the whole -------------------------------------------------------------------------


def test_shape_is_a_grid_with_totals(node):
    deferred(node, "later@b.example", "later2@b.example")
    deferred(node, "later@c.example")
    code, text = run(node, "shape")
    lines = [line.split() for line in text.splitlines()]
    assert code == 0
    assert lines[0][:4] == ["total", "5m", "10m", "20m"]
    assert lines[1][:3] == ["TOTAL", "3", "3"]
    assert lines[2][:3] == ["b.example", "2", "2"]
    assert lines[3][:3] == ["c.example", "1", "1"]
    assert len({len(line) for line in lines[1:]}) == 1
    (shape,) = node.json_lines("shape", "--limit", 1, "--ages", "1h,1d")
    assert shape["ages"] == ["1h", "1d"]
    assert [row["destination"] for row in shape["rows"]] == ["b.example"]
    assert shape["all"]["total"] == 3
    (shape,) = node.json_lines("shape", "--recipient", "later@c.example", "--by", "age")
    assert shape["all"]["total"] == 1
    assert run(node, "shape", "--by", "size")[0] == 2


def test_top_prints_one_frame_where_there_is_no_terminal(node):
    deferred(node)
    code, text = run(node, "top", "--interval", "200ms")
    assert code == 0 and "\x1b" not in text
    assert "queued 1 " in text and "per second:  accepted" in text and "b.example" in text
    (frame,) = node.json_lines("top", "--once", "--interval", "200ms")
    assert frame["queued"] == 1
    assert set(frame["rates"]) >= {"accepted", "delivered", "deferred"}
    assert frame["busy"][0]["destination"] == "b.example"
    assert run(node, "top", "--interval", "0s")[0] == 2


def test_top_redraws_on_a_terminal_until_q(node):
    deferred(node)
    process, master = os.forkpty()
    if process == 0:
        os.environ["TERM"] = "xterm"
        os.execv(str(BIN / "mansio"), ["mansio", "--admin", f"http://127.0.0.1:{node.admin_port}",
                                       "top", "--interval", "100ms"])
    seen = b""
    end = time.monotonic() + 30
    while seen.count(b"\x1b[H") < 3 and time.monotonic() < end:
        if select.select([master], [], [], 1)[0]:
            seen += os.read(master, 65536)
    assert seen.count(b"\x1b[H") >= 3, seen
    os.write(master, b"q")
    while time.monotonic() < end:
        if select.select([master], [], [], 1)[0]:
            try:
                chunk = os.read(master, 65536)
            except OSError:
                break
            if not chunk:
                break
            seen += chunk
    _, status = os.waitpid(process, 0)
    os.close(master)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"mansio on mail.test.example" in seen
    assert seen.endswith(b"\x1b[?25h\x1b[?1049l"), "the terminal is as it was"


# ---- looking at a destination ---------------------------------------------------------------------


def test_probe_shows_route_hosts_and_what_they_say_without_mail(node, picky):
    code, text = run(node, "probe", "B.Example")
    assert code == 0, text
    assert 'route         [route."*"]' in text
    assert picky.endpoint in text and "ready" in text and "NOT READY" not in text
    assert "sink.test.example" in text and "PIPELINING" in text
    assert picky.attempts == 0
    (report,) = node.json_lines("probe", "b.example", "--sender", "alice@example.org")
    assert report["addresses"][0]["ok"] is True
    assert report["addresses"][0]["address"] == picky.endpoint


def test_probe_exits_with_4_when_no_address_is_ready(make_daemon, sink):
    dead = make_daemon(next_hop=["127.0.0.1:1"])
    code, text = run(dead, "probe", "b.example")
    assert code == 4 and "NOT READY" in text and "refused" in text
    sink.answers["greeting"] = lambda _: "554 5.7.1 not you"
    refused = make_daemon("refused", next_hop=[sink.endpoint])
    code, text = run(refused, "probe", "b.example")
    assert code == 4 and "554 5.7.1 not you" in text


def begin_trace(node, *arguments):
    return subprocess.Popen(
        [str(BIN / "mansio"), "--admin", f"http://127.0.0.1:{node.admin_port}", "trace", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_trace_prints_the_next_session_and_ends_with_it(node):
    process = begin_trace(node, "B.example")
    wait_until(lambda: node.request("GET", "/v1/traces/1")[0] == 200, what="the trace")
    node.submit("alice@example.org", ["now@c.example"])  # another destination: not traced
    node.submit("alice@example.org", ["now@b.example"], b"Subject: secret\r\n\r\nhush\r\n")
    out, error = process.communicate(timeout=60)
    assert process.returncode == 0, error
    assert "no mail is queued for it" in error
    lines = out.splitlines()
    assert "< 220 sink.test.example ESMTP" in lines
    assert any(line.startswith("> EHLO ") for line in lines)
    assert "> RCPT TO:<now@b.example>" in [line.split(" NOTIFY")[0] for line in lines]
    assert "c.example" not in out
    assert "hush" not in out and "secret" not in out, "content never gets into a trace"
    assert all(line[:2] in ("> ", "< ", "* ") for line in lines)
    assert node.request("GET", "/v1/traces/1")[0] == 404, "it is forgotten at the end"


def test_trace_says_how_much_waits_for_the_session(node):
    node.submit("alice@example.org", ["later@waits.example"])
    wait_until(lambda: node.json_lines("list", "--state", "deferred"), what="the deferral")
    code, text = run(node, "trace", "waits.example", "--timeout", "300ms")
    assert code == 4 and "1 recipients are queued" in text, text


def test_trace_gives_up_after_its_timeout_and_ctrl_c_forgets_it(node):
    code, text = run(node, "trace", "nowhere.example", "--timeout", "500ms")
    assert code == 4 and "no session to nowhere.example in 500ms" in text
    assert run(node, "trace", "nowhere.example", "--timeout", "soon")[0] == 2
    process = begin_trace(node, "nowhere.example")
    wait_until(lambda: node.request("GET", "/v1/traces/2")[0] == 200, what="the trace")
    wait_until(lambda: select.select([process.stderr], [], [], 0)[0], what="that it waits")
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert node.request("GET", "/v1/traces/2")[0] == 404
