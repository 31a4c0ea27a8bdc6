"""The programs of a measurement: `mansio sink`, `mansio load`, `mansiod`. All on loopback, on free ports,
stopped by process id."""

import dataclasses
import http.client
import json
import os
import signal
import subprocess
import time

from harness import BIN, Failed, resources

from daemon import free_port, toml  # tests/integration


@dataclasses.dataclass(frozen=True)
class Arrivals:
    """What has arrived at a sink since it started. Times are of the monotonic clock, in seconds."""
    messages: int
    recipients: int
    octets: int
    repeated: int
    refused: int
    fresh: float  # the first arrival since the last question; 0: none
    last: float
    processor_seconds: float


class Sink:
    """`mansio sink`: takes everything, or answers by `rules`."""

    def __init__(self, *rules, port=0, arguments=()):
        rules = [word for rule in rules for word in ("--rule", rule)]
        self.process = subprocess.Popen(
            [BIN / "mansio", "--json", "sink", "--listen", f"127.0.0.1:{port}", *rules, *map(str, arguments)],
            stdout=subprocess.PIPE, text=True)
        listening = json.loads(self.process.stdout.readline() or "{}").get("listening")
        if listening is None:
            raise Failed("the sink did not start")
        self.port = int(listening.rsplit(":", 1)[1])
        self.endpoint = f"127.0.0.1:{self.port}"

    @staticmethod
    def _read(line):
        said = json.loads(line)
        return Arrivals(said["messages"], said["recipients"], said["bytes"], said["repeated"], said["refused"],
                        said["fresh_arrival"], said["last_arrival"], said["cpu_seconds"])

    def arrivals(self):
        self.process.send_signal(signal.SIGUSR1)
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"the sink has ended with {self.process.wait()}")
        return self._read(line)

    def wait_for(self, messages, timeout, pause=0.01):
        """Until at least so many have arrived in all."""
        end = time.monotonic() + timeout
        while True:
            seen = self.arrivals()
            if seen.messages >= messages:
                return seen
            if time.monotonic() > end:
                raise Failed(f"after {timeout:.0f} s only {seen.messages} of {messages} messages had arrived")
            time.sleep(pause)

    def checked(self):
        """Ends a sink that was started with --check: everything acknowledged has arrived unchanged."""
        self.process.terminate()
        output = self.process.communicate(timeout=60)[0]
        if self.process.returncode != 0:
            raise Failed(f"what arrived is not what was acknowledged: {output.strip()}")
        return json.loads(output.splitlines()[-1])["check"]

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait()
        self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


@dataclasses.dataclass(frozen=True)
class Sent:
    """What `mansio load` did."""
    messages: int
    started: float
    seconds: float
    p50: float  # milliseconds from final dot to reply
    p99: float
    processor_seconds: float


