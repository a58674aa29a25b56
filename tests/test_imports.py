"""Imports point one way, and what need not be imported is not."""

from __future__ import annotations

import ast
import configparser
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from charrnn.cli.completion import VARIABLE
from charrnn.cli.main import COMMANDS
from tests.conftest import Command
from tests.support import REPOSITORY, Trained

PACKAGE = REPOSITORY / "charrnn"

ORDER = (  # each package imports only from those before it, or from itself
    ("errors", "platform", "arrays"),
    ("storage",),
    ("text",),
    ("models",),
    ("inference",),
    ("training",),
    ("export",),
    ("api",),
    ("cli", "__main__"),
)
ONLY_IN = {  # library -> the modules that may import it at all
    "rich": ("cli.progress", "cli.confusion", "cli.heat_map", "cli.bar"),
    "torch": (
        *("models.torch_rnn", "models.torch_reader", "models.torch_threads", "models.loading"),
        *("inference.gradient_reach", "inference.dynamic", "training"),
    ),
    "click": ("cli",),
    "safetensors": ("storage.tensor_file",),
    "filelock": ("storage.files",),
    "fcntl": ("platform",),
    "ctypes": ("platform",),
}
LAZILY = {
    ("rich", "cli.bar"),
    *(("torch", "models.loading"), ("filelock", "storage.files")),
    *(("fcntl", "platform"), ("ctypes", "platform")),
}
"""Only inside functions."""
NOT_EVERYWHERE = {  # module -> contents that some systems lack, or that do something else there
    "os": {
        *("O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_SYNC", "O_CLOEXEC", "O_BINARY"),
        *("fchmod", "fchown", "chown", "link", "kill", "killpg", "fork", "setsid", "mkfifo"),
        *("getuid", "geteuid", "getgid", "getpgid", "uname", "statvfs", "sysconf", "nice"),
        *("sched_getaffinity", "pread", "pwrite", "preadv", "wait", "waitpid", "startfile"),
    },
    "signal": {
        *("SIGHUP", "SIGKILL", "SIGPIPE", "SIGALRM", "SIGQUIT", "SIGSTOP", "SIGCONT", "SIGCHLD"),
        *("SIGUSR1", "SIGUSR2", "SIGBREAK", "CTRL_C_EVENT", "alarm", "setitimer", "pause"),
        *("pthread_sigmask", "pthread_kill", "sigwait", "siginterrupt"),
    },
}
SYSTEM_MODULES = {"fcntl", "msvcrt", "ctypes", "resource", "termios", "tty", "pty", "pwd", "winreg"}
UNSAFE_MODULES = {"pickle", "cPickle", "dill", "joblib", "marshal", "shelve", "cloudpickle"}
UNSAFE_CALLS = {"eval", "exec", "compile", "__import__"}


@dataclass(frozen=True)
class Import:
    """One import statement's target."""

    importer: str
    target: str
    lazy: bool
    typing_only: bool


def name_of(path: Path) -> str:
    """The module's name within the package: "" for the package itself."""
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix("__init__").strip(
        "."
    )


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in FILES.items()}


