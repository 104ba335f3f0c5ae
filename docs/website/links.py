"""The check of a built site: every link and anchor leads somewhere, and no page loads a file from another host."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import unquote, urlsplit

_TAG = re.compile(r"<([a-z][a-z0-9-]*)\b((?:[^>\"']|\"[^\"]*\"|'[^']*')*)>", re.I)
_ATTRIBUTE = re.compile(r"([a-z:-]+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s\"'>]+))", re.I)
_SCRIPT = re.compile(r"(<script\b[^>]*>).*?</script>", re.S | re.I)
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


def document(text: str, *, style: bool = False) -> Document:
    """Find the addresses in a text.

    Args:
        text: HTML, or CSS if `style`.
        style: whether the text is CSS.
    """
    if style:
        return Document(frozenset(), (), tuple(_styles(text)))
    anchors, links, resources = {"", "top"}, [], []
    for name, attributes in _tags(text):
        anchors |= {attributes[key] for key in ("id", "name") if key in attributes}
        for key, value in attributes.items():
            if (name, key) in _LOADED:
                resources.append(value)
            elif (name, key) in _FOLLOWED:
                links.append(value)
            elif key == "srcset":
                resources += [part.split()[0] for part in value.split(",") if part.strip()]
            elif key == "style":
                resources += _styles(value)
        if name == "link":
            (links if attributes.get("rel") in _LINKED else resources).append(attributes.get("href", ""))
    for block in re.findall(r"<style\b[^>]*>(.*?)</style>", text, re.S | re.I):
        resources += _styles(block)
    return Document(frozenset(anchors), tuple(links), tuple(resources))


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
    wrong = []
    for path, found in documents.items():
        name = path.relative_to(site.resolve()).as_posix()
        for address in dict.fromkeys(found.resources):
            if re.match(r"(https?:)?//", address):
                wrong.append(f"{name} loads {address}, which is on another host.")
        for address in dict.fromkeys((*found.links, *found.resources)):
            if lacking := _lacking(address, path, site.resolve(), documents):
                wrong.append(f"{name} refers to {address}: {lacking}.")
    return wrong


def _lacking(address: str, page: Path, site: Path, documents: dict[Path, Document]) -> str | None:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None  # another host, or data in the page itself
    place = unquote(parts.path)
    if place:
        target = site / place.lstrip("/") if place.startswith("/") else page.parent / place
    else:
        target = page
    target = target.resolve()
    target = target / "index.html" if target.is_dir() else target
    if not target.is_relative_to(site):
        return "it leads out of the site"
    if not target.is_file():
        return "there is no such file"
    if parts.fragment and target in documents and unquote(parts.fragment) not in documents[target].anchors:
        return "there is no such anchor"
    return None


def _tags(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    text = _SCRIPT.sub(r"\1", re.sub(r"<!--.*?-->", "", text, flags=re.S))
    for match in _TAG.finditer(text):
        found = _ATTRIBUTE.finditer(match[2])
        yield match[1].lower(), {a[1].lower(): unescape(a[2] or a[3] or a[4] or "") for a in found}


def _styles(text: str) -> list[str]:
    return [first or second for first, second in _CSS.findall(text)]
