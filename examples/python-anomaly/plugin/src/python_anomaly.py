"""Says how unusual a number in each event is: how many standard deviations it lies from the mean of what came before.

Mean and variance run along, one pair for each value of a header, and live in the state. The state becomes durable in the same
commit as the events, so each event counts exactly once, and a batch that comes again gets the same scores.
"""

import math
import re
import struct
from dataclasses import dataclass

from millrace_plugin import Batch, Edits, Instance, Interceptor, option, plugin, state

NUMBER = rb"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?"


@dataclass
class Config:
    field: str = option(expected="the name of a member of the body's JSON")
    key: str | None = None
    header: str = "anomaly-score"
    warm_up: int = option(default=10, minimum=2)
    memory: int = option(default=1000, minimum=2)


class Running:
    """Mean and variance that forget: what is older than about `memory` values hardly counts any more."""

    FORM = struct.Struct("<Qdd")

    def __init__(self, stored: bytes | None) -> None:
        self.count, self.mean, self.variance = self.FORM.unpack(stored) if stored else (0, 0.0, 0.0)

    def score(self, value: float) -> float:
        """The distance from the mean in standard deviations."""
        distance = abs(value - self.mean)
        if distance == 0:
            return 0.0
        return distance / math.sqrt(self.variance) if self.variance > 0 else math.inf

    def add(self, value: float, memory: int) -> None:
        self.count += 1
        weight = 1 / min(self.count, memory)
        distance = value - self.mean
        self.mean += weight * distance
        self.variance = (1 - weight) * (self.variance + weight * distance * distance)

    def stored(self) -> bytes:
        return self.FORM.pack(self.count, self.mean, self.variance)


@plugin
class PythonAnomaly(Interceptor):
    def configure(self, config: Config, instance: Instance) -> None:
        self.config = config
        # The number is found by one search over all bodies, without reading the rest of their JSON.
        self.number = re.compile(rb'"' + re.escape(config.field.encode()) + rb'"\s*:\s*(' + NUMBER + rb")")

    def intercept(self, batch: Batch, edits: Edits) -> None:
        config = self.config
        values: dict[int, float] = {}
        for row, match in batch.bodies().matches(self.number):
            values.setdefault(row, float(match[1]))
        keys = batch.header_column(config.key).texts() if config.key else [None] * len(batch)
        running = self.read({keys[row] or "" for row in values})
        for row, value in values.items():
            so_far = running[keys[row] or ""]
            if so_far.count >= config.warm_up:
                edits.set_header(row, config.header, f"{so_far.score(value):.2f}")
            if math.isfinite(value):
                so_far.add(value, config.memory)
        for key, so_far in running.items():
            state.set(state_key(key), so_far.stored())

    def read(self, keys: set[str]) -> dict[str, Running]:
        order = sorted(keys)
        stored = state.get_many([state_key(key) for key in order])
        return {key: Running(value) for key, value in zip(order, stored)}


def state_key(key: str) -> str:
    # A key of the state has at most 1,024 bytes.
    return f"running/{key[:200]}"
