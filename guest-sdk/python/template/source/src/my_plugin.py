"""Counts: brings in the numbers from `from` to `to`, some at a time.

The position is the next number, so after a restart the source goes on where the last commit left it, and no number comes
twice.
"""

from dataclasses import dataclass

from millrace_plugin import END, After, Events, Instance, Polled, Source, option, plugin


@dataclass
class Config:
    from_: int = option(default=1, minimum=0)
    to: int | None = option(default=None, minimum=0)
    at_once: int = option(default=10, minimum=1)
    every_ms: int = option(default=1000, minimum=0, maximum=86_400_000)


@plugin
class MyPlugin(Source):
    def configure(self, config: Config, instance: Instance) -> None:
        self.config = config
        self.next = config.from_

    def open(self, position: bytes | None) -> None:
        self.next = self.config.from_ if position is None else int(position)

    def poll(self, events_max: int, bytes_max: int) -> Polled:
        config, before = self.config, self.next
        end = before + min(config.at_once, events_max)
        if config.to is not None:
            end = min(end, config.to + 1)
        events = Events()
        while self.next < end and events.body_bytes < bytes_max:
            events.append(str(self.next), {"number": self.next})
            self.next += 1
        is_done = config.to is not None and self.next > config.to
        position = None if self.next == before else str(self.next)
        return Polled(events, position, END if is_done else After(config.every_ms))
