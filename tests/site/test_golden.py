"""No number, sentence, row of a table or label of a picture changes unseen."""

from __future__ import annotations

import sys

from built import ROOT, SITE

sys.path.insert(0, str(ROOT / "build_tools"))
import golden


def test_pages_say_what_they_said():
    changes = golden.difference(golden.stored(), golden.said(SITE))
    assert not changes, f"{changes}\n{golden.HOW}"


def test_a_number_a_label_and_a_default_are_each_seen():
    page = """<html><body><nav>Menu 1</nav><article>
      <h1>One<a class="headerlink">#</a></h1><div class="page-facts"><p>Updated 1 May</p></div>
      <p>We found <em>6.8</em>%. It was low.<br>See <a href="x">there</a>.</p>
      <table><tr><th>k</th><th>tau</th></tr><tr><td><p>52</p></td><td>0.2</td></tr></table>
      <div class="cell_input"><pre>code()</pre></div><pre>first\n0.98765432109876</pre>
      <details><summary>Show code cell source</summary></details>
      <svg><title>Forest</title><g><text y="1">A</text></g><path d="M0"/><g><text y="1">7</text></g>
      <g><text y="2">B</text></g></svg><img src="a.png" alt="A curve.">
      <form><select name="model"><option value="glmm" selected>GLMM</option></select>
      <label>Level <input type="radio" name="level" value="0.9" checked>90%</label></form>
      </article><footer>End</footer></body></html>"""
    assert golden.lines_of(page) == [
        "One",
        "We found 6.8%.",
        "It was low.",
        "See there.",
        "k | tau",
        "52 | 0.2",
        "first",
        "0.987654321…",
        "Forest",
        "A · 7",
        "B",
        "[picture: A curve.]",
        "[option glmm, selected] GLMM",
        "Level [name=level type=radio value=0.9 checked] 90%",
    ]


def test_a_difference_names_its_page_and_both_lines():
    before = {"a.txt": "One.\nTwo 6.8.\n", "gone.txt": "Was.\n", "same.txt": "As ever.\n"}
    now = {"a.txt": "One.\nTwo 6.9.\n", "new.txt": "Is.\n", "same.txt": "As ever.\n"}
    found = golden.difference(before, now).splitlines()
    assert [line for line in found if not line.startswith("@@")] == [
        *("== a.txt", "-Two 6.8.", "+Two 6.9."),
        *("== gone.txt", "-Was."),
        *("== new.txt", "+Is."),
    ]
    assert golden.difference(before, before) == ""


def test_a_printed_book_is_no_other_text():
    page = "<article><p>The whole book: <a>as zip</a>{}.</p></article>"
    printed, unprinted = page.format(" or <a>as PDF</a>"), page.format("")
    assert golden.lines_of(printed) == golden.lines_of(unprinted)
