"""From the sources of a plugin to a component, by componentize-py.

    python build.py PROJECT WIT WORK OUT

PROJECT  the folder with pyproject.toml: `[tool.millrace]` names the `world`, the `module` and the folders of the `path`
WIT      the folder of the plugin interface
WORK     a folder for what comes up on the way
OUT      the component

Runs in the virtual environment that requirements.txt pins.
"""

import subprocess
import sys
import tomllib
from pathlib import Path

# componentize-py imports this module and looks for the exports of the world in it.
ENTRY = """import {module}
from millrace_plugin._guest import Codec, Handover, Interceptor, Lifecycle, Sink, Source
from millrace_plugin.plugin import registered

registered()
"""


def main(project: str, wit: str, work: str, out: str) -> None:
    folder = Path(project).resolve()
    settings = tomllib.loads((folder / "pyproject.toml").read_text()).get("tool", {}).get("millrace", {})
    world, module = settings.get("world"), settings.get("module")
    if not world or not module:
        raise SystemExit("pyproject.toml does not say what to build: [tool.millrace] needs `world` and `module`")
    Path(work).mkdir(parents=True, exist_ok=True)
    (Path(work) / "millrace_entry.py").write_text(ENTRY.format(module=module))
    paths = [Path(work), *(folder / path for path in settings.get("path", ["src"]))]
    tool = Path(sys.executable).parent / "componentize-py"
    command = [tool, "-q", "-d", wit, "-w", world, "componentize", "--stub-wasi"]
    for path in paths:
        command += ["-p", path]
    command += ["-o", out, "millrace_entry"]
    finished = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if finished.returncode:
        raise SystemExit(finished.stderr + finished.stdout)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit("usage: python build.py PROJECT WIT WORK OUT")
    main(*sys.argv[1:])
