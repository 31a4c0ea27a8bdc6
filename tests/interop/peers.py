"""Programs that are not ours, started for a test: Postfix and its test tools, swaks, a certificate.

Postfix and Exim are unpacked by scripts/unpack-peers and run from there with a configuration and a queue of
their own under a temporary folder; nothing is installed, no user is made. All listen on loopback, on ports
that were free, and are stopped by process id.
"""

import functools
import os
import pathlib
import pwd
import re
import shutil
import socket
import subprocess
import tempfile
import textwrap

from daemon import BUILD, ROOT, free_port, wait_until

PEERS = BUILD / "peers"
PEERS_ROOT = PEERS / "root"


@functools.cache
def peers_environment():
    """Environment for the unpacked programs; unpacks them the first time."""
    subprocess.run([str(ROOT / "scripts" / "unpack-peers"), str(PEERS)], check=True, timeout=240)
    shown = subprocess.run(["bash", "-c", f". '{PEERS}/env' && env -0"], check=True,
                           capture_output=True, timeout=20).stdout
    return dict(pair.split("=", 1) for pair in shown.decode().split("\0") if "=" in pair)


def accepts(port, address="127.0.0.1"):
    try:
        socket.create_connection((address, port), timeout=5).close()
        return True
    except OSError:
        return False


def wait_for_listener(program):
    """Until `program` takes connections; closes it if it does not."""
    def listening():
        assert program.process.poll() is None, program.log_path.read_text(errors="replace")
        return accepts(program.port, getattr(program, "address", "127.0.0.1"))

    try:
        wait_until(listening, what=f"a listener on port {program.port}")
    except AssertionError:
        program.close()
        raise


class SmtpSink:
    """Postfix smtp-sink on a free port. Every transaction that it took is one file under `folder`."""

    def __init__(self, folder, *options, port=None):
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = port or free_port()
        self.endpoint = f"127.0.0.1:{self.port}"
        user = ["-u", "root"] if os.geteuid() == 0 else []
        self.log_path = folder.with_suffix(".log")
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                ["smtp-sink", *user, "-d", "m.", *options, self.endpoint, "1000"],
                env=peers_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=folder)
        wait_for_listener(self)

    def transactions(self):
        """What was taken: a list of (sender, recipients, content with line feeds)."""
        return [self._read(path) for path in sorted(self.folder.iterdir())]

    @staticmethod
    def _read(path):
        head, _, rest = path.read_bytes().partition(b"\nReceived: ")
        fields = re.findall(rb"^X-(Mail|Rcpt)-Args: <([^>]*)>", head, re.MULTILINE)
        # smtp-sink's own Received field has three lines.
        content = b"\n".join(rest.split(b"\n")[3:])
        return ([value.decode() for name, value in fields if name == b"Mail"][0],
                [value.decode() for name, value in fields if name == b"Rcpt"],
                content[:-1])  # one empty line ends the file

    def close(self):
        self.process.kill()
        self.process.wait()


def smtp_source(port, *options, timeout=100):
    """Runs Postfix smtp-source against a port of loopback until it has sent everything."""
    return subprocess.run(["smtp-source", *map(str, options), f"127.0.0.1:{port}"],
                          env=peers_environment(), capture_output=True, text=True, timeout=timeout)


