"""The picture: where it looks, what is selected, and that it is painted in pieces."""

from __future__ import annotations

import dataclasses
from itertools import combinations, pairwise

import numpy as np
import pytest
from PySide6.QtCore import QPoint, QPointF, Qt
from PySide6.QtGui import QColor, QFontMetricsF
from pytestqt.qtbot import QtBot

from core.bolt.networks import NETWORKS
from gui.graph.canvas import Canvas
from gui.graph.layer import LayerPainting, View, radii, seen_on
from gui.graph.layout import lay_out
from gui.graph.neighbourhood import Array, Columns, Copied, Neighbourhood, around
from gui.theme import CAPACITY_COLOURS, Role, Scheme, Size, Theme, ThemeChoice, contrast, hex_of
from tests.support.graphs_of_hubs import hub, node_id

SIZE = (500, 400)
RED = (200, 30, 30)


def neighbourhood(channels: int = 12, seed: int = 1) -> Neighbourhood:
    graph = hub(NETWORKS["regtest"].chain_hash, channels, seed=seed)
    found = around(Columns.of(Copied.of(graph)), node_id(0))
    return dataclasses.replace(found, colours=np.full((len(found.ids), 3), RED))


@pytest.fixture
def found() -> Neighbourhood:
    return neighbourhood()


@pytest.fixture
def places(found: Neighbourhood) -> Array:
    return lay_out(found, {})


@pytest.fixture
def canvas(qtbot: QtBot, theme: Theme, found: Neighbourhood, places: Array) -> Canvas:
    made = Canvas(theme, lambda node_id: f"n{node_id[-1]}")
    qtbot.addWidget(made)
    made.resize(*SIZE)
    made.show()
    made.show_picture(found, places)
    made.finish()
    return made


def at(canvas: Canvas, places: Array, number: int) -> QPoint:
    return QPointF(*canvas.view.points(places)[number].tolist()).toPoint()


def test_at_first_everything_is_in_sight(canvas: Canvas, places: Array) -> None:
    points = canvas.view.points(places)
    assert (points > 0).all()
    assert (points < SIZE).all()
    extent = points.max(axis=0) - points.min(axis=0)
    assert (extent / SIZE).max() > 0.7


def test_zooming_leaves_what_is_under_the_pointer_where_it_is(canvas: Canvas, places: Array) -> None:
    before = at(canvas, places, 5)
    canvas.zoom(3, QPointF(before))
    assert (at(canvas, places, 5) - before).manhattanLength() <= 1
    assert at(canvas, places, 6) != before
    for _ in range(100):
        canvas.zoom(1)
    closest = canvas.view.scale
    canvas.zoom(1)
    assert canvas.view.scale == pytest.approx(closest)


def test_a_drag_moves_the_picture_and_selects_nothing(canvas: Canvas, places: Array, qtbot: QtBot) -> None:
    start = at(canvas, places, 0)
    qtbot.mousePress(canvas, Qt.MouseButton.LeftButton, pos=start)
    qtbot.mouseMove(canvas, start + QPoint(30, 20))
    qtbot.mouseRelease(canvas, Qt.MouseButton.LeftButton, pos=start + QPoint(30, 20))
    assert (at(canvas, places, 0) - start - QPoint(30, 20)).manhattanLength() <= 1
    assert canvas.chosen == -1


def test_a_click_selects_the_nearest_dot_and_a_click_beside_all_none(
    canvas: Canvas, places: Array, qtbot: QtBot
) -> None:
    with qtbot.waitSignal(canvas.selected, timeout=0) as told:
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=at(canvas, places, 4))
    assert told.args == [4]
    assert "n" in canvas.accessibleDescription()
    qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, pos=QPoint(1, 1))
    assert canvas.chosen == -1


def test_a_double_click_wants_the_node_in_the_middle(canvas: Canvas, places: Array, qtbot: QtBot) -> None:
    with qtbot.waitSignal(canvas.centre_wanted, timeout=0) as told:
        qtbot.mouseDClick(canvas, Qt.MouseButton.LeftButton, pos=at(canvas, places, 3))
    assert told.args == [3]


def test_the_keyboard_does_what_the_mouse_does(canvas: Canvas, places: Array, qtbot: QtBot) -> None:
    whole = canvas.view
    qtbot.keyClick(canvas, Qt.Key.Key_Plus)
    assert canvas.view.scale > whole.scale
    qtbot.keyClick(canvas, Qt.Key.Key_Minus)
    assert canvas.view.scale == pytest.approx(whole.scale)
    qtbot.keyClick(canvas, Qt.Key.Key_Left)
    assert canvas.view.x > whole.x
    qtbot.keyClick(canvas, Qt.Key.Key_0)
    assert canvas.view == whole
    qtbot.keyClick(canvas, Qt.Key.Key_PageDown)
    qtbot.keyClick(canvas, Qt.Key.Key_PageDown)
    assert canvas.chosen == 1
    with qtbot.waitSignal(canvas.centre_wanted, timeout=0) as told:
        qtbot.keyClick(canvas, Qt.Key.Key_Return)
    assert told.args == [1]
    qtbot.keyClick(canvas, Qt.Key.Key_PageUp)
    assert canvas.chosen == 0
    qtbot.keyClick(canvas, Qt.Key.Key_Escape)
    assert canvas.chosen == -1


def test_a_selected_node_out_of_sight_is_brought_into_it(canvas: Canvas, places: Array) -> None:
    canvas.pan(5000, 0)
    canvas.choose(2)
    assert canvas.rect().contains(at(canvas, places, 2))


