"""The site: every lesson has its time and its prerequisites, every link leads to a page, and no file comes from
another host."""

import importlib
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest

from tests.conftest import ROOT

pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install -r requirements-dev.txt")
pytest.importorskip("material", reason="Its theme is not installed: pip install -r requirements-dev.txt")
TEACHING = (ROOT / "docs" / "teaching.md").read_text(encoding="utf-8")
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


@pytest.fixture(scope="module")
def website():
    """docs/website, with its modules as attributes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "docs")
        names = ("contents", "lessons", "links", "pages")
        return SimpleNamespace(**{name: importlib.import_module(f"website.{name}") for name in names})


@pytest.fixture(scope="module")
def facts(website):
    """The statements in the first cell of every lesson."""
    return [website.lessons.facts(lesson) for lesson in website.lessons.build.lessons()]


def make(out, *options):
    command = [sys.executable, ROOT / "docs" / "site.py", "--out", out, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site without outputs and without the API (10 s of CPU)."""
    out = tmp_path_factory.mktemp("site")
    done = make(out, "--no-run", "--no-api")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every link checked" in done.stdout
    return out


class Addresses(HTMLParser):
    """The files that a page loads and its links, read by Python's own parser."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.leads, self.ids = [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        self.ids |= {given.get("id"), given.get("name")}
        if tag == "a":
            self.leads += [given["href"]] if "href" in given else []
        elif tag == "link" and given["rel"] in ("next", "prev"):
            self.leads.append(given["href"])
        else:
            self.loads += [given[key] for key in ("src", "href", "data", "poster") if key in given]


def words(html):
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_every_lesson_is_a_page_that_says_that_it_was_not_executed(site, facts):
    assert len(facts) == len(list((ROOT / "notebooks" / "src").glob("*.py")))
    for each in facts:
        page = (site / "lessons" / f"{each.name}.html").read_text(encoding="utf-8")
        assert "This build has no outputs" in page
        assert each.aim[:30].replace("`", "") in words(page)
        assert "One solution" in page


def test_the_contents_give_the_time_of_every_lesson_and_what_comes_before_it(site, facts):
    page = (site / "lessons" / "index.html").read_text(encoding="utf-8")
    rows = {match[2]: match[1] for match in re.finditer(r"<tr>\n(<td><a href=\"(\w+)\.html\">.*?)</tr>", page, re.S)}
    assert set(rows) == {each.name for each in facts}
    plain = lambda text: re.sub(r"[\s`,.]", "", text)  # noqa: E731
    for each in facts:
        cells = [plain(words(cell)) for cell in re.findall(r"<td>(.*?)</td>", rows[each.name], re.S)]
        assert cells[1:] == [plain(f"{each.minutes} min"), plain(each.needs), plain(each.runs_on)]
    minutes = sum(each.minutes for each in facts)
    assert f"{len(facts)} lessons, {minutes // 60} h {minutes % 60} min together" in page


def test_every_document_is_a_page_with_its_heading(site, website):
    documents = {page.source: page for page in website.pages.PAGES}
    expected = [*(ROOT / "docs").glob("*.md"), ROOT / "MODEL_CARD.md", ROOT / "DATA_CARD.md", ROOT / "CHANGELOG.md"]
    assert {path.relative_to(ROOT).as_posix() for path in expected} <= set(documents)
    for page in documents.values():
        heading = re.search(r"^# (.+)$", (ROOT / page.source).read_text(encoding="utf-8"), re.M)[1]
        html = (site / Path(page.target).with_suffix(".html")).read_text(encoding="utf-8")
        assert heading.replace("`", "") in re.sub(r"<[^>]+>", "", html), page.source


def test_no_page_loads_a_file_of_another_host_and_every_link_leads_somewhere(site):
    pages = {path.resolve(): Addresses(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    assert len(pages) > 40
    for path, page in pages.items():
        assert not [address for address in page.loads if re.match(r"\w*:?//", address)], path
        for address in (*page.loads, *page.leads):
            place, _, anchor = address.partition("#")
            if re.match(r"[a-z]+:", address):
                continue
            folder = (
                site if place.startswith("/") else path.parent
            )  # the addresses on the page for a missing address start at the top folder
            target = (folder / place.lstrip("/")).resolve() if place else path
            assert target.exists(), (path, address)
            if anchor and target.suffix == ".html":
                assert anchor in pages[target].ids | {"__skip"}, (path, address)
    assert not [path for path in site.rglob("*.css") if re.search(r"(url\(|@import)\W*https?:", path.read_text())]


def test_a_browser_asks_no_other_host_and_the_search_works_without_a_server(site, browser):
    from tests.browsing import tab

    requests = []
    with tab(browser) as page:
        page.on("request", lambda request: requests.append(request.url))
        page.goto((site / "lessons" / "05_leak.html").as_uri())
        page.fill(".md-search__input", "receptive")
        page.wait_for_selector(".md-search-result__link[href*='24_three']")
    assert requests
    assert not [address for address in requests if not address.startswith(("file:", "data:", "about:", "blob:"))]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ('<a href="b.html#there">', None),
        ('<a href="https://a.org/x">', None),
        ('<img src="data:image/png;base64,AA">', None),
        ("<!-- <script src='https://a.org/x.js'></script> -->", None),
        ('<a href="c.html">', "a.html refers to c.html: there is no such file."),
        ('<a href="b.html#gone">', "a.html refers to b.html#gone: there is no such anchor."),
        ('<a href="#gone">', "a.html refers to #gone: there is no such anchor."),
        ('<a href="../x.html">', "a.html refers to ../x.html: it leads out of the site."),
        ('<img alt="a > b" src="gone.png">', "a.html refers to gone.png: there is no such file."),
        ("<script src=https://a.org/x.js></script>", "a.html loads https://a.org/x.js, which is on another host."),
        ('<link rel="stylesheet" href="//a.org/x">', "a.html loads //a.org/x, which is on another host."),
        ("<p style='background: url(http://a.org/x)'>", "a.html loads http://a.org/x, which is on another host."),
        ("<style>@import 'http://a.org/x'</style>", "a.html loads http://a.org/x, which is on another host."),
        ('<img srcset="http://a.org/x 2x">', "a.html loads http://a.org/x, which is on another host."),
    ],
)
def test_a_wrong_address_is_named(website, tmp_path, text, wrong):
    (tmp_path / "a.html").write_text(f"<p>{text}</p>")
    (tmp_path / "b.html").write_text('<h1 id="there">b</h1>')
    assert website.links.problems(tmp_path) == ([wrong] if wrong else [])


def test_a_style_sheet_that_loads_a_font_of_another_host_is_named(website, tmp_path):
    (tmp_path / "a.css").write_text("@font-face { src: url('https://a.org/font') }")
    assert website.links.problems(tmp_path) == ["a.css loads https://a.org/font, which is on another host."]


def test_a_link_leads_to_the_page_or_to_the_address_of_the_project_or_is_plain_text(website):
    pages = website.pages
    known = pages.places(["05_leak"])
    page = pages.GLOSSARY
    rewrite = lambda text, address=None: pages.rewritten(text, page, known, address)[0]  # noqa: E731
    assert rewrite("[Lesson 5](../notebooks/05_leak.ipynb#a)") == "[Lesson 5](../lessons/05_leak.md#a)"
    assert rewrite("[the cards](../MODEL_CARD.md)") == "[the cards](model-card.md)"
    assert rewrite("[app.py](../app.py)") == "`app.py`"
    assert rewrite("[the demo](../app.py)") == "the demo"
    assert rewrite("[the demo](../app.py)", "https://a.org/blob/v1") == "[the demo](https://a.org/blob/v1/app.py)"
    for untouched in ("[x](https://a.org)", "[x](#here)", "`[x](gone.md)`", "```\n[x](gone.md)\n```"):
        assert rewrite(untouched) == untouched
    assert pages.rewritten("![A phone](phone.png)", page, known, None) == ("![A phone](phone.png)", {"docs/phone.png"})
    with pytest.raises(ValueError, match=r"docs/glossary\.md links to docs/gone\.md, which is not there"):
        rewrite("[x](gone.md)")


def test_a_badge_becomes_a_link_where_the_project_has_an_address(website, monkeypatch):
    lesson = website.lessons.build.lessons()[5]
    assert website.lessons.solved(lesson).cells[0].source == lesson.cells[0].source
    monkeypatch.setattr(website.lessons.build, "repository", lambda: "https://github.com/someone/project")
    first = website.lessons.solved(lesson).cells[0].source
    assert re.search(r"\n\[Open in Colab\]\(https://colab\.\S+/someone/project/\S+05_leak\.ipynb\)$", first)
    assert "![" not in first


def test_a_lesson_is_executed_once_and_again_when_a_cell_changed(website, tmp_path, monkeypatch):
    """Each run counts itself in a file. The cells cannot see the data set of the machine."""
    monkeypatch.setenv("ICH_DATA", "/planted")
    count = f"from pathlib import Path\npath = Path({str(tmp_path / 'runs')!r})\n"
    count += "path.open('a').write('x')\nimport os\nprint(len(path.read_text()), os.environ.get('ICH_DATA'))"

    def run(code):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(code, id="cell-0")])
        return website.lessons.executed(book, "01_a", tmp_path / "cache").cells[0].outputs[0].text

    assert [run(count), run(count)] == ["1 None\n", "1 None\n"]
    assert run(count + "\n") == "2 None\n"
    assert len(list((tmp_path / "cache").glob("01_a-*"))) == 1


def test_outputs_become_pictures_text_and_tables_and_a_progress_bar_is_left_out(website, tmp_path):
    code = nbformat.v4.new_code_cell("x", metadata={"tags": []})
    stream = lambda text, name="stdout": nbformat.v4.new_output("stream", text=text, name=name)  # noqa: E731
    data = lambda **kinds: nbformat.v4.new_output(  # noqa: E731
        "display_data", data={kind.replace("_", "/", 1): value for kind, value in kinds.items()}
    )
    code.outputs = [
        stream("planted \x1b[31mwords\x1b[0m\n"),
        stream("more words\n"),
        stream(" 50%|##  | 1/2 [00:01<00:01, 1.00it/s]", "stderr"),
        data(image_png=PIXEL, text_plain="<Figure>"),
        data(text_html="<b>bold</b>\n\n<i>x</i>", text_plain="no"),
        data(text_plain="'a ``` b'"),
    ]
    heading = nbformat.v4.new_markdown_cell("## A `claim`\nThree:\n- one\n- two")
    text = website.lessons.page(nbformat.v4.new_notebook(cells=[heading, code]), tmp_path / "01_a", was_run=True)
    assert "Three:\n\n- one\n- two" in text
    assert "``` { .text .output }\nplanted words\nmore words\n```" in text
    assert "50%" not in text
    assert "![A picture that the code above draws. Section: A claim](01_a/001-3.png)" in text
    assert (tmp_path / "01_a" / "001-3.png").read_bytes().startswith(b"\x89PNG")
    assert '<div class="output"><b>bold</b>\n<i>x</i></div>' in text
    assert "```` { .text .output }\n'a ``` b'\n````" in text
    assert "no outputs" not in text


def test_a_lesson_that_the_table_of_the_readme_forgets_stops_the_build(website, facts):
    parts = website.lessons.course_parts((ROOT / "README.md").read_text(encoding="utf-8"))
    (name, numbers), *rest = parts
    with pytest.raises(ValueError, match=r"must name every lesson of notebooks/src once"):
        website.contents.contents(facts, [(name, numbers[1:]), *rest], run=True)


def test_a_first_cell_without_a_time_is_named(website):
    cell = SimpleNamespace(
        source="# 1. A title\n**You will** read.\n\n**Runs on** a laptop. **Before this** nothing.\n\n"
    )
    with pytest.raises(ValueError, match="The first cell of 01_a must hold"):
        website.lessons.facts(SimpleNamespace(name="01_a", title="1. A title", cells=[cell]))


def test_a_folder_with_other_files_is_not_emptied(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    done = make(tmp_path, "--no-run", "--no-api")
    assert done.returncode != 0
    assert "holds files that are not this command's" in done.stderr
    assert (tmp_path / "thesis.txt").read_text() == "mine"


@pytest.mark.parametrize(("hours", "heading"), [(2, "Two hours"), (6, "Six hours")])
def test_a_plan_of_the_instructor_notes_fills_its_time_and_gives_each_lesson_its_minutes(facts, hours, heading):
    section = re.search(rf"^## {heading}.*?(?=^## )", TEACHING, re.M | re.S)[0]
    rows = re.findall(r"^\| (\d+) \| (.+?) \|", section, re.M)
    assert sum(int(minutes) for minutes, _ in rows) == 60 * hours
    times = {each.number: each.minutes for each in facts}
    whole = [(int(minutes), what) for minutes, what in rows if what.startswith("[lesson ")]
    assert len(whole) >= 2
    for minutes, what in whole:
        assert minutes == times[int(re.match(r"\[lesson (\d+)\]", what)[1])], what


def test_the_six_sessions_of_the_instructor_notes_leave_room_for_homework_and_a_break(facts):
    section = re.search(r"^## Twelve hours.*?(?=^## )", TEACHING, re.M | re.S)[0]
    rows = re.findall(r"^\| \d\. [^|]+\| ([^|]+) \| (\d+) \|", section, re.M)
    times = {each.number: each.minutes for each in facts}
    assert len(rows) == 6
    for linked, minutes in rows:
        assert sum(times[int(number)] for number in re.findall(r"\[(\d+)\]", linked)) == int(minutes)
        assert int(minutes) + 20 <= 120


@pytest.mark.long
def test_the_pages_of_the_api_are_part_of_the_site_and_lead_back(tmp_path):
    done = make(tmp_path / "site", "--no-run")
    assert done.returncode == 0, done.stdout + done.stderr
    page = (tmp_path / "site" / "api" / "ich_lib" / "scan.html").read_text(encoding="utf-8")
    assert '<div><p><a href="../../docs/api.html">Back to the site</a></p>' in page
    assert 'href="../api/ich_lib/scan.html"' in (tmp_path / "site" / "docs" / "api.html").read_text(encoding="utf-8")
