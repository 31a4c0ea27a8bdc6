"""What is made from the command's own declarations: completion scripts and manual pages."""

import json
import re
import shlex
import shutil
import subprocess

import pytest

from daemon import BIN, ROOT


def mansio(*arguments):
    result = subprocess.run([str(BIN / "mansio"), *arguments], capture_output=True, text=True,
                            timeout=60)
    assert result.returncode == 0, result
    return result.stdout


@pytest.fixture(scope="module")
def bash_script(tmp_path_factory):
    path = tmp_path_factory.mktemp("completion") / "mansio.bash"
    path.write_text(mansio("completion", "bash"))
    return path


def complete(script, *words, folder=None):
    """What bash offers for the last word. An empty one is a blank before the cursor."""
    command = ('source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _mansio; '
               'printf "%s\\n" "${COMPREPLY[@]}"')
    result = subprocess.run(
        ["bash", "--norc", "-c", command, "bash", str(script), "mansio", *words],
        capture_output=True, text=True, timeout=20, cwd=folder)
    assert result.returncode == 0 and result.stderr == "", result
    return result.stdout.split()


def test_bash_completes_verbs_and_verbs_of_verbs(bash_script):
    verbs = complete(bash_script, "")
    assert {"status", "list", "suspend", "top", "config", "completion"} <= set(verbs)
    assert "reroute" not in verbs, "a verb of a later version"
    assert not any(verb.startswith("-") for verb in verbs)
    assert complete(bash_script, "su") == ["summary", "suspend"]
    assert complete(bash_script, "config", "d") == ["describe", "defaults"]
    assert complete(bash_script, "--json", "config", "ch") == ["check"]


def test_bash_completes_options_of_the_verb_and_global_ones(bash_script):
    assert complete(bash_script, "list", "--des") == ["--destination"]
    assert set(complete(bash_script, "status", "--")) == {"--help", "--admin", "--json"}
    assert "--dry-run" in complete(bash_script, "bounce", "--sender", "a@b", "--")
    assert complete(bash_script, "show", "--des") == []


def test_bash_completes_choices_and_takes_values_for_no_verb(bash_script):
    assert complete(bash_script, "list", "--state", "in_") == ["in_flight", "in_doubt"]
    assert complete(bash_script, "list", "--state", "=", "he") == ["held"]
    assert complete(bash_script, "completion", "") == ["bash", "zsh", "fish"]
    assert complete(bash_script, "list", "--destination", "co") == [], "only the daemon knows"
    assert "list" in complete(bash_script, "--admin", "config", "l"), "config was a value"


def test_bash_completes_files_where_one_is_meant(bash_script, tmp_path):
    (tmp_path / "mansio.toml").write_text("")
    assert complete(bash_script, "config", "check", "man", folder=tmp_path) == ["mansio.toml"]
    assert complete(bash_script, "config", "effective", "--config", "man",
                    folder=tmp_path) == ["mansio.toml"]


@pytest.mark.parametrize("shell, arguments", [("bash", ["-n"]), ("zsh", ["-n"]),
                                              ("fish", ["--no-execute"])])
def test_the_scripts_are_well_formed(shell, arguments, tmp_path):
    path = tmp_path / f"mansio.{shell}"
    path.write_text(mansio("completion", shell))
    assert shutil.which(shell), f"scripts/install-deps --test installs {shell}"
    result = subprocess.run([shell, *arguments, str(path)], capture_output=True, text=True,
                            timeout=20)
    assert (result.returncode, result.stderr) == (0, "")