def test_another_picture_keeps_the_view_that_somebody_moved_and_the_selected_node(
    canvas: Canvas, found: Neighbourhood, places: Array
) -> None:
    canvas.choose(3)
    canvas.zoom(2)
    view = canvas.view
    order = [0, *reversed(range(1, len(found.ids)))]
    turned = dataclasses.replace(
        found,
        ids=tuple(found.ids[number] for number in order),
        first=np.zeros(0, np.int64),
        second=np.zeros(0, np.int64),
        **{name: np.zeros(0, np.int64) for name in ("capacity_sat", "channels", "standing", "disabled", "dying")},
    )
    canvas.show_picture(turned, places[order])
    assert canvas.view == view
    assert canvas.chosen_id == found.ids[3]
    assert canvas.chosen == order.index(3)


def test_dots_have_the_announced_colour_where_they_are(canvas: Canvas, places: Array) -> None:
    picture = canvas.grab().toImage()
    for number in (0, 2, 5):
        colour = picture.pixelColor(at(canvas, places, number))
        assert all(abs(one - other) < 24 for one, other in zip(colour.getRgb()[:3], RED, strict=True))  # type: ignore[index]


def test_lines_of_the_selected_node_end_where_dots_begin(canvas: Canvas, found: Neighbourhood, places: Array) -> None:
    canvas.choose(1)
    own = np.flatnonzero((found.first == 1) | (found.second == 1))
    sizes = radii(found, canvas.view.scale)
    segments = canvas._between_dots(found.first[own], found.second[own], sizes)
    points = canvas.view.points(places)
    assert len(segments)
    for segment, line in zip(segments, own.tolist(), strict=True):
        for end, number in ((segment[:2], found.first[line]), (segment[2:], found.second[line])):
            assert np.hypot(*(end - points[number])) == pytest.approx(sizes[number], rel=1e-3)
    closer = radii(found, canvas.view.scale) * 1000
    assert not len(canvas._between_dots(found.first[own], found.second[own], closer))
    other = int(found.first[own[0]] if found.second[own[0]] == 1 else found.second[own[0]])
    colour = canvas.grab().toImage().pixelColor(at(canvas, places, other))
    assert all(abs(one - said) < 24 for one, said in zip(colour.getRgb()[:3], RED, strict=True))  # type: ignore[index]


def test_a_picture_that_was_painted_ahead_moves_with_the_view(canvas: Canvas, places: Array) -> None:
    canvas.pan(40, -30)
    assert not canvas.painted  # what is seen is the old layer, in its new place
    colour = canvas.grab().toImage().pixelColor(at(canvas, places, 0))
    assert colour.red() > 120 > colour.blue()
    canvas.finish()
    assert canvas.painted


def test_painting_ahead_gives_the_loop_back_in_between(theme: Theme) -> None:
    many = neighbourhood(400)
    painting = LayerPainting(many, lay_out(many, {}), View(5, 250, 200), SIZE, 1.0, theme)
    slices = 1
    while painting.advance(0.0) is None:
        slices += 1
    # Nothing in it takes more than a batch of lines or dots.
    assert slices > (len(many.ids) + len(many.first)) / 48


def test_no_timer_runs_once_the_picture_is_painted_or_hidden(canvas: Canvas) -> None:
    assert not canvas._slices.isActive()
    canvas.pan(1, 1)
    assert canvas._slices.isActive()
    canvas.hide()
    assert not canvas._slices.isActive()


def test_labels_stand_beside_the_largest_and_not_over_each_other(qtbot: QtBot, theme: Theme) -> None:
    many = neighbourhood(300)
    canvas = Canvas(theme, lambda node_id: f"node {node_id[-2:].hex()} " + "x" * 300)
    qtbot.addWidget(canvas)
    canvas.resize(*SIZE)
    canvas.show()
    canvas.show_picture(many, lay_out(many, {}))
    canvas.finish()
    assert 3 < len(canvas.labels) <= 28
    assert canvas.labels[0].startswith("node 0000")
    assert all(len(text) <= 25 for text in canvas.labels)
    metrics = QFontMetricsF(theme.font(Size.CAPTION))
    boxes = [
        canvas._label_box(number, metrics.size(0, text).toSize(), many)
        for number, text in zip(canvas._labels, canvas.labels, strict=True)
    ]
    assert not any(one.intersects(other) for one, other in combinations(boxes, 2))


def test_a_hub_is_larger_than_a_leaf_and_all_shrink_from_afar(found: Neighbourhood) -> None:
    near, far = radii(found, 40), radii(found, 2)
    assert near[0] == near.max()
    assert (far <= near).all()


@pytest.mark.parametrize("scheme", Scheme)
def test_classes_of_capacity_differ_in_lightness_alone(scheme: Scheme) -> None:
    ground = hex_of(Role.SURFACE, scheme)
    scale = [contrast(pair[scheme is Scheme.DARK], ground) for pair in CAPACITY_COLOURS]
    assert scale == sorted(scale)
    assert scale[0] > 2
    assert all(after / before > 1.2 for before, after in pairwise(scale))


@pytest.mark.parametrize("scheme", Scheme)
@pytest.mark.parametrize("said", ["#FFFFFF", "#000000", "#1C2027", "#808080", "#FFFF00"])
def test_every_announced_colour_is_seen_on_both_grounds(scheme: Scheme, said: str) -> None:
    ground, text = hex_of(Role.SURFACE, scheme), hex_of(Role.TEXT, scheme)
    assert contrast(seen_on(said, ground, text).upper(), ground) >= 1.8


def test_another_theme_is_painted_anew(canvas: Canvas, theme: Theme) -> None:
    theme.choose(ThemeChoice.DARK)
    canvas.finish()
    assert canvas.grab().toImage().pixelColor(3, 3) == QColor(hex_of(Role.SURFACE, Scheme.DARK))
