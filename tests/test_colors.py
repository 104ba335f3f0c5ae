"""One table of colors: no page, figure or script has its own copy."""

import re
import tomllib

import pytest

from ich_lib import colors
from ich_lib.demo import viewer
from tests.conftest import ROOT

TABLE = {value.lower() for name, value in vars(colors).items() if name.isupper() and isinstance(value, str)}
FILES = [
    path
    for kind in ("py", "js", "css", "html")
    for path in [*ROOT.glob(f"*.{kind}"), *(ROOT / "ich_lib").rglob(f"*.{kind}")]
    if path.name != "colors.py"
]


def hexes(text):
    return {result.lower() for result in re.findall(r"#[0-9a-fA-F]{6}", text)}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_other_file_names_a_color_of_the_table(path):
    assert not hexes(path.read_text(encoding="utf-8")) & TABLE


def test_the_workbench_charts_use_the_colors_of_the_table():
    theme = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["theme"]
    result = {color.lower() for color in theme["chartCategoricalColors"]}
    assert result <= TABLE
    assert len(result) == 6


def test_the_viewer_gets_what_each_color_means_for_its_scripts_and_its_style():
    pieces = viewer.viewer_html()
    for name, color in colors.MEANINGS.items():
        assert f'"{name}": "{color}"' in pieces.js_on_load.splitlines()[0]
        assert f"--{name}: {color};" in pieces.css_template
        assert f"--{name}: {color};" in viewer.page_css(3)
    used = set(re.findall(r"COLORS\.(\w+)", pieces.js_on_load))
    used |= set(re.findall(r"var\(--(mask|truth|unsure)\)", pieces.css_template))
    assert used == set(colors.MEANINGS)


def test_a_color_as_three_numbers():
    assert colors.rgb("#E69F00") == (230, 159, 0)
