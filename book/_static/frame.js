/* The frame of the theme: colours, side bars, search box, menus, solutions, copying of code.
   In place of the theme's scripts, Bootstrap and three extensions, of which pages used this much. */
(() => {
  "use strict";

  const root = document.documentElement;
  const all = (selector, within = document) => [...within.querySelectorAll(selector)];
  const stored = (storage, key, value) => {
    try {
      return value === undefined ? storage().getItem(key) : storage().setItem(key, value);
    } catch (refused) {
      return null; // no storage: this page only
    }
  };

  // -- colours --------------------------------------------------------------------------------------

  const dark = matchMedia("(prefers-color-scheme: dark)");
  const MODES = () => (dark.matches ? ["auto", "light", "dark"] : ["auto", "dark", "light"]);
  function colours(mode) {
    root.dataset.mode = mode;
    root.dataset.theme = mode === "auto" ? (dark.matches ? "dark" : "light") : mode;
  }
  dark.addEventListener("change", () => colours(root.dataset.mode));
  for (const button of all(".theme-switch-button")) {
    button.addEventListener("click", () => {
      const mode = MODES()[(MODES().indexOf(root.dataset.mode) + 1) % 3];
      colours(mode);
      stored(() => localStorage, "mode", mode);
    });
  }

  // -- dialogs: search, and the side bars where the window is narrow -----------------------------------

  /* A click beside an open dialog closes it. */
  function closesOutside(dialog) {
    dialog.addEventListener("click", (event) => {
      const { left, right, top, bottom } = dialog.getBoundingClientRect();
      const { clientX: x, clientY: y } = event;
      if (event.target === dialog && (x < left || x > right || y < top || y > bottom)) dialog.close();
    });
  }

  const search = document.getElementById("pst-search-dialog");
  const fields = all("form.bd-search");
  const own = fields.find((form) => !search.contains(form))?.querySelector("input"); // of the search page
  function find() {
    if (own) {
      own.focus();
      own.select();
    } else if (search.open) search.close();
    else search.showModal();
  }
  closesOutside(search);
  for (const button of all(".search-button__button")) button.addEventListener("click", find);
  const mac = /^Mac/.test(navigator.platform);
  if (mac) for (const key of all("kbd.kbd-shortcut__modifier:first-child")) key.textContent = "\u2318";
  addEventListener("keydown", (event) => {
    if (event.shiftKey || event.altKey || !(mac ? event.metaKey : event.ctrlKey)) return;
    if (event.key.toLowerCase() !== "k") return;
    event.preventDefault();
    find();
  }, true);

  /* The theme's sheet knows a side bar by its classes: they move into the dialog with what is in it. */
  function moved(from, to) {
    to.append(...from.childNodes);
    to.classList.add(...from.classList);
    from.className = "";
  }
  for (const side of ["primary", "secondary"]) {
    const button = document.querySelector(`.${side}-toggle`);
    const bar = document.getElementById(`pst-${side}-sidebar`);
    const dialog = document.getElementById(`pst-${side}-sidebar-modal`);
    if (!button || !bar || !dialog) continue;
    dialog.setAttribute("aria-label", button.title);
    const beside = () => getComputedStyle(bar).display !== "none"; // the sheet alone knows from which width on
    const say = () => {
      button.setAttribute("aria-expanded", dialog.open || (beside() && !bar.classList.contains("pst-sidebar-hidden")));
    };
    new ResizeObserver(() => { // now, and when the window has room for it or none
      if (beside()) dialog.close();
      say();
    }).observe(bar);
    button.addEventListener("click", () => {
      if (beside()) bar.classList.toggle("pst-sidebar-hidden");
      else {
        moved(bar, dialog);
        dialog.showModal();
      }
      say();
    });
    dialog.addEventListener("close", () => {
      if (dialog.open) return; // a second tap was quicker than the news of the first
      moved(dialog, bar);
      say();
    });
    dialog.addEventListener("click", (event) => {
      if (event.target.closest("a[href*='#']")) dialog.close(); // a place on this page
    });
    closesOutside(dialog);
  }

  /* The list of pages stays where the reader left it. */
  const bar = document.querySelector(".bd-sidebar-primary");
  const KEPT = "sidebar-scroll-top";
  if (bar) {
    const kept = stored(() => sessionStorage, KEPT);
    const here = bar.querySelector("[aria-current=page]");
    requestAnimationFrame(() => { // with the first frame, which lays the page out anyway
      if (kept !== null) bar.scrollTop = Number(kept);
      else if (here && here.offsetTop > innerHeight / 2) bar.scrollTop = here.offsetTop - innerHeight / 4;
    });
    addEventListener("pagehide", () => stored(() => sessionStorage, KEPT, bar.scrollTop));
  }

  window.toggleFullScreen = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    else root.requestFullscreen?.();
  };

  // -- menus of the page's head --------------------------------------------------------------------------

  for (const button of all("[data-bs-toggle=dropdown]")) {
    const menu = button.parentElement.querySelector(".dropdown-menu");
    const items = () => all("a, button", menu);
    function show(open) {
      menu.classList.toggle("show", open);
      button.setAttribute("aria-expanded", open);
    }
    button.addEventListener("click", () => show(!menu.classList.contains("show")));
    document.addEventListener("click", (event) => {
      if (!button.contains(event.target)) show(false);
    });
    button.parentElement.addEventListener("focusout", (event) => {
      if (event.relatedTarget && !button.parentElement.contains(event.relatedTarget)) show(false);
    });
    button.parentElement.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (event.key === "Escape" && menu.classList.contains("show")) {
        show(false);
        button.focus();
      } else if (step) {
        event.preventDefault();
        show(true);
        const at = items().indexOf(document.activeElement);
        items().at((at < 0 && step < 0 ? -1 : at + step) % items().length).focus();
      }
    });
  }

  // -- the rest of the page, after its first screen ----------------------------------------------------------

  /* Section by section, so that a slow phone answers in between. What is not laid out yet is when the
     reader comes near; all is soon, because it is missing from the accessibility tree until then.
     A small picture of a gallery is a second copy of the drawing that it leads to. */
  const first = root.dataset.laying === "all" ? "" : ":nth-of-type(n + 2)";
  const LATER = `.bd-article :is(section section${first}, section dl.py, .table-scroll, .citation:nth-of-type(n + 30))`; // as in book.css
  const later = "laying" in root.dataset ? all(LATER) : [];
  const left = [...all(".gallery-grid use"), ...later];
  const STEP = 3; // milliseconds
  function lay() {
    const end = performance.now() + STEP;
    while (left.length && performance.now() < end) {
      const part = left.shift();
      if (part.dataset.href) part.setAttribute("href", part.dataset.href);
      else part.style.contentVisibility = "visible";
      if (!part.closest("details:not([open])")) part.getBoundingClientRect(); // now
    }
    if (left.length || window.interactive?.queue.length) setTimeout(lay); // pictures are built meanwhile
    else {
      delete root.dataset.laying;
      for (const part of later) part.style.contentVisibility = "";
    }
  }
  addEventListener("DOMContentLoaded", () => requestAnimationFrame(() => setTimeout(lay)));

  // -- where the reader is: the section below the top of the window ---------------------------------

  const places = new Map();
  for (const link of all(".bd-toc-nav a[href^='#'], .page-toc a[href^='#']")) {
    const section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
    if (section) places.set(section, link);
  }
  if (places.size) {
    const seen = new Set();
    const mark = () => {
      const now = [...places.keys()].filter((section) => seen.has(section)).at(-1);
      for (const [section, link] of places) {
        const here = section === now;
        link.classList.toggle("active", here);
        link.parentElement.classList.toggle("active", here);
        if (here) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
      }
    };
    // sections hold each other: the last in the document that crosses the line is the innermost
    const line = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target);
      mark();
    }, { rootMargin: "-16% 0px -83% 0px" });
    for (const section of places.keys()) line.observe(section);
  }

  // -- what is wider than its box is a stop of the keyboard --------------------------------------------------

  // in the next frame: what is a stop may have another size
  const stops = new ResizeObserver((entries) => requestAnimationFrame(() => {
    for (const { target } of entries) {
      if (target.scrollWidth > target.clientWidth || target.scrollHeight > target.clientHeight) target.tabIndex = 0;
      else target.removeAttribute("tabindex");
    }
  }));
  const boxes = all("pre, .cell_output > .output, .pst-scrollable-table-container, .math-block");
  const measure = () => {
    for (const box of boxes) {
      stops.unobserve(box); // to be told of it again
      stops.observe(box);
    }
  };
  measure();
  // text has its final width then; to ask `fonts.ready` would lay the page out at once
  document.fonts.addEventListener("loadingdone", measure);

  // -- code: a button that copies it ---------------------------------------------------------------------------

  const drawn = (paths) =>
    `<svg width="24" height="24" viewBox="0 0 24 24" fill="none" stroke="currentcolor" stroke-width="1.5" aria-hidden="true">${paths}</svg>`;
  const COPY = drawn('<rect x="8" y="8" width="12" height="12" rx="2"/><path d="M16 8V6a2 2 0 0 0-2-2H6a2 2 0 0 0-2 2v8a2 2 0 0 0 2 2h2"/>');
  const DONE = drawn('<path d="M5 12l5 5L20 7"/>');

  /* Write a text to the clipboard; `window.bookCopy` for other scripts. */
  async function copy(text) {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return;
    }
    const area = document.createElement("textarea");
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    const done = document.execCommand("copy");
    area.remove();
    if (!done) throw new Error("the browser refused to copy");
  }
  window.bookCopy = copy;

  for (const code of all("div.highlight pre")) {
    const text = () => {
      const copied = code.cloneNode(true);
      for (const number of all(".linenos", copied)) number.remove();
      return copied.textContent.replace(/\n$/, "");
    };
    const first = text().trim().split("\n")[0];
    const label = `Copy the code: ${first.length > 50 ? `${first.slice(0, 50)} …` : first}`;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copybtn";
    button.innerHTML = COPY;
    button.title = "Copy";
    button.setAttribute("aria-label", label);
    button.addEventListener("click", async () => {
      let said = "Copied";
      try {
        await copy(text());
        button.innerHTML = DONE;
      } catch (refused) {
        said = "Copying was refused; please select the text";
      }
      button.classList.add("success");
      button.title = said;
      button.setAttribute("aria-label", said);
      setTimeout(() => {
        button.innerHTML = COPY;
        button.classList.remove("success");
        button.title = "Copy";
        button.setAttribute("aria-label", label);
      }, 2000);
    });
    code.after(button);
  }

  // -- boxes that open: solutions --------------------------------------------------------------------------------

  const CHEVRON = '<svg class="tb-icon toggle-chevron-right" width="24" height="24" viewBox="0 0 24 24" stroke-width="1.5" fill="none" stroke="currentcolor" aria-hidden="true"><path d="M9 6l6 6-6 6"/></svg>';
  for (const box of all(".admonition.dropdown")) {
    const title = box.querySelector(".admonition-title");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "toggle-button";
    button.innerHTML = CHEVRON;
    button.setAttribute("aria-label", title.textContent.trim());
    title.append(button);
    box.classList.add("toggle");
    const show = (open) => {
      box.classList.toggle("toggle-hidden", !open);
      button.classList.toggle("toggle-button-hidden", !open);
      button.setAttribute("aria-expanded", open);
      button.dataset.toggleHint = open ? "Hide" : "Show";
    };
    show(false);
    title.addEventListener("click", (event) => {
      show(box.classList.contains("toggle-hidden"));
      // a solution is printed only where a reader has opened it
      if (event.isTrusted) box.classList.toggle("asked-for", !box.classList.contains("toggle-hidden"));
    });
  }
})();
