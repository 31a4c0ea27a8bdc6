"""`mansio load` and `mansio sink` against each other and against Python's own client: the tools that
measure and judge everything else have to be right themselves."""

import json
import re
import signal
import smtplib
import socket
import subprocess
import time

import pytest

from daemon import BIN

MANSIO = str(BIN / "mansio")


class RunningSink:
    def __init__(self, *arguments):
        self.process = subprocess.Popen(
            [MANSIO, "sink", "--json", "--listen", "127.0.0.1:0", *map(str, arguments)],
            stdout=subprocess.PIPE, text=True)
        listening = json.loads(self.process.stdout.readline())["listening"]
        self.host, port = listening.rsplit(":", 1)
        self.port = int(port)
        self.endpoint = listening

    def end(self):
        """Its summary, its exit code and the lines it wrote before the summary."""
        self.process.terminate()
        return self.wait()

    def wait(self):
        lines = self.process.communicate(timeout=60)[0].splitlines()
        return json.loads(lines[-1]), self.process.returncode, lines[:-1]


@pytest.fixture
def sink():
    started = []

    def start(*arguments):
        started.append(RunningSink(*arguments))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.process.wait()
        one.process.stdout.close()


def load(to, *arguments):
    done = subprocess.run([MANSIO, "load", "--json", "--to", to, *map(str, arguments)],
                          capture_output=True, text=True, timeout=120)
    return json.loads(done.stdout) if done.stdout else done.stderr, done.returncode


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("pipeline", ["none", "commands", "full"])
def test_everything_acknowledged_has_arrived_unchanged(sink, tmp_path, pipeline):
    record = tmp_path / "load.jsonl"
    arrivals = tmp_path / "arrivals.jsonl"
    server = sink("--check", record, "--record", arrivals)
    summary, code = load(server.endpoint, "--messages", 500, "--sessions", 7, "--recipients", 3,
                         "--size", "3KiB", "--pipeline", pipeline, "--record", record,
                         "--domains", "a.example=3,b.example=1")
    assert code == 0
    assert summary["accepted"] == 500 and summary["recipients_accepted"] == 1500
    assert summary["connections"] == 7
    assert 0 < summary["latency_ms"]["p50"] <= summary["latency_ms"]["p99"] <= summary["latency_ms"]["max"]
    totals, code, _ = server.end()
    assert code == 0
    assert totals["messages"] == 500 and totals["recipients"] == 1500
    assert totals["bytes"] == 500 * 3072
    assert totals["check"]["acknowledged"] == totals["check"]["arrived"] == 1500
    assert totals["check"]["missing"] == totals["check"]["damaged"] == totals["check"]["twice"] == 0
    recorded = {line["token"]: line for line in lines_of(record)}
    arrived = lines_of(arrivals)
    assert len(recorded) == 500 and {line["token"] for line in arrived} == set(recorded)
    for line in arrived:
        assert line["count"] == 1 and line["crc"] == recorded[line["token"]]["crc"]
        assert line["recipients"] == recorded[line["token"]]["recipients"]
    in_a = sum(r.endswith("@a.example") for line in arrived for r in line["recipients"])
    assert 1000 < in_a < 1250  # three quarters of 1500


def test_equal_seeds_give_equal_messages(sink, tmp_path):
    server = sink()
    contents = []
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        load(server.endpoint, "--messages", 20, "--seed", seed, "--record", tmp_path / name)
        contents.append(sorted((line["token"], line["crc"], *line["recipients"]) for line in lines_of(tmp_path / name)))
    assert contents[0] == contents[1] != contents[2]