class Load:
    """`mansio load`, running. Everything must be accepted, or it is no measurement."""

    def __init__(self, port, messages, *arguments, sessions=64, size="4KiB", domains="healthy.example"):
        self.messages = messages
        self.process = subprocess.Popen(
            [BIN / "mansio", "--json", "load", "--to", f"127.0.0.1:{port}", "--messages", str(messages),
             "--sessions", str(sessions), "--size", str(size), "--domains", domains,
             "--messages-per-session", "5000", *map(str, arguments)], stdout=subprocess.PIPE, text=True)

    def result(self, timeout=900):
        try:
            output = self.process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            self.stop()
            raise Failed(f"the load was not taken in {timeout} s") from None
        if self.process.returncode != 0:
            raise Failed(f"load: exit {self.process.returncode}: {output.strip()}")
        said = json.loads(output)
        return Sent(said["accepted"], said["started"], said["seconds"], said["latency_ms"]["p50"],
                    said["latency_ms"]["p99"], said["cpu_seconds"])

    def stop(self):
        """Breaks it off; what it says then is not asked."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()


class Mansiod:
    """One daemon with a spool on the disk that is measured. Only names, ports, the next hop, the level of
    the log and what `tables` says differ from the settings as they come."""

    def __init__(self, folder, routes, tables=None, preload=None):
        """`routes`: {pattern: sink}. `preload`: a library that is loaded before all others."""
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.spool = folder / "spool"
        self.smtp_port, self.admin_port = free_port(), free_port()
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self._http = None
        self._log_path = folder / "mansiod.log"
        self._environment = dict(os.environ, **({"LD_PRELOAD": str(preload)} if preload else {}))
        self._config = folder / "mansio.toml"
        self._config.write_text(toml({
            "server": {"hostname": "bench.mansio.example"},
            "spool": {"url": f"file:{self.spool}"},
            "[[listener]]": [{"address": f"127.0.0.1:{self.smtp_port}", "relay_from": ["127.0.0.0/8"]}],
            **{f'route."{pattern}"': {"next_hop": [sink.endpoint]} for pattern, sink in routes.items()},
            "admin": {"listen": f"127.0.0.1:{self.admin_port}"},
            "log": {"level": "warning"},
            **(tables or {}),
        }))
        self.process = None

    # -- life

    def spawn(self):
        """Starts it without waiting; the moment."""
        with open(self._log_path, "ab") as log:
            started = time.monotonic()
            self.process = subprocess.Popen([BIN / "mansiod", "--config", self._config], stdout=log, stderr=log,
                                            stdin=subprocess.DEVNULL, env=self._environment)
        return started

    def start(self, timeout=120):
        self.spawn()
        end = time.monotonic() + timeout
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > end:
                self.kill()
                raise Failed("mansiod did not get ready:\n" + self.log())
            time.sleep(0.01)
        return self

    def ready(self):
        try:
            return self.request("GET", "/readyz")[0] == 200
        except (OSError, http.client.HTTPException):
            return False

    def stop(self, timeout=120):
        """An orderly stop; the octets that it passed to write calls in its life."""
        self._forget_connection()
        self.process.send_signal(signal.SIGTERM)
        end = time.monotonic() + timeout
        while os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            if time.monotonic() > end:
                self.kill()
                raise Failed(f"mansiod did not end in {timeout} s:\n" + self.log())
            time.sleep(0.01)
        written = resources.octets_written(self.process.pid)
        if self.process.wait() != 0:
            raise Failed(f"mansiod ended with {self.process.returncode}:\n" + self.log())
        return written

    def kill(self):
        self._forget_connection()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def log(self):
        return self._log_path.read_text(errors="replace")[-3000:]

    __enter__ = start

    def __exit__(self, kind, *_):
        if self.process.returncode is not None:
            return
        self.stop() if kind is None else self.kill()

    # -- the operator's side

    def _forget_connection(self):
        if self._http is not None:
            self._http.close()
            self._http = None

    def request(self, method, target, body=None):
        """(status, body) over one kept connection."""
        headers = {"Content-Type": "application/json"} if body is not None else {}
        for again in (True, False):
            if self._http is None:
                self._http = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=120)
            try:
                self._http.request(method, target, json.dumps(body) if body is not None else None, headers)
                response = self._http.getresponse()
                return response.status, response.read()
            except (http.client.HTTPException, OSError):
                self._forget_connection()
                if not again or method != "GET":
                    raise
        return None

    def ask(self, method, target, body=None):
        status, answer = self.request(method, target, body)
        if status not in (200, 202):
            raise Failed(f"{method} {target}: {status} {answer.decode(errors='replace')}")
        return json.loads(answer)

    def summary(self):
        return self.ask("GET", "/v1/summary")

    def status(self):
        return self.ask("GET", "/v1/status")

    def suspend(self, destination):
        self.ask("POST", "/v1/suspensions", {"destination": destination})

    def resume(self, destination):
        self.ask("DELETE", f"/v1/suspensions?destination={destination}")

    def wait_until_nothing_in_flight(self, timeout=60):
        end = time.monotonic() + timeout
        while self.summary()["in_flight"] != 0:
            if time.monotonic() > end:
                raise Failed(f"after {timeout} s recipients are still in flight")
            time.sleep(0.01)

    # -- what it uses

    def processor_seconds(self):
        return resources.processor_seconds(self.process.pid)

    def octets_written(self):
        return resources.octets_written(self.process.pid)

    def memory(self):
        return resources.memory(self.process.pid)

    def settled_memory(self, quiet=3, timeout=60):
        """(resident, anonymous) when it has not changed by more than 1 % for so many seconds."""
        end = time.monotonic() + timeout
        since, known = time.monotonic(), self.memory()
        while time.monotonic() - since < quiet and time.monotonic() < end:
            time.sleep(0.2)
            now = self.memory()
            if abs(now[0] - known[0]) > known[0] * 0.01:
                since, known = time.monotonic(), now
        return self.memory()
