"""Metrics of the plugin itself, declared in its manifest. Calls, events, faults and times are counted by the agent already.

Labels are the values, in the order in which the manifest declares their keys.
"""

from . import _host

_metrics = _host.load("metrics")


def counter_add(name: str, *labels: object, amount: int = 1) -> None:
    """Adds to a counter."""
    _metrics.counter_add(name, [str(label) for label in labels], amount)


def gauge_set(name: str, *labels: object, value: float) -> None:
    """Sets a gauge."""
    _metrics.gauge_set(name, [str(label) for label in labels], float(value))


def histogram_record(name: str, *labels: object, value: float) -> None:
    """Records one observation of a histogram."""
    _metrics.histogram_record(name, [str(label) for label in labels], float(value))
