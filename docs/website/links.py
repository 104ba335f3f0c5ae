"""The check of a built site: every link and anchor leads somewhere, and no page loads a file from another host."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

_CSS = re.compile(r"url\(\s*[\"']?([^\"')]+)|@import\s+[\"']([^\"']+)", re.I)
_LOADED = {
    ("script", "src"), ("img", "src"), ("source", "src"), ("video", "src"), ("video", "poster"), ("audio", "src"),
    ("iframe", "src"), ("embed", "src"), ("object", "data"), ("image", "href"), ("use", "href"), ("input", "src"),
}  # fmt: skip
_FOLLOWED = {("a", "href"), ("area", "href"), ("form", "action")}
_LINKED = ("next", "prev", "canonical", "alternate")  # kinds of <link> that load nothing


@dataclass(frozen=True)
class Document:
    """What a page of HTML or a style sheet refers to.

    Attributes:
        anchors: that links can lead to.
        links: addresses that a reader can follow.
        resources: addresses that the browser loads by itself.
    """

    anchors: frozenset[str]
    links: tuple[str, ...]
    resources: tuple[str, ...]


class _Reader(HTMLParser):
    def __init__(self, text: str):
        super().__init__()
        self.anchors, self.links, self.resources = {"", "top"}, [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {key: value or "" for key, value in attrs}
        self.anchors |= {attributes[key] for key in ("id", "name") if key in attributes}
        for key, value in attributes.items():
            if (tag, key) in _LOADED:
                self.resources.append(value)
            elif (tag, key) in _FOLLOWED:
                self.links.append(value)
            elif key == "srcset":
                self.resources += [part.split()[0] for part in value.split(",") if part.strip()]
            elif key == "style":
                self.resources += _styles(value)
        if tag == "link":
            kind = self.links if attributes.get("rel") in _LINKED else self.resources
            kind.append(attributes.get("href", ""))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem == "style":
            self.resources += _styles(data)


def document(text: str, *, style: bool = False) -> Document:
    """Find the addresses in a text.

    Args:
        text: HTML, or CSS if `style`.
        style: whether the text is CSS.
    """
    if style:
        return Document(frozenset(), (), tuple(_styles(text)))
    reader = _Reader(text)
    return Document(frozenset(reader.anchors), tuple(reader.links), tuple(reader.resources))


def problems(site: Path) -> list[str]:
    """What is wrong with a built site, one sentence each.

    Args:
        site: its folder.
    """
    documents = {
        path.resolve(): document(path.read_text(encoding="utf-8"), style=path.suffix == ".css")
        for path in sorted(site.rglob("*"))
        if path.suffix in (".html", ".css")
    }
    sentences = []
    for path, linked_page in documents.items():
        name = path.relative_to(site.resolve()).as_posix()
        sentences += [
            f"{name} loads {address}, which is on another host."
            for address in dict.fromkeys(linked_page.resources)
            if re.match(r"(https?:)?//", address)
        ]
        sentences += [
            f"{name} refers to {address}: {lacking}."
            for address in dict.fromkeys((*linked_page.links, *linked_page.resources))
            if (lacking := _lacking(address, path, site.resolve(), documents))
        ]
    return sentences


def _lacking(address: str, page: Path, site: Path, documents: dict[Path, Document]) -> str | None:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None  # another host, or data in the page itself
    place = unquote(parts.path)
    folder = site if place.startswith("/") else page.parent
    target = (folder / place.lstrip("/")).resolve() if place else page
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(site):
        return "it leads out of the site"
    if not target.is_file():
        return "there is no such file"
    if parts.fragment and target in documents and unquote(parts.fragment) not in documents[target].anchors:
        return "there is no such anchor"
    return None


def _styles(text: str) -> list[str]:
    return [first or second for first, second in _CSS.findall(text)]
