"""`leyden --headless` as a process: what it prints, how it ends, and with which code."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from core.activation.steps import OWN_START

COMMAND = (sys.executable, "-m", "gui.main", "--headless")
CLIENT = (sys.executable, "-m", "core.client")
TIMEOUT_S = 30


def run(home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """To its end; for starts that fail."""
    return subprocess.run(
        [*COMMAND, "--data-dir", str(home / "d"), *arguments],
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_each_status_has_a_line_and_a_signal_stops_it_in_order(home: Path, number: signal.Signals) -> None:
    arguments = ["--network", "regtest", "--keystore", "memory", "--bind", "127.0.0.1:0", "--data-dir", str(home / "d")]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1] == "running":
                process.send_signal(number)
        errors = process.stderr.read() if process.stderr else ""
    assert process.returncode == 0
    assert errors == ""
    done = [line.split(":")[0] for line in lines if ": done in" in line]
    assert done == list(OWN_START)
    assert [path.name for path in (home / "d" / "regtest").glob("lightning-rpc")] == []


def test_without_a_keyring_it_ends_with_three_and_names_the_file(home: Path) -> None:
    result = run(home, "--network", "regtest")
    assert result.returncode == 3
    assert "--keystore file --passphrase-file" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_key_file_without_passphrase_ends_with_three_and_names_the_option(home: Path) -> None:
    result = run(home, "--network", "regtest", "--keystore", "file")
    assert result.returncode == 3
    assert "--passphrase-file FILE" in result.stderr


def test_memory_on_bitcoin_is_refused_and_the_way_out_named(home: Path) -> None:
    result = run(home, "--keystore", "memory")
    assert result.returncode == 3
    assert "--ephemeral" in result.stderr


def test_another_network_fails_in_words_with_code_one(home: Path) -> None:
    result = run(home, "--network", "signet", "--keystore", "memory", "--chain-source", "embedded")
    assert result.returncode == 1
    assert "No chain source for signet yet" in result.stdout


def test_an_unusable_environment_names_the_setting(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEYDEN_COLOR", "red")
    result = run(home, "--network", "regtest")
    assert result.returncode == 2
    assert "color in the environment cannot be used" in result.stderr


def test_the_window_is_never_imported_for_it(home: Path) -> None:
    code = (
        "import sys; from core.base.settings import parse_arguments; import core.headless, gui.main; "
        "print([name for name in sys.modules if name.startswith(('PySide6', 'qasync'))])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert result.stdout.strip() == "[]"


def test_no_library_for_the_web_or_for_electrum_is_loaded_before_it_is_used(home: Path) -> None:
    """Each takes some 0.1 s of the start."""
    arguments = ["--network", "regtest", "--keystore", "memory", "--bind", "127.0.0.1:0", "--data-dir", str(home / "d")]
    code = f"""
import asyncio, sys
import core.node, core.headless
from core.base.settings import parse_arguments

loaded = lambda: [name for name in sys.modules if name.partition(".")[0] in ("aiohttp", "aiorpcx")]
print(loaded())

async def run():
    node = core.node.Node(parse_arguments({arguments!r}))
    await node.start()
    node.activate()
    await node.stop()

asyncio.run(run())
print(loaded())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    assert result.stdout.split() == ["[]", "[]"]


def test_a_signal_after_the_stop_command_changes_nothing(home: Path) -> None:
    arguments = ["--network", "regtest", "--keystore", "memory", "--bind", "127.0.0.1:0", "--data-dir", str(home / "d")]
    with subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() == "running":
                subprocess.run([*CLIENT, "--data-dir", str(home / "d"), "--network", "regtest", "stop"], check=True)
                process.send_signal(signal.SIGTERM)
    assert process.returncode == 0
