"""From the sources of a plugin to a component, by componentize-py.

    python build.py PROJECT WORK OUT

PROJECT  the folder with pyproject.toml: `[tool.millrace]` names the `module` and the folders of the `path`,
         one of which holds the SDK; the plugin interface is in `wit` there, or where it is in the repository
WORK     a folder for what comes up on the way
OUT      the component

The world is made of what the plugin imports and of the role of its class, so the component asks for the capabilities that
the plugin uses and for no others. Runs in the virtual environment that requirements.txt pins.
"""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

# What is asked about a plugin, in a process of its own: which capabilities it imports, and what it exports.
ASK = """import json, sys
import {module}
from millrace_plugin import roles

cls = roles.registered()
names = {{"interceptor": roles.Interceptor, "source": roles.Source, "sink": roles.Sink, "codec": roles.Codec}}
exports = ["lifecycle"] + [name for name, role in names.items() if issubclass(cls, role)]
if cls.save is not roles.Plugin.save or cls.restore is not roles.Plugin.restore:
    exports.append("handover")
wanted = [name for name in ("clock", "http", "state") if "millrace_plugin." + name in sys.modules]
print(json.dumps({{"imports": ["log", "metrics", *wanted], "exports": exports}}))
"""

# componentize-py imports this module and looks for the exports of the world in it.
ENTRY = """import {module}
from millrace_plugin._guest import Codec, Handover, Interceptor, Lifecycle, Sink, Source
"""


def main(project: str, work: str, out: str) -> None:
    folder, work_folder = Path(project).resolve(), Path(work).resolve()
    settings = tomllib.loads((folder / "pyproject.toml").read_text()).get("tool", {}).get("millrace", {})
    module = settings.get("module")
    if not module:
        raise SystemExit("pyproject.toml does not say what to build: [tool.millrace] needs a `module`")
    paths = [folder / path for path in settings.get("path", ["src"])]
    wit = interface(paths)
    work_folder.mkdir(parents=True, exist_ok=True)
    (work_folder / "millrace_entry.py").write_text(ENTRY.format(module=module))
    shutil.rmtree(work_folder / "wit", ignore_errors=True)
    shutil.copytree(wit, work_folder / "wit")
    (work_folder / "wit" / "built.wit").write_text(world(module, paths))
    tool = Path(sys.executable).parent / "componentize-py"
    command = [tool, "-q", "-d", work_folder / "wit", "-w", "built", "componentize", "--stub-wasi"]
    # From copies: what Python leaves behind while it builds is not for the folders of the sources.
    for number, path in enumerate(paths):
        copy = work_folder / "path" / str(number)
        shutil.rmtree(copy, ignore_errors=True)
        shutil.copytree(path, copy, ignore=shutil.ignore_patterns("__pycache__", "target", ".*"))
        command += ["-p", copy]
    command += ["-p", work_folder]
    run([*command, "-o", Path(out).resolve(), "millrace_entry"])


def interface(paths: list[Path]) -> Path:
    """The folder of the plugin interface."""
    for sdk in (path for path in paths if (path / "millrace_plugin").is_dir()):
        for place in ("wit", "../../wit"):
            if (sdk / place).is_dir():
                return sdk / place
    raise SystemExit(f"the SDK is in none of {', '.join(map(str, paths))}, or has no `wit` beside it")


def world(module: str, paths: list[Path]) -> str:
    """The world of a plugin, in the language of the interface."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PYTHONDONTWRITEBYTECODE": "1"}
    answer = json.loads(run([sys.executable, "-c", ASK.format(module=module)], environment))
    lines = [f"  import {name};" for name in answer["imports"]] + [f"  export {name};" for name in answer["exports"]]
    return "package millrace:plugin@0.1.0;\n\nworld built {\n" + "\n".join(lines) + "\n}\n"


def run(command: list[object], environment: dict[str, str] | None = None) -> str:
    words = [str(word) for word in command]
    finished = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    if finished.returncode:
        raise SystemExit(finished.stderr + finished.stdout)
    return finished.stdout


if __name__ == "__main__":
    if len(sys.argv) != 4:
        raise SystemExit("usage: python build.py PROJECT WORK OUT")
    main(*sys.argv[1:])
