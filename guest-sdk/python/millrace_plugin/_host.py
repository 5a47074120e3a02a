"""What the agent offers, or what stands for it in a test.

In a component the tool-chain has put the bindings under `wit_world`. Elsewhere there are none, and the fakes take their place.
"""

import importlib
from types import ModuleType


def _is_component() -> bool:
    try:
        importlib.import_module("wit_world")
    except ModuleNotFoundError:
        return False
    return True


IS_COMPONENT = _is_component()


def load(name: str) -> ModuleType:
    """Gives an imported interface by its name."""
    if not IS_COMPONENT:
        return importlib.import_module(f"millrace_plugin._fakes.{name}")
    try:
        return importlib.import_module(f"wit_world.imports.{name}")
    except ModuleNotFoundError as error:
        raise ImportError(f"the world of this plugin has no `{name}`") from error


def error_of(raised: Exception) -> tuple[str, str | None] | None:
    """The case of an error of the interface, in kebab-case, and its text; None for any other exception."""
    value = getattr(raised, "value", None)
    name = type(value).__name__
    if not name.startswith("Error_"):
        return None
    words = "".join(f"-{letter.lower()}" if letter.isupper() else letter for letter in name[len("Error_") :])
    return words.lstrip("-"), getattr(value, "value", None)
