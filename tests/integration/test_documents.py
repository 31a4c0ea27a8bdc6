"""What the documents tell a user to type works: configurations load, verbs and options exist."""

import functools
import pathlib
import re
import subprocess

import pytest

from daemon import BIN, ROOT

DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def name_of(path):
    return str(path.relative_to(ROOT))


def blocks(path):
    """The fenced blocks of a document: (word after the fence, text)."""
    return re.findall(r"^```(\w*)\n(.*?)^```", path.read_text(), re.M | re.S)


CONFIGURATIONS = [(path, number, text)
                  for path in DOCUMENTS
                  for number, (kind, text) in enumerate(blocks(path))
                  if kind == "toml" and "[server]" in text]


@pytest.mark.parametrize("path, number, text", CONFIGURATIONS,
                         ids=[f"{name_of(path)}-{number}" for path, number, _ in CONFIGURATIONS])
def test_a_complete_configuration_in_a_document_loads(tmp_path, path, number, text):
    # Files that it names are made; the rest is as the reader would type it.
    for name in re.findall(r'"(?:file:)?(/etc/mansio/[^"]+)"', text):
        made = tmp_path / pathlib.Path(name).name
        made.write_text("a secret of more than sixteen octets\n")
        text = text.replace(name, str(made))
    config = tmp_path / "mansio.toml"
    config.write_text(text)
    result = subprocess.run([BIN / "mansio", "config", "check", config], capture_output=True,
                            text=True, timeout=60)
    assert result.returncode == 0, result.stderr


@functools.cache
def help_of(verb):
    result = subprocess.run([BIN / "mansio", *verb.split(), "--help"], capture_output=True,
                            text=True, timeout=60)
    return result.stdout if result.returncode == 0 else None


def commands(path):
    """Every `mansio VERB …` in fenced blocks and in code spans."""
    text = path.read_text()
    lines = [line for kind, block in blocks(path) if kind in ("", "sh") for line in block.split("\n")]
    lines += re.findall(r"`(mansio [^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))
    found = []
    for line in lines:
        for command in re.findall(r"(?:^|[|;&(] *|\$ )(mansio [^|;&)]*)", line):
            found.append(command.strip())
    return found


def unknown(command):
    """What of a command does not exist; empty if all does."""
    words = [word for word in command.split()[1:] if word not in ("…", "...")]
    words = [word for word in words if word not in ("--json",)]
    if words and words[0] == "--admin":
        words = words[2:]
    if not words or not re.fullmatch(r"[a-z]+", words[0]):
        return ""  # `mansio --help`, or a name in running text
    verb = words[0]
    text = help_of(verb)
    if text is None:
        return f"there is no verb {verb}"
    if len(words) > 1 and re.fullmatch(r"[a-z]+", words[1]) and help_of(f"{verb} {words[1]}"):
        text = help_of(f"{verb} {words[1]}") + text
    missing = [word.split("=")[0] for word in words
               if re.match(r"--[a-z]", word) and word.split("=")[0] not in text]
    return f"{verb} has no {' '.join(missing)}" if missing else ""


@pytest.mark.parametrize("path", [path for path in DOCUMENTS if path.name != "commands.md"],
                         ids=name_of)
def test_the_commands_in_a_document_exist(path):
    wrong = [f"{command}: {unknown(command)}" for command in commands(path) if unknown(command)]
    assert wrong == []