@pytest.mark.parametrize("pipeline", ["none", "full"])
def test_refusals_in_every_phase_leave_both_sides_in_agreement(sink, tmp_path, pipeline):
    record = tmp_path / "load.jsonl"
    server = sink("--check", record,
                  "--rule", "phase=mail code=451 share=0.1",
                  "--rule", "phase=rcpt code=550 share=0.2 text=5.1.1 Nobody here",
                  "--rule", "phase=data code=554 share=0.1",
                  "--rule", "phase=dot code=452 share=0.1",
                  "--rule", "phase=connect code=421 share=0.2")
    summary, code = load(server.endpoint, "--messages", 400, "--recipients", 3, "--pipeline", pipeline,
                         "--record", record, "--messages-per-session", 20)
    assert code == 5
    assert summary["accepted"] + summary["refused"] == 400
    assert summary["accepted"] > 100 and summary["refused"] > 50
    totals, code, _ = server.end()
    assert code == 0
    assert totals["messages"] == summary["accepted"]
    assert totals["recipients"] == totals["check"]["arrived"] == summary["recipients_accepted"]


def test_a_message_cut_off_after_the_dot_is_unanswered(sink, tmp_path):
    record = tmp_path / "load.jsonl"
    server = sink("--check", record, "--rule", "phase=close-after-dot share=0.1")
    summary, code = load(server.endpoint, "--messages", 200, "--record", record)
    assert code == 4
    assert summary["unanswered"] > 5 and summary["accepted"] + summary["unanswered"] == 200
    totals, code, _ = server.end()
    assert code == 0 and totals["cut"] == summary["unanswered"]
    outcomes = [line["outcome"] for line in lines_of(record)]
    assert outcomes.count("unanswered") == summary["unanswered"]


def test_lmtp_answers_each_recipient(sink, tmp_path):
    record = tmp_path / "load.jsonl"
    server = sink("--lmtp", "--check", record, "--rule", "phase=dot code=550 share=0.3")
    summary, code = load(server.endpoint, "--lmtp", "--messages", 200, "--recipients", 4, "--record", record)
    assert code == 5
    assert summary["recipients_accepted"] + summary["recipients_refused"] == 800
    totals, code, _ = server.end()
    assert code == 0 and totals["recipients"] == summary["recipients_accepted"]


def test_the_check_finds_what_is_missing_repeated_and_damaged(sink, tmp_path):
    record = tmp_path / "load.jsonl"
    first = sink()
    load(first.endpoint, "--messages", 10, "--record", record)
    lines = record.read_text().splitlines()
    damaged = json.loads(lines[3])
    damaged["crc"] = "00000000"
    lines[3] = json.dumps(damaged)
    lost = json.loads(lines[4])
    lost["token"], lost["recipients"] = "never-sent", ["x@y.example"]
    record.write_text("\n".join([*lines, json.dumps(lost)]) + "\n")
    second = sink("--check", record)
    for _ in range(2):
        load(second.endpoint, "--messages", 10)
    totals, code, _ = second.end()
    assert code == 4
    check = totals["check"]
    assert check["missing"] == 1 and check["twice"] == 10 and check["damaged"] == 2
    assert totals["repeated"] == 10
    assert any("never-sent" in example for example in check["examples"])


def test_twice_max_limits_repeats(sink, tmp_path):
    record = tmp_path / "load.jsonl"
    for limit, expected in ((9, 4), (10, 0)):
        server = sink("--check", record, "--twice-max", limit)
        for _ in range(2):
            load(server.endpoint, "--messages", 10, "--record", record)
        assert server.end()[1] == expected


def test_refusals_for_good_count_as_settled(sink, tmp_path):
    """What a relay in between accepted and the sink then refused is not missing."""
    record = tmp_path / "load.jsonl"
    relay = sink()
    load(relay.endpoint, "--messages", 10, "--record", record)
    server = sink("--check", record, "--rule", "phase=rcpt code=550")
    load(server.endpoint, "--messages", 10)
    totals, code, _ = server.end()
    assert code == 0 and totals["check"]["refused"] == 10 and totals["check"]["arrived"] == 0


