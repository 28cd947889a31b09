"""The check of boxes sees what it is there to see."""

from __future__ import annotations

from support.boxes import SVG, Picture


def test_the_check_of_boxes_can_fail() -> None:
    text = '<text x="{}" y="{}" font-size="12">abcd</text>'
    svg = f'<svg xmlns="{SVG[1:-1]}" viewBox="0 0 3200 20">{text.format(0, 12)}{text.format(20, 12)}</svg>'
    picture = Picture(svg)
    assert picture.overlapping() == [("abcd", "abcd")]
    assert picture.smallest() == 6
