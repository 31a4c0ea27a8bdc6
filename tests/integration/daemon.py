"""Runs build/bin/mansiod for a test, and a next hop that answers as the test wants.

    sink = Sink()                                   # a next hop on a free port
    sink.answers["rcpt"] = lambda address: "450 4.2.1 later" if "bob" in address else None
    daemon = Daemon(folder, next_hop=[sink.endpoint], tables={"retry": {"min": "1s"}})
    daemon.start()
    daemon.submit("alice@example.org", ["bob@b.example"], b"Subject: hi\r\n\r\nhello\r\n")
    daemon.wait_until(lambda: daemon.summary()["delivered"] == 1)
    daemon.stop()                                   # SIGTERM by process id, waits, checks the exit

Everything binds to loopback. Only the processes started here are ever signalled.
"""

import json
import os
import pathlib
import signal
import smtplib
import socket
import socketserver
import subprocess
import threading
import time
import http.client

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("MANSIO_BUILD", ROOT / "build"))
BIN = BUILD / "bin"


def free_port():
    """A port of loopback that nothing listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(predicate, timeout=20.0, what="the condition"):
    """Asks again and again; fails after `timeout` seconds. Returns what the predicate returned."""
    end = time.monotonic() + timeout
    pause = threading.Event()
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"{what} did not come true in {timeout} s")
        pause.wait(0.02)


# ---- configuration --------------------------------------------------------------------------------


def toml_value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(toml_value(element) for element in value) + "]"
    return json.dumps(str(value))


def toml(tables):
    """{"retry": {"min": "1s"}, "[[listener]]": [{...}], 'route."*"': {...}} as TOML."""
    lines = []
    for name, content in tables.items():
        for table in content if isinstance(content, list) else [content]:
            lines.append(name if name.startswith("[") else f"[{name}]")
            lines += [f"{key} = {toml_value(value)}" for key, value in table.items()]
            lines.append("")
    return "\n".join(lines)


class Daemon:
    """One mansiod with a configuration of its own under `folder`."""

    def __init__(self, folder, next_hop=(), spool=None, tables=None, listeners=None, arguments=(),
                 prefix=()):
        """`spool`: URL, a file spool under `folder` if None. `tables` are merged over the defaults,
        `listeners` are further [[listener]] tables, `arguments` go to mansiod. `prefix`: a command
        that becomes mansiod, such as ["strace", "-D", ...] or ["prlimit", ...]."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.smtp_port = free_port()
        self.admin_port = free_port()
        self.config = self.folder / "mansio.toml"
        self.log_path = self.folder / "mansiod.log"
        self.arguments = list(arguments)
        self.prefix = list(prefix)
        self.environment = {}  # beside that of the test
        self.process = None
        self.tables = {
            "server": {"hostname": "mail.test.example", "drain": "5s"},
            "spool": {"url": spool or f"file:{self.folder / 'spool'}", "reserve": "1MiB",
                      "reserve_share": 0.0},
            "[[listener]]": [{"protocol": "smtp", "address": f"127.0.0.1:{self.smtp_port}",
                              "relay_from": ["127.0.0.0/8"]}] + list(listeners or []),
            'route."*"': {"channel": "smtp", "next_hop": list(next_hop) or ["127.0.0.1:1"]},
            "retry": {"min": "1s", "factor": 1.0, "max": "1s", "jitter": 0.0},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
        }
        for name, table in (tables or {}).items():
            if isinstance(table, dict):
                self.tables.setdefault(name, {}).update(table)
            else:
                self.tables[name] = table

    # -- life

    def write_config(self):
        self.config.write_text(toml(self.tables))

    def spawn(self):
        """Starts the process without waiting for it to be ready."""
        self.write_config()
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, str(BIN / "mansiod"), "--config", str(self.config), *self.arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder,
                env={**os.environ, **self.environment})
        return self

    def start(self, timeout=20.0):
        self.spawn()

        def ready():
            if self.process.poll() is not None:
                raise AssertionError(f"mansiod ended with {self.process.returncode}:\n{self.log()}")
            try:
                return self.request("GET", "/readyz")[0] == 200
            except (OSError, http.client.HTTPException):
                return False

        wait_until(ready, timeout, "mansiod ready")
        return self

    def stop(self, expected=0, timeout=30.0):
        """SIGTERM, waits for the end. `expected`: the exit status, None to accept any."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"mansiod did not end in {timeout} s:\n{self.log()}")
        self.process = None
        if expected is not None and status != expected:
            raise AssertionError(f"mansiod ended with {status}, not {expected}:\n{self.log()}")
        return status

    def kill(self):
        """SIGKILL: a crash."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def reload(self):
        self.write_config()
        self.process.send_signal(signal.SIGHUP)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def wait_until(self, predicate, timeout=20.0, what="the condition"):
        try:
            return wait_until(predicate, timeout, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()[-8000:]}") from None

    # -- mail in

    def submit(self, sender, recipients, content=b"Subject: test\r\n\r\nhello\r\n"):
        """Sends over SMTP; returns the queue id from the reply."""
        with smtplib.SMTP("127.0.0.1", self.smtp_port, "client.test.example", timeout=20) as client:
            client.ehlo_or_helo_if_needed()
            code, text = client.mail(sender)
            assert code == 250, text
            for recipient in recipients:
                code, text = client.rcpt(recipient)
                assert code in (250, 251), text
            code, text = client.data(content)
            assert code == 250, text
        return text.decode().split()[-1]

    # -- operator's side

    def request(self, method, target, body=None, headers=None):
        """(status, headers, body) of one request to the admin API; nothing is added to `headers`
        but what http.client must send."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=20)
        try:
            connection.request(method, target, body=body, headers=headers or {})
            response = connection.getresponse()
            return response.status, dict(response.getheaders()), response.read()
        finally:
            connection.close()

    def get(self, target):
        status, _, body = self.request("GET", target)
        assert status == 200, (target, status, body)
        return json.loads(body)

    def post(self, target, fields):
        status, _, body = self.request("POST", target, json.dumps(fields),
                                       {"Content-Type": "application/json"})
        assert status == 200, (target, status, body)
        return json.loads(body)

    def summary(self):
        return self.get("/v1/summary")

    def command(self, *arguments, admin=None, timeout=60):
        """Runs `mansio ARGUMENTS` against this daemon; a CompletedProcess with text output."""
        address = admin or f"http://127.0.0.1:{self.admin_port}"
        return subprocess.run([str(BIN / "mansio"), "--admin", address, *map(str, arguments)],
                              capture_output=True, text=True, timeout=timeout)

    def json_lines(self, *arguments):
        result = self.command(*arguments, "--json")
        assert result.returncode == 0, result
        return [json.loads(line) for line in result.stdout.splitlines()]

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *_):
        if kind is None:
            self.stop()
        else:
            self.kill()


# ---- next hop -------------------------------------------------------------------------------------


class Received:
    def __init__(self, sender, recipients, content, hello):
        self.sender = sender
        self.recipients = recipients
        self.content = content
        self.hello = hello


class Sink:
    """An SMTP server in this process. `answers` maps a phase (greeting, ehlo, mail, rcpt, data, dot)
    to a function of the argument that returns a reply line, None for the usual one, or "close"."""

    def __init__(self, extensions=("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE 10485760"),
                 address=("127.0.0.1", 0)):
        self.answers = {}
        self.extensions = extensions
        self.messages = []
        self.attempts = 0      # MAIL commands seen
        self.connections = 0
        self._lock = threading.Lock()
        sink = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                try:
                    sink._serve(self)
                except (ConnectionError, ValueError, EOFError):
                    pass  # the peer went away, or the sink was closed

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True
            allow_reuse_address = True
            block_on_close = False
            request_queue_size = 128  # with less, connections that come at once may hang half open
            address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET

        self._server = Server(address, Handler)
        self.port = self._server.server_address[1]
        self.endpoint = f"127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def recipients(self):
        """Every recipient that was delivered, in order, once per delivery."""
        with self._lock:
            return [recipient for message in self.messages for recipient in message.recipients]

    def _reply(self, handler, phase, argument, usual):
        answer = self.answers.get(phase)
        reply = (answer(argument) if answer else None) or usual
        if reply == "close":
            raise EOFError
        handler.wfile.write(reply.encode() + b"\r\n")
        return reply[0] in "23"

    def _serve(self, handler):
        with self._lock:
            self.connections += 1
        if not self._reply(handler, "greeting", "", "220 sink.test.example ESMTP"):
            return
        sender, recipients, hello = None, [], ""
        while True:
            line = handler.rfile.readline(65536)
            if not line:
                return
            text = line.decode("utf-8", "replace").rstrip("\r\n")
            verb = text.split(" ")[0].upper()
            if verb == "EHLO":
                hello = text[5:]
                lines = ["sink.test.example", *self.extensions]
                usual = "\r\n".join(f"250-{name}" for name in lines[:-1])
                usual += ("\r\n" if usual else "") + f"250 {lines[-1]}"
                self._reply(handler, "ehlo", hello, usual)
            elif verb == "HELO":
                hello = text[5:]
                self._reply(handler, "ehlo", hello, "250 sink.test.example")
            elif verb == "MAIL":
                with self._lock:
                    self.attempts += 1
                path = text.split("<", 1)[1].split(">", 1)[0]
                sender, recipients = None, []
                if self._reply(handler, "mail", path, "250 2.1.0 ok"):
                    sender = path
            elif verb == "RCPT":
                path = text.split("<", 1)[1].split(">", 1)[0]
                usual = "250 2.1.5 ok" if sender is not None else "503 5.5.1 MAIL first"
                if self._reply(handler, "rcpt", path, usual):
                    recipients.append(path)
            elif verb == "DATA":
                if not recipients:
                    handler.wfile.write(b"554 5.5.1 no valid recipients\r\n")
                    continue
                if not self._reply(handler, "data", "", "354 go on"):
                    continue
                content = self._data(handler)
                if self._reply(handler, "dot", recipients, "250 2.0.0 taken"):
                    with self._lock:
                        self.messages.append(Received(sender, list(recipients), content, hello))
                sender, recipients = None, []
            elif verb == "RSET":
                sender, recipients = None, []
                handler.wfile.write(b"250 2.0.0 ok\r\n")
            elif verb == "NOOP":
                handler.wfile.write(b"250 2.0.0 ok\r\n")
            elif verb == "QUIT":
                handler.wfile.write(b"221 2.0.0 bye\r\n")
                return
            else:
                handler.wfile.write(b"500 5.5.2 unknown\r\n")

    @staticmethod
    def _data(handler):
        lines = []
        while True:
            line = handler.rfile.readline(1 << 20)
            if not line:
                raise EOFError
            if line == b".\r\n":
                return b"".join(lines)
            lines.append(line[1:] if line.startswith(b".") else line)
