"""The operator's side of a running daemon: the admin API over real sockets, and every core verb of
`mansio` with its exit codes and JSON."""

import json
import re
import subprocess
import urllib.request

import pytest

from daemon import BIN, free_port

UNKNOWN_ID = "01HZX3J5Q8K2M4N6P7R9S0T1V2"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def picky(sink):
    """The next hop defers everybody whose name begins with "later"."""
    sink.answers["rcpt"] = (
        lambda address: "451 4.7.1 come back \x1b[31mlater" if address.startswith("later") else None)
    return sink


@pytest.fixture
def node(make_daemon, picky):
    """A daemon whose deferred mail waits for an hour."""
    return make_daemon(next_hop=[picky.endpoint],
                       tables={"retry": {"min": "1h", "max": "1h"},
                               "admin": {"socket": "admin.sock"}})


def deferred(node, *recipients, subject="hello"):
    """Submits a message and waits until nothing of it is in flight; returns its id."""
    id = node.submit("alice@example.org", recipients or ["later@b.example"],
                     f"Subject: {subject}\r\n\r\nbody\r\n".encode())

    def settled():
        status, _, body = node.request("GET", f"/v1/messages/{id}")
        return status == 200 and all(
            recipient["tries"] > 0 for recipient in json.loads(body)["recipients"])

    node.wait_until(settled, what="the first attempt")
    return id


# ---- reading --------------------------------------------------------------------------------------


def test_list_has_exactly_the_documented_fields(node):
    id = deferred(node, "later@b.example", "now@b.example")
    messages = node.json_lines("list")
    assert [message["id"] for message in messages] == [id]
    message = messages[0]
    assert list(message) == ["id", "reverse_path", "size", "accepted_at", "tenant", "recipients"]
    assert message["reverse_path"] == "alice@example.org"
    assert message["tenant"] == "default"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", message["accepted_at"])
    (recipient,) = message["recipients"]
    assert list(recipient) == ["index", "address", "destination", "binding", "state", "due", "tries",
                               "retry_count", "last_reply"]
    assert recipient["address"] == "later@b.example"
    assert recipient["state"] == "deferred"
    assert recipient["destination"] == "b.example"
    assert recipient["binding"] == "default"
    assert recipient["tries"] == 1
    assert list(recipient["last_reply"]) == ["code", "enhanced", "text", "host", "stage"]
    assert recipient["last_reply"]["code"] == 451
    assert recipient["last_reply"]["enhanced"] == "4.7.1"
    assert recipient["last_reply"]["stage"] == "rcpt"


def test_list_selects_and_pages(node):
    ids = [deferred(node, f"later{i}@d{i % 2}.example", subject=f"number {i}") for i in range(5)]
    listed = lambda *arguments: [message["id"] for message in node.json_lines("list", *arguments)]
    assert listed() == ids
    assert listed("--limit", 2) == ids[:2]
    assert listed("--destination", "d1.example") == [ids[1], ids[3]]
    assert listed("--recipient", "later4@d0.example") == [ids[4]]
    assert listed("--sender", "alice@example.org") == ids
    assert listed("--sender", "<>") == []
    assert listed("--state", "deferred") == ids
    assert listed("--state", "held") == []
    assert listed("--subject", "NUMBER 3") == [ids[3]]
    assert listed("--tries-min", 1) == ids
    assert listed("--tries-min", 2) == []
    assert listed("--retries-min", 1) == ids
    assert listed("--size-min", "1MiB") == []
    assert listed("--older-than", "1h") == []
    assert listed("--tenant", "default", "--binding", "default") == ids


def test_an_empty_list_is_no_failure(node):
    result = node.command("list")
    assert (result.returncode, result.stdout) == (0, "")


def test_text_for_people_holds_nothing_that_a_terminal_obeys(node):
    id = deferred(node)
    for arguments in (["list"], ["show", id], ["history", id], ["why", id]):
        result = node.command(*arguments)
        assert result.returncode == 0, result
        assert "\x1b" not in result.stdout
        assert "\\x1B[31mlater" in result.stdout, result.stdout


def test_why_is_one_line_that_names_reason_setting_and_next_try(node):
    id = deferred(node)
    (line,) = node.command("why", id).stdout.splitlines()
    assert line.startswith("later@b.example: backoff (retry.min) since ")
    assert "next try 20" in line and "451 4.7.1" in line
    (wait,) = node.json_lines("why", id)
    for field in ("recipient", "reason", "setting", "since", "next_attempt"):
        assert field in wait
    assert wait["reason"] == "backoff"


