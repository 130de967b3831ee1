"""From a fresh clone to a running Leyden or a passed suite, with one command each.

    python3 packaging/bootstrap.py run [--demo] [options of leyden]   a practice node in a window; nothing is kept
    python3 packaging/bootstrap.py test [options of pytest]           lint, types, contracts and the whole suite
    python3 packaging/bootstrap.py bench [NAME [its options]]         tests/benchmarks, all or one
    python3 packaging/bootstrap.py endurance [NAME [its options]]     tests/endurance at full size, all or one
    python3 packaging/bootstrap.py fuzz [SECONDS]                     tests/fuzz, each harness so long (60 s)
    python3 packaging/bootstrap.py lock                               resolve packaging/requirements/ again

Everything goes into .venv and .bootstrap beside this folder; what is already right is not done again. Standard library
only, and a syntax that older Pythons can read far enough to be told that they are too old.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import system_packages
from system_packages import SystemLacks

ROOT = Path(__file__).resolve().parent.parent
REQUIREMENTS = ROOT / "packaging" / "requirements"
COUNTERPARTS = ROOT / "packaging" / "counterparts"
STATE = ROOT / ".bootstrap"
VENV = Path(os.environ.get("LEYDEN_VENV", ROOT / ".venv"))
STAMP = "leyden-stamp.json"

OLDEST, NEWEST = (3, 11), (3, 13)
PLATFORMS = {("Linux", "x86_64"), ("Darwin", "x86_64"), ("Darwin", "arm64"), ("Windows", "AMD64")}
"""Where every locked wheel exists; bdkpython decides."""

NPM_COUNTERPARTS = {"ldk": "LDK, a peer to test against", "bcoin": "bcoin, a Bitcoin node to test against"}
"""Folders of packaging/counterparts, each with its own package.json and lock."""
PYTHON_COUNTERPARTS = ("pyln", "electrumx")
"""Core Lightning's packages and an Electrum server, each in a virtual environment of its own, for its own pins."""
ENDURANCE = ("gossip_store", "hostility", "rotation")
"""What of tests/endurance is run; the rest is what these stand on."""

QUIET_NPM = ("--no-audit", "--no-fund", "--loglevel=error")

EXIT_NOT_POSSIBLE = 2
"""Something outside must change first, and the words on stderr say what."""


class NotPossible(Exception):
    """The system cannot carry Leyden as it is; the text says why, and what would help."""