class Postfix:
    """A whole Postfix as a next hop: takes mail for `domain` from loopback, discards what is for the
    users named, refuses other recipients with a 550, and logs everything."""

    MASTER = """
        {address}:{port} inet n - n - - smtpd
        cleanup unix n - n - 0 cleanup
        qmgr unix n - n 300 1 qmgr
        rewrite unix - - n - - trivial-rewrite
        bounce unix - - n - 0 bounce
        defer unix - - n - 0 bounce
        trace unix - - n - 0 bounce
        verify unix - - n - 1 verify
        flush unix n - n 1000? 0 flush
        proxymap unix - - n - - proxymap
        error unix - - n - - error
        retry unix - - n - - error
        discard unix - - n - - discard
        smtp unix - - n - - smtp
        relay unix - - n - - smtp
        lmtp unix - - n - - lmtp
        showq unix n - n - - showq
        anvil unix - - n - 1 anvil
        scache unix - - n - 1 scache
        tlsmgr unix - - n 1000? 1 tlsmgr
        postlog unix-dgram n - n - 1 postlogd
        """

    # Accounts that every Debian has; Postfix wants its owner and its group to be nobody else's.
    OWNER, GROUP = "daemon", "mail"

    QUEUE_FOLDERS = ("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming",
                     "maildrop", "private", "saved", "trace")

    def __init__(self, domain, users, settings=None, files=None, tls=False, address=None):
        """`settings` are merged into main.cf; {folder} in them is where `files` are, {name: text}.
        `tls`: with a self-signed certificate. `address`: (ip, port) instead of a free port."""
        environment = peers_environment()
        # Postfix gives up its privileges on the way, and starts with root's.
        self._as_root = [] if os.geteuid() == 0 else ["sudo", "-n"]
        # Not under the test's folder, which only its owner may enter.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mansio-postfix-"))
        self.folder.chmod(0o755)
        self.address, self.port = address or ("127.0.0.1", free_port())
        self.endpoint = f"{self.address}:{self.port}"
        self.log_path = self.folder / "log"
        (self.folder / "etc").mkdir()
        self._root("install", "-d", self.folder / "spool", self.folder / "spool/pid")
        self._root("install", "-d", "-o", self.OWNER, "-m", "700", self.folder / "data",
                   *(self.folder / "spool" / name for name in self.QUEUE_FOLDERS))
        self._root("install", "-d", "-o", self.OWNER, "-g", self.GROUP, "-m", "711",
                   self.folder / "spool/public")
        table = "".join(f"{user}@{domain} {user}\n" for user in users)
        for name, text in {"recipients": table, **(files or {})}.items():
            (self.folder / "etc" / name).write_text(text)
        main = {
            "compatibility_level": "3.6",
            "config_directory": self.folder / "etc",
            "queue_directory": self.folder / "spool",
            "data_directory": self.folder / "data",
            "daemon_directory": PEERS_ROOT / "usr/lib/postfix/sbin",
            "command_directory": PEERS_ROOT / "usr/sbin",
            "mail_owner": self.OWNER,
            "setgid_group": self.GROUP,
            "maillog_file": "/dev/stdout",
            "import_environment": f"MAIL_CONFIG LANG=C LD_LIBRARY_PATH={environment['LD_LIBRARY_PATH']}",
            "inet_interfaces": "127.0.0.1",
            "inet_protocols": "ipv4",
            "myhostname": "postfix.test.example",
            "mydestination": "",
            "mynetworks": "127.0.0.0/8",
            "alias_maps": "",
            "local_recipient_maps": "",
            "relay_domains": domain,
            "relay_recipient_maps": f"texthash:{self.folder}/etc/recipients",
            "smtpd_relay_restrictions": "reject_unauth_destination",
            "transport_maps": "",
            "relay_transport": "discard:",
            "default_transport": "discard:",
            "smtputf8_enable": "no",
            **(settings or {}),
        }
        if tls:
            certificate, key = make_certificate(self.folder / "etc", "postfix.test.example")
            main |= {"smtpd_tls_security_level": "may", "smtpd_tls_cert_file": certificate,
                     "smtpd_tls_key_file": key}
        lines = [f"{name} = {value}".replace("{folder}", str(self.folder / "etc")).rstrip()
                 for name, value in main.items()]
        (self.folder / "etc" / "main.cf").write_text("\n".join(lines) + "\n")
        entries = self.MASTER.format(address=self.address, port=self.port).strip().splitlines()
        (self.folder / "etc" / "master.cf").write_text("".join(f"{line.strip()}\n" for line in entries))
        (self.folder / "etc" / "dynamicmaps.cf").write_text("")
        library_path = f"LD_LIBRARY_PATH={environment['LD_LIBRARY_PATH']}"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [*self._as_root, "env", library_path, str(PEERS_ROOT / "usr/lib/postfix/sbin/master"),
                 "-d", "-s", "-c", str(self.folder / "etc")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        wait_for_listener(self)

    def _root(self, *arguments):
        subprocess.run([*self._as_root, *map(str, arguments)], check=True, timeout=60)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def discarded(self):
        """(sender, recipient) of every delivery that Postfix has logged."""
        senders = dict(re.findall(r"qmgr\[\d+\]: (\w+): from=<([^>]*)>", self.log()))
        sent = re.findall(r"discard\[\d+\]: (\w+): to=<([^>]*)>.*status=sent", self.log())
        return [(senders[queue_id], recipient) for queue_id, recipient in sent]

    def rejected(self):
        """Every reply that refused something."""
        return re.findall(r"reject: .*?: ([45]\d\d .*)", self.log())

    def close(self):
        """Stops the master, which stops its children, and removes what was made."""
        if self.process.poll() is None:
            self._root("kill", self.process.pid)
            self.process.wait(20)
        self._root("rm", "-rf", self.folder)


class Exim:
    """A whole Exim as a client: takes mail from loopback for any address, and relays it to `next_hop`."""

    CONFIGURATION = """
        exim_path = {exim}
        spool_directory = {folder}/spool
        log_file_path = {folder}/log/%slog
        pid_file_path = {folder}/spool/pid
        log_selector = +all
        keep_environment = LD_LIBRARY_PATH : LD_PRELOAD : NSS_WRAPPER_PASSWD : NSS_WRAPPER_GROUP
        primary_hostname = exim.test.example
        exim_user = {owner}
        exim_group = {group}
        local_interfaces = 127.0.0.1
        daemon_smtp_ports = {port}
        tls_advertise_hosts =
        dsn_advertise_hosts = *
        {main}
        message_size_limit = 0
        acl_smtp_rcpt = accept
        acl_smtp_data = accept
        smtp_accept_max = 50
        begin routers
        next_hop:
          driver = manualroute
          transport = next_hop
          route_list = * 127.0.0.1 byname
          self = send
        begin transports
        next_hop:
          driver = smtp
          port = {next_port}
          allow_localhost
          message_linelength_limit = 5000
          {transport}
        begin retry
        * * F,1h,1s
        """

    def __init__(self, next_port, main=(), transport=()):
        """`main` and `transport`: further lines of the configuration."""
        environment = peers_environment()
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="mansio-exim-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.endpoint = f"127.0.0.1:{self.port}"
        # Started by root, Exim becomes an account that every Debian has; otherwise it stays as it is.
        account = pwd.getpwnam("mail") if os.geteuid() == 0 else pwd.getpwuid(os.getuid())
        for name in ("spool", "log"):
            (self.folder / name).mkdir()
            os.chown(self.folder / name, account.pw_uid, account.pw_gid)
        # The name that Debian built in, which its package would have made.
        users = [f"{name}:x:{uid}:{gid}::/tmp:/bin/false" for name, uid, gid in
                 (("root", 0, 0), (account.pw_name, account.pw_uid, account.pw_gid),
                  ("Debian-exim", account.pw_uid, account.pw_gid))]
        groups = [f"{name}:x:{gid}:" for name, gid in
                  (("root", 0), ("eximgroup", account.pw_gid), ("Debian-exim", account.pw_gid))]
        (self.folder / "passwd").write_text("\n".join(users) + "\n")
        (self.folder / "group").write_text("\n".join(groups) + "\n")
        configuration = self.folder / "exim.conf"
        text = textwrap.dedent(self.CONFIGURATION).format(
            exim=PEERS_ROOT / "usr/sbin/exim4", folder=self.folder, owner=account.pw_name, group="eximgroup",
            port=self.port, next_port=next_port, main="\n".join(main), transport="\n  ".join(transport))
        configuration.write_text(text)
        self.log_path = self.folder / "output"
        with open(self.log_path, "wb") as log:
            self.process = subprocess.Popen(
                [str(PEERS_ROOT / "usr/sbin/exim4"), "-C", str(configuration), "-bdf", "-q1s"],
                env={**environment, "LD_PRELOAD": "libnss_wrapper.so",
                     "NSS_WRAPPER_PASSWD": str(self.folder / "passwd"),
                     "NSS_WRAPPER_GROUP": str(self.folder / "group")},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder)
        wait_for_listener(self)

    def log(self):
        path = self.folder / "log" / "mainlog"
        return path.read_text(errors="replace") if path.exists() else ""

    def deliveries(self):
        """Lines of the log about recipients that the next hop took."""
        return [line for line in self.log().splitlines() if " => " in line or " -> " in line]

    def close(self):
        self.process.terminate()
        self.process.wait(20)
        shutil.rmtree(self.folder, ignore_errors=True)


def make_certificate(folder, name):
    """A self-signed certificate for `name`: (path of the certificate, path of its key)."""
    certificate, key = pathlib.Path(folder) / "certificate.pem", pathlib.Path(folder) / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                    "-nodes", "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
                    "-keyout", str(key), "-out", str(certificate)],
                   check=True, capture_output=True, timeout=60)
    return certificate, key


def swaks(port, *options, timeout=60):
    """Runs swaks against a port of loopback, or what the options say if it is None; the
    CompletedProcess has the dialogue in stdout."""
    server = [] if port is None else ["--server", "127.0.0.1", "--port", str(port)]
    return subprocess.run(["swaks", *server, "--helo", "client.test.example", "--timeout", "20",
                           *map(str, options)],
                          capture_output=True, text=True, timeout=timeout)