def test_history_tells_every_attempt_also_of_what_is_gone(node):
    id = deferred(node, "later@b.example", "now@b.example")
    events = node.json_lines("history", id)
    assert events[0]["event"] == "accepted"
    assert {event["event"] for event in events} >= {"accepted", "deferred", "delivered"}
    sequence = [event["seq"] for event in events]
    assert sequence == sorted(sequence)
    for event in events:
        for field in ("seq", "time", "event", "recipient", "attempt"):
            assert field in event

    gone = node.submit("alice@example.org", ["now@c.example"])
    node.wait_until(lambda: node.command("show", gone).returncode == 1, what="the message gone")
    assert node.json_lines("history", gone)[-1]["event"] == "delivered"


def test_content_gives_the_octets_that_were_accepted(node):
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\r\n" * 600_000  # more than one part
    id = node.submit("alice@example.org", ["later@b.example"], large)
    result = subprocess.run([str(BIN / "mansio"), "--admin", f"http://127.0.0.1:{node.admin_port}",
                             "content", id], capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert result.stdout.endswith(large)
    assert result.stdout.startswith(b"Received:")

    status, headers, body = node.request("GET", f"/v1/messages/{id}/content?offset=0&length=9")
    assert (status, body) == (206, b"Received:")
    assert headers["Content-Range"] == f"bytes 0-8/{len(result.stdout)}"
    assert headers["Content-Type"].startswith("text/plain")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Content-Disposition"].startswith("attachment")


def test_summary_balances_and_status_tells_the_state(node):
    deferred(node, "later@b.example", "now@b.example")
    (summary,) = node.json_lines("summary")
    assert summary["accepted"] == 2 and summary["delivered"] == 1 and summary["queued"] == 1
    assert summary["balanced"] is True
    assert summary["tenants"][0]["tenant"] == "default"
    text = node.command("summary").stdout
    assert "accepted" in text and "balanced" in text

    (status,) = node.json_lines("status")
    assert status["accepting"] is True
    assert status["hostname"] == "mail.test.example"
    assert status["spool"]["durable"] is True
    assert status["spool"]["health"] == "ok"
    assert "accepting" in node.command("status").stdout


def test_lanes_show_what_is_queued(node):
    deferred(node)
    (lane,) = node.get("/v1/lanes")["lanes"]
    assert (lane["destination"], lane["binding"], lane["queued"]) == ("b.example", "default", 1)


# ---- changing -------------------------------------------------------------------------------------


def change(node, verb, *arguments):
    result = node.command(verb, *arguments, "--json")
    return result.returncode, json.loads(result.stdout) if result.stdout else result.stderr


def test_hold_and_release(node, picky):
    id = deferred(node)
    assert change(node, "hold", id, "--reason", "look at it") == (0, {"matched": 1, "changed": 1})
    assert node.json_lines("list", "--state", "held")[0]["id"] == id
    assert node.json_lines("why", id)[0]["reason"] == "held"
    entry = node.json_lines("history", id)[-1]
    assert (entry["event"], entry["reason"]) == ("held", "look at it")

    picky.answers.clear()
    assert change(node, "release", "--state", "held") == (0, {"matched": 1, "changed": 1})
    node.wait_until(lambda: picky.recipients() == ["later@b.example"], what="delivery")


def test_retry_delivers_now(node, picky):
    id = deferred(node)
    picky.answers.clear()
    assert change(node, "retry", "--destination", "b.example")[1]["changed"] == 1
    node.wait_until(lambda: node.summary()["delivered"] == 1, what="delivery")
    assert picky.recipients() == ["later@b.example"]


def test_bounce_reports_to_the_sender(node, picky):
    id = deferred(node)
    assert change(node, "bounce", id, "--reason", "closed") == (0, {"matched": 1, "changed": 1})
    node.wait_until(lambda: picky.recipients() == ["alice@example.org"], what="the notice")
    notice = picky.messages[0]
    assert notice.sender == ""
    assert b"later@b.example" in notice.content
    assert node.summary()["failed"] == 1


def test_remove_reports_to_nobody(node, picky):
    deferred(node)
    assert change(node, "remove", "--everything", "--dry-run") == (0, {"matched": 1, "changed": 1})
    assert node.summary()["removed"] == 0
    assert change(node, "remove", "--everything") == (0, {"matched": 1, "changed": 1})
    summary = node.summary()
    assert (summary["removed"], summary["queued"], summary["accepted"]) == (1, 0, 1)
    assert picky.messages == []


def test_exit_codes(node, tmp_path):
    id = deferred(node)
    code = lambda *arguments, **options: node.command(*arguments, **options).returncode
    assert code("hold", UNKNOWN_ID) == 1
    assert code("hold", id, UNKNOWN_ID) == 1, "one of two"
    assert code("show", UNKNOWN_ID) == 1
    assert code("remove", "--destination", "nowhere.example") == 1
    assert code("retry", "--state", "quarantined") == 1
    assert code("remove", "--everything") == 0
    assert code("remove", "--everything") == 0, "everything of nothing is no failure"

    assert code("hold") == 2
    assert code("hold", "--everything", "--state", "held") == 2
    assert code("hold", id, "--state", "held") == 2
    assert code("show", "../../etc/passwd") == 2
    assert code("show") == 2
    assert code("list", "--state", "gone") == 2
    assert code("list", "--older-than", "soon") == 2
    assert code("list", "--no-such-option") == 2
    assert code("status", admin="ftp://x") == 2

    assert code("status", admin="http://127.0.0.1:1") == 3
    assert code("status", admin=f"{tmp_path}/nothing.sock") == 3


def test_every_verb_explains_itself(node):
    for verb in ("status", "summary", "list", "show", "content", "history", "why", "retry", "hold",
                 "release", "bounce", "remove", "suspend", "resume", "lanes", "lane", "shape", "top",
                 "probe", "trace", "drain", "undrain", "reload"):
        result = node.command(verb, "--help")
        assert result.returncode == 0
        assert f"Example: mansio {verb}" in result.stdout, verb


def test_the_command_has_every_selector_of_the_api(node):
    parameters = node.get("/v1/openapi.json")["paths"]["/v1/messages"]["get"]["parameters"]
    help_text = node.command("list", "--help").stdout
    for parameter in parameters:
        if parameter["name"] != "resume":
            assert "--" + parameter["name"].replace("_", "-") in help_text, parameter["name"]


def test_the_unix_socket_and_the_environment(node):
    socket_path = node.folder / "admin.sock"
    assert node.command("summary", admin=str(socket_path)).returncode == 0
    result = subprocess.run([str(BIN / "mansio"), "summary"], capture_output=True, timeout=20,
                            env={"MANSIO_ADMIN": f"http://127.0.0.1:{node.admin_port}"})
    assert result.returncode == 0, result.stderr


# ---- the API itself -------------------------------------------------------------------------------


def test_the_description_matches_the_server(node):
    """Every operation is asked for as the description gives it as an example."""
    id = deferred(node)
    document = node.get("/v1/openapi.json")
    assert document["openapi"].startswith("3.")
    # The first job and the first trace have the number 1; the trace is asked for on the way.
    assert node.request("POST", "/v1/messages/retry",
                        json.dumps({"everything": True, "dry_run": True, "wait": False}),
                        JSON)[0] == 202
    for path, methods in document["paths"].items():
        target = path.replace("{id}", id).replace("{number}", "1")
        for method, operation in methods.items():
            example = operation.get("requestBody", {}).get("content", {})
            body = json.dumps(example["application/json"]["example"]) if example else None
            query = "&".join(f"{parameter['name']}={parameter['example']}"
                             for parameter in operation.get("parameters", [])
                             if parameter["in"] == "query" and parameter["required"])
            status, headers, text = node.request(
                method.upper(), target + ("?" + query if query else ""), body, JSON if body else {})
            assert status == 200, (method, path, text)
            media = headers["Content-Type"].split(";")[0]
            assert media in operation["responses"]["200"]["content"], path
        for method in {"GET", "POST", "PUT", "DELETE", "PATCH"} - {name.upper() for name in methods}:
            assert node.request(method, target, b"{}", JSON)[0] == 405, (method, path)


def test_head_is_get_without_a_body(node):
    for path in ("/healthz", "/readyz", "/v1/summary"):
        status, headers, body = node.request("HEAD", path)
        assert (status, body) == (200, b""), path
        assert int(headers["Content-Length"]) > 0


def refusal(node, *request):
    status, _, body = node.request(*request)
    return status, json.loads(body)["error"]


def test_errors_have_one_form_and_name_the_field(node):
    assert refusal(node, "GET", "/v1/nothing")[0] == 404
    assert refusal(node, "GET", f"/v1/messages/{UNKNOWN_ID}") == (
        404, {"code": "missing", "message": f"no message with id {UNKNOWN_ID} is queued; if it was, "
                                            f"\"mansio history {UNKNOWN_ID}\" tells how it ended"})
    assert "history is kept for 7d" in refusal(node, "GET", f"/v1/messages/{UNKNOWN_ID}/history")[1][
        "message"]
    for target, field in (("/v1/summary?x=1", "x"), ("/v1/messages?state=gone", "state"),
                          ("/v1/messages?limit=0", "limit"), ("/v1/messages/1", "id"),
                          ("/v1/messages/..%2f..%2fetc%2fpasswd", "id"),
                          ("/v1/messages/%2e%2e", "id"), ("/v1/messages/%00", "id"),
                          ("/v1/messages/" + "A" * 10_000, "id")):
        status, error = refusal(node, "GET", target)
        assert (status, error["field"]) == (400, field), target
    for body, field in (({}, "selector"), ({"everything": True, "force": 1}, "force"),
                        ({"selector": {"stat": "held"}}, "selector.stat"),
                        ({"ids": ["../x"]}, "ids")):
        status, error = refusal(node, "POST", "/v1/messages/hold", json.dumps(body), JSON)
        assert (status, error["field"]) == (400, field), body
    assert refusal(node, "POST", "/v1/messages/hold", b"\xff{", JSON)[0] == 400


def test_what_a_web_page_could_send_is_refused(node):
    body = json.dumps({"everything": True})
    own = f"127.0.0.1:{node.admin_port}"
    assert refusal(node, "GET", "/v1/summary", None, {"Host": "evil.example"})[0] == 421
    assert refusal(node, "GET", "/v1/summary", None, {"Host": "127.0.0.1.evil.example"})[0] == 421
    assert refusal(node, "POST", "/v1/messages/remove", body,
                   {**JSON, "Origin": "http://evil.example"})[0] == 403
    assert refusal(node, "POST", "/v1/messages/remove", body, {**JSON, "Origin": "null"})[0] == 403
    assert refusal(node, "POST", "/v1/messages/remove", body, {"Content-Type": "text/plain"})[0] == 415
    assert refusal(node, "POST", "/v1/messages/remove", body, {})[0] == 415
    assert refusal(node, "GET", "/v1/messages/remove")[0] == 405
    status, _, _ = node.request("POST", "/v1/messages/retry", body, {**JSON, "Origin": f"http://{own}"})
    assert status == 200


def test_probes_and_metrics(node):
    deferred(node, "later@b.example", "now@b.example")
    assert node.request("GET", "/healthz")[0] == 200
    assert node.request("GET", "/readyz")[0] == 200
    status, headers, body = node.request("GET", "/metrics")
    assert status == 200
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    text = body.decode()
    assert 'mansio_recipients_accepted_total{tenant="default"} 2' in text
    assert 'mansio_recipients_queued{tenant="default"} 1' in text
    assert "mansio_balanced 1" in text
    for line in text.splitlines():
        assert re.match(r"(# (HELP|TYPE) )?mansio_", line), line


def test_a_listener_with_protocol_http_is_the_api_once_more(make_daemon, sink, tmp_path):
    port = free_port()
    socket_path = str(tmp_path / "http.sock")
    node = make_daemon(next_hop=[sink.endpoint], listeners=[
        {"protocol": "http", "address": f"127.0.0.1:{port}"},
        {"protocol": "http", "address": socket_path}])
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=20) as response:
        assert response.status == 200
    id = node.submit("alice@example.org", ["now@b.example"])
    for address in (f"http://127.0.0.1:{port}", socket_path):
        assert node.command("history", id, admin=address).returncode == 0
    # Sockets do not move under a running daemon; what else the file says is not taken either.
    node.tables["[[listener]]"].pop()
    node.reload()
    node.wait_until(lambda: "reload_refused" in node.log(), what="the refusal")
    assert node.command("summary", admin=socket_path).returncode == 0


@pytest.mark.parametrize("listener, key", [
    ({"address": "0.0.0.0:8026"}, "listener[1].address"),
    ({"address": "127.0.0.1:8026", "relay_from": ["127.0.0.0/8"]}, "listener[1].relay_from")])
def test_an_http_listener_that_cannot_be_is_refused_at_the_start(make_daemon, listener, key):
    daemon = make_daemon(start=False, listeners=[{"protocol": "http", **listener}])
    daemon.spawn()
    assert daemon.process.wait(20) == 78
    daemon.process = None
    assert key in daemon.log()


@pytest.mark.parametrize("address", ["0.0.0.0:8025", "192.0.2.1:8025", "[::]:8025"])
def test_an_address_that_is_not_loopback_is_refused_at_the_start(make_daemon, address):
    daemon = make_daemon(start=False, tables={"admin": {"listen": address}})
    daemon.spawn()
    assert daemon.process.wait(20) == 78
    daemon.process = None
    assert "admin.listen" in daemon.log()


def test_the_daemon_stops_cleanly_while_a_client_is_connected(node):
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", node.admin_port, timeout=20)
    connection.request("GET", "/healthz")
    connection.getresponse().read()
    node.stop()
    connection.close()
