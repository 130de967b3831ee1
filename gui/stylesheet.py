"""The one style sheet, written in roles (`@text`) that `style_sheet` fills in.

Which widget looks how is said by dynamic properties: `kind` for a widget's look, `tone` for the colour of a text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_SHEET = """
QToolTip { background: @surface; color: @text; border: 1px solid @border; padding: 4px; }
QLabel, QCheckBox, QRadioButton { background: transparent; }
QCheckBox, QRadioButton { spacing: 8px; }
QCheckBox::indicator, QRadioButton::indicator { width: 14px; height: 14px; border: 1px solid @muted;
  background: @sunken; }
QCheckBox::indicator { border-radius: 4px; }
QRadioButton::indicator { border-radius: 8px; }
QCheckBox::indicator:checked { background: @accent; border-color: @accent; }
QRadioButton::indicator:checked { width: 6px; height: 6px; border: 5px solid @accent; background: @on_accent; }
QCheckBox::indicator:disabled, QRadioButton::indicator:disabled { border-color: @border; }
QCheckBox::indicator:focus, QRadioButton::indicator:focus { border-color: @accent; }
QRadioButton:disabled, QCheckBox:disabled { color: @muted; }
QLabel[tone="muted"] { color: @muted; }
QLabel[tone="ok"] { color: @ok; }
QLabel[tone="warn"] { color: @warn; }
QLabel[tone="error"] { color: @error; }
QLabel[tone="info"] { color: @info; }
QLabel[tone="accent"] { color: @accent; }

QFrame[kind="card"] { background: @surface; border: 1px solid @border; border-radius: 6px; }
QFrame[kind="bar"] { background: @surface; border: none; border-bottom: 1px solid @border; }
QFrame[kind="rail"] { background: @surface; border: none; border-right: 1px solid @border; }
QFrame[kind="status"] { background: @surface; border: none; border-top: 1px solid @border; }
QFrame[kind="dock"] { background: @surface; border: none; border-top: 1px solid @border; }
QFrame[kind="notice"] { background: @sunken; border: 1px solid @border; border-radius: 6px; }
QFrame[kind="rule"] { background: @border; border: none; max-height: 1px; min-height: 1px; }
QFrame[kind="chip"] { background: @sunken; border: 1px solid @border; border-radius: 4px; }
QFrame[kind="chip"][tone="brass"] { border-color: @brass; }
QFrame[kind="chip"][tone="brass"] QLabel { color: @brass; }

QPushButton { background: @surface; color: @text; border: 1px solid @border; border-radius: 6px;
  padding: 4px 12px; outline: none; }
QPushButton:hover { background: @sunken; }
QPushButton:pressed { background: @selection; }
QPushButton:focus { border-color: @accent; }
QPushButton:disabled { color: @muted; background: @window; }
QPushButton[kind="primary"] { background: @accent; color: @on_accent; border-color: @accent; }
QPushButton[kind="primary"]:hover, QPushButton[kind="primary"]:pressed { border-color: @text; }
QPushButton[kind="primary"]:focus { border-color: @text; }
QPushButton[kind="primary"]:disabled { background: @sunken; color: @muted; border-color: @border; }
QPushButton[kind="danger"] { color: @error; border-color: @error; }

QToolButton { background: transparent; color: @text; border: 1px solid transparent; border-radius: 6px; padding: 4px; }
QToolButton:hover { background: @sunken; }
QToolButton:pressed { background: @selection; }
QToolButton:focus { border-color: @accent; }
QToolButton[kind="rail"] { padding: 8px 4px; color: @muted; }
QToolButton[kind="rail"]:checked { background: @selection; color: @text; }
QToolButton[kind="tool"] { background: @surface; border: 1px solid @border; }
QToolButton[kind="tool"]:hover { background: @sunken; }
QToolButton[kind="tool"]:focus { border-color: @accent; }
QToolButton[kind="segment"] { background: @surface; border: 1px solid @border; padding: 4px 12px; color: @muted; }
QToolButton[kind="segment"]:checked { background: @selection; color: @text; }
QToolButton[kind="segment"]:focus { border-color: @accent; }

QLineEdit, QPlainTextEdit, QComboBox { background: @sunken; color: @text; border: 1px solid @border;
  border-radius: 6px; padding: 4px 8px; placeholder-text-color: @muted;
  selection-background-color: @selection; selection-color: @text; }
QLineEdit:focus, QPlainTextEdit:focus, QComboBox:focus { border-color: @accent; }
QLineEdit:disabled, QPlainTextEdit:disabled, QComboBox:disabled { color: @muted; }
QComboBox { padding-right: 28px; }
QComboBox::drop-down { border: none; width: 28px; }
QComboBox::down-arrow { image: none; width: 0; height: 0; }
QComboBox QAbstractItemView { background: @surface; color: @text; border: 1px solid @border;
  selection-background-color: @selection; selection-color: @text; }

QTableView { background: @surface; color: @text; border: 1px solid @border; border-radius: 6px;
  selection-background-color: @selection; selection-color: @text; outline: none; padding: 1px; }
QTableView:focus { border-color: @accent; }
QTableView::item { padding: 0 8px; border: none; }
QListView { background: @surface; color: @text; border: 1px solid @border; border-radius: 6px;
  selection-background-color: @selection; selection-color: @text; outline: none; padding: 1px; }
QListView:focus { border-color: @accent; }
QListView::item { padding: 4px 8px; border: none; }
QListView::item:selected { background: @selection; color: @text; }
QHeaderView { background: @surface; border: none; border-top-left-radius: 6px; border-top-right-radius: 6px; }
QHeaderView::section { background: @surface; color: @muted; border: none; border-bottom: 1px solid @border;
  padding: 4px 11px; }
QTableCornerButton::section { background: @surface; border: none; }

QMenuBar { background: @surface; color: @text; border-bottom: 1px solid @border; }
QMenuBar::item { padding: 4px 8px; background: transparent; border-radius: 4px; }
QMenuBar::item:selected { background: @selection; }
QMenu { background: @surface; color: @text; border: 1px solid @border; padding: 4px; }
QMenu::item { padding: 4px 24px 4px 12px; border-radius: 4px; }
QMenu::item:selected { background: @selection; }
QMenu::item:disabled { color: @muted; }
QMenu::separator { height: 1px; background: @border; margin: 4px 8px; }

QAbstractScrollArea::corner { background: transparent; border: none; }
QMessageBox, QDialogButtonBox { dialogbuttonbox-buttons-have-icons: 0; }
QMessageBox QLabel#qt_msgbox_label { font-weight: bold; }
QMessageBox QLabel#qt_msgbox_informativelabel { min-width: 32em; }
QScrollArea { background: transparent; border: none; }
QScrollArea > QWidget > QWidget { background: transparent; }
QScrollBar:vertical { background: transparent; width: 12px; margin: 0; }
QScrollBar:horizontal { background: transparent; height: 12px; margin: 0; }
QScrollBar::handle { background: @border; border-radius: 4px; margin: 2px; min-height: 24px; min-width: 24px; }
QScrollBar::handle:hover { background: @muted; }
QScrollBar::add-line, QScrollBar::sub-line { width: 0; height: 0; }
QScrollBar::add-page, QScrollBar::sub-page { background: transparent; }
QSplitter::handle { background: transparent; }
"""


def style_sheet(colours: Mapping[str, str]) -> str:
    """The sheet with each `@role` replaced; KeyError when it names a role that is none."""
    return re.sub(r"@([a-z_]+)", lambda match: colours[match.group(1)], _SHEET)
