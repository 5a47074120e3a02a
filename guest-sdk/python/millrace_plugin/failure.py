"""Why a call did not succeed, said as what the agent should do now.

Raise one of these. Any other exception is a mistake of the plugin: it is logged with its traceback and ends the call with a
trap.
"""


class Failure(Exception):
    """What a call may answer instead of a result."""


class Retry(Failure):
    """It may work later: the same batch comes again, not before so many milliseconds (none: the agent chooses)."""

    def __init__(self, after_ms: int | None = None) -> None:
        super().__init__("retry" if after_ms is None else f"retry after {after_ms} ms")
        self.after_ms = after_ms


class Reject(Failure):
    """It can never work, for this reason: the batch goes to the dead-letter channel."""


class Fatal(Failure):
    """This instance is broken, for this reason: it is replaced, and the batch tried once more."""


class Refusal(Exception):
    """Raised by `restore`: this instance does not understand what the old one left, and the old one goes on."""
