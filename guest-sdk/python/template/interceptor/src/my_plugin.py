"""Masks long numbers, such as those of payment cards, in bodies: every run of 13 to 19 digits but for its last ones.

Events in which something was masked get the header `redacted` with the number of runs.
"""

import re
from dataclasses import dataclass

from millrace_plugin import Batch, Edits, Instance, Interceptor, option, plugin

LENGTH_MIN = 13
LENGTH_MAX = 19
# Every digit becomes a 0 and everything else a space. Then a run is found by a search for its shortest form, which looks
# at a few bytes only: twenty times as fast as a regular expression over the bodies.
DIGITS = bytes(ord("0") if chr(byte).isascii() and chr(byte).isdigit() else ord(" ") for byte in range(256))
SHORTEST = b"0" * LENGTH_MIN
RUN = re.compile(b"0*")


@dataclass
class Config:
    mask: str = option(default="#", pattern="[ -~]", expected="one ASCII character")
    keep: int = option(default=4, minimum=0, maximum=13)


@plugin
class MyPlugin(Interceptor):
    def configure(self, config: Config, instance: Instance) -> None:
        self.mask = config.mask.encode()
        self.keep = config.keep

    def intercept(self, batch: Batch, edits: Edits) -> None:
        bodies = batch.bodies()
        digits = bodies.data.translate(DIGITS)
        masked: dict[int, bytearray] = {}
        counts: dict[int, int] = {}
        place = digits.find(SHORTEST)
        while place >= 0:
            row = bodies.row_at(place)
            start = bodies.start(row)
            # A run ends where its body ends, whatever the next one begins with.
            end = RUN.match(digits, place, bodies.ends[row]).end()
            if LENGTH_MIN <= end - place <= LENGTH_MAX:
                body = masked.setdefault(row, bytearray(bodies[row])) if row not in masked else masked[row]
                length = end - place - self.keep
                body[place - start : place - start + length] = self.mask * length
                counts[row] = counts.get(row, 0) + 1
            place = digits.find(SHORTEST, end)
        for row, body in masked.items():
            edits.set_body(row, body)
            edits.set_header(row, "redacted", counts[row])
