"""One run of some parts: its options, its folder, its notes."""

import dataclasses
import pathlib
import shutil
import sys
import time

from harness.processes import Mansiod

PARTS = {}


@dataclasses.dataclass(frozen=True)
class Part:
    name: str
    what: str
    measure: object  # a function of the Bench that yields rows
    by_default: bool


def part(name, what, by_default=True):
    """Makes a function that yields rows a part that can be asked for by name."""
    def register(measure):
        PARTS[name] = Part(name, what, measure, by_default)
        return measure
    return register


@dataclasses.dataclass
class Bench:
    folder: pathlib.Path
    quick: bool = False
    scale: float = 1.0
    rounds: int = 10  # how many pairs a ratio comes from
    raw: dict = dataclasses.field(default_factory=dict)     # every figure of every run, for --json
    charts: dict = dataclasses.field(default_factory=dict)  # points of the charts
    shared: dict = dataclasses.field(default_factory=dict)  # what one part tells later ones of the same run
    _numbered: int = 0

    @property
    def quiet(self):
        """Seconds after which what has not changed is taken to stay."""
        return 0.2 if self.quick else 3

    def count(self, messages):
        """Messages of one run; few in a quick one, which tries the harness and not the daemon."""
        return max(50, round(messages * min(1.0, self.scale * 2))) if self.quick else messages

    @property
    def million(self):
        return round(1_000_000 * self.scale)

    def note(self, text):
        print(f"  {time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)

    def keep(self, name, values):
        """Remembers raw values for --json."""
        self.raw[name] = values

    def new_folder(self, name):
        self._numbered += 1
        folder = self.folder / f"{self._numbered}-{name}"
        shutil.rmtree(folder, ignore_errors=True)  # what an interrupted run has left
        folder.mkdir(parents=True)
        return folder

    def mansiod(self, name, routes, **arguments):
        """A daemon with a folder of its own; use it with `with`."""
        return Mansiod(self.new_folder(name), routes, **arguments)

    def forget(self, *daemons):
        """Gives the disk back that stopped daemons have used."""
        for daemon in daemons:
            shutil.rmtree(daemon.folder, ignore_errors=True)

    def pairs(self, name, first, second):
        """Runs A B A B ..., after one pair that warms up and is not counted."""
        first()
        second()
        pairs = []
        for _ in range(self.rounds):
            pairs.append((first(), second()))
            self.note(f"{name}: pair {len(pairs)}: " + self._short(pairs[-1]))
        self.keep(name, [value for pair in pairs for value in pair])
        return pairs

    @staticmethod
    def _short(pair):
        return " against ".join(f"{value.rate:,.0f}/s {value.cost * 1000:,.1f} us" if hasattr(value, "rate")
                                else f"{value}" for value in pair)
