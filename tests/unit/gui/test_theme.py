"""Colour roles, sizes, the style sheet and the icon set."""

from __future__ import annotations

import re
from importlib import resources

import pytest
from PySide6.QtCore import QSize
from PySide6.QtGui import QColor, QIcon, QPalette
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from gui.stylesheet import style_sheet
from gui.theme import (
    COLOURS,
    GROUNDS,
    SIZE_FACTORS,
    TEXT_ROLES,
    Role,
    Scheme,
    Size,
    Theme,
    ThemeChoice,
    contrast,
    hex_of,
)
from gui.widgets.icons import drawing, icon

ICONS = sorted(
    path.name.removesuffix(".svg")
    for path in resources.files("resources").joinpath("icons").iterdir()
    if path.name.endswith(".svg")
)


def test_contrast_is_that_of_wcag() -> None:
    assert contrast("#000000", "#FFFFFF") == pytest.approx(21.0)
    assert contrast("#777777", "#FFFFFF") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("role", TEXT_ROLES)
def test_every_text_can_be_read_on_every_ground(role: Role, ground: Role, scheme: Scheme) -> None:
    # The visual language names one exception: `ok` on a light selection.
    least = 4.48 if (role, ground, scheme) == (Role.OK, Role.SELECTION, Scheme.LIGHT) else 4.5
    assert round(contrast(hex_of(role, scheme), hex_of(ground, scheme)), 2) >= least


@pytest.mark.parametrize("scheme", Scheme)
def test_the_text_of_a_primary_button_can_be_read(scheme: Scheme) -> None:
    assert contrast(hex_of(Role.ON_ACCENT, scheme), hex_of(Role.ACCENT, scheme)) >= 4.5


def test_every_role_has_a_light_and_a_dark_value() -> None:
    assert set(COLOURS) == set(Role)
    assert all(re.fullmatch("#[0-9A-F]{6}", value) for pair in COLOURS.values() for value in pair)


def test_the_style_sheet_names_roles_and_never_values() -> None:
    from gui import stylesheet

    assert not re.search(r"#[0-9a-fA-F]{3,8}\b(?!_)", re.sub(r"QLabel#\w+", "", stylesheet._SHEET))
    sheet = style_sheet({role.value: hex_of(role, Scheme.DARK) for role in Role})
    assert "@" not in sheet
    assert hex_of(Role.SURFACE, Scheme.DARK) in sheet


def test_no_widget_names_a_colour() -> None:
    """`QColor("#…")` and the like stand in the theme alone."""
    offenders = [
        path.name
        for path in _sources("gui")
        if path.name not in {"theme.py", "stylesheet.py"} and re.search(r"[\"']#[0-9a-fA-F]{6}", path.read_text())
    ]
    assert offenders == []


def _sources(package: str) -> list:  # type: ignore[type-arg]
    from pathlib import Path

    import gui

    assert gui.__file__ is not None
    return sorted(Path(gui.__file__).parent.rglob("*.py"))


def test_another_choice_changes_the_palette_and_says_so(theme: Theme, qtbot: QtBot, qapp: QApplication) -> None:
    with qtbot.waitSignal(theme.changed, timeout=0, raising=True):
        theme.choose(ThemeChoice.DARK)
    assert theme.scheme is Scheme.DARK
    assert qapp.palette().color(QPalette.ColorRole.Window) == QColor(hex_of(Role.WINDOW, Scheme.DARK))
    assert hex_of(Role.ACCENT, Scheme.DARK) in qapp.styleSheet()


def test_the_same_scheme_by_another_choice_changes_nothing(theme: Theme, qtbot: QtBot) -> None:
    with qtbot.assertNotEmitted(theme.changed):
        theme.choose(ThemeChoice.SYSTEM)  # the offscreen platform has no dark scheme
    assert theme.scheme is Scheme.LIGHT


def test_text_sizes_are_factors_of_the_interface_font(theme: Theme) -> None:
    body = theme.font().pointSizeF()
    for size in Size:
        assert theme.font(size).pointSizeF() == pytest.approx(body * SIZE_FACTORS[size])
        assert theme.font(size, fixed=True).pointSizeF() == pytest.approx(body * SIZE_FACTORS[size])


@pytest.mark.parametrize("name", ICONS)
def test_icons_take_their_colour_from_a_role(name: str, theme: Theme) -> None:
    text = drawing(name)
    assert "currentColor" in text
    assert not re.search(r"#[0-9a-fA-F]{3}|rgb", text)
    assert 'stroke-width="1.5"' in text
    assert _painted_in(Role.ERROR, Scheme.LIGHT, icon(name, theme, Role.ERROR))


def test_an_icon_follows_the_scheme_while_it_is_painted(theme: Theme) -> None:
    tick = icon("tick", theme, Role.OK)
    assert _painted_in(Role.OK, Scheme.LIGHT, tick)
    theme.choose(ThemeChoice.DARK)
    assert _painted_in(Role.OK, Scheme.DARK, tick)


def test_an_icon_that_does_not_exist_fails_at_once(theme: Theme) -> None:
    with pytest.raises(FileNotFoundError):
        icon("unicorn", theme)


def _painted_in(role: Role, scheme: Scheme, picture: QIcon) -> bool:
    """Whether all opaque points, which anti-aliasing leaves as they are, have the role's colour (rounding aside)."""
    wanted = QColor(hex_of(role, scheme)).getRgb()
    image = picture.pixmap(QSize(40, 40)).toImage()
    points = (image.pixelColor(x, y) for x in range(image.width()) for y in range(image.height()))
    opaque = [point.getRgb() for point in points if point.alpha() == 255]
    return bool(opaque) and all(
        abs(have - want) <= 1 for point in opaque for have, want in zip(point, wanted, strict=True)
    )
