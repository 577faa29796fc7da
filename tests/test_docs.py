"""Documentation matches the code, and both languages of the README match each other."""

import json
import re
import subprocess

from PIL import Image

import models
from marina.packaging import zoo
from marina.packaging.zoo import REVIEWERS, below_best, write_page
from marina.settings import ROOT
from tests import tasks
from tests.serve.support.guide import blocks, commands
from tests.support.worker import untrained

README, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))


def test_both_readmes_list_every_starter_and_link_to_files_that_exist():
    for page in (README, CHINESE):
        for name in models.names():
            assert not models.find(name).starter or re.search(rf"^\| .*{name}.*\|$", page, re.MULTILINE), name
        for link in re.findall(r"\]\((?!http)([^)#]+)\)", page):
            assert (ROOT / link).is_file(), link


def test_both_readmes_have_the_same_commands_and_sections():
    assert commands("README.md") == commands("README.zh.md")
    assert len(README.split("\n## ")) == len(CHINESE.split("\n## "))
    typed = [re.sub(r"\s+#.*", "", block, flags=re.MULTILINE) for block in blocks("README.md", "sh")]
    assert typed == [re.sub(r"\s+#.*", "", block, flags=re.MULTILINE) for block in blocks("README.zh.md", "sh")]


def test_every_verb_that_a_page_shows_is_in_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    verbs = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    guides = [file.read_text(encoding="utf-8") for file in (ROOT / "docs" / "guides").glob("*.md")]
    for page in (README, CHINESE, *guides):
        shown = set(re.findall(r"(?:`|\$ |&& |^)make ([a-z-]+)", page, re.MULTILINE))
        assert shown <= verbs, shown - verbs


def test_every_error_that_envoy_or_a_handler_gives_is_explained():
    troubleshooting = (ROOT / "docs" / "guides" / "troubleshooting.md").read_text(encoding="utf-8")
    for code in (400, 404, 413, 500, 503, 504, 507):
        for page in (README, CHINESE, troubleshooting):
            assert re.search(rf"^\| .*\b{code}\b", page, re.MULTILINE), code


def test_every_test_that_the_page_about_security_names_exists():
    page = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
    files = list((ROOT / "tests").rglob("test_*.py"))
    functions = {name for file in files for name in re.findall(r"def (test_\w+)", file.read_text(encoding="utf-8"))}
    named = set(re.findall(r"\b(test_\w+)\b(?!\.py)", page))
    assert len(named) > 30
    assert named <= functions, named - functions
    for path in re.findall(r"[\w/]*test_\w+\.py", page):
        assert any(file.as_posix().endswith(f"/{path}") for file in files), path


def test_both_readmes_are_short_and_wrapped():
    for page in (README, CHINESE):
        lines = page.splitlines()
        assert len(lines) < 150
        assert [line for line in lines if len(line) > 100] == []


def test_every_page_links_to_files_that_exist():
    for file in (ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")):
        for link in re.findall(r"\]\((?!http)([^)#]+)", file.read_text(encoding="utf-8")):
            generated = file.parent / link in (file.parent / "cli.md", file.parent / "modules.md")
            assert generated or (file.parent / link).exists(), f"{file.name}: {link}"


def test_every_decision_has_its_three_parts_and_a_line_in_the_list():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "index.md").read_text(encoding="utf-8")
    records = sorted(folder.glob("0*.md"))
    assert [int(file.name[:4]) for file in records] == list(range(len(records)))
    for file in records:
        headings = re.findall(r"^## (.+)$", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], file.name
        assert f"({file.name})" in index, file.name


def test_no_path_of_a_machine_is_committed():
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")[:-1]
    assert "README.md" in names
    folders = "|".join(("work", "root", "home", "Users", "opt"))
    pattern = re.compile(rf"(?<![\w.:/])/({folders})/\w")
    files = (ROOT / name for name in names if (ROOT / name).is_file())
    found = {str(file): pattern.search(file.read_text(encoding="utf-8", errors="replace")) for file in files}
    assert {name: match[0] for name, match in found.items() if match} == {}


def test_the_zoo_names_what_is_below_its_floor_or_not_trained(tmp_path):
    untrained("lenet", tmp_path / "lenet" / "1.0")
    problems = write_page(tmp_path, "1.0", tmp_path / "zoo.md")
    assert len(problems) == len([name for name in models.names() if models.find(name).recipe])
    assert "lenet 1.0 is not trained in full" in problems
    assert (tmp_path / "zoo.md").read_text().startswith("# The zoo")


def test_one_of_those_that_classify_reviews_has_to_be_better_than_their_floors():
    cards = [{"name": name, "metrics": {"accuracy": 0.83}} for name in REVIEWERS]
    assert below_best(cards) == ["the best accuracy on reviews is 0.8300, below 0.84"]
    cards[2]["metrics"]["accuracy"] = 0.84
    assert below_best([*cards, {"name": "lenet", "metrics": {"accuracy": 0.99}}]) == []
    assert set(REVIEWERS) <= set(models.names())


def test_pictures_are_made_of_what_has_some(tmp_path):
    for name in ("lenet", "ssd", "housing_mlp"):
        folder = untrained(name, tmp_path / name / "1.0")
        file, kind, body = tasks.find(models.find(name).task).EXPORTED
        (folder / file).write_bytes(body)
        card = json.loads((folder / "card.json").read_text())
        (folder / "card.json").write_text(json.dumps({**card, "example": {"file": file, "content_type": kind}}))
    made = zoo.write_pictures(tmp_path, "1.0", tmp_path / "pictures")
    assert [file.stem for file in made] == ["image_classification", "object_detection"]
    for file in made:
        assert 200 < max(Image.open(file).size) <= zoo.WIDEST
        assert file.stat().st_size < 60_000