def test_rules_choose_by_recipient_and_number_of_tries(sink):
    server = sink("--rule", "phase=rcpt recipient=later@* code=451 times=2 text=4.2.1 Busy",
                  "--rule", "phase=rcpt recipient=*@gone.example code=550 text=5.1.1 No such user",
                  "--rule", "phase=mail sender=bad@* code=553")
    client = smtplib.SMTP(server.host, server.port)
    client.ehlo()
    assert client.has_extn("pipelining") and client.has_extn("8bitmime")
    assert client.mail("bad@a.example")[0] == 553
    assert client.mail("good@a.example")[0] == 250
    for expected in (451, 451, 250, 250):
        assert client.rcpt("later@b.example")[0] == expected
    assert client.rcpt("x@gone.example") == (550, b"5.1.1 No such user")
    assert client.rcpt("x@b.example")[0] == 250
    client.quit()


def test_dots_and_foreign_mail_are_taken_as_they_are(sink, tmp_path):
    arrivals = tmp_path / "arrivals.jsonl"
    server = sink("--record", arrivals)
    client = smtplib.SMTP(server.host, server.port)
    body = b".\r\n..\r\n...x\r\n.\r\n"
    client.sendmail("a@a.example", ["b@b.example"], b"Subject: dots\r\n\r\n" + body)
    client.sendmail("a@a.example", ["b@b.example"], b"\r\n")
    client.quit()
    server.end()
    first, second = lines_of(arrivals)
    assert first["size"] == len(b"Subject: dots\r\n\r\n" + body)
    assert first["subject"] == "dots" and first["token"] == ""
    assert second["size"] == 2


def test_data_may_come_in_any_pieces(sink, tmp_path):
    """The final dot is found wherever the network cuts, and imitations of it are content."""
    arrivals = tmp_path / "arrivals.jsonl"
    server = sink("--record", arrivals)
    content = b"X: y\r\n\r\na\n.\nb\r.\rc\r\n..\r\nd\r\n"
    script = b"MAIL FROM:<a@a>\r\nRCPT TO:<b@b>\r\nDATA\r\n" + content + b".\r\n"
    with socket.create_connection((server.host, server.port)) as raw:
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = raw.makefile("rb")
        stream.readline()
        for size in (1, 2, 3, 5, len(script)):
            for start in range(0, len(script), size):
                raw.sendall(script[start:start + size])
            assert [stream.readline()[:3] for _ in range(4)] == [b"250", b"250", b"354", b"250"]
    server.end()
    lines = lines_of(arrivals)
    assert len(lines) == 5
    assert {line["size"] for line in lines} == {len(content) - 1}
    assert len({line["crc"] for line in lines}) == 1


def test_a_delay_holds_the_reply_back(sink):
    server = sink("--rule", "phase=dot delay=300ms")
    summary, code = load(server.endpoint, "--messages", 4, "--sessions", 2)
    assert code == 0 and summary["latency_ms"]["p50"] >= 300


def test_the_rate_is_kept(sink):
    server = sink()
    summary, code = load(server.endpoint, "--messages", 100, "--rate", "200/s")
    assert code == 0 and 0.49 <= summary["seconds"] < 5


def test_the_sink_ends_after_so_many_messages(sink):
    server = sink("--messages", 50)
    summary, code = load(server.endpoint, "--messages", 50)
    assert code == 0 and summary["accepted"] == 50
    totals, code, _ = server.wait()
    assert code == 0 and totals["messages"] == 50


def test_the_sink_tells_what_there_is_so_far(sink):
    server = sink()

    def so_far():
        server.process.send_signal(signal.SIGUSR1)
        return json.loads(server.process.stdout.readline())

    assert so_far()["messages"] == 0
    sent, _ = load(server.endpoint, "--messages", 20)
    between = so_far()
    assert between["messages"] == 20
    # Both tell moments of the same clock.
    assert sent["started"] < between["fresh_arrival"] <= between["last_arrival"] < time.monotonic()
    assert so_far()["fresh_arrival"] == 0  # nothing since the question before
    load(server.endpoint, "--messages", 5)
    assert so_far()["fresh_arrival"] > between["last_arrival"]
    assert server.end()[0]["messages"] == 25


