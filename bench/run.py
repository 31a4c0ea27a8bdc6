#!/usr/bin/python3
"""Durable relay: how many messages per second go in by SMTP, to disk, and out by SMTP, and what they
cost in processor time; beside the same load without the relay, and beside the disk's sync alone.

    bench/run.py                          # what docs/BENCHMARKS.md quotes
    bench/run.py --rounds 3 --messages 5000 --json build/bench/relay.json

Each round measures all three, in an order that alternates, so that what disturbs the machine
disturbs all alike. Figures are the median of the rounds with the quartiles. The first round warms up,
checks octet for octet that everything accepted arrived, and is not counted.
"""

import argparse
import http.client
import json
import os
import pathlib
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}


class Failed(Exception):
    """The measurement cannot be made or is not valid."""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def file_system(path):
    """Type and device of the file system that holds `path`: the longest mount point above it."""
    path = str(pathlib.Path(path).resolve())
    best = ("", "unknown", "unknown")
    for line in pathlib.Path("/proc/self/mounts").read_text().splitlines():
        device, point, kind = line.split()[:3]
        point = point.encode().decode("unicode_escape")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best[0]):
            best = (point, kind, device)
    return best[1], best[2]


def processor_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def octets_written(pid):
    """Octets that the process has sent to the disk; None where the system does not say."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
            if line.startswith("write_bytes:"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


# ---- the processes --------------------------------------------------------------------------------


class Sink:
    """`mansio sink` that ends by itself after `messages`."""

    def __init__(self, options, port, messages, *arguments):
        self.process = subprocess.Popen(
            [options.mansio, "--json", "sink", "--listen", f"127.0.0.1:{port}", "--messages", str(messages),
             *arguments], stdout=subprocess.PIPE, text=True)
        if "listening" not in json.loads(self.process.stdout.readline() or "{}"):
            raise Failed("the sink did not start")

    def summary(self, timeout):
        """Waits for the last message."""
        try:
            output = self.process.communicate(timeout=timeout)[0]
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            output = self.process.communicate()[0]
            raise Failed(f"after {timeout} s the sink had only: {output.strip()}") from None
        if self.process.returncode != 0:
            raise Failed(f"sink: exit {self.process.returncode}: {output.strip()}")
        return json.loads(output.splitlines()[-1])


def load(options, port, *arguments):
    done = subprocess.run(
        [options.mansio, "--json", "load", "--to", f"127.0.0.1:{port}", "--messages", str(options.messages),
         "--sessions", str(options.sessions), "--size", options.size, *arguments],
        stdout=subprocess.PIPE, text=True, timeout=options.timeout, check=False)
    if done.returncode != 0:
        raise Failed(f"load: exit {done.returncode}: {done.stdout.strip()}")
    return json.loads(done.stdout)


class Relay:
    """One mansiod with a spool on the disk that is measured; its next hop is the sink's port."""

    def __init__(self, options):
        self.smtp_port, self.admin_port, self.sink_port = free_port(), free_port(), free_port()
        self.folder = options.folder
        config = self.folder / "relay.toml"
        config.write_text(f"""
[server]
hostname = "bench.mansio.example"
[spool]
url = "file:{self.folder / 'spool'}"
[[listener]]
address = "127.0.0.1:{self.smtp_port}"
relay_from = ["127.0.0.0/8"]
[route."*"]
next_hop = ["127.0.0.1:{self.sink_port}"]
[admin]
listen = "127.0.0.1:{self.admin_port}"
[log]
level = "warning"
""")
        self.log = open(self.folder / "mansiod.log", "wb")
        self.process = subprocess.Popen([options.mansiod, "--config", str(config)], stdout=self.log,
                                        stderr=self.log, stdin=subprocess.DEVNULL)
        self.wait_ready()

    def wait_ready(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.process.poll() is not None:
                break
            try:
                connection = http.client.HTTPConnection("127.0.0.1", self.admin_port, timeout=1)
                connection.request("GET", "/readyz")
                if connection.getresponse().status == 200:
                    return
            except (OSError, http.client.HTTPException):
                pass
            time.sleep(0.05)
        self.stop()
        raise Failed("mansiod did not get ready:\n" + (self.folder / "mansiod.log").read_text(errors="replace")[-2000:])

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.log.close()


# ---- what is measured -----------------------------------------------------------------------------


def measure_sync(options):
    """Appends of one message to a preallocated file, each synced: what one commit costs here."""
    block = os.urandom(options.octets)
    count = options.syncs
    path = options.folder / "sync.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT)
    try:
        if os.fstat(descriptor).st_size < count * len(block):
            for _ in range(count):
                os.write(descriptor, block)  # written once, so that no sync has to change the size
            os.fsync(descriptor)
        start = time.perf_counter()
        for index in range(count):
            os.pwrite(descriptor, block, index * len(block))
            os.fdatasync(descriptor)
        seconds = time.perf_counter() - start
    finally:
        os.close(descriptor)
    return {"syncs per second": count / seconds}


def measure_alone(options):
    port = free_port()
    sink = Sink(options, port, options.messages)
    sent = load(options, port)
    arrived = sink.summary(options.timeout)
    return {
        "messages per second": options.messages / sent["seconds"],
        "load us of processor per message": sent["cpu_seconds"] * 1e6 / options.messages,
        "sink us of processor per message": arrived["cpu_seconds"] * 1e6 / options.messages,
    }


def measure_relay(options, relay, check=False):
    record = options.folder / "load.jsonl"
    sink = Sink(options, relay.sink_port, options.messages, *(["--check", str(record)] if check else []))
    processor = processor_seconds(relay.process.pid)
    written = octets_written(relay.process.pid)
    start = time.perf_counter()
    sent = load(options, relay.smtp_port, *(["--record", str(record)] if check else []))
    arrived = sink.summary(options.timeout)
    seconds = time.perf_counter() - start
    processor = processor_seconds(relay.process.pid) - processor
    figures = {
        "messages per second in and out": options.messages / seconds,
        "messages per second accepted": options.messages / sent["seconds"],
        "ms from final dot to reply, median": sent["latency_ms"]["p50"],
        "ms from final dot to reply, 99 %": sent["latency_ms"]["p99"],
        "mansiod us of processor per message": processor * 1e6 / options.messages,
        "load us of processor per message": sent["cpu_seconds"] * 1e6 / options.messages,
        "sink us of processor per message": arrived["cpu_seconds"] * 1e6 / options.messages,
    }
    if written is not None:
        figures["octets to disk per octet of mail"] = (
            (octets_written(relay.process.pid) - written) / arrived["bytes"])
    return figures


def quartiles(values):
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def summarize(rounds):
    result = {}
    for part in rounds[0]:
        result[part] = {}
        for name in rounds[0][part]:
            low, middle, high = quartiles([one[part][name] for one in rounds])
            result[part][name] = {"median": middle, "q1": low, "q3": high}
    return result


def number(value):
    return f"{value:,.0f}" if value >= 1000 else f"{value:.1f}" if value >= 10 else f"{value:.3f}"


def print_table(result):
    print("| | figure | median | quartiles |")
    print("|---|---|---:|---:|")
    for part, figures in result.items():
        for name, value in figures.items():
            print(f"| {part} | {name} | {number(value['median'])} | {number(value['q1'])} to {number(value['q3'])} |")


def machine(options):
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    kind, device = file_system(options.folder)
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(),
            "file system": kind, "device": device}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build", help="build folder (%(default)s)")
    parser.add_argument("--folder", type=pathlib.Path, help="where the spool is made (BUILD/bench); not in memory")
    parser.add_argument("--messages", type=int, default=20000, help="per round (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="counted rounds (%(default)s)")
    parser.add_argument("--sessions", type=int, default=100, help="of the load generator (%(default)s)")
    parser.add_argument("--size", default="4KiB", help="octets per message (%(default)s)")
    parser.add_argument("--syncs", type=int, default=500, help="syncs per round of the probe (%(default)s)")
    parser.add_argument("--timeout", type=float, default=600, help="seconds for one measurement (%(default)s)")
    parser.add_argument("--json", type=pathlib.Path, help="also write all figures of all rounds there")
    options = parser.parse_args()
    units = {"KiB": 1024, "MiB": 1024 * 1024}
    unit = next((factor for suffix, factor in units.items() if options.size.endswith(suffix)), 1)
    options.octets = int(options.size.rstrip("KMiB")) * unit
    options.mansio = str(options.build / "bin" / "mansio")
    options.mansiod = str(options.build / "bin" / "mansiod")
    options.folder = (options.folder or options.build / "bench").resolve() / "relay"
    return options


def run(options):
    for program in (options.mansio, options.mansiod):
        if not os.access(program, os.X_OK):
            raise Failed(f"{program} is missing: make build")
    shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True)
    kind, _ = file_system(options.folder)
    if kind in IN_MEMORY:
        raise Failed(f"{options.folder} is on {kind}, where a sync costs nothing: choose another --folder")
    about = machine(options)
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    relay = Relay(options)
    rounds = []
    try:
        measure_relay(options, relay, check=True)
        measure_alone(options)
        measure_sync(options)
        for index in range(options.rounds):
            parts = [("relay", lambda: measure_relay(options, relay)),
                     ("load and sink alone", lambda: measure_alone(options)),
                     ("fdatasync alone", lambda: measure_sync(options))]
            found = {name: measure() for name, measure in (parts if index % 2 == 0 else parts[::-1])}
            rounds.append({name: found[name] for name, _ in parts})
            print(f"round {index + 1} of {options.rounds}: "
                  f"{rounds[-1]['relay']['messages per second in and out']:,.0f} messages/s", flush=True)
    finally:
        relay.stop()
    result = summarize(rounds)
    print_table(result)
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(
            {"machine": about, "messages": options.messages, "sessions": options.sessions, "size": options.octets,
             "rounds": rounds, "summary": result}, indent=1) + "\n")


def main():
    options = parse_arguments()
    try:
        run(options)
    except (Failed, subprocess.TimeoutExpired) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    finally:
        shutil.rmtree(options.folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
