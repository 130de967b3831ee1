"""What packaging/bootstrap.py decides, and how it runs and ends Leyden."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from tests.unit.packaging.conftest import ROOT

STAMP = {"python": "here", "base": "locks", "dev": "extra"}


@pytest.mark.parametrize("version", [(3, 10), (3, 14), (4, 0)])
def test_an_unsupported_python_is_refused_in_words(bootstrap: ModuleType, version: tuple[int, int]) -> None:
    with pytest.raises(bootstrap.NotPossible, match=r"Python 3\.11 to 3\.13; this is {}\.{}".format(*version)):
        bootstrap.check_python(version, "/usr/bin/python")


@pytest.mark.parametrize("version", [(3, 11), (3, 12), (3, 13)])
def test_supported_pythons_pass(bootstrap: ModuleType, version: tuple[int, int]) -> None:
    bootstrap.check_python(version, "/usr/bin/python")


def test_a_platform_without_bdkpython_is_refused_in_words(bootstrap: ModuleType) -> None:
    with pytest.raises(bootstrap.NotPossible, match=r"Linux aarch64 yet: .*bdkpython"):
        bootstrap.check_platform("Linux", "aarch64")
    bootstrap.check_platform("Linux", "x86_64")


def test_an_unknown_command_shows_the_commands_and_exits_2(
    bootstrap: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bootstrap.main(["start"]) == 2
    assert "bootstrap.py run [--demo]" in capsys.readouterr().out


def test_what_the_system_lacks_ends_with_words_and_exit_2(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def lacks(**_: bool) -> None:
        raise bootstrap.SystemLacks("the one command")

    monkeypatch.setattr(bootstrap, "prepare", lacks)
    assert bootstrap.main(["run", "--headless"]) == 2
    assert "the one command" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["ten"], ["-1"], ["0"], ["1", "2"]])
def test_fuzz_takes_whole_seconds_and_nothing_else(bootstrap: ModuleType, arguments: list[str]) -> None:
    with pytest.raises(bootstrap.NotPossible, match="one number"):
        bootstrap.fuzz(arguments)


def test_fuzz_tells_where_it_cannot_run(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap.platform, "machine", lambda: "arm64")
    with pytest.raises(bootstrap.NotPossible, match="Linux x86_64 only"):
        bootstrap.fuzz([])


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], [["gossip_store"], ["hostility"], ["rotation"]]),
        (["rotation"], [["rotation"]]),
        (["hostility", "--seconds", "5"], [["hostility", "--seconds", "5"]]),
    ],
)
@pytest.mark.parametrize(("codes", "code"), [([1, 0, 0], 1), ([-9, 0, 1], 9), ([0, 0, 0], 0)])
def test_endurance_runs_all_or_one_and_ends_as_the_worst(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    expected: list[list[str]],
    codes: list[int],
    code: int,
) -> None:
    ran = []

    def run(command: list[str], **_: object) -> subprocess.CompletedProcess[bytes]:
        ran.append(command[1:])
        return subprocess.CompletedProcess(command, codes[len(ran) - 1])

    monkeypatch.setattr(bootstrap, "prepare", lambda **_: None)
    monkeypatch.setattr(bootstrap, "ensure_python", lambda name: None)
    monkeypatch.setattr(bootstrap.subprocess, "run", run)
    assert bootstrap.main(["endurance", *arguments]) == code
    assert ran == [["-m", f"tests.endurance.{name}", *options] for name, *options in expected]


def test_every_endurance_run_that_is_named_can_be_run(bootstrap: ModuleType) -> None:
    with pytest.raises(bootstrap.NotPossible, match=r"no endurance run 'sleep'; there are gossip_store, host"):
        bootstrap.endurance(["sleep"])
    for name in bootstrap.ENDURANCE:
        assert "def main(" in (ROOT / "tests" / "endurance" / f"{name}.py").read_text()


def test_an_unknown_benchmark_is_told_the_known_ones(bootstrap: ModuleType) -> None:
    with pytest.raises(bootstrap.NotPossible, match=r"no benchmark 'tock'; there are .*tick"):
        bootstrap.bench(["tock"])


@pytest.mark.parametrize(
    ("system", "environment", "shown"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ""}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("linux", {"QT_QPA_PLATFORM": "offscreen"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_a_window_needs_a_display_on_linux_only(
    bootstrap: ModuleType, system: str, environment: dict[str, str], shown: bool
) -> None:
    assert bootstrap.has_display(system, environment) is shown


@pytest.mark.parametrize(
    ("display", "given", "prepared", "passed_on"),
    [
        ("", ["--demo"], False, ["--headless", "--demo"]),
        (":7", ["--demo"], True, ["--demo"]),
        (":7", ["--headless"], False, ["--headless"]),
    ],
)
def test_run_without_a_display_says_so_and_goes_headless(
    bootstrap: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    display: str,
    given: list[str],
    prepared: bool,
    passed_on: list[str],
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("QT_QPA_PLATFORM")
    seen: list[object] = []
    monkeypatch.setattr(bootstrap, "prepare", lambda dev, window: seen.append((dev, window)))
    monkeypatch.setattr(bootstrap, "_run_leyden", lambda arguments: seen.append(arguments) or 0)
    assert bootstrap.run(given) == 0
    assert seen == [(False, prepared), passed_on]
    assert ("There is no display" in capsys.readouterr().out) is (not display)


def test_a_practice_node_is_regtest_in_memory_and_in_a_folder_that_goes(bootstrap: ModuleType) -> None:
    assert bootstrap.practice_arguments(["--demo"], "/tmp/x") == [
        "--network", "regtest", "--keystore", "memory", "--data-dir", "/tmp/x", "--demo",
    ]  # fmt: skip


@pytest.mark.parametrize("network", [["--network", "signet"], ["--network=signet"]])
def test_the_users_own_options_win(bootstrap: ModuleType, network: list[str]) -> None:
    own = [*network, "--keystore", "file", "--data-dir", "/home/a"]
    assert bootstrap.practice_arguments(own, None) == own


def test_a_venv_is_kept_only_when_python_and_locks_are_the_same(
    bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_python_id", lambda: "here")
    new = bootstrap.needs_new_venv
    assert not new(STAMP, "locks", "extra", dev=True)
    assert not new(STAMP, "locks", "other extra", dev=False), "run does not care for the suite's packages"
    assert not new({**STAMP, "dev": None}, "locks", "extra", dev=True), "the suite's packages are added in place"
    assert new(STAMP, "locks", "other extra", dev=True)
    assert new(STAMP, "other locks", "extra", dev=True)
    assert new({**STAMP, "python": "there"}, "locks", "extra", dev=False)
    assert new({}, "locks", "extra", dev=False), "one that we did not make"


@pytest.mark.parametrize("content", ["", "{", "[]", "\0"])
def test_a_damaged_stamp_counts_as_none(bootstrap: ModuleType, tmp_path: Path, content: str) -> None:
    (tmp_path / "stamp").write_text(content)
    assert bootstrap.read_stamp(tmp_path / "stamp") == {}


def test_a_stamp_comes_back_as_written(bootstrap: ModuleType, tmp_path: Path) -> None:
    bootstrap.write_stamp(tmp_path / "stamp", STAMP)
    assert bootstrap.read_stamp(tmp_path / "stamp") == STAMP
    assert [path.name for path in tmp_path.iterdir()] == ["stamp"]


def test_a_folder_that_is_no_venv_is_never_cleared(bootstrap: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(bootstrap.NotPossible, match="no virtual environment"):
        bootstrap._make_venv(tmp_path, "digest", [])
    assert (tmp_path / "thesis.txt").read_text() == "mine"


def test_a_venv_made_by_hand_is_replaced(
    bootstrap: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "_pip", lambda venv, sets: None)
    (tmp_path / "pyvenv.cfg").write_text("home = elsewhere")
    (tmp_path / "left-over").touch()
    assert bootstrap._make_venv(tmp_path, "digest", [])["base"] == "digest"
    assert not (tmp_path / "left-over").exists()
    assert subprocess.run([bootstrap._in_venv(tmp_path, "python"), "-c", ""], check=False).returncode == 0


@pytest.fixture
def practice(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`_run_leyden` in a process of its own, with a stand-in for leyden that notes its options and the TERM it gets."""
    leyden = tmp_path / "venv" / "bin" / "leyden"
    leyden.parent.mkdir(parents=True)
    leyden.write_text(
        f"#!{sys.executable}\n"
        "import json, os, signal, sys\n"
        # The signal may come while the line below is still being written: no print in a print.
        "def stop(number, frame):\n    os.write(1, b'stopped in order %d\\n' % number)\n    os._exit(7)\n"
        "signal.signal(signal.SIGTERM, stop)\nsignal.signal(signal.SIGINT, stop)\n"
        "print(json.dumps(sys.argv[1:]), flush=True)\nwhile True: signal.pause()\n"
    )
    leyden.chmod(0o755)
    code = "import sys, bootstrap; sys.exit(bootstrap._run_leyden(['--headless']))"
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "packaging"), "LEYDEN_VENV": str(tmp_path / "venv"),
        "TMPDIR": str(tmp_path),
    }  # fmt: skip
    # A session of its own: no terminal, so that SIGINT is the parent's to pass on.
    with subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        yield process
        process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_passed_on_and_nothing_is_kept(
    practice: subprocess.Popen[str], tmp_path: Path, number: signal.Signals
) -> None:
    assert practice.stdout is not None
    assert "Nothing is kept" in practice.stdout.readline()
    hint = practice.stdout.readline()
    arguments = json.loads(practice.stdout.readline())
    folder = Path(arguments[arguments.index("--data-dir") + 1])
    assert folder.is_dir()
    assert f"leyden-cli --network regtest --data-dir {folder} getinfo" in hint
    practice.send_signal(number)
    assert practice.stdout.readline() == f"stopped in order {number.value}\n"
    assert practice.wait(10) == 7
    assert not folder.exists()


def test_a_second_start_finds_nothing_to_do_quickly(bootstrap: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    began = time.process_time()
    digests = bootstrap._digest(*sorted((ROOT / "packaging" / "requirements").glob("*.txt")))
    bootstrap.system_packages.libraries_of_qt(bootstrap._site_packages(), wayland=False)
    assert digests
    assert time.process_time() - began < 0.3