def statements(
    node: ast.AST, lazy: bool = False, typing_only: bool = False
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, lazy, typing_only
        inside = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        guarded = isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING"
        yield from statements(child, lazy or inside, typing_only or guarded)


def imports(name: str) -> Iterator[Import]:
    for statement, lazy, typing_only in statements(TREES[name]):
        if isinstance(statement, ast.Import):
            targets = [alias.name for alias in statement.names]
        else:
            assert statement.level == 0, f"{name} imports relatively"
            assert statement.module is not None
            targets = [
                whole
                if (whole := f"{statement.module}.{alias.name}").removeprefix("charrnn.") in FILES
                else statement.module
                for alias in statement.names
            ]
        for target in targets:
            yield Import(name, target, lazy, typing_only)


IMPORTS = [found for name in FILES for found in imports(name)]
OWN = [
    Import(found.importer, found.target.removeprefix("charrnn").lstrip("."), found.lazy, False)
    for found in IMPORTS
    if found.target.split(".")[0] == "charrnn" and not found.typing_only
]


def is_in(name: str, places: tuple[str, ...]) -> bool:
    return any(name == place or name.startswith(place + ".") for place in places)


def rank(name: str) -> int:
    """Where in ORDER the module is; the longest name that fits decides."""
    fitting = [
        (len(place), number)
        for number, places in enumerate(ORDER)
        for place in places
        if is_in(name, (place,))
    ]
    assert fitting, f"{name} has no place in ORDER"
    return max(fitting)[1]


def test_the_walk_sees_the_imports() -> None:
    assert Import("models.loading", "torch", True, False) in IMPORTS
    assert Import("models.checkpoint", "storage.tensor_file", False, False) in OWN
    assert len(OWN) > 80


@pytest.mark.parametrize("name", [name for name in FILES if name])
def test_imports_point_one_way(name: str) -> None:
    for found in OWN:
        if found.importer == name and found.target:
            assert rank(found.target) <= rank(name), f"{name} imports {found.target}"


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = {name: {found.target for found in OWN if found.importer == name} for name in FILES}
    del graph[""]
    while graph:
        free = {name for name, targets in graph.items() if not targets & graph.keys() - {name}}
        assert free, f"in a circle: {sorted(graph)}"
        graph = {name: targets for name, targets in graph.items() if name not in free}


def test_the_package_itself_imports_nothing_at_once() -> None:
    assert [found.target for found in OWN if found.importer == "" and not found.lazy] == []


@pytest.mark.parametrize("library", ONLY_IN)
def test_libraries_stay_in_their_modules(library: str) -> None:
    users = {found.importer for found in IMPORTS if found.target.split(".")[0] == library}
    assert users, f"nothing imports {library}"
    assert {user for user in users if not is_in(user, ONLY_IN[library])} == set()


@pytest.mark.parametrize(("library", "name"), sorted(LAZILY))
def test_some_libraries_are_imported_only_when_needed(library: str, name: str) -> None:
    found = [
        each for each in IMPORTS if each.importer == name and each.target.split(".")[0] == library
    ]
    assert found
    assert all(each.lazy for each in found)


def test_what_some_systems_lack_is_used_in_platform_alone() -> None:
    for name, tree in TREES.items():
        used = {found.target for found in imports(name)} & SYSTEM_MODULES | {
            ast.unparse(node)
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.attr in NOT_EVERYWHERE.get(node.value.id, ())
        }
        assert name == "platform" or not used, f"{name} uses {used}"


def test_training_settings_do_without_torch() -> None:
    assert not [
        found
        for found in IMPORTS
        if found.importer in {"training", "training.settings"} and found.target == "torch"
    ]


def test_only_what_setup_cfg_names_is_imported() -> None:
    setup = configparser.ConfigParser()
    setup.read(REPOSITORY / "setup.cfg")
    required = {
        line.split(">=")[0]
        for line in setup["options"]["install_requires"].split("\n")
        if line and not line.startswith("#") and "python_version" not in line
    }
    imported = {found.target.split(".")[0] for found in IMPORTS}
    assert imported - set(sys.stdlib_module_names) - {"charrnn"} == required


@pytest.mark.fault(14)
@pytest.mark.parametrize("name", FILES)
def test_nothing_can_run_what_a_file_says(name: str) -> None:
    assert not {found.target for found in imports(name)} & UNSAFE_MODULES
    for node in ast.walk(TREES[name]):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        assert called not in UNSAFE_CALLS, f"{name} calls {called}"
        assert called not in {"torch.load", "yaml.load", "os.system"}, f"{name} calls {called}"
        keywords = {each.arg: ast.unparse(each.value) for each in node.keywords}
        if called in {"np.load", "numpy.load"}:
            assert keywords.get("allow_pickle") == "False", f"{name}: np.load without refusal"
        assert keywords.get("allow_pickle", "False") == "False"
        assert keywords.get("shell", "False") == "False"


# --- what a process really imports


def imported_by(arguments: list[str], stdin: bytes = b"") -> set[str]:
    """All modules that a command has imported when it ends."""
    return modules_of("-m", "charrnn", *arguments, stdin=stdin)


@cache
def of_click() -> set[str]:
    """All modules that click itself imports."""
    return modules_of("-c", "import click, click._textwrap, click.shell_completion")


def modules_of(*arguments: str, stdin: bytes = b"") -> set[str]:
    """All modules that a Python process has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        input=stdin,
        capture_output=True,
        check=False,
        env=os.environ,
    )
    lines = done.stderr.decode().splitlines()
    assert done.returncode == 0, "\n".join(line for line in lines if "|" not in line)
    return {line.split("|")[2].strip() for line in lines if line.startswith("import time:")}


HEAVY = ("numpy.", "torch", "rich", "safetensors", "filelock", "logging", "charrnn.api")
"""What help and completion do without. NumPy itself is there, to be imported when it is used."""
AT_MOST = 70
"""Modules that help and completion import besides those of click alone."""


def check_light(found: set[str]) -> None:
    """Assert that a command imports click and little else."""
    assert "click" in found
    assert not {name for name in found if name.startswith(HEAVY)}
    assert len(found - of_click()) <= AT_MOST, sorted(found - of_click())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)], ids=" ".join
)
def test_help_imports_next_to_nothing(arguments: list[str]) -> None:
    check_light(imported_by(arguments))


@pytest.mark.parametrize("line", ["charrnn sample --te", "charrnn train --cell ", "charrnn info x"])
def test_completion_imports_next_to_nothing(
    line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "bash_complete")
    monkeypatch.setenv("COMP_WORDS", line)
    monkeypatch.setenv("COMP_CWORD", str(line.count(" ")))
    check_light(imported_by([]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["sample", "--length", "5", "--seed", "1"],
        ["sample", "--num", "2", "--length", "5", "--seed", "1", "--json"],
        ["score", "the cat"],
        ["score", "-", "--per-character"],
        ["score", "the cat", "--json"],
        ["evaluate", "CORPUS"],
        ["inspect", "CORPUS", "--no-gradient", "--positions", "5"],
        ["info"],
        ["info", "--json"],
        ["export", "model.safetensors", "--half", "--max-ngrams", "500"],
        ["export", "page.html"],
    ],
    ids=" ".join,
)
def test_inference_imports_neither_torch_nor_rich(
    arguments: list[str], prose_model: Trained, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHARRNN_CHECKPOINT", str(prose_model.run))
    arguments = [str(prose_model.corpus) if each == "CORPUS" else each for each in arguments]
    found = imported_by(arguments, b"a dog\n")
    assert "numpy.linalg" in found
    assert not found & {"torch", "rich", "charrnn.models.torch_rnn"}
    assert not found & {"charrnn.cli.progress", "charrnn.cli.heat_map"}


def test_load_imports_no_torch(prose_model: Trained) -> None:
    program = (
        "import sys, charrnn\n"
        f"model = charrnn.load({str(prose_model.run)!r})\n"
        "model.sample(length=3), model.score(['a']), model.evaluate([sys.argv[1]])\n"
        "assert not {'torch', 'rich', 'click'} & sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", program, str(prose_model.corpus)], check=True)


def test_the_program_is_the_module(run_interpreter: Command) -> None:
    result = run_interpreter("--version")
    assert (result.status, result.err) == (0, "")
    assert result.out.startswith("charrnn, version ")


def test_no_module_is_longer_than_350_lines() -> None:
    lengths = {
        str(path.relative_to(PACKAGE)): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 350} == {}
