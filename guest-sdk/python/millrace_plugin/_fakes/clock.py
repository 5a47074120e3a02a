"""Stands for the clock of the agent in tests: it stands still until it is moved."""

START_NANOS = 1_700_000_000_000_000_000

passed = 0


def advance(ms: float) -> None:
    global passed
    passed += round(ms * 1e6)


def unix_nanos() -> int:
    return START_NANOS + passed


def monotonic_nanos() -> int:
    return passed
