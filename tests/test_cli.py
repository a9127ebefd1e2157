"""The edge: global options before and behind the command, and failures that are JSON where JSON was asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.rig.cli import Cli


@pytest.fixture
def overlay(tmp_path: Path) -> Path:
    (tmp_path / "kustomization.yaml").write_text("images:\n- name: web\n  newTag: v1\n")
    return tmp_path


@pytest.mark.parametrize(
    "words",
    [
        ("-o", "json", "set-image", "web:v2"),
        ("set-image", "-o", "json", "web:v2"),
        ("set-image", "web:v2", "--output=json"),
        ("--output", "yaml", "set-image", "web:v2", "-ojson"),
    ],
)
def test_the_format_may_stand_before_or_behind(cli: Cli, overlay: Path, words: tuple[str, ...]) -> None:
    ran = cli(*words, cwd=overlay)
    assert ran.code == 0, ran.err
    assert ran.json["kind"] == "EditResult"


@pytest.mark.parametrize(
    "words", [("set-image", "web", "-o", "json"), ("-o", "json", "set-imag"), ("set-image", "--nope", "-o", "json")]
)
def test_usage_is_json_too(cli: Cli, overlay: Path, words: tuple[str, ...]) -> None:
    ran = cli(*words, cwd=overlay)
    assert (ran.code, ran.json["kind"], ran.json["error"]["code"]) == (2, "Error", 2)


def test_quiet_and_colour_behind_the_command(cli: Cli, overlay: Path) -> None:
    assert cli("set-image", "web:v2", "-q", "--no-color", "--log-format", "json", cwd=overlay).err == ""


def test_the_configuration_behind_the_command(cli: Cli, overlay: Path) -> None:
    ran = cli("config", "validate", "--config", "nowhere.yaml", "-o", "json", cwd=overlay)
    assert ran.code == 2
    assert "nowhere.yaml" in ran.json["error"]["message"]


def test_a_duration_has_a_unit_or_is_seconds(cli: Cli, overlay: Path) -> None:
    ran = cli("merge", "--timeout", "5 minutes", "-o", "json", cwd=overlay)
    assert ran.code == 2
    assert "90s" in ran.json["error"]["message"]
