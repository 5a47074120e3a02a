"""Stands for the metrics of the agent in tests: keeps what is recorded."""

recorded: list[tuple[str, list[str], float]] = []


def _record(name: str, labels: list[str], value: float) -> None:
    recorded.append((name, labels, value))


counter_add = gauge_set = histogram_record = _record