def test_records_tell_when_each_message_left_and_arrived(sink, tmp_path):
    server = sink("--record", tmp_path / "arrivals")
    load(server.endpoint, "--messages", 20, "--record", tmp_path / "sent")
    server.end()
    arrived = {line["token"]: line["at"] for line in lines_of(tmp_path / "arrivals")}
    for line in lines_of(tmp_path / "sent"):
        assert line["dot"] < arrived[line["token"]] < line["at"] < time.monotonic()


def test_the_members_of_a_range_take_turns(sink, tmp_path):
    server = sink("--record", tmp_path / "arrivals")
    load(server.endpoint, "--messages", 10, "--recipients", 3, "--domains", "d{1..30}.example")
    server.end()
    domains = [r.split("@")[1] for line in lines_of(tmp_path / "arrivals") for r in line["recipients"]]
    assert sorted(domains) == sorted(f"d{number}.example" for number in range(1, 31))


def test_threads_share_the_work(sink, tmp_path):
    record = tmp_path / "load.jsonl"
    server = sink("--threads", 2, "--check", record)
    summary, code = load(server.endpoint, "--messages", 500, "--threads", 2, "--record", record)
    assert code == 0 and summary["accepted"] == 500
    totals, code, _ = server.end()
    assert code == 0 and totals["check"]["arrived"] == 500


def test_large_messages_are_not_cut(sink, tmp_path):
    record = tmp_path / "load.jsonl"
    server = sink("--check", record)
    summary, code = load(server.endpoint, "--messages", 8, "--size", "2MiB", "--sessions", 2, "--record", record)
    assert code == 0
    totals, code, _ = server.end()
    assert code == 0 and totals["bytes"] == 8 * 2 * 1024 * 1024


def test_nobody_listening_is_exit_3():
    with socket.socket() as reserved:  # bound, not listening: the port stays refused
        reserved.bind(("127.0.0.1", 0))
        to = "127.0.0.1:%d" % reserved.getsockname()[1]
        summary, code = load(to, "--messages", 5, "--sessions", 2, "--connect-timeout", "0.1")
    assert code == 3 and summary["unsent"] == 5


@pytest.mark.parametrize("arguments", [
    ["load", "--to", "nowhere"],
    ["load", "--to", "127.0.0.1:1", "--rate", "fast"],
    ["load", "--to", "127.0.0.1:1", "--size", "big"],
    ["load", "--to", "127.0.0.1:1", "--domains", "a.example=x"],
    ["load", "--to", "127.0.0.1:1", "--domains", "d{9..1}.example"],
    ["load", "--to", "127.0.0.1:1", "--pipeline", "some"],
    ["load"],
    ["sink", "--rule", "phase=nowhere code=450"],
    ["sink", "--rule", "phase=rcpt"],
    ["sink", "--rule", "phase=rcpt code=250"],
    ["sink", "--rule", "code=450"],
    ["sink", "--rule", "phase=rcpt code=450 share=2"],
    ["sink", "--rule", "phase=mail recipient=a@b code=450"],
    ["sink", "--rule", "phase=rcpt code=450 colour=red"],
    ["sink", "--listen", "somewhere"],
])
def test_wrong_usage_is_exit_2_and_says_what_is_wrong(arguments):
    done = subprocess.run([MANSIO, *arguments], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2 and done.stderr


def test_people_get_aligned_text(sink):
    server = sink()
    done = subprocess.run([MANSIO, "load", "--to", server.endpoint, "--messages", "5"],
                          capture_output=True, text=True, timeout=30)
    assert re.search(r"^accepted +5$", done.stdout, re.M)
    assert re.search(r"^latency +p50 [0-9.]+ ms", done.stdout, re.M)
