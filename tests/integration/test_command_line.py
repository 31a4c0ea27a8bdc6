"""The command's frame: exit codes, verbs of later versions, config, send. No daemon is needed."""

import json
import pathlib
import subprocess

import pytest

from daemon import BIN, ROOT

MESSAGE = b"Subject: hi\n\n.dot\nend\n"


def mansio(*arguments, **options):
    return subprocess.run([str(BIN / "mansio"), *map(str, arguments)], capture_output=True,
                          timeout=60, **options)


@pytest.mark.parametrize("arguments", [
    ["reroute", "--destination", "example.com"], ["rebind"], ["explain", "a.b"], ["qm"],
    ["lua", "x"], ["policy"],
    ["events"], ["warmup"], ["simulate", "--help"], ["spool", "backup", "x"],
    ["spool", "export"], ["spool", "import"]])
def test_verbs_of_later_versions_are_refused_by_name(arguments):
    result = mansio(*arguments)
    assert result.returncode == 2
    assert b"is not available in this version" in result.stderr
    assert arguments[0].encode() in result.stderr


@pytest.mark.parametrize("arguments", [[], ["lsit"], ["list", "--bogus"], ["config"],
                                       ["send", "--to", "a@b"], ["config", "check"],
                                       ["spool", "check"]])
def test_wrong_usage_is_exit_2(arguments):
    assert mansio(*arguments).returncode == 2


def test_help_and_version_are_exit_0():
    assert mansio("--help").returncode == 0
    assert mansio("config", "describe", "--help").returncode == 0
    assert mansio("--version").stdout.startswith(b"mansio ")


def test_config_check_names_file_line_and_key(tmp_path):
    path = tmp_path / "bad.toml"
    path.write_text('[server]\nhostname = "a.b"\n[limits]\nmesage = "1MiB"\n')
    result = mansio("config", "check", path)
    assert result.returncode == 2
    assert f"{path}:4: limits.mesage: ".encode() in result.stderr
    assert b'did you mean "message"?' in result.stderr
    report = json.loads(mansio("--json", "config", "check", path).stdout)
    assert report["ok"] is False
    assert report["problems"][0]["line"] == 4


def test_config_check_tells_a_folder_and_an_empty_file_from_a_wrong_one(tmp_path):
    result = mansio("config", "check", tmp_path)
    assert result.returncode == 2 and b"found a folder" in result.stderr
    empty = tmp_path / "empty.toml"
    empty.write_text("\n")
    result = mansio("config", "check", empty)
    assert result.returncode == 2 and b"found an empty file" in result.stderr


def test_the_defaults_load_and_say_where_values_come_from(tmp_path):
    path = tmp_path / "defaults.toml"
    path.write_bytes(mansio("config", "defaults").stdout)
    assert mansio("config", "check", path).returncode == 0
    lines = mansio("config", "effective", "--config", path, "--json").stdout.splitlines()
    values = {entry["key"]: entry for entry in map(json.loads, lines)}
    assert values["retry.lifetime"]["value"] == '"5d"'
    assert values["retry.lifetime"]["file"] == str(path)


def test_describe_knows_what_there_is():
    assert b'"50MiB"' in mansio("config", "describe", "limits.message").stdout
    assert mansio("config", "describe", "limits.mesage").returncode == 2
    later = mansio("config", "describe", "policy.lua")
    assert later.returncode == 2
    assert b"not available in this version" in later.stderr


def test_secrets_are_not_shown(tmp_path):
    path = tmp_path / "mansio.toml"
    text = (ROOT / "examples" / "smarthost.toml").read_text()
    path.write_text(text.replace("file:smarthost.password", "geheim"))
    result = mansio("config", "effective", "--config", path)
    assert result.returncode == 0
    assert b"geheim" not in result.stdout


def test_send_prints_the_servers_words_where_they_have_no_id(sink):
    result = mansio("send", "--server", sink.endpoint, "--from", "a@example.org",
                    "--to", "b@example.com", "--to", "c@example.com", input=MESSAGE)
    assert result.returncode == 0, result
    assert b"taken" in result.stdout
    assert sink.recipients() == ["b@example.com", "c@example.com"]
    assert sink.messages[0].content == b"Subject: hi\r\n\r\n.dot\r\nend\r\n"


def test_send_prints_the_id(sink):
    identifier = "01M0T5X2Z4Q7R8S9TAVBWCXDYE"
    sink.answers["dot"] = lambda _: f"250 2.0.0 Ok: queued as {identifier}"
    result = mansio("send", "--server", sink.endpoint, "--from", "<>", "--to", "b@example.com",
                    input=MESSAGE)
    assert result.stdout.decode().strip() == identifier


def test_send_tells_what_was_refused(sink):
    sink.answers["rcpt"] = lambda path: "550 5.1.1 no such user" if "nobody" in path else None
    result = mansio("--json", "send", "--server", sink.endpoint, "--from", "a@example.org",
                    "--to", "b@example.com", "--to", "nobody@example.com", input=MESSAGE)
    assert result.returncode == 5
    report = json.loads(result.stdout)
    assert report["accepted"] is True
    assert [entry["recipient"] for entry in report["refused"]] == ["nobody@example.com"]
    assert sink.recipients() == ["b@example.com"]
    result = mansio("send", "--server", sink.endpoint, "--from", "a@example.org",
                    "--to", "nobody@example.com", input=MESSAGE)
    assert result.returncode == 5
    assert b"no such user" in result.stderr


def test_send_without_a_server_is_exit_3():
    result = mansio("send", "--server", "127.0.0.1:1", "--from", "a@b.c", "--to", "b@b.c",
                    input=MESSAGE)
    assert result.returncode == 3


def test_links_of_the_manual_lead_somewhere():
    for page in (ROOT / "docs" / "manual").glob("*.md"):
        for target in page.read_text().split("](")[1:]:
            target = target.split(")")[0].split("#")[0]
            if target and "://" not in target:
                assert (page.parent / pathlib.Path(target)).exists(), (page.name, target)
