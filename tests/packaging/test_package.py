"""The Debian package: built, installed into a tree of its own, upgraded with mail in the queue, removed
and purged. No systemd runs here: the daemon is started with the command line of its unit, as the
user that the package made."""

import os
import pathlib
import re
import shutil
import signal
import smtplib
import subprocess
import sys
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "integration"))

from daemon import BUILD, Sink, free_port, wait_until  # noqa: E402

UNIT = ROOT / "packaging" / "systemd" / "mansio.service"
# Without root, fakeroot lets dpkg believe that owners are set; the daemon then runs as we do.
AS_ROOT = [] if os.geteuid() == 0 else ["fakeroot"]


def run(*words, check=True):
    result = subprocess.run(list(map(str, words)), capture_output=True, text=True, timeout=100)
    assert not check or result.returncode == 0, result
    return result


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    """The package of this build, and the same with a higher version."""
    folder = tmp_path_factory.mktemp("packages")
    return [pathlib.Path(run(ROOT / "packaging" / "build-deb", "--build", BUILD, "--version", version,
                             "--output", folder).stdout.strip()) for version in ("0.1.0", "0.1.1")]


class Tree:
    """A root of its own with dpkg's records in it."""

    def __init__(self):
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="mansio-package-"))
        self.root.chmod(0o755)  # the daemon's user must get in
        for folder in ("info", "updates", "triggers"):
            (self.root / "var/lib/dpkg" / folder).mkdir(parents=True)
        for file in ("status", "available"):
            (self.root / "var/lib/dpkg" / file).touch()
        (self.root / "etc").mkdir()
        for file in ("passwd", "group"):
            (self.root / "etc" / file).write_text("root:x:0:0::/root:/bin/sh\n" if file == "passwd" else "root:x:0:\n")
        self.process = None

    def path(self, name):
        return self.root / name.lstrip("/")

    def dpkg(self, *words):
        return run(*AS_ROOT, "dpkg", f"--root={self.root}", "--force-script-chrootless",
                   "--force-depends", "--force-not-root", *words)

    def status(self):
        found = run("dpkg-query", f"--admindir={self.root}/var/lib/dpkg", "-W", "-f=${Status} ${Version}",
                    "mansio", check=False)
        return found.stdout

    def user(self):
        for line in self.path("/etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if fields[0] == "mansio":
                return int(fields[2]), int(fields[3])
        raise AssertionError("no user mansio")

    def group(self, name):
        for line in self.path("/etc/group").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split(":")[2])
        raise AssertionError(f"no group {name}")

    def start(self, admin):
        """As the unit does, with the paths of this tree."""
        unit = self.path("/usr/lib/systemd/system/mansio.service").read_text()
        command = re.search(r"^ExecStart=(.*)$", unit, re.M)[1]
        words = [str(self.path(word)) if word.startswith("/") else word for word in command.split()]
        if os.geteuid() == 0:
            user, group = self.user()
            words = ["setpriv", f"--reuid={user}", f"--regid={group}",
                     f"--groups={self.group('mansio-submit')}", "--no-new-privs", *words]
            self.path("/run/mansio").mkdir(parents=True, exist_ok=True)
            os.chown(self.path("/run/mansio"), user, group)
        else:
            self.path("/run/mansio").mkdir(parents=True, exist_ok=True)
        self.log = open(self.root / "log", "ab")
        self.process = subprocess.Popen(words, stderr=self.log, stdin=subprocess.DEVNULL)

        def ready():
            assert self.process.poll() is None, (self.root / "log").read_text()
            return "accepting" in self.mansio("status").stdout

        wait_until(ready, what="the daemon")

    def stop(self):
        if self.process is None:
            return
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(60)
        self.process = None
        assert status == 0, (self.root / "log").read_text()

    def mansio(self, *words):
        return run(self.path("/usr/bin/mansio"), "--admin", self.path("/run/mansio/admin.sock"), *words,
                   check=False)

    def remove(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.root)


@pytest.fixture
def tree():
    tree = Tree()
    yield tree
    tree.remove()


def configure(tree, sink, port):
    """What an operator edits: where mail goes. The paths lead into this tree."""
    config = tree.path("/etc/mansio/mansio.toml")
    text = config.read_text()
    text = text.replace('"/var/', f'"{tree.root}/var/').replace('"/run/', f'"{tree.root}/run/')
    text = text.replace('"file:/var/', f'"file:{tree.root}/var/').replace(":2525", f":{port}")
    text = text.replace('channel = "hold"', f'next_hop = ["{sink.endpoint}"]\n'
                        '[retry]\nmin = "1s"\nmax = "1s"')
    # Disks of test machines are nearly full.
    text = text.replace('spool"\n', 'spool"\nreserve = "1MiB"\nreserve_share = 0.0\n', 1)
    config.write_text(text)


