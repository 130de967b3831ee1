"""What a plugin is told of its node, and the settings that run it."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.base.settings import parse_arguments
from core.rpc.plugins.configuration import configuration
from tests.unit.rpc.parts import SmallNode


async def test_a_plugin_learns_where_the_socket_is_and_of_the_proxy(tmp_path: Path) -> None:
    node = SmallNode(tmp_path, proxy="[::1]:9050", always_use_proxy=True)
    found = configuration(node)
    assert Path(found["lightning-dir"]) / found["rpc-file"] == node.paths.socket
    assert found["feature_set"]["init"] == "20000080aa82"
    assert found["proxy"] == {"type": "ipv6", "address": "::1", "port": 9050}
    assert found["always_use_proxy"] is True
    await node.manager.aclose()


async def test_without_a_proxy_nothing_is_said_of_one(tmp_path: Path) -> None:
    node = SmallNode(tmp_path)
    assert "proxy" not in configuration(node)
    await node.manager.aclose()


def test_plugins_are_given_one_by_one_and_become_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    settings = parse_arguments(["--plugin", "a", "--plugin", "/b/c"])
    assert settings.plugin == (str(tmp_path / "a"), "/b/c")
    assert not settings.allow_even_custom_messages
    assert parse_arguments(["--allow-even-custom-messages"]).allow_even_custom_messages


def test_a_plugin_that_is_no_path_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_arguments(["--plugin", ""])
    assert "it is not a path" in capsys.readouterr().err
