"""Hostile texts in a report: none of them runs or becomes a part of the page, and all of them can be read."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib.pyplot as plt
import pytest
from checkouts import ROOT
from playwright.sync_api import sync_playwright
from report_pages import FRAMES

from general_circuits.figures import style
from general_circuits.report import pages

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "</script><script>parent.ran = 1</script><img src=x onerror='parent.ran = 1'>\\u003c<!--<script>"
DESCRIPTION = f"""It rises {HOSTILE}.

.. raw:: html

   <img src=x onerror="parent.ran = 1">

`Click <javascript:parent.ran=1>`_ `x`_ |x| {{{{ 7 * 7 }}}}
general-circuits-sha256:0
"""
SNAKEFILE = """
from general_circuits.running.report_texts import stay_texts
if config["is_guarded"]:
    stay_texts()
rule draw:
    output:
        svg=report("drawn<b.svg", caption="figure.rst", labels={"shows": config["text"], config["text"]: "a"}),
        page=report("page.html", category="Pages"),
        description="words.txt",
    params:
        text=config["text"], option=config["option"], caption="A caption.",
    shell: "cp -r made/. ."
"""
"""A workflow whose report has hostile texts in every place where texts of a config or a file can stand."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the folder of a workflow with hostile texts, before it has run."""
    made = tmp_path / "made"
    made.mkdir()
    figure, axes = plt.subplots()
    axes.plot([0, 1], label=HOSTILE)
    axes.set_title(HOSTILE)
    axes.legend()
    style.save(figure, {"svg": made / "drawn<b.svg"}, HOSTILE, HOSTILE)
    about = pages.About({"study": HOSTILE}, {HOSTILE: {HOSTILE: [HOSTILE]}}, {})
    (made / "page.html").write_text(pages.settings(FRAMES, about))
    (made / "words.txt").write_text(DESCRIPTION)
    (tmp_path / "Snakefile").write_text(SNAKEFILE)
    shutil.copy(ROOT / "workflow/report/figure.rst", tmp_path)
    return tmp_path


def reported(folder: Path, is_guarded: bool) -> Path:
    """Run the workflow, and return its report."""
    path = folder / "report.html"
    config = {"text": HOSTILE, "option": json.dumps({"decay_on": [HOSTILE]}), "is_guarded": is_guarded}
    (folder / "config.json").write_text(json.dumps(config))
    for step in (["--cores", "1"], ["--report", str(path)]):
        command = [sys.executable, "-m", "snakemake", "--configfile", "config.json", *step]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    return path


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
@pytest.mark.parametrize("is_guarded", [True, False])
def test_no_text_in_a_report_runs_and_each_can_be_read(is_guarded: bool, folder: Path) -> None:
    """The same texts do run without the guard, so the test would see it."""
    path = reported(folder, is_guarded)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(path.as_uri())
        if not is_guarded:
            assert page.evaluate("window.ran") == 1
            return
        page.locator("#rulegraph canvas").wait_for()
        page.get_by_role("link", name="Other", exact=True).click()
        page.locator("nav tbody tr a").last.click()
        listed = page.locator("nav").first.inner_text()
        # The texts are shown as they were written: as a label, among the parameters and in the description.
        assert listed.lower().count(HOSTILE.lower()) >= 4
        for part in ("It rises", ".. raw:: html", "{{ 7 * 7 }}", "`x`_ |x|"):
            assert part in listed
        assert page.locator("img[onerror], nav script, a[href^=javascript]").count() == 0
        page.goto(path.as_uri())
        page.get_by_role("link", name="Pages", exact=True).click()
        page.locator("nav tbody tr a").first.click()
        assert HOSTILE in page.frame_locator("iframe").locator("table").first.inner_text()
        assert page.evaluate("window.ran") is None
        browser.close()


def test_a_study_s_report_has_no_element_in_what_snakemake_embeds(report: Path) -> None:
    """Everything that Snakemake embeds as JSON stands on one line each."""
    lines = report.read_text(encoding="utf-8").splitlines()
    embedded = [line for line in lines if line.strip().startswith("var ") and line.rstrip().endswith("};")]
    assert {line.split()[1] for line in embedded} >= {"results", "categories", "rules", "rulegraph_spec", "packages"}
    assert not any("<" in line for line in embedded)


def test_hostile_texts_in_a_figure_and_on_a_page_stay_texts(folder: Path) -> None:
    drawing = ElementTree.parse(folder / "made/drawn<b.svg")
    tags = {element.tag.split("}")[-1] for element in drawing.iter()}
    assert not tags & {"script", "img", "foreignObject"}
    text = (folder / "made/page.html").read_text()
    assert "<script" not in text
    assert "default-src 'none'" in text