def test_fish_completes_too(tmp_path):
    path = tmp_path / "mansio.fish"
    path.write_text(mansio("completion", "fish"))
    def offered(line):
        result = subprocess.run(["fish", "--no-config", "-c",
                                 f"source {path}; complete -C '{line}'"],
                                capture_output=True, text=True, timeout=20,
                                env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"})
        assert result.returncode == 0, result
        return [entry.split("\t")[0] for entry in result.stdout.splitlines()]
    assert offered("mansio susp") == ["suspend"]
    assert offered("mansio config che") == ["check"]
    assert offered("mansio list --destin") == ["--destination"]
    assert offered("mansio list --state hel") == ["held"]


PAGES = ["mansio.1", "mansio-sendmail.1", "mansio.toml.5", "mansiod.8"]


@pytest.mark.parametrize("page", PAGES)
def test_manual_pages_are_clean_roff(page):
    result = subprocess.run(["groff", "-man", "-ww", "-z", "-Tutf8"],
                            input=mansio("config", "manual", page), capture_output=True, text=True,
                            timeout=60)
    assert (result.returncode, result.stderr) == (0, "")


def rendered(page):
    result = subprocess.run(["groff", "-man", "-Tascii", "-P-c", "-P-b", "-P-u", "-rLL=200n"],
                            input=mansio("config", "manual", page), capture_output=True, text=True,
                            timeout=60)
    return result.stdout


def test_the_page_of_the_command_has_every_verb_and_option():
    text = rendered("mansio.1")
    for verb in complete_verbs():
        help_text = subprocess.run([str(BIN / "mansio"), *verb, "--help"], capture_output=True,
                                   text=True, timeout=20).stdout
        assert " ".join(verb) in text
        for option in re.findall(r"^  (?:-\w,)?(--[a-z-]+)", help_text, re.MULTILINE):
            assert option in text, (verb, option)


def complete_verbs():
    """Every verb that --help lists."""
    def listed(*path):
        text = subprocess.run([str(BIN / "mansio"), *path, "--help"], capture_output=True, text=True,
                              timeout=20).stdout
        found = []
        if "Subcommands:" in text:
            for line in text.split("Subcommands:")[1].splitlines():
                match = re.match(r"  ([a-z-]+)\s", line)
                if match:
                    found += [[*path, match.group(1)], *listed(*path, match.group(1))]
                elif line and not line.startswith(" "):
                    break
        return found
    return listed()


def test_the_page_of_the_configuration_has_every_setting():
    text = rendered("mansio.toml.5")
    for line in mansio("--json", "config", "defaults").splitlines():
        key = json.loads(line)["key"].rsplit(".", 1)[-1]
        assert key in text, key


def test_the_page_of_the_daemon_has_every_option():
    help_text = subprocess.run([str(BIN / "mansiod"), "--help"], capture_output=True, text=True,
                               timeout=20).stdout
    text = rendered("mansiod.8")
    for option in re.findall(r"--[a-z-]+", help_text):
        assert option in text, option


@pytest.mark.parametrize("letters", ["-t", "-i", "-v", "-bp", "-bi", "-fa@example.org", "-Fname",
                                     "-Nnever", "-Rhdrs", "-Vid", "-q", "-B8BITMIME", "-C/x"])
def test_the_page_of_sendmail_has_what_it_understands(letters):
    assert letters[:3 if letters[1] == "b" else 2] in rendered("mansio-sendmail.1")


def manual_commands():
    """Every line of a code block of the manual that is a command of ours."""
    for page in sorted((ROOT / "docs" / "manual").glob("*.md")):
        if page.name in ("commands.md", "settings.md"):
            continue
        for block in page.read_text().split("```")[1::2]:
            for line in block.splitlines():
                if line.startswith("mansio "):
                    yield page.name, line


def test_the_manual_uses_verbs_and_options_that_there_are():
    tree = {tuple(verb) for verb in complete_verbs()}
    seen = 0
    for page, line in manual_commands():
        words = shlex.split(line.split(" | ")[0].split(" > ")[0].split(" < ")[0], comments=True)[1:]
        if words[0] == "sendmail" or words[0].startswith("--"):
            continue
        verb = words[:2] if tuple(words[:2]) in tree else words[:1]
        assert tuple(verb) in tree, (page, line)
        help_text = subprocess.run([str(BIN / "mansio"), *verb, "--help"], capture_output=True,
                                   text=True, timeout=20).stdout
        for word in words:
            if word.startswith("--"):
                option = word.split("=")[0]
                assert option in help_text or option in ("--json", "--admin"), (page, line)
        seen += 1
    assert seen > 20
