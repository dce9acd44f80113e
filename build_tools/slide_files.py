"""Make a PDF and a PowerPoint file of each set of slides of the built site (``make slides``).

A headless Chromium opens each set. Its print gives the PDF, one slide a page. In the PowerPoint
file titles, words and tables can be edited and stand where the site has them; drawings and formulas
are pictures with their alternative text, and the notes are the speaker's notes. The answer to a
question is in the notes alone.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
SITE = ROOT / "_build" / "html"
PLACE = ROOT / "_build" / "slides"
TOOL = PLACE / "tool"  # what build_tools/slides.txt names
WIDTH, HEIGHT = 1920, 1080
EMU = 6350  # English metric units of a pixel: the sheet is 13.33 inches wide
# on every computer, or one of the same width; wider than the letters of the site, so a size smaller
FONT, SMALLER = "Arial", 0.88
RIGHT = WIDTH - 72  # where the site ends its lines

if TYPE_CHECKING:
    from playwright.sync_api import Page

#: What the slide in view holds: boxes in pixels, and words or rows where they can be edited.
READ = """() => {
  const slide = Reveal.getCurrentSlide();
  const box = (e) => { const r = e.getBoundingClientRect(); return [r.x, r.y, r.width, r.height]; };
  const look = (e) => ({ box: box(e), size: parseFloat(getComputedStyle(e).fontSize),
                         bold: Number(getComputedStyle(e).fontWeight) > 500 });
  const told = (e) => e.innerText.replace(/\\s+/g, " ").trim();
  const linear = (e) => { // a formula among the words of a note, which are text alone
    const all = [...e.children].map(linear);
    const [first, second, third] = all;
    const many = (one) => one.length > 1 ? `(${one})` : one;
    const high = (one) => one === "2" ? "²" : `^${many(one)}`;
    switch (e.localName) {
      case "msub": return `${first}_${many(second)}`;
      case "msup": return first + high(second);
      case "msubsup": return `${first}${high(third)}_${many(second)}`;
      case "mover": return first + ({ "^": "\\u0302", "¯": "\\u0304" }[second] ?? second);
      case "mfrac": return `${many(first)}/${many(second)}`;
      case "msqrt": return `√(${all.join("")})`;
      default: return all.length ? all.join("") : e.textContent.trim();
    }
  };
  const noted = (aside) => {
    const copy = aside.cloneNode(true);
    const blocks = "p, li, pre";
    for (const one of copy.querySelectorAll("math")) one.replaceWith(linear(one));
    return [...copy.querySelectorAll(blocks)].filter((one) => !one.querySelector(blocks))
      .map((one) => one.matches("pre") ? one.textContent : told(one)).join("\\n");
  };
  const parts = [];
  const all = "h1, h2, .book, .words, .options, .latex, .drawing, .sums, .origin";
  for (const e of slide.querySelectorAll(all)) {
    if (e.matches(".drawing, .latex") || e.querySelector("math")) {
      const svg = e.querySelector("svg");
      const name = svg ? (svg.querySelector("desc") ?? svg.querySelector("title"))?.textContent
        : e.matches(".latex") ? e.querySelector("math").getAttribute("alttext") : told(e);
      parts.push({ kind: "picture", alt: name ?? "", ...look(e) });
    } else if (e.matches(".sums")) {
      const rows = [...e.querySelectorAll("tr")].map((row) => [...row.cells].map(told));
      const { size } = look(e.querySelector("td"));
      const widths = [...e.querySelector("tr").cells].map((cell) => box(cell)[2]);
      parts.push({ kind: "table", rows, widths, ...look(e.querySelector("table")), size });
    } else {
      const of = e.matches(".options") ? [...e.querySelectorAll("li")].map((li) =>
        `${told(li.querySelector(".letter"))}  ${told(li.querySelector("p"))}`) : null;
      const each = [...e.querySelectorAll("li, p")].filter((one) => !one.querySelector("p"));
      const lines = of ?? (each.length ? each.map((one) =>
        (one.matches("li, li > p:first-child") ? "• " : "") + told(one)) : [told(e)]);
      parts.push({ kind: "text", lines, ...look(e) });
    }
  }
  return { parts, notes: [...slide.querySelectorAll("aside.notes")].map(noted).join("\\n") };
}"""


#: A slide asks for its fonts only when it is shown, too late for who measures or draws it at once.
ALL_FONTS = "Promise.all(Array.from(document.fonts, (face) => face.load())).then(() => true)"


def opened(page: Page, path: Path, query: str = "") -> int:
    """Open a set of slides; give the number of its slides."""
    page.goto(path.resolve().as_uri() + query, wait_until="load")
    page.wait_for_function("window.Reveal && Reveal.isReady()")
    page.evaluate(ALL_FONTS)
    return int(page.evaluate("Reveal.getTotalSlides()"))


def printed(page: Page, path: Path) -> bytes:
    """Print a set, one slide a page."""
    opened(page, path, "?print-pdf")
    page.wait_for_selector(".pdf-page")
    return page.pdf(prefer_css_page_size=True, print_background=True, tagged=True)


def read(page: Page, path: Path) -> Iterator[dict[str, Any]]:
    """Read what each slide of a set holds, with pictures of what cannot be edited."""
    count = opened(page, path)
    page.add_style_tag(content="* { transition: none !important } .why { display: none }")
    for number in range(count):
        page.evaluate(f"Reveal.slide({number}, 0, 99)")
        found = page.evaluate(READ)
        for part in found["parts"]:
            if part["kind"] == "picture":
                names = ("x", "y", "width", "height")
                clip = dict(zip(names, part["box"], strict=True))
                part["png"] = page.screenshot(clip=clip)
        yield found


def powerpoint(slides: Iterator[dict[str, Any]]) -> bytes:
    """Write slides as a PowerPoint file."""
    import pptx
    from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
    from pptx.util import Emu, Pt

    made = pptx.Presentation()
    made.slide_width, made.slide_height = Emu(WIDTH * EMU), Emu(HEIGHT * EMU)
    title_only, empty = made.slide_layouts[5], Emu(0)

    def write(shape: Any, lines: list[str], part: dict[str, Any]) -> None:
        frame = shape.text_frame
        frame.word_wrap = True
        frame.margin_left = frame.margin_right = frame.margin_top = frame.margin_bottom = empty
        for i, line in enumerate(lines):
            paragraph = frame.paragraphs[0] if i == 0 else frame.add_paragraph()
            run = paragraph.add_run()
            run.text, run.font.name = line, FONT
            run.font.size, run.font.bold = Pt(round(part["size"] * SMALLER / 2)), part["bold"]
            paragraph.space_after = Pt(round(part["size"] / 5)) if len(lines) > 1 else Pt(0)

    def wide(part: dict[str, Any], parts: list[dict[str, Any]]) -> list[Emu]:
        """Let words go on to the right margin, unless something stands beside them."""
        x, y, width, height = part["box"]
        others = [o["box"] for o in parts if o is not part]
        beside = any(a >= x + width and b < y + height and b + d > y for a, b, _, d in others)
        return [Emu(round(v * EMU)) for v in (x, y, width if beside else RIGHT - x, height)]

    for found in slides:
        slide = made.slides.add_slide(title_only)
        for at, part in enumerate(found["parts"]):
            place = [Emu(round(value * EMU)) for value in part["box"]]
            if part["kind"] == "picture":
                shape = slide.shapes.add_picture(io.BytesIO(part["png"]), *place)
                shape._element.nvPicPr.cNvPr.set("descr", part["alt"])
            elif part["kind"] == "table":
                rows, widths = part["rows"], part["widths"]
                shape = slide.shapes.add_table(len(rows), len(rows[0]), *place)
                for column, width in zip(shape.table.columns, widths, strict=True):
                    column.width = Emu(round(width * EMU))
                for i, row in enumerate(rows):
                    for j, text in enumerate(row):
                        cell = shape.table.cell(i, j)
                        write(cell, [text], part)
                        cell.vertical_anchor = MSO_ANCHOR.MIDDLE
                        cell.margin_left = cell.margin_right = Emu(14 * EMU)
                        cell.margin_top = cell.margin_bottom = empty
                        if j:
                            cell.text_frame.paragraphs[0].alignment = PP_ALIGN.RIGHT
            elif at == 0:
                shape = slide.shapes.title
                shape.left, shape.top, shape.width, shape.height = wide(part, found["parts"])
                write(shape, part["lines"], part)
                shape.text_frame.vertical_anchor = MSO_ANCHOR.TOP
                shape.text_frame.paragraphs[0].alignment = PP_ALIGN.LEFT
            else:
                shape = slide.shapes.add_textbox(*wide(part, found["parts"]))
                write(shape, part["lines"], part)
                shape.text_frame.vertical_anchor = MSO_ANCHOR.MIDDLE
                shape.text_frame.auto_size = MSO_AUTO_SIZE.TEXT_TO_FIT_SHAPE
        slide.notes_slide.notes_text_frame.text = found["notes"]
    file = io.BytesIO()
    made.save(file)
    return file.getvalue()


def main(arguments: list[str] | None = None) -> int:
    """Write the slides of the built site as PDF and PowerPoint files."""
    parser = argparse.ArgumentParser(prog="make slides", description=main.__doc__)
    parser.add_argument("--site", type=Path, default=SITE)
    parser.add_argument("--output", type=Path, default=PLACE)
    parser.add_argument("--chromium", required=True, help="path of a Chromium")
    parser.add_argument("names", nargs="*", help="chapters; all by default")
    options = parser.parse_args(arguments)
    folder = options.site / "downloads" / "slides"
    sets = [p for p in sorted(folder.glob("*.md")) if not options.names or p.stem in options.names]
    if not sets:
        print(f"there are no such slides in {folder}: run `make book` first", file=sys.stderr)
        return 1
    sys.path.append(str(TOOL))
    from playwright.sync_api import sync_playwright

    options.output.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=options.chromium, args=["--no-sandbox"]
        )
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT},
            color_scheme="light",
            reduced_motion="reduce",
        )
        for path in (one.with_suffix(".html") for one in sets):
            (options.output / f"{path.stem}.pdf").write_bytes(printed(page, path))
            (options.output / f"{path.stem}.pptx").write_bytes(powerpoint(read(page, path)))
        browser.close()
    print(f"{options.output}: each set as PDF and as PowerPoint file; sets: {len(sets)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
