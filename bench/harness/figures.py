"""From values of single runs to rows of the table: medians, quartiles, and what they have to reach."""

import dataclasses
import statistics


def percentile(values, share):
    ordered = sorted(values)
    return ordered[round(share * (len(ordered) - 1))]


@dataclasses.dataclass(frozen=True)
class Figure:
    """One figure from several runs."""
    median: float
    low: float   # the quartiles
    high: float
    runs: int

    @staticmethod
    def of(values):
        values = list(values)
        if len(values) == 1:
            return Figure(values[0], values[0], values[0], 1)
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
        return Figure(middle, low, high, len(values))


@dataclasses.dataclass(frozen=True)
class Target:
    """What a figure has to reach. It does if the whole range between its quartiles does."""
    at_least: bool
    bound: float

    def holds(self, figure):
        return figure.low >= self.bound if self.at_least else figure.high <= self.bound


def at_least(bound):
    return Target(True, bound)


def at_most(bound):
    return Target(False, bound)


@dataclasses.dataclass(frozen=True)
class Row:
    """One line of the table. Without a target it is only reported."""
    what: str
    figure: Figure
    unit: str = ""
    target: Target | None = None

    @property
    def holds(self):
        return None if self.target is None else self.target.holds(self.figure)


def row(what, values, unit="", target=None):
    """A row from one value, or from those of several runs."""
    values = [values] if isinstance(values, (int, float)) else values
    return Row(what, Figure.of(values), unit, target)


def ratios(pairs, first, second=None):
    """Of interleaved pairs (A, B): A's attribute `first` over B's, one ratio for each pair."""
    return [getattr(a, first) / getattr(b, second or first) for a, b in pairs]


def number(value):
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if size >= 100 else f"{value:.2f}" if size >= 1 else f"{value:.3f}"