def test_the_unit_is_confined():
    """robust against what a break-in could do next: exposure at most 2.0 of 10."""
    result = run("systemd-analyze", "security", "--offline=true", "--threshold=20", UNIT, check=False)
    assert result.returncode == 0, result.stdout[-600:]


def test_the_unit_fits_the_daemon():
    unit = UNIT.read_text()
    statuses = (ROOT / "apps/mansiod/exit_status.h").read_text()
    for name in ("address_in_use", "spool_locked", "spool_damaged", "configuration"):
        number = re.search(rf"exit_{name} = (\d+);", statuses)[1]
        assert number in re.search(r"^RestartPreventExitStatus=(.*)$", unit, re.M)[1].split()
    run("systemd-analyze", "verify", "--man=no", "--recursive-errors=no",
        ROOT / "packaging/systemd/mansio.socket", check=False)
    assert "Type=notify" in unit and "WatchdogSec=" in unit


def test_the_shipped_settings_are_valid(packages, tmp_path):
    run("dpkg-deb", "-x", packages[0], tmp_path)
    run(tmp_path / "usr/bin/mansio", "config", "check", tmp_path / "etc/mansio/mansio.toml")
    assert os.readlink(tmp_path / "usr/lib/mansio/sendmail") == "../../bin/mansio"
    contents = run("dpkg-deb", "-c", packages[0]).stdout
    assert not re.search(r" \./(usr/sbin/sendmail|usr/bin/mailq)", contents), "it replaces nothing"
    assert not re.search(r"^[^ ]*s[^ ]* .* \./usr/bin", contents, re.M), "no setuid file"
    depends = run("dpkg-deb", "-f", packages[0], "Depends").stdout
    assert "librocksdb" in depends and "libc6" in depends


def test_the_verb_of_another_program_finds_it(packages, tmp_path):
    run("dpkg-deb", "-x", packages[0], tmp_path)
    found = run(tmp_path / "usr/bin/mansio", "spool", "stats", tmp_path / "none", check=False)
    assert found.returncode == 2 and "there is no spool" in found.stderr, found.stderr


def test_install_upgrade_with_mail_remove_purge(packages, tree):
    sink, port = Sink(), free_port()
    later = {"on": True}
    sink.answers["rcpt"] = lambda _: "450 4.2.1 not now" if later["on"] else None
    tree.dpkg("-i", packages[0])
    assert "install ok installed 0.1.0" in tree.status()
    if os.geteuid() == 0:
        status = tree.path("/var/spool/mansio/maildrop").stat()
        assert status.st_mode & 0o7777 == 0o3730 and status.st_uid == tree.user()[0]
        assert status.st_gid == tree.group("mansio-submit")
    configure(tree, sink, port)
    tree.start(port)
    with smtplib.SMTP("127.0.0.1", port) as client:
        client.sendmail("ann@example.org", ["bob@b.example"], "Subject: x\r\n\r\nhello\r\n")
    sendmail = tree.path("/usr/lib/mansio/sendmail")
    config = tree.path("/etc/mansio/mansio.toml")
    subprocess.run([sendmail, "-C", config, "carl@b.example"], input=b"hi\n", check=True, timeout=60)
    wait_until(lambda: sink.attempts >= 2)

    # An upgrade: new files, then a restart, as the maintainer script does it.
    tree.dpkg("-i", packages[1])
    assert "install ok installed 0.1.1" in tree.status()
    assert sink.endpoint in config.read_text(), "what the operator wrote stays"
    tree.stop()
    subprocess.run([sendmail, "-C", config, "dora@b.example"], input=b"hi\n", check=True, timeout=60)
    tree.start(port)
    later["on"] = False
    wait_until(lambda: len(sink.recipients()) == 3, timeout=40)
    assert sorted(sink.recipients()) == ["bob@b.example", "carl@b.example", "dora@b.example"]
    tree.stop()

    tree.dpkg("-r", "mansio")
    assert not tree.path("/usr/bin/mansiod").exists()
    assert config.exists() and tree.path("/var/lib/mansio/spool/stamp").exists()
    tree.dpkg("-P", "mansio")
    assert not config.exists()
    assert tree.path("/var/lib/mansio/spool/stamp").exists(), "mail is never deleted by a package"
    assert tree.path("/var/spool/mansio/maildrop").exists()
    sink.close()
