"""The README and the pages of docs/: their Python runs as it stands, their links lead somewhere."""

import dataclasses
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from paretohqd.runs.config import Config, load_settings
from paretohqd.trainers.sft import check_settings

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PAGES = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md"))]
FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.M | re.S)


def blocks(page: Path, language: str = "python") -> list[str]:
    found = FENCE.findall(page.read_text("utf-8"))
    return [code for of, code in found if of == language]


def names(pages: list[Path]) -> list[str]:
    return [page.relative_to(ROOT).as_posix() for page in pages]


RUN = [page for page in PAGES if blocks(page)]


def test_the_readme_fits_its_screen_and_has_python_to_run() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 110
    assert {"README.md", "docs/first_selection.md", "docs/large_frames.md"} <= set(names(RUN))


@pytest.mark.parametrize("page", RUN, ids=names(RUN))
def test_the_python_of_a_page_runs_as_it_stands(page: Path, tmp_path: Path) -> None:
    """All of its blocks one after the other, in an empty folder and a process of their own."""
    code = "\n\n".join(blocks(page))
    done = subprocess.run(
        [sys.executable, "-W", "error::FutureWarning:paretohqd", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "OMP_NUM_THREADS": "2"},
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_configurations_on_pages_can_be_read(tmp_path: Path) -> None:
    written = [code for page in PAGES for code in blocks(page, "yaml")]
    assert len(written) >= 1
    for code in written:
        (tmp_path / "it.yaml").write_text(code)
        chosen = load_settings(Config, tmp_path / "it.yaml")
        check_settings(chosen.train, chosen.lora)


def links(text: str) -> list[str]:
    found = re.findall(r"\]\(([^()\s]+)\)", FENCE.sub("", text))
    return [link for link in found if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize("page", PAGES, ids=names(PAGES))
def test_links_lead_to_files(page: Path) -> None:
    for link in links(page.read_text("utf-8")):
        place, _, _ = link.partition("#")
        assert not place or (page.parent / place).exists() or "written/" in place, link


def test_every_setting_is_on_the_page_of_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    pages = importlib.import_module("written_pages")
    text = pages.configuration()
    for kind in (*pages.SECTIONS.values(), *(m.options for m in pages.METHODS.values())):
        for field in {f.name for f in dataclasses.fields(kind)} - {"options"}:
            assert f"\n`{field}` · " in text

    @dataclasses.dataclass
    class Silent:
        said: int = 1
        """What it means."""
        unsaid: int = 2

    with pytest.raises(ValueError, match="Silent: no text below unsaid"):
        pages.documented(Silent)
    for command in ("select", "run", "compare", "eval", "chat", "serve", "explore", "bench"):
        assert f"\n## {command}\n" in pages.commands()


def test_the_citation_has_the_version_of_the_crate() -> None:
    metadata = subprocess.run(
        ["cargo", "metadata", "--no-deps", "--format-version", "1"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    version = json.loads(metadata.stdout)["packages"][0]["version"]
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text("utf-8")
