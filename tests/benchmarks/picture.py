"""Does the picture of a hub move at 60 frames a second?

    python -m tests.benchmarks.picture [--seconds 5]

The neighbourhood of the best connected node of a whole network (LEYDEN_TOPOLOGY names its file; a made one with a hub
of 1,989 channels otherwise) is panned and zoomed without a pause in a visible window, in the window's own loop. Told
are the paint events a second, the gaps between them, the processor time that one paint or one slice of painting ahead
takes of the loop, and how long picture and layout took in their thread. The window asks for a frame every 16 ms and is
as large as the program's. Exit code 1 below the bar. Starts Xvfb when there is no display.

With other programs on the processors (the last line) gaps tell of them.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import sys
import time
from typing import Any

from core.bolt.networks import NETWORKS
from core.gossip.graph import Graph
from core.gossip.graph_bulk import extend
from tests.benchmarks.tick import display, waited_for_a_core_s
from tests.support.graphs_of_hubs import HUB_CHANNELS, hub
from tests.support.topology import read_topology, whole_network

CHAIN = NETWORKS["bitcoin"].chain_hash
NOW = 1_770_000_000
FRAME_MS = 16
BAR_FRAMES = 60.0
SIZE = (1200, 760)


def the_network() -> Graph:
    """The real one where it is given."""
    path = whole_network()
    if path is None:
        return hub(CHAIN, HUB_CHANNELS)
    graph = Graph(CHAIN)
    extend(graph, read_topology(path).batch(CHAIN, NOW), heard=NOW, checked=True)
    return graph


def make_canvas(theme: Any) -> Any:
    """The program's canvas, noting when it painted and for how long; it moves on a precise timer."""
    from PySide6.QtCore import QPointF, Qt, QTimer
    from PySide6.QtGui import QPaintEvent

    from gui.graph.canvas import Canvas

    class Moving(Canvas):
        def __init__(self) -> None:
            super().__init__(theme, lambda node_id: node_id.hex()[-8:])
            self.frames: list[float] = []
            self.held: list[float] = []
            self.layers = 0
            self.turn = 0
            self.timer = QTimer(self, interval=FRAME_MS, timerType=Qt.TimerType.PreciseTimer)
            self.timer.timeout.connect(self.move_on)

        def move_on(self) -> None:
            """In a circle for two seconds, then closer and away again."""
            self.turn += 1
            phase = self.turn * 2 * math.pi / 125
            if self.turn // 125 % 2:
                self.zoom(0.35 * math.cos(phase), QPointF(self.width() * 0.4, self.height() * 0.6))
            else:
                self.pan(9 * math.cos(phase), 9 * math.sin(phase))

        def paintEvent(self, event: QPaintEvent) -> None:
            self.frames.append(time.perf_counter())
            began = time.thread_time()
            super().paintEvent(event)
            self.held.append(time.thread_time() - began)

        def _paint_on(self) -> None:
            began = time.thread_time()
            super()._paint_on()
            self.held.append(time.thread_time() - began)
            self.layers += self._painting is None

    return Moving()


async def watch(canvas: Any, graph: Graph, seconds: float) -> bool:
    """Whether the bar was reached."""
    from gui.graph.neighbourhood import Copied
    from gui.graph.picture import Wanted, make_picture

    began, used = time.perf_counter(), time.thread_time()
    copied = Copied.of(graph)
    copying = time.thread_time() - used
    picture = await asyncio.to_thread(make_picture, copied, Wanted(b"\x02" * 33, (), b"", 1), {})
    took = time.perf_counter() - began
    canvas.show_picture(picture.around, picture.places)
    canvas.timer.start()
    await asyncio.sleep(1)
    canvas.frames.clear()
    canvas.held.clear()
    canvas.layers = 0
    start, waited = time.perf_counter(), waited_for_a_core_s()
    await asyncio.sleep(seconds)
    ran = time.perf_counter() - start
    waited = waited_for_a_core_s() - waited
    canvas.timer.stop()
    gaps = sorted((b - a) * 1000 for a, b in zip(canvas.frames, canvas.frames[1:], strict=False))
    frames = len(canvas.frames) / ran
    held = sorted(canvas.held)
    found = picture.around
    print(f"hub         {int(found.sizes[0]):,} channels; {len(found.ids):,} nodes, {len(found.first):,} lines drawn")
    print(f"picture     {took:6.2f} s in a thread, {copying * 1000:.1f} ms of it on the loop")
    print(f"frames      {frames:6.1f} a second (bar {BAR_FRAMES:.0f}), {canvas.layers / ran:.1f} of them painted anew")
    print(f"gaps        {gaps[int(len(gaps) * 0.99)]:6.1f} ms p99, {gaps[-1]:.1f} ms longest")
    print(f"loop held   {held[int(len(held) * 0.99)] * 1000:6.1f} ms p99, {held[-1] * 1000:.1f} ms longest")
    print(f"no processor {waited / ran:5.1%} of the time")
    return frames >= BAR_FRAMES


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5.0)
    options = parser.parse_args()
    graph = the_network()
    with display():
        from PySide6.QtWidgets import QApplication

        from gui.loop import LeydenLoop
        from gui.theme import Theme

        qt = QApplication(["picture"])
        qt.setQuitOnLastWindowClosed(False)
        canvas = make_canvas(Theme(qt))
        canvas.resize(*SIZE)
        canvas.show()
        with asyncio.Runner(loop_factory=lambda: LeydenLoop(qt)) as runner:
            reached = runner.run(watch(canvas, graph, options.seconds))
        canvas.close()
    return 0 if reached else 1


if __name__ == "__main__":
    sys.exit(main())
