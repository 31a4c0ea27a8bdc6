"""A destination that an operator stopped stays stopped, whatever becomes of the process."""

from daemon import wait_until


def suspended(daemon):
    return daemon.json_lines("list", "--state", "suspended")


def test_a_suspension_survives_a_kill_and_ends_when_it_is_resumed(make_daemon, sink):
    node = make_daemon(next_hop=[sink.endpoint])
    answer = node.command("suspend", "B.example", "--reason", "too many complaints")
    assert answer.returncode == 0, answer.stderr
    id = node.submit("a@a.example", ["b@b.example"])
    other = node.submit("a@a.example", ["c@c.example"])
    wait_until(lambda: "c@c.example" in sink.recipients(), timeout=60,
               what="mail for another destination")
    assert [message["id"] for message in suspended(node)] == [id]
    assert other != id
    why = node.command("why", id)
    assert "suspended" in why.stdout and "too many complaints" in why.stdout

    node.kill()
    node.start(timeout=60)
    assert [message["id"] for message in suspended(node)] == [id]
    node.command("retry", id)
    node.submit("a@a.example", ["d@c.example"])
    wait_until(lambda: "d@c.example" in sink.recipients(), timeout=60,
               what="mail after the restart")
    assert "b@b.example" not in sink.recipients()

    assert node.command("resume", "b.example").returncode == 0
    wait_until(lambda: "b@b.example" in sink.recipients(), timeout=60,
               what="the mail that had to wait")
    assert node.command("resume", "b.example").returncode != 0
    node.stop()
