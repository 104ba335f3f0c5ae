"""Which documents become pages of the site, and where their links lead there."""

import posixpath
import re
from collections.abc import Mapping
from dataclasses import dataclass

from website import ROOT


@dataclass(frozen=True)
class Page:
    """A document of the repository that is a page of the site.

    Attributes:
        source: its path in the repository.
        target: its path among the site's sources.
        title: in the navigation.
    """

    source: str
    target: str
    title: str


WELCOME = Page("docs/website/welcome.md", "index.md", "Home")
GLOSSARY = Page("docs/glossary.md", "docs/glossary.md", "Glossary")
TEACHING = Page("docs/teaching.md", "docs/teaching.md", "Teach")
USE = (
    Page("README.md", "docs/install.md", "Install and run"),  # MkDocs makes a README an index
    Page("docs/demo.md", "docs/demo.md", "The demo"),
    Page("docs/reading.md", "docs/reading.md", "What can be read"),
    Page("docs/space.md", "docs/space.md", "On a Space"),
    Page("docs/containers.md", "docs/containers.md", "Containers"),
    Page("docs/hospital.md", "docs/hospital.md", "In a hospital"),
    Page("docs/scale.md", "docs/scale.md", "Archives of scans"),
)
EVIDENCE = (
    Page("MODEL_CARD.md", "docs/model-card.md", "Model card"),
    Page("DATA_CARD.md", "docs/data-card.md", "Data card"),
    Page("docs/gates.md", "docs/gates.md", "The gates"),
    Page("docs/five-systems.md", "docs/five-systems.md", "The five published systems"),
    Page("CHANGELOG.md", "docs/changes.md", "Changes"),
)
CODE = (
    Page("docs/architecture.md", "docs/architecture.md", "Architecture"),
    Page("CONTRIBUTING.md", "docs/contributing.md", "Contributing"),
)
PAGES = (WELCOME, GLOSSARY, TEACHING, *USE, *EVIDENCE, *CODE)
CONTENTS, API = "lessons/index.md", "docs/api.md"  # made by docs/site.py
_CODE_OR_LINK = re.compile(
    r"(?P<code>^```.*?^```|(?<!\[)`[^`\n]+`)"
    r"|(?P<image>!?)\[(?P<label>[^\[\]]+)\]\((?P<address>[^()\s]+)\)",
    re.M | re.S,
)
_PICTURES = (".png", ".svg", ".webp", ".jpg", ".gif")


def places(lessons: list[str]) -> dict[str, str]:
    """Where a path of the repository stands on the site.

    Args:
        lessons: their names, such as "02_windows".

    Returns:
        Path in the repository to path among the site's sources.
    """
    known = {page.source: page.target for page in PAGES}
    known |= {f"notebooks/{name}.ipynb": f"lessons/{name}.md" for name in lessons}
    return known | {"notebooks": CONTENTS, "docs/api.py": API}


def rewritten(text: str, page: Page, known: Mapping[str, str], repository: str | None) -> tuple[str, set[str]]:
    """A document whose links lead to pages of the site.

    A link to a file that is no page leads to the repository's address. Without an address only its words stay.

    Args:
        text: Markdown.
        page: the document.
        known: of `places`.
        repository: where files are browsed, such as "https://github.com/someone/project/blob/v1.0.0"; None if the
            project has no address.

    Returns:
        The text, and the paths in the repository of the pictures that it shows.

    Raises:
        ValueError: if a link leads to a file that is not there.
    """
    pictures: set[str] = set()

    def replaced(match: re.Match) -> str:
        if match["code"] or re.match(r"[a-z]+:|#", match["address"]):
            return match[0]
        path, mark, anchor = match["address"].partition("#")
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page.source), path))
        if path in known:
            return f"[{match['label']}]({_relative(known[path], page.target)}{mark}{anchor})"
        if not (ROOT / path).exists():
            raise ValueError(f"{page.source} links to {path}, which is not there.")
        if path.endswith(_PICTURES):
            pictures.add(path)
            return f"{match['image']}[{match['label']}]({_relative(path, page.target)})"
        return f"[{match['label']}]({repository}/{path}{mark}{anchor})" if repository else _plain(match["label"])

    if page.source == "README.md":
        text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.S)  # the card of a Space
    return _CODE_OR_LINK.sub(replaced, text), pictures


def _relative(target: str, page: str) -> str:
    return posixpath.relpath(target, posixpath.dirname(page) or ".")


def _plain(label: str) -> str:
    return f"`{label}`" if re.fullmatch(r"[\w/]*[./][\w./-]*", label) else label