def main(arguments: Sequence[str]) -> int:
    """Dispatch; the exit code is leyden's or pytest's own, 2 when something must be installed first."""
    commands = {"run": run, "test": test, "bench": bench, "endurance": endurance, "fuzz": fuzz, "lock": lock}
    if not arguments or arguments[0] not in commands:
        print(__doc__)
        return 0 if arguments[:1] in (["-h"], ["--help"]) else EXIT_NOT_POSSIBLE
    try:
        check_python(sys.version_info[:2], sys.executable)
        check_platform(platform.system(), platform.machine())
        return commands[arguments[0]](list(arguments[1:]))
    except (NotPossible, SystemLacks) as error:
        print(f"\n{error}", file=sys.stderr)
        return EXIT_NOT_POSSIBLE
    except subprocess.CalledProcessError as error:
        print(f"\nFailed with exit code {error.returncode}: {' '.join(map(str, error.cmd))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


# The commands


def run(arguments: list[str]) -> int:
    """`leyden` on a practice node; without a display the same node headless."""
    headless = "--headless" in arguments
    if not headless and not has_display(sys.platform, os.environ):
        print("There is no display (neither DISPLAY nor WAYLAND_DISPLAY is set): running without a window.", flush=True)
        headless = True
        arguments = ["--headless", *arguments]
    prepare(dev=False, window=not headless)
    return _run_leyden(arguments)


def test(arguments: list[str]) -> int:
    """The whole suite with what it needs; with arguments, only pytest with these."""
    prepare(dev=True, window=True)
    for name, what in NPM_COUNTERPARTS.items():
        ensure_npm(name, what)
    for name in PYTHON_COUNTERPARTS:
        ensure_python(name)
    failed = [] if arguments else run_checks()
    code = _pytest(arguments)
    if failed:
        print(f"Failed before the tests: {', '.join(failed)}", file=sys.stderr)
    return code or (1 if failed else 0)


def bench(arguments: list[str]) -> int:
    """One benchmark with its own options, or all of them one after the other; the worst exit code."""
    known = sorted(path.stem for path in (ROOT / "tests" / "benchmarks").glob("[!_]*.py"))
    if arguments and arguments[0] not in known:
        raise NotPossible(f"There is no benchmark {arguments[0]!r}; there are {', '.join(known)}.")
    prepare(dev=True, window=True)
    return _run_each("tests.benchmarks", arguments[:1] or known, arguments[1:])


def endurance(arguments: list[str]) -> int:
    """Hostile peers, and messages past very many keys, at full size; 1 when a bar is missed."""
    if arguments and arguments[0] not in ENDURANCE:
        raise NotPossible(f"There is no endurance run {arguments[0]!r}; there are {', '.join(ENDURANCE)}.")
    prepare(dev=True, window=False)
    ensure_python("pyln")
    return _run_each("tests.endurance", arguments[:1] or ENDURANCE, arguments[1:])


def _run_each(package: str, names: Sequence[str], options: Sequence[str]) -> int:
    """Each of these modules, one after the other; the worst exit code."""
    codes = []
    for name in names:
        command = [_in_venv(VENV, "python"), "-m", f"{package}.{name}", *options]
        codes.append(subprocess.run(command, cwd=ROOT, env=_test_environment(), check=False).returncode)
    return max(map(abs, codes), default=0)


def fuzz(arguments: list[str]) -> int:
    """Every harness of tests/fuzz for so many seconds; 1 when one of them found something."""
    if len(arguments) > 1 or not all(text.isascii() and text.isdigit() and int(text) for text in arguments):
        raise NotPossible("fuzz takes one number: for how many seconds each harness runs.")
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        raise NotPossible("atheris, which the harnesses stand on, has builds for Linux x86_64 only.")
    with _only_one():
        venv, digest = STATE / "fuzz", _digest(REQUIREMENTS / "fuzz.txt", REQUIREMENTS / "runtime.txt")
        stamp = read_stamp(venv / STAMP)
        if stamp.get("base") != digest or stamp.get("python") != _python_id():
            write_stamp(venv / STAMP, _make_venv(venv, digest, ["runtime.txt", "fuzz.txt"]))
    command = [_in_venv(venv, "python"), "-m", "tests.fuzz", str(STATE / "fuzz-corpus"), *(arguments or ["60"])]
    return subprocess.run(command, cwd=ROOT, env=_environment(), check=False).returncode


def lock(arguments: list[str]) -> int:
    """Resolve every lock file again; `--upgrade` takes the newest that the bounds allow."""
    venv = STATE / "lock"
    _make_venv(venv, "", ["lock.txt"])
    environment = {**_environment(), "UV_NO_CONFIG": "1", "UV_CUSTOM_COMPILE_COMMAND": "packaging/bootstrap.py lock"}
    uv = [_in_venv(venv, "uv"), "pip", "compile", "--quiet", "--universal", "--generate-hashes", "--no-emit-index-url"]
    uv += ["--no-emit-find-links", "--python-version", ".".join(map(str, OLDEST)), *arguments]
    folder = REQUIREMENTS.relative_to(ROOT)
    for sources, target in (
        (["pyproject.toml"], "runtime"),
        (["pyproject.toml", f"{folder}/dev.in", "-c", f"{folder}/runtime.txt"], "dev"),
        ([f"{folder}/build.in"], "build"),
        *(([f"{folder}/{name}.in"], name) for name in PYTHON_COUNTERPARTS),
        ([f"{folder}/fuzz.in"], "fuzz"),
        ([f"{folder}/lock.in"], "lock"),
    ):
        print(f"Resolving {folder}/{target}.txt", flush=True)
        # uv repeats the file on stdout even with -o.
        subprocess.run(
            [*uv, *sources, "-o", f"{folder}/{target}.txt"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL,
            check=True,
        )  # fmt: skip
    for name in NPM_COUNTERPARTS:
        print(f"Resolving packaging/counterparts/{name}/package-lock.json", flush=True)
        _lock_npm(name)
    return 0


def _lock_npm(name: str) -> None:
    """Resolve one package.json again.

    LDK's node-net asks for a version that cannot exist, 0.1.0.0. npm 9, Debian's, fails on an override of such a one
    when it installs, so the override is used here alone and the lock file states the version that was meant.
    """
    with tempfile.TemporaryDirectory() as scratch:
        package = json.loads((COUNTERPARTS / name / "package.json").read_text("utf-8"))
        if name == "ldk":
            package["overrides"] = {"lightningdevkit-node-net": {"lightningdevkit": "0.1.0"}}
        Path(scratch, "package.json").write_text(json.dumps(package), "utf-8")
        npm = [_npm(), "install", "--package-lock-only", "--ignore-scripts", "--omit-lockfile-registry-resolved"]
        subprocess.run([*npm, *QUIET_NPM], cwd=scratch, check=True, stdout=subprocess.DEVNULL)
        resolved = Path(scratch, "package-lock.json").read_text("utf-8")
    (COUNTERPARTS / name / "package-lock.json").write_text(resolved.replace('"0.1.0.0"', '"0.1.0"'), "utf-8")


def _npm() -> str:
    found = shutil.which("npm")
    if found is None:
        raise NotPossible("npm is needed for LDK and bcoin, which the suite talks to, and was not found.")
    return found


# What they stand on


def check_python(version: tuple[int, int], executable: str) -> None:
    """Refuse a Python that a dependency does not support."""
    if not OLDEST <= version <= NEWEST:
        raise NotPossible(
            "Leyden runs on Python {}.{} to {}.{}; this is {}.{} ({}).\n"
            "Start the script with another one, for instance: python3.12 packaging/bootstrap.py run".format(
                *OLDEST, *NEWEST, *version, executable
            )
        )


def check_platform(system: str, machine: str) -> None:
    """Refuse a platform that bdkpython has no wheel for; pip would take an old one with another API, or none."""
    if (system, machine) not in PLATFORMS:
        raise NotPossible(
            f"Leyden does not run on {system} {machine} yet: its wallet library, bdkpython, has builds for\n"
            + ", ".join(" ".join(known) for known in sorted(PLATFORMS))
            + " only."
        )


def has_display(system: str, environment: os._Environ[str] | dict[str, str]) -> bool:
    """Whether a window can be shown; only Linux and its like can be without."""
    if system in ("darwin", "win32"):
        return True
    return bool(environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY") or environment.get("QT_QPA_PLATFORM"))


def prepare(dev: bool, window: bool) -> None:
    """The virtual environment and what the system must bring, all asked for at once where it can be foreseen."""
    wayland = bool(os.environ.get("WAYLAND_DISPLAY"))
    linux = sys.platform == "linux"
    with _only_one():
        if linux:
            missing = system_packages.venv_package_missing()
            if window and not _site_packages().joinpath("PySide6").is_dir():
                missing |= system_packages.libraries_before_qt(wayland)
            why = "what a virtual environment and Qt need"
            if dev:
                missing |= system_packages.programs_missing()
                why = "what Qt and the suite need"
            system_packages.install(missing, why)
        ensure_venv(dev)
        if linux and window:
            sonames = system_packages.libraries_of_qt(_site_packages(), wayland)
            system_packages.install(system_packages.packages_of(sonames), "libraries that Qt needs")


def ensure_venv(dev: bool) -> None:
    """`.venv` with exactly the locked packages and the project itself; nothing is done when its stamp is right."""
    base = _digest(REQUIREMENTS / "build.txt", REQUIREMENTS / "runtime.txt")
    extra = _digest(REQUIREMENTS / "dev.txt")
    project = _digest(ROOT / "pyproject.toml", ROOT / "core" / "__init__.py") + str(ROOT)
    stamp = read_stamp(VENV / STAMP)
    if needs_new_venv(stamp, base, extra, dev):
        stamp = _make_venv(VENV, base, ["build.txt", "dev.txt" if dev else "runtime.txt"])
        stamp["dev"] = extra if dev else None
    elif dev and stamp.get("dev") is None:
        print("Installing what the suite needs ...", flush=True)
        _pip(VENV, ["dev.txt"])
        stamp["dev"] = extra
    elif stamp.get("project") == project:
        return
    if stamp.get("project") != project:
        arguments = ["--no-deps", "--no-build-isolation", "--editable", str(ROOT)]
        subprocess.run([*_pip_install(VENV), *arguments], env=_environment(), check=True)
        stamp["project"] = project
    write_stamp(VENV / STAMP, stamp)


def needs_new_venv(stamp: dict[str, str | None], base: str, extra: str, dev: bool) -> bool:
    """Whether what is installed cannot be completed in place: another Python, other locks, or not made by us."""
    if stamp.get("python") != _python_id() or stamp.get("base") != base:
        return True
    return dev and stamp.get("dev") not in (None, extra)


def ensure_npm(name: str, what: str) -> None:
    """A counterpart's npm packages under `.bootstrap`, where tests look for them."""
    source, folder, files = COUNTERPARTS / name, STATE / name, ("package.json", "package-lock.json")
    digest = _digest(*(source / file for file in files))
    if read_stamp(folder / STAMP).get("base") == digest:
        return
    print(f"Installing {what} ...", flush=True)
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        shutil.copyfile(source / file, folder / file)
    # npm's own scripts could fetch from anywhere; the packages need none.
    npm = [_npm(), "ci", "--ignore-scripts", *QUIET_NPM]
    subprocess.run(npm, cwd=folder, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    write_stamp(folder / STAMP, {"base": digest})


def ensure_python(name: str) -> None:
    """A counterpart's Python packages in a virtual environment of their own."""
    venv, digest = STATE / name, _digest(REQUIREMENTS / f"{name}.txt")
    stamp = read_stamp(venv / STAMP)
    if stamp.get("base") != digest or stamp.get("python") != _python_id():
        write_stamp(venv / STAMP, _make_venv(venv, digest, [f"{name}.txt"]))


def run_checks() -> list[str]:
    """Lint, layout, types and contracts; the names of those that failed."""
    checks = {
        "ruff check": ["ruff", "check", "--quiet", "."],
        "ruff format": ["ruff", "format", "--quiet", "--diff", "."],
        "mypy": ["mypy"],
        "lint-imports": ["lint-imports", "--no-cache"],
    }
    failed = []
    for name, (program, *options) in checks.items():
        began = time.monotonic()
        answer = subprocess.run(
            [_in_venv(VENV, program), *options], cwd=ROOT, env=_environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        passed = answer.returncode == 0
        print(f"{name}: {'clean' if passed else 'FAILED'} ({time.monotonic() - began:.1f} s)", flush=True)
        if not passed:
            print(answer.stdout[-8000:], flush=True)
            failed.append(name)
    return failed


# Virtual environments


def _make_venv(venv: Path, digest: str, sets: Sequence[str]) -> dict[str, str | None]:
    """A fresh one with these locked packages alone; the caller writes the stamp that is returned."""
    if venv.exists() and not (venv / "pyvenv.cfg").is_file() and any(venv.iterdir()):
        raise NotPossible(f"{venv} is in the way and is no virtual environment. Move it, then start again.")
    shown = venv.relative_to(ROOT) if venv.is_relative_to(ROOT) else venv
    print(f"Making {shown} with Python {platform.python_version()} from {', '.join(sets)} ...", flush=True)
    subprocess.run([sys.executable, "-m", "venv", "--clear", str(venv)], env=_environment(), check=True)
    _pip(venv, sets)
    return {"base": digest, "python": _python_id()}


def _pip(venv: Path, sets: Sequence[str]) -> None:
    files = [part for name in sets for part in ("-r", str(REQUIREMENTS / name))]
    subprocess.run([*_pip_install(venv), "--require-hashes", *files], env=_environment(), check=True)


def _pip_install(venv: Path) -> list[str]:
    return [_in_venv(venv, "python"), "-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"]


def _in_venv(venv: Path, program: str) -> str:
    windows = sys.platform == "win32"
    return str(venv / ("Scripts" if windows else "bin") / (program + (".exe" if windows else "")))


def _site_packages() -> Path:
    return Path(sysconfig.get_path("platlib", "venv", {"base": str(VENV), "platbase": str(VENV)}))


def _python_id() -> str:
    return f"{platform.python_version()} {platform.machine()} {os.path.realpath(sys.executable)}"


def _environment() -> dict[str, str]:
    """Ours without what would point a Python elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONHOME", "PYTHONPATH")}


# Stamps


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()


def read_stamp(path: Path) -> dict[str, str | None]:
    """What was installed; empty when nothing was, or the file is damaged."""
    try:
        found = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def write_stamp(path: Path, stamp: dict[str, str | None]) -> None:
    """Last of all, and whole or not at all: a kill before leaves the work to be done again."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps(stamp, indent=1) + "\n", "utf-8")
    os.replace(new, path)


@contextlib.contextmanager
def _only_one() -> Iterator[None]:
    """Two at once would install into the same folder; the second waits."""
    STATE.mkdir(exist_ok=True)
    with (STATE / "in-use").open("w") as held:
        if sys.platform != "win32":
            import fcntl

            fcntl.flock(held, fcntl.LOCK_EX)
        yield


# Children


def _run_leyden(arguments: list[str]) -> int:
    kept = has_option(arguments, "--data-dir")
    folder = None if kept else tempfile.mkdtemp(prefix="leyden-practice-")
    try:
        command = [_in_venv(VENV, "leyden"), *practice_arguments(arguments, folder)]
        if folder is not None:
            print("Practice node: regtest on an embedded chain, key in memory. Nothing is kept.", flush=True)
            client = f"{_in_venv(VENV, 'leyden-cli')} --network regtest --data-dir {folder}"
            print(f"From another terminal: {client} getinfo", flush=True)
        return _supervise(command)
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def practice_arguments(arguments: Sequence[str], folder: str | None) -> list[str]:
    """Leyden's options for a practice node; the user's own come after ours, so that theirs win."""
    ours = [] if has_option(arguments, "--network") else ["--network", "regtest"]
    ours += [] if has_option(arguments, "--keystore") else ["--keystore", "memory"]
    return [*ours, *(["--data-dir", folder] if folder is not None else []), *arguments]


def has_option(arguments: Sequence[str], option: str) -> bool:
    """Whether an option is given, as `--name value` or `--name=value`."""
    return any(argument == option or argument.startswith(option + "=") for argument in arguments)


def _supervise(command: list[str]) -> int:
    """Run to the end; what asks us to stop asks the child, which stops in order. 128 + signal if it died of one."""
    with contextlib.ExitStack() as undo:
        child: list[subprocess.Popen[bytes]] = []

        def pass_on(number: int, _frame: object) -> None:
            # A second signal would end the child at once, and Ctrl+C reaches it by itself.
            if child and not (number == signal.SIGINT and _in_foreground()):
                child[0].send_signal(number)

        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            if hasattr(signal, name):
                undo.callback(signal.signal, getattr(signal, name), signal.signal(getattr(signal, name), pass_on))
        child.append(subprocess.Popen(command, env=_environment()))
        code = child[0].wait()
    return 128 - code if code < 0 else code


def _in_foreground() -> bool:
    """Whether a terminal's Ctrl+C goes to our whole process group."""
    try:
        with open("/dev/tty", "rb") as terminal:
            return os.tcgetpgrp(terminal.fileno()) == os.getpgrp()
    except (OSError, AttributeError):
        return sys.platform == "win32"


def _pytest(arguments: list[str]) -> int:
    command = [_in_venv(VENV, "python"), "-m", "pytest", *arguments]
    return subprocess.run(command, cwd=ROOT, env=_test_environment(), check=False).returncode


def _test_environment() -> dict[str, str]:
    """Tells tests where the counterparts are."""
    return {
        **_environment(),
        "LEYDEN_LDK_DIR": str(STATE / "ldk"),
        "LEYDEN_BCOIN_DIR": str(STATE / "bcoin"),
        "LEYDEN_PYLN_PYTHON": _in_venv(STATE / "pyln", "python"),
        "LEYDEN_ELECTRUMX_PYTHON": _in_venv(STATE / "electrumx", "python"),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
