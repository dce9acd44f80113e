/* The search: sections of the book (sections.js), weighed by MiniSearch, live in every search field. */
(() => {
  "use strict";

  const HERE = document.querySelector("script[src*='_static/site.js']")?.src ?? "";
  const STATIC = HERE.replace(/site\.js.*$/, "");
  const ROOT = STATIC.replace(/_static\/$/, "");
  const STOP = new Set("a an and are as at be by can do does for from how i in is it my of on or that the to was what when where which who why with you".split(" "));
  const BOOST = { heading: 6, title: 4, sought: 40, text: 1 }; // few places have "sought": its mean length is near 0
  const QUIET = /^(changelog|audit|build_status|references|codebook)\.html/;
  const LIVE = 12; // results below a field
  const PER_PAGE = 3; // of one page among them
  const SYNONYM = 0.3; // weight of another name where the one asked for is in the book too

  // -- words ----------------------------------------------------------------------------------------

  /* Letters without case, accents and raised digits; Greek letters of the formulas by their names. */
  const GREEK = { τ: "tau", μ: "mu", χ: "chi", σ: "sigma", θ: "theta", ρ: "rho", β: "beta", π: "pi" };
  const folded = (text) =>
    text.normalize("NFKC").normalize("NFD").replace(/[\u0300-\u036f\u2019']/g, "").toLowerCase()
      .replace(/[τμχσθρβπ]/g, (letter) => GREEK[letter]).replace(/[\u2010-\u2014\u2212]/g, "-");

  /* One form for singular and plural. */
  const stem = (word) => {
    if (word.length > 4 && word.endsWith("ies")) return `${word.slice(0, -3)}y`;
    return word.length > 3 && /[^sui]s$/.test(word) ? word.slice(0, -1) : word;
  };
  const split = (text) =>
    folded(text).split(/[^\p{L}\p{N}_-]+/u).map((word) => word.replace(/^[-_]+|[-_]+$/g, "")).filter(Boolean);

  /* Words as they are asked for: a name with a hyphen is one word. */
  const asked = (text) => split(text).filter((word) => !STOP.has(word)).map(stem);

  /* Words as they are indexed: a name with a hyphen is found whole, without it, and by its parts. */
  const indexed = (text) =>
    split(text).flatMap((word) => {
      if (!/[-_]/.test(word)) return [stem(word)];
      const parts = word.split(/[-_]+/);
      return [stem(word), stem(parts.join("")), ...parts.filter((part) => part.length > 2).map(stem)];
    });

  // -- the index ------------------------------------------------------------------------------------

  const script = (name) =>
    new Promise((done, failed) => {
      const element = document.createElement("script");
      element.src = STATIC + name;
      element.onload = done;
      element.onerror = () => failed(new Error(`${name} could not be read`));
      document.head.append(element);
    });

  const weight = (page, level) =>
    (page.startsWith("reference/") ? 0.25 : QUIET.test(page) ? 0.4 : page.startsWith("gallery") ? 0.6 : 1) * (level === 1 ? 1.3 : 1);

  let reading; // the index, made once, in pieces, so that typing is never held up
  function index() {
    reading ??= (async () => {
      await Promise.all([script("minisearch/minisearch.min.js"), script("sections.js")]);
      const { pages, entries, same } = window.bookSections;
      const sections = entries.map(([page, anchor, level, heading, text, sought], id) => ({
        id, level, heading, text, sought,
        title: level === 1 ? "" : pages[page][1],
        page: pages[page][0],
        address: pages[page][0] + (anchor && `#${anchor}`),
      }));
      const engine = new window.MiniSearch({
        fields: Object.keys(BOOST),
        tokenize: indexed,
        processTerm: (word) => (word && !STOP.has(word) ? word : null),
      });
      await engine.addAllAsync(sections, { chunkSize: 40 });
      return { engine, sections, names: same.map((group) => group.map((name) => asked(name))) };
    })();
    reading.catch(() => { reading = undefined; }); // a file that got lost is asked for again
    return reading;
  }

  // -- a question -----------------------------------------------------------------------------------

  const scaled = (by) => Object.fromEntries(Object.entries(BOOST).map(([name, value]) => [name, value * by]));

  const word = (text, last, by = 1) => ({
    queries: [text],
    boost: scaled(by),
    prefix: last && text.length > 2,
    fuzzy: text.length > 5 ? 0.2 : false,
    weights: { prefix: 0.4, fuzzy: 0.2 },
  });
  const name = (words, last, by) => ({
    combineWith: "AND",
    queries: words.map((text, i) => word(text, last && i === words.length - 1, by)),
  });

  /* Where a name of a group is asked for, any of its names will do. */
  function parts(words, { engine, names }) {
    const made = [];
    for (let i = 0; i < words.length; ) {
      let best = null;
      for (const group of names) {
        for (const one of group) {
          if (one.length > (best?.one.length ?? 0) && one.every((text, k) => words[i + k] === text)) best = { one, group };
        }
      }
      if (best === null) {
        made.push(word(words[i], i === words.length - 1));
        i += 1;
        continue;
      }
      const last = i + best.one.length === words.length;
      const here = engine.search(name(best.one, false), { tokenize: (text) => [text] });
      const exact = here.some((found) => found.queryTerms.every((term) => found.terms.includes(term)));
      made.push({
        combineWith: "OR",
        queries: best.group.map((one) => (one === best.one ? name(one, last) : name(one, false, exact ? SYNONYM : 1))),
      });
      i += best.one.length;
    }
    return made;
  }

  async function search(question) {
    const state = await index();
    const words = asked(question);
    if (!words.length) return [];
    const options = {
      tokenize: (text) => [text], // cut above
      boostDocument: (id) => weight(state.sections[id].page, state.sections[id].level),
    };
    const queries = parts(words, state);
    let found = state.engine.search({ combineWith: "AND", queries }, options);
    if (!found.length) found = state.engine.search({ combineWith: "OR", queries }, options);
    return found.map(({ id, terms }) => ({ ...state.sections[id], terms: new Set(terms) }));
  }

  // -- results --------------------------------------------------------------------------------------

  const AROUND = 75; // characters on each side of a word that was found

  /* Put a text into an element, with the words that were found marked. */
  function marked(element, text, terms) {
    let end = 0;
    for (const match of text.matchAll(/[\p{L}\p{N}][\p{L}\p{M}\p{N}_’'-]*/gu)) {
      if (!indexed(match[0]).some((term) => terms.has(term))) continue;
      const mark = document.createElement("mark");
      mark.textContent = match[0];
      element.append(text.slice(end, match.index), mark);
      end = match.index + match[0].length;
    }
    element.append(text.slice(end));
  }

  function snippet(text, terms) {
    const places = [...text.matchAll(/[\p{L}\p{N}][\p{L}\p{M}\p{N}_’'-]*/gu)]
      .filter((match) => indexed(match[0]).some((term) => terms.has(term)))
      .map((match) => match.index);
    const near = (place) => places.filter((other) => other >= place && other < place + 2 * AROUND).length;
    const at = places.reduce((best, place) => (near(place) > near(best) ? place : best), places[0] ?? 0);
    let start = Math.max(0, at - AROUND);
    let end = Math.min(text.length, at + 2 * AROUND);
    if (start > 0) start = text.indexOf(" ", start) + 1;
    if (end < text.length) end = text.lastIndexOf(" ", end);
    return `${start > 0 ? "… " : ""}${text.slice(start, end)}${end < text.length ? " …" : ""}`;
  }

  function item(result) {
    const row = document.createElement("li");
    const link = document.createElement("a");
    link.href = ROOT + result.address;
    const heading = document.createElement("span");
    heading.className = "found-heading";
    marked(heading, result.heading, result.terms);
    link.append(heading);
    if (result.title) {
      const page = document.createElement("span");
      page.className = "found-page";
      page.textContent = result.title;
      link.append(" ", page);
    }
    const text = document.createElement("span");
    text.className = "found-text";
    marked(text, snippet(result.text, result.terms), result.terms);
    link.append(" ", text);
    row.append(link);
    return row;
  }

  function few(results) {
    const seen = {};
    return results.filter(({ page }) => (seen[page] = (seen[page] ?? 0) + 1) <= PER_PAGE);
  }

  /* A search field: what is found appears below it while the reader types. */
  function live(form) {
    const field = form.querySelector("input[type=search]");
    const dialog = form.closest("dialog");
    const status = document.createElement("p");
    status.className = "found-count";
    status.setAttribute("role", "status");
    const list = document.createElement("ul");
    list.className = "found";
    list.setAttribute("aria-label", "Found sections");
    form.after(status, list);
    let turn = 0;

    async function show() {
      const mine = ++turn;
      const question = field.value.trim();
      if (!question) {
        status.textContent = "";
        list.replaceChildren();
        return;
      }
      let results;
      try {
        results = await search(question);
      } catch (fault) {
        status.textContent = `The search does not work: ${fault.message}.`;
        return;
      }
      if (mine !== turn) return; // the reader has typed on
      const shown = dialog ? few(results).slice(0, LIVE) : results.slice(0, 5 * LIVE);
      list.replaceChildren(...shown.map(item));
      const count = `${results.length} section${results.length === 1 ? "" : "s"}`;
      status.textContent = results.length ? `${count} found${shown.length < results.length ? `, the first ${shown.length} here` : ""}` : `Nothing found for “${question}”.`;
    }

    field.addEventListener("input", show);
    if (!dialog) field.focus(); // the index is read by a touch or a letter, not by the page's own doing
    field.addEventListener("focus", () => index().catch(() => {}), { once: true }); // said when asked
    const links = () => [...list.querySelectorAll("a")];
    const step = (event) => {
      const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!move) return;
      const stops = [field, ...links()];
      const next = stops[stops.indexOf(document.activeElement) + move];
      if (!next) return;
      event.preventDefault();
      next.focus();
    };
    field.addEventListener("keydown", step);
    list.addEventListener("keydown", step);
    list.addEventListener("click", (event) => {
      if (event.target.closest("a")) dialog?.close(); // the place may be on this page
    });
    dialog?.addEventListener("keydown", (event) => {
      if (event.key === "Escape") dialog.close(); // also from a result
    });
    form.addEventListener("submit", (event) => {
      if (dialog) return; // to the page of the search, with all results
      event.preventDefault();
      history.replaceState(null, "", `?q=${encodeURIComponent(field.value)}`);
    });
    if (!dialog) {
      field.value ||= new URLSearchParams(location.search).get("q") ?? ""; // who was faster than this script has typed
      if (field.value) show();
    }
  }

  for (const form of document.querySelectorAll("form.bd-search")) {
    if (form.closest("dialog, .bd-search-container")) live(form);
  }
  window.searchBook = search; // for tests and for those who know
})();
