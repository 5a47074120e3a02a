"""Plugins for Millrace, the durable log agent, in Python.

A plugin is a class that extends `Interceptor`, `Source`, `Sink` or `Codec` and is marked with `@plugin`. The agent lends it
batches of events; it reads the columns it needs and notes what should change.

    from dataclasses import dataclass

    from millrace_plugin import Batch, Edits, Instance, Interceptor, plugin


    @dataclass
    class Config:
        longer_than: int


    @plugin
    class DropLong(Interceptor):
        def configure(self, config: Config, instance: Instance) -> None:
            self.longer_than = config.longer_than

        def intercept(self, batch: Batch, edits: Edits) -> None:
            edits.drop_rows(row for row, body in enumerate(batch.bodies()) if len(body) > self.longer_than)

Everything that the plugin imports must be imported at the top of its modules: they are loaded when the component is built,
and there are no files when it runs.
"""

from . import log, metrics
from .batch import Batch, Event
from .config import Invalid, Issue, option
from .edits import Edits
from .events import Events
from .failure import Failure, Fatal, Refusal, Reject, Retry
from .headers import HeaderColumn, Headers
from .packed import Packed
from .roles import (
    NOW,
    END,
    After,
    Codec,
    Decoded,
    Delivery,
    Instance,
    Interceptor,
    Plugin,
    Polled,
    Refused,
    Sink,
    Snapshot,
    Source,
    plugin,
)

__all__ = [
    "END",
    "NOW",
    "After",
    "Batch",
    "Codec",
    "Decoded",
    "Delivery",
    "Edits",
    "Event",
    "Events",
    "Failure",
    "Fatal",
    "HeaderColumn",
    "Headers",
    "Instance",
    "Interceptor",
    "Invalid",
    "Issue",
    "Packed",
    "Plugin",
    "Polled",
    "Refusal",
    "Refused",
    "Reject",
    "Retry",
    "Sink",
    "Snapshot",
    "Source",
    "log",
    "metrics",
    "option",
    "plugin",
]
