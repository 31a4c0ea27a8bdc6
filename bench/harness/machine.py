"""The machine, and the two yardsticks that every run takes of it: one sync, and one fixed computation."""

import datetime
import hashlib
import os
import pathlib
import platform
import time

from harness.figures import percentile

IN_MEMORY = {"tmpfs", "ramfs", "devtmpfs"}


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


def describe(folder):
    """What a reader of the figures has to know about the machine."""
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    kind, device = file_system(folder)
    return {"processor": model, "cores": len(os.sched_getaffinity(0)), "memory GiB": round(memory / 2**30),
            "kernel": platform.release(), "file system": kind, "device": device,
            "busy with other work": os.getloadavg()[0],
            "time": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")}


def sync_times(folder, count=500, octets=4096):
    """Milliseconds of each of `count` appends to a preallocated file with their fdatasync: what one
    commit costs that shares nothing."""
    block = os.urandom(octets)
    path = folder / "sync.probe"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size < count * octets:
            for _ in range(count):
                os.write(descriptor, block)  # written once, so that no sync has to change the size
            os.fsync(descriptor)
        times = []
        for index in range(count):
            start = time.perf_counter()
            os.pwrite(descriptor, block, index * octets)
            os.fdatasync(descriptor)
            times.append((time.perf_counter() - start) * 1000)
        return times
    finally:
        os.close(descriptor)


def reference_loop():
    """Milliseconds of processor time for the SHA-256 of 64 MiB of zeros: how fast this core is today."""
    block = bytes(1 << 20)
    start = time.process_time()
    digest = hashlib.sha256()
    for _ in range(64):
        digest.update(block)
    return (time.process_time() - start) * 1000


def yardsticks(folder):
    times = sync_times(folder)
    return {"fdatasync p50 ms": percentile(times, 0.5), "fdatasync p99 ms": percentile(times, 0.99),
            "reference loop ms": reference_loop()}
