"""What a process has used, as the kernel counts it."""

import os
import pathlib
import time


def processor_seconds(pid):
    """User and system time of all threads, also of those that have ended, to the nanosecond."""
    return time.clock_gettime((~pid << 3) | 2)  # the clock of another process, as in clock_getcpuclockid(3)


def family_processor_seconds(pid):
    """The same of a process, its children that were waited for, and those that run."""
    ticks = _stat(pid)[13:15]  # cutime, cstime
    seconds = processor_seconds(pid) + sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            seconds += processor_seconds(int(child))
        except OSError:
            pass  # ended meanwhile: its parent has the time from now on
    return seconds


def _stat(pid):
    """Fields of /proc/PID/stat; [0] is its third, since the second may hold anything."""
    return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()


def memory(pid):
    """(resident, of that anonymous) in octets: the second is what files in memory do not explain."""
    values = {}
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(("VmRSS:", "RssAnon:")):
            name, size, _ = line.split()
            values[name] = int(size) * 1024
    return values["VmRSS:"], values["RssAnon:"]


def octets_written(pid):
    """Octets that were passed to write calls, also by a process that has ended but was not waited for.
    What goes to sockets by sendmsg is not among them."""
    for line in pathlib.Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("wchar:"):
            return int(line.split()[1])
    raise OSError(f"/proc/{pid}/io has no wchar")


def disk_used(folder):
    """Octets of disk blocks under each entry of `folder`: {name: octets}."""
    used = {}
    for entry in pathlib.Path(folder).iterdir():
        files = [entry] if not entry.is_dir() else entry.rglob("*")
        used[entry.name] = 0
        for file in files:
            try:
                used[entry.name] += file.lstat().st_blocks * 512
            except FileNotFoundError:
                pass
    return used
