"""The daemon is killed in the middle of a load: everything that was acknowledged arrives after the
restart, unchanged, and only what was in flight may arrive twice."""

import json
import os
import subprocess

from daemon import BIN, Daemon, free_port, wait_until

# `make soak` asks for more.
KILLS = int(os.environ.get("MANSIO_KILLS", "2"))
MESSAGES = 750 * KILLS
SESSIONS = 20


def test_what_was_acknowledged_survives_kill_9(tmp_path):
    record = tmp_path / "load.jsonl"
    sink_port = free_port()
    sink = subprocess.Popen([str(BIN / "mansio"), "sink", "--json", "--listen", f"127.0.0.1:{sink_port}",
                             "--check", str(record)], stdout=subprocess.PIPE, text=True)
    daemon = Daemon(tmp_path / "node", next_hop=[f"127.0.0.1:{sink_port}"])
    load = None
    try:
        assert "listening" in sink.stdout.readline()
        daemon.start()
        load = subprocess.Popen([str(BIN / "mansio"), "load", "--json", "--to", f"127.0.0.1:{daemon.smtp_port}",
                                 "--messages", str(MESSAGES), "--sessions", str(SESSIONS), "--recipients", "2",
                                 "--connect-timeout", str(60 + 30 * KILLS), "--record", str(record)],
                                stdout=subprocess.PIPE, text=True)
        for share in ((kill + 1) / (KILLS + 2) for kill in range(KILLS)):
            # The counters survive a crash, so all kills come while mail goes in and out.
            wait_until(lambda: daemon.summary()["accepted"] >= 2 * MESSAGES * share, what="part of the load")
            daemon.kill()
            daemon.start()
        summary = json.loads(load.communicate(timeout=60 + 30 * KILLS)[0])
        daemon.wait_until(lambda: daemon.summary()["queued"] == 0, timeout=60 + 5 * KILLS, what="everything settled")
        totals = daemon.summary()
        daemon.stop()
        sink.terminate()
        check = json.loads(sink.communicate(timeout=60)[0].splitlines()[-1])["check"]
    finally:
        daemon.kill()
        for process in (sink, load):
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
    assert summary["unsent"] == 0
    # Every session may lose one reply in each crash.
    assert summary["unanswered"] <= KILLS * SESSIONS
    assert summary["accepted"] == MESSAGES - summary["unanswered"]
    assert check["missing"] == 0 and check["damaged"] == 0, check
    assert check["arrived"] == 2 * summary["accepted"]
    assert totals["accepted"] == totals["delivered"]
    # An unanswered message was kept or not, but as a whole.
    assert 2 * summary["accepted"] <= totals["accepted"] <= 2 * MESSAGES
