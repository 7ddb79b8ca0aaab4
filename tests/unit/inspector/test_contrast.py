"""The colours of the style sheet. WCAG 2.2 (AA): a contrast of 4.5 to 1 between a text and what is behind it, and of 3 to 1 for signs."""

from __future__ import annotations

import re

import pytest

from ckptstore.inspector.rendering import static_file

CSS = static_file("inspector.css").decode()
TEXTS = [
    *[(text, behind) for text in ("text", "muted", "accent") for behind in ("bg", "surface", "raised")],
    *[("text", behind) for behind in ("human", "ai", "tool", "accent-soft", "good-soft", "bad-soft")],
    *[("muted", behind) for behind in ("human", "tool", "accent-soft")],
    *[("text", f"area-{name}") for name in ("tables", "indexes", "blobs", "free")],
    ("accent", "accent-soft"),
    ("accent", "human"),
    ("on-accent", "accent"),
    ("good", "good-soft"),
    ("good", "bg"),
    ("warn", "warn-soft"),
    ("warn", "bg"),
    ("bad", "bad-soft"),
    ("bad", "bg"),
    ("tool-text", "tool"),
    ("tool-text", "ai"),
    ("tool-text", "bg"),
]
SIGNS = [("accent", "bg"), ("warn", "bg"), ("bad", "bg"), ("accent", "surface")]


def schemes() -> dict[str, dict[str, str]]:
    """The variables of the light and of the dark colours."""
    blocks = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    light, dark = [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for block in blocks]
    return {"light": light, "dark": {**light, **dark}}


def luminance(colour: str) -> float:
    channels = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_wcag_does() -> None:
    assert round(contrast("#000000", "#ffffff"), 1) == 21
    assert round(contrast("#767676", "#ffffff"), 2) == 4.54


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(scheme: str) -> None:
    colours = schemes()[scheme]
    poor = {f"{text} on {behind}": ratio for text, behind in TEXTS if (ratio := round(contrast(colours[text], colours[behind]), 2)) < 4.5}
    assert poor == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_signs_can_be_seen(scheme: str) -> None:
    colours = schemes()[scheme]
    assert all(contrast(colours[sign], colours[behind]) >= 3 for sign, behind in SIGNS)


def test_colours_are_variables_only() -> None:
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    # The ground of pictures is white in both schemes: they may be transparent, and drawn for paper.
    assert re.findall(r"#[0-9a-f]{3,6}\b", rules) == ["#ffffff"]


def test_both_schemes_have_all_colours() -> None:
    light, dark = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
    names = [set(re.findall(r"--([\w-]+): #", block)) for block in (light, dark)]
    assert names[0] == names[1]
