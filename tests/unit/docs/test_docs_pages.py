"""What the README and the pages of docs/ speak of is there: links, tests, commands, keys, messages, metrics."""

import ast
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from omisync.cli.app import app
from omisync.config.keys import known_keys, sections
from omisync.web import Metrics
from tests.bench.capacity import capacity_markdown

ROOT = Path(__file__).parents[3]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "sql" / "README.md"]
PAGES += [ROOT / "systemd" / "README.md"]
PICTURES = sorted((ROOT / "docs" / "images").iterdir())
MOST_BYTES = 150_000  # a picture in a README is loaded by everybody who reads it

PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def code_of(page: Path) -> list[str]:
    """What stands in backticks, and the lines of the blocks."""
    text = page.read_text()
    blocks = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL))
    return inline + [line for block in blocks for line in block.splitlines()]


def anchors(page: Path) -> set[str]:
    """The places of a page that a link can name, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@PAGE
def test_every_link_and_picture_leads_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("https://"):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(target)
    assert broken == []


def existing_tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name
        for file in files
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE)
    }


@PAGE
def test_every_test_that_is_named_exists(page: Path) -> None:
    named = set(re.findall(r"\btest_\w+", page.read_text()))
    assert named - existing_tests() == set()


def test_each_line_of_what_happens_if_names_a_test() -> None:
    text = (ROOT / "docs" / "what-happens-if.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("| what")]
    assert len(rows) > 20
    assert [row for row in rows if "`test_" not in row.rsplit("|", 2)[1]] == []


def commands(group: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The tree of commands; of no type, for some versions of typer bring a click of their own."""
    for name, command in group.commands.items():
        yield (*path, name), command
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))


@PAGE
def test_every_command_and_option_exists(page: Path) -> None:
    root: Any = typer.main.get_command(app)
    known = dict(commands(root))
    wrong = []
    for line in code_of(page):
        for said in re.findall(r"(?:^|&& |bin/)omisync ((?:[a-z-][\w-]*)(?:[^#|;&\n]*))", line):
            words = re.findall(r"\"[^\"]*\"|\S+", said)
            path = tuple(words[:2]) if tuple(words[:2]) in known else tuple(words[:1])
            command = known.get(path, root if words[0].startswith("--") else None)
            if command is None:
                wrong.append(said)
                continue
            options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
            given = {word.split("=")[0].rstrip(",.`") for word in words if word.startswith("--")}
            if given - options - {"--help"}:
                wrong.append(said)
    assert wrong == []


@PAGE
def test_every_key_of_the_configuration_exists(page: Path) -> None:
    named = {
        key
        for code in code_of(page)
        for key in re.findall(rf"(?<![\w./@-])((?:{'|'.join(sections())})\.[a-z_]+)(?![\w(.@/-])", code)
    }
    files = {"omisync.service", "omisync.socket"}
    keys = set(known_keys()) | {f"{key}_file" for key in known_keys()}
    assert {key for key in named if key not in keys and key not in files and not key.startswith("order.")} == set()


@PAGE
def test_every_metric_exists(page: Path) -> None:
    named = {
        name
        for code in code_of(page)
        for name in re.findall(r"\bomisync_[a-z_]+\b", code)
        if name not in {"omisync_app", "omisync_operator", "omisync_daemon", "omisync_orders", "omisync_north"}
    }
    metrics = Metrics()
    metrics.job_succeeded("sweep")
    shown = metrics.render().decode()
    assert {name for name in named if f"# TYPE {name} " not in shown} == set()


def messages() -> set[str]:
    """Every warning and error that the daemon's code can log."""
    found = set()
    for file in (ROOT / "omisync").rglob("*.py"):
        if file.relative_to(ROOT / "omisync").parts[0] in {"demo", "simulator", "cli"}:
            continue
        for call in ast.walk(ast.parse(file.read_text())):
            if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.args):
                continue
            if call.func.attr in {"warning", "error", "exception", "critical"}:
                found |= events(call.args[0])
    return found


def events(argument: ast.expr) -> set[str]:
    match argument:
        case ast.Constant(value=str(text)):
            return {text}
        case ast.JoinedStr():
            kinds = ("order.add", "order.cancel")
            parts = [part.value if isinstance(part, ast.Constant) else None for part in argument.values]
            return {"".join(kind if part is None else str(part) for part in parts) for kind in kinds}
        case ast.IfExp():
            return events(argument.body) | events(argument.orelse)
    return set()


def test_every_warning_and_error_of_the_log_is_in_the_operators_table_and_no_other() -> None:
    _, _, rest = (ROOT / "docs" / "operating.md").read_text().partition("## Messages")
    table = [line for line in rest.partition("\n## ")[0].splitlines() if line.startswith("| `")]
    told = {message for line in table for message in re.findall(r"`([^`]+)`", line.split("|")[1])}
    assert {"missing": messages() - told, "gone": told - messages()} == {"missing": set(), "gone": set()}


@pytest.mark.parametrize("picture", PICTURES, ids=lambda picture: picture.name)
def test_a_picture_is_small_and_used(picture: Path) -> None:
    assert picture.stat().st_size < MOST_BYTES
    assert any(f"images/{picture.name}" in page.read_text() for page in PAGES)


@pytest.mark.parametrize("picture", [one for one in PICTURES if one.suffix == ".svg"], ids=lambda picture: picture.name)
def test_a_drawing_is_sound_and_loads_nothing_from_elsewhere(picture: Path) -> None:
    text = picture.read_text()
    assert ET.fromstring(text).tag == "{http://www.w3.org/2000/svg}svg"  # noqa: S314 - our own file
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\"')\s]+", text) == []
    assert "@import" not in text


def test_the_capacity_in_the_readme_is_what_the_code_reckons() -> None:
    shown = (ROOT / "README.md").read_text().partition("<!-- capacity -->\n")[2].partition("\n\n")[0]
    assert shown == capacity_markdown()
