// The page in which the book's engine runs: loads it after a click, asks it, shows the answer.
// Everything stays here: the worker's own way to the network is taken away before Python starts.
(() => {
  "use strict";

  const $ = (id) => document.getElementById(`engine-${id}`);
  const root = document.getElementById("engine");
  const here = document.currentScript.src;
  const manifest = typeof engineManifest === "undefined" ? null : engineManifest;
  const form = $("form");
  const choice = (name) => form.elements[name];
  const megabytes = (n) => (n / 1e6).toFixed(1);
  const COUNTS = ["events", "n", "time"];
  const EFFECTS = ["effect", "se", "variance", "lower", "upper"]; // in place of counts
  const ASKED = ["by", "risk_of_bias"]; // never guessed
  const ROLES = ["study", ...COUNTS, ...EFFECTS, ...ASKED];
  const LARGEST = 5e6;
  const CHOICES = ["model", "measure", "tau2_method", "level", "per", "scale", "group_tau2"];
  const KEPT = "nrm-meta table"; // in the tab, so that a reload keeps what was typed
  const FORMAT = "nrm-meta table and choices, version 1";
  let worker = null;
  let last = null;
  let asked = null; // what the engine is working on, or was last
  let turn = 0; // of tables: what is read of a file is put into the box only if nothing came there since
  // the form shows this and holds nothing: a browser may bring back values of an earlier visit
  const state = {
    csv: "",
    fileName: "cohorts.csv", // for messages
    file: false, // whether the table is that of the file that was opened
    chosen: {}, // columns that the reader named, by role
    book: null, // a spreadsheet whose sheet is in the box: file name, base64, names of sheets
    seen: null, // what the engine took the table for: { csv, chosen, header, roles, understood }
    pooling: false, // whether to pool as soon as it has looked
    choices: Object.fromEntries(CHOICES.map((name) => [name, choice(name).options[0].value])),
    engine: "absent", // then loading, ready, busy
    pooled: null, // what was asked for the result that is shown
  };

  const say = (text) => { $("status").textContent = text; };

  /* Give the keyboard to what has just come, unless the reader is in a field: who waits may write on. */
  function lead(to) {
    if (!document.activeElement?.matches("#engine-form :is(textarea, select)")) to.focus();
  }

  function element(kind, attributes = {}, ...children) {
    const made = document.createElement(kind);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    made.append(...children);
    return made;
  }

  // --- why it may not run ------------------------------------------------------------------

  function obstacle() {
    if (!manifest) return "The folder “engine” is not beside this page, so there is nothing to load.";
    if (!manifest.available) return `This build of the book does not have the engine: ${manifest.reason}. Build it again with “make book” where the npm registry can be reached.`;
    if (typeof WebAssembly !== "object") return "This browser does not run WebAssembly (perhaps a lockdown mode or a company rule), and Python needs it.";
    if (typeof Worker !== "function") return "This browser has no web workers, which the engine needs to keep the page responsive.";
    if (typeof DecompressionStream !== "function") return "This browser cannot unpack compressed data (DecompressionStream). Chrome or Edge 80, Firefox 113 and Safari 16.4 and all later ones can.";
    return "";
  }

  const why = obstacle();

  function failed(error) {
    const text = String((error && error.message) || error);
    if (worker) worker.terminate();
    worker = null;
    state.pooling = false;
    state.engine = "absent";
    const memory = /memory|RangeError|allocation/i.test(text);
    const advice = memory
      ? "The browser did not give the engine enough memory. Close other tabs, or use a computer instead of a telephone."
      : "You can try again; the other ways to run the book are at the end of this page.";
    $("progress").hidden = true;
    say("");
    render();
    problems([element("p", {}, `The engine stopped: ${text}`), element("p", {}, advice)]);
  }

  // --- loading -----------------------------------------------------------------------------

  function loadScript(file) {
    return new Promise((resolve, reject) => {
      const script = element("script", { src: new URL(file, here).href });
      script.onload = () => { script.remove(); resolve(); };
      script.onerror = () => { script.remove(); reject(new Error(`${file} could not be loaded`)); };
      document.head.append(script);
    });
  }

  async function collect() {
    const texts = {};
    window.enginePart = (pack, place, text) => { (texts[pack] = texts[pack] || [])[place] = text; };
    let got = 0;
    $("progress").hidden = false;
    for (const part of manifest.parts) {
      say(`Loading: ${megabytes(got)} of ${megabytes(manifest.bytes)} MB`);
      await loadScript(part.file);
      got += part.bytes;
      $("progress").value = got / manifest.bytes;
    }
    say(`Loaded ${megabytes(got)} MB. Starting Python …`);
    delete window.enginePart;
    const packs = {};
    for (const [name, pieces] of Object.entries(texts)) {
      const text = atob(pieces.join(""));
      const bytes = new Uint8Array(text.length);
      for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
      packs[name] = bytes;
    }
    return packs;
  }

  // runs in the worker, which is made from its text and therefore also starts from a folder
  function inWorker() {
    let answer = null;

    async function unpack(bytes, index) {
      // not from a Blob: WebKit refuses to read one in a worker of a page that is opened as a file
      const stream = new DecompressionStream("gzip");
      const writer = stream.writable.getWriter();
      const [whole] = await Promise.all([
        new Response(stream.readable).arrayBuffer().then((buffer) => new Uint8Array(buffer)),
        writer.write(bytes).then(() => writer.close()),
      ]);
      const files = {};
      let at = 0;
      for (const [name, length] of index) {
        files[name] = whole.subarray(at, at + length);
        at += length;
      }
      if (at !== whole.length) throw new Error("what was loaded is not complete");
      return files;
    }

    async function start({ packs, indexes }) {
      const files = {
        ...(await unpack(packs.runtime, indexes.runtime)),
        ...(await unpack(packs.book, indexes.book)),
      };
      const home = "https://engine.invalid/"; // an address that exists nowhere
      self.fetch = async (asked) => {
        const name = String(asked.url || asked).replace(home, "");
        if (!(name in files)) throw new Error(`the engine may not load ${asked}`);
        const type = name.endsWith(".wasm") ? "application/wasm" : "application/octet-stream";
        return new Response(files[name], { headers: { "Content-Type": type } });
      };
      self.XMLHttpRequest = undefined;
      self.WebSocket = undefined;
      for (const name of ["pyodide.asm.js", "pyodide.js"]) {
        // not by importScripts of a Blob, which WebKit refuses as well
        (0, eval)(new TextDecoder().decode(files[name]));
      }
      const python = await self.loadPyodide({ indexURL: home });
      // NumPy asks for the C stack before it reuses a temporary of 256 KiB or more; there is none here
      python._module.mergeLibSymbols({ backtrace: () => 0 }, "backtrace");
      postMessage({ stage: "Python runs. Starting NumPy and the engine …" });
      for (const name of ["numpy.zip", "helpers.zip"]) python.FS.writeFile(`/tmp/${name}`, files[name]);
      python.runPython(`
import sys, zipfile
zipfile.ZipFile("/tmp/numpy.zip").extractall(next(p for p in sys.path if p.endswith("site-packages")))
zipfile.ZipFile("/tmp/helpers.zip").extractall("/home/pyodide")
sys.path.insert(0, "/home/pyodide")
import platform, numpy
from helpers.reporting.in_browser import analyse_json
`);
      answer = python.globals.get("analyse_json");
      const versions = python.runPython('f"Python {platform.python_version()}, NumPy {numpy.__version__}"');
      postMessage({ ready: `${versions}, ${Math.round(python._module.HEAPU8.length / 1e6)} MB of memory` });
    }

    self.onmessage = async ({ data }) => {
      try {
        if (data.packs) await start(data);
        else postMessage({ kind: data.kind, of: data.of, answer: answer(data.request) });
      } catch (error) {
        const detail = String((error && error.message) || error).trim();
        postMessage({ failed: detail.split("\n").pop(), detail });
      }
    };
  }

  async function load() {
    state.engine = "loading";
    render();
    clear();
    const began = performance.now();
    try {
      const packs = await collect();
      const url = URL.createObjectURL(new Blob([`(${inWorker})()`], { type: "text/javascript" }));
      worker = new Worker(url);
      worker.onerror = (event) => { event.preventDefault(); failed(event.message || "the worker could not start"); };
      worker.onmessage = ({ data }) => {
        if (data.stage) say(data.stage);
        else if (data.failed) { console.error(data.detail); failed(data.failed); }
        else if (data.ready) {
          state.engine = "ready";
          render();
          $("progress").hidden = true;
          const seconds = ((performance.now() - began) / 1000).toFixed(1);
          root.dataset.seconds = seconds;
          say(`The engine is ready after ${seconds} s (${data.ready}). Pool the table when you like.`);
          lead($("pool"));
          look();
        } else if (data.kind === "look") saw(JSON.parse(data.answer), data.of);
        else show(JSON.parse(data.answer));
      };
      worker.postMessage(
        { packs, indexes: manifest.packs },
        Object.values(packs).map((bytes) => bytes.buffer),
      );
    } catch (error) {
      failed(error);
    }
  }

  // --- the table ---------------------------------------------------------------------------

  // Names in the first line, for the time before the engine runs: it then reads the table itself.
  function firstLine(text) {
    const lines = text.slice(0, 50000).replace(/^\uFEFF/, "").split(/\r?\n/).filter((line) => line.trim());
    const said = /^"?sep=(.)"?$/.exec(lines[0] || "");
    if (said) lines.shift();
    const line = lines[0] || "";
    const count = (mark) => line.split(mark).length;
    const mark = said ? said[1] : [",", ";", "\t", "|"].reduce((best, one) => (count(one) > count(best) ? one : best));
    const cells = [];
    let cell = "";
    let quoted = false;
    for (const letter of line + mark) {
      if (letter === '"') quoted = !quoted;
      else if (letter === mark && !quoted) { cells.push(cell.trim()); cell = ""; }
      else cell += letter;
    }
    return [...new Set(cells.filter(Boolean))];
  }

  const seen = () => (state.seen && state.seen.csv === state.csv && state.seen.chosen === named() ? state.seen : null);
  const header = () => (state.seen && state.seen.csv === state.csv ? state.seen.header : firstLine(state.csv));
  // what the reader named, for the engine
  const named = () => JSON.stringify(Object.fromEntries(ROLES.filter((role) => state.chosen[role]).map((role) => [role, state.chosen[role]])));

  // what the engine takes the columns for; until it has looked, what the reader named and it found before
  function roles() {
    const names = header();
    const before = state.seen ? state.seen.roles : {};
    const found = seen() ? before : { ...before, ...state.chosen };
    return Object.fromEntries(ROLES.map((role) => [role, names.includes(found[role]) ? found[role] : ""]));
  }

  function request() {
    const { csv, fileName, choices } = state;
    const asked = { content: csv, file: fileName, level: Number(choices.level), model: choices.model, per: Number(choices.per) };
    const columns = roles();
    // an empty choice is left to the engine, which asks for what it cannot find
    for (const role of ["study", "events", "n"]) if (columns[role]) asked[role] = columns[role];
    const more = ROLES.filter((role) => !asked[role] && columns[role]);
    if (more.length) asked.columns = Object.fromEntries(more.map((role) => [role, columns[role]]));
    if (columns.effect) {
      if (asked.model === "glmm") asked.model = "random"; // counts alone have one
      if (choices.scale) asked.scale = choices.scale;
    } else if (asked.model !== "glmm" && !columns.time) asked.measure = choices.measure;
    if (columns.by || columns.risk_of_bias) asked.group_tau2 = choices.group_tau2;
    if (asked.model === "random") asked.tau2_method = choices.tau2_method;
    return asked;
  }

  function render() {
    const columns = roles();
    const names = ["", ...header()];
    for (const role of ROLES) {
      const select = choice(role);
      if (!select.options.length || [...select.options].map((o) => o.value).join("\n") !== names.join("\n")) {
        select.replaceChildren(...names.map((n) => element("option", { value: n }, n || (["study", "events", "n"].includes(role) ? "choose …" : "–"))));
      }
      select.value = columns[role];
    }
    const sheets = state.book ? state.book.sheets : [];
    $("sheets").hidden = sheets.length < 2;
    choice("sheet").replaceChildren(...sheets.map((n) => element("option", { value: n }, n)));
    const said = seen() ? seen().understood : "";
    $("understood").hidden = !said;
    $("understood").textContent = said ? `Read as: ${said}.` : "";
    for (const name of CHOICES) choice(name).value = state.choices[name];
    // effects have no counts, and so no binomial model
    if (columns.effect && state.choices.model === "glmm") choice("model").value = "random";
    choice("measure").disabled = state.choices.model === "glmm" || Boolean(columns.time || columns.effect);
    choice("scale").disabled = !columns.effect;
    choice("group_tau2").disabled = !(columns.by || columns.risk_of_bias);
    if ([...EFFECTS, ...ASKED].some((role) => columns[role])) $("more").open = true;
    choice("tau2_method").disabled = choice("model").value !== "random";
    if ($("csv").value !== state.csv) $("csv").value = state.csv;
    if (!state.file) $("file").value = "";
    $("load").disabled = Boolean(why) || state.engine !== "absent";
    if (!why) $("load").textContent = ["absent", "loading"].includes(state.engine) ? `Load the engine (${megabytes(manifest.bytes)} MB)` : "The engine is loaded";
    $("pool").disabled = state.engine !== "ready";
    $("stop").hidden = state.engine !== "busy";
    const same = (one, other) => JSON.stringify({ ...one, file: "" }) === JSON.stringify({ ...other, file: "" });
    const stale = $("stale");
    if (stale) stale.hidden = same(state.pooled, request());
  }

  // the reader changed something
  function change(what) {
    if ("csv" in what) turn += 1;
    Object.assign(state, what);
    const before = $("stale") && $("stale").hidden;
    render();
    keep();
    look();
    if (before && !$("stale").hidden && !$("results").hidden) say("The result below is of the table and choices before this change. Pool the table again.");
  }

  const lines = (text) => text.replace(/\r\n?/g, "\n"); // as the box itself keeps them

  function put(text, name, file = false, chosen = {}) {
    change({ csv: lines(text).trimEnd() + "\n", fileName: name, file, chosen, book: null });
    $("csv").scrollTop = 0;
  }

  const ours = (name) => put(manifest.tables[name], `${name}.csv`, false, { ...(manifest.roles || {})[name] });

  // --- what the engine takes the table for ---------------------------------------------------

  let waiting = 0;

  function look(after = 300) {
    clearTimeout(waiting);
    if ((state.engine !== "ready" && !state.pooling) || seen()) return;
    waiting = setTimeout(() => {
      const { csv, fileName } = state;
      const of = { csv, chosen: named() };
      const columns = JSON.parse(of.chosen);
      if (worker) worker.postMessage({ kind: "look", of, request: JSON.stringify({ look: true, content: csv, file: fileName, columns }) });
    }, after);
  }

  function saw(answer, of) {
    if (of.turn) { // a spreadsheet
      if (of.turn !== turn) return; // another table came into the box meanwhile
      if (!answer.ok) {
        state.book = null;
        problems([element("p", {}, answer.message)]);
        return;
      }
      const { name, base64 } = state.book;
      // rows stay those of the sheet, so nothing is trimmed
      change({ csv: lines(answer.text), fileName: name, file: true, chosen: {}, book: { name, base64, sheets: answer.sheets } });
      say(`${name}: sheet “${answer.sheets[0]}” is in the box; it was read here and went nowhere.`);
      return;
    }
    const none = { header: firstLine(of.csv), roles: JSON.parse(of.chosen), understood: "" };
    const { header: names, roles: columns, understood } = answer.ok ? answer : none;
    state.seen = { ...of, header: names, roles: columns, understood };
    if (!seen()) return; // a later look is on its way
    render();
    if (state.pooling) pool();
  }

  function readBook(sheet) {
    const { name, base64 } = state.book;
    worker.postMessage({ kind: "look", of: { turn: (turn += 1) }, request: JSON.stringify({ look: true, base64, file: name, ...(sheet ? { sheet } : {}) }) });
  }

  // --- kept over a reload, and in a file -----------------------------------------------------

  const kept = () => ({ format: FORMAT, csv: state.csv, fileName: state.fileName, chosen: state.chosen, choices: state.choices });

  function keep() {
    // a browser may refuse this to a page, or for a large table: then a reload begins anew
    try {
      sessionStorage.setItem(KEPT, JSON.stringify(kept()));
    } catch (error) {
      console.warn(`The table is not kept over a reload: ${error.message}`);
    }
  }

  function restore(text) {
    const found = JSON.parse(text);
    if (!found || found.format !== FORMAT || typeof found.csv !== "string") throw new Error("no saved state");
    const choices = { ...state.choices };
    for (const name of CHOICES) {
      const value = String((found.choices || {})[name]);
      if ([...choice(name).options].some((o) => o.value === value)) choices[name] = value;
    }
    const chosen = Object.fromEntries(Object.entries(found.chosen || {}).filter(([role, name]) => ROLES.includes(role) && typeof name === "string"));
    change({ csv: found.csv, fileName: String(found.fileName), file: false, chosen, choices, book: null });
  }

  function decoded(bytes) {
    const marks = { "255,254": "utf-16le", "254,255": "utf-16be" };
    const start = bytes.subarray(0, 4000);
    const zeros = (odd) => start.filter((one, i) => one === 0 && i % 2 === odd).length;
    const wide = 3 * (zeros(0) + zeros(1)) > start.length;
    const named = marks[bytes.subarray(0, 2).join()] || (wide ? (zeros(1) > zeros(0) ? "utf-16le" : "utf-16be") : "");
    if (named) return [new TextDecoder(named, { fatal: true }).decode(bytes), "UTF-16"];
    try {
      return [new TextDecoder("utf-8", { fatal: true }).decode(bytes), ""];
    } catch {
      return [new TextDecoder("windows-1252").decode(bytes), "Windows-1252"];
    }
  }

  async function open(file) {
    clear();
    if (file.size > LARGEST) {
      problems([element("p", {}, `${file.name} has ${megabytes(file.size)} MB; a table of studies has less than ${megabytes(LARGEST)} MB.`)]);
      return;
    }
    const mine = (turn += 1);
    const bytes = new Uint8Array(await file.arrayBuffer());
    if (mine !== turn) return; // another table came into the box meanwhile
    const begins = bytes.subarray(0, 4).join();
    if (begins === "80,75,3,4" || begins === "208,207,17,224") {
      if (!["ready", "busy"].includes(state.engine)) {
        problems([element("p", {}, `${file.name} is a spreadsheet, which the engine reads: load the engine first, then open the file.`)]);
        $("file").value = "";
        return;
      }
      let text = "";
      for (let i = 0; i < bytes.length; i += 32768) text += String.fromCharCode(...bytes.subarray(i, i + 32768));
      state.book = { name: file.name, base64: btoa(text), sheets: [] };
      readBook("");
      return;
    }
    try {
      const [text, encoding] = decoded(bytes);
      if (/^\s*\{/.test(text)) {
        restore(text);
        say(`${file.name}: the saved table and choices are back.`);
        return;
      }
      if (text.includes("\0")) throw new Error("no text");
      put(text, file.name, true);
      say(`${file.name} is in the box${encoding ? ` (${encoding})` : ""}; it was read here and went nowhere.`);
    } catch {
      problems([element("p", {}, `${file.name} is neither a table as text nor an xlsx file nor a state that this page saved. Save it again as “CSV UTF-8”.`)]);
    }
  }

  // --- asking and showing ------------------------------------------------------------------

  function clear() {
    $("errors").hidden = true;
    $("errors").replaceChildren();
  }

  function problems(children) {
    $("results").hidden = true;
    $("errors").replaceChildren(...children);
    $("errors").hidden = false;
    lead($("errors"));
  }

  function ask(event) {
    event.preventDefault();
    if (state.engine !== "ready") return;
    clear();
    state.pooling = true;
    state.engine = "busy";
    render();
    if (seen()) pool();
    else look(0);
  }

  function pool() {
    state.pooling = false;
    asked = request();
    const count = state.csv.split("\n").length - 2;
    say(count > 1000 ? `Pooling some ${count.toLocaleString("en")} rows …` : "Pooling …");
    worker.postMessage({ kind: "pool", request: JSON.stringify(asked) });
  }

  function grid(head, rows, caption, numeric = []) {
    const cells = (row, kind) => row.map((v, i) =>
      element(i === 0 && kind === "td" ? "th" : kind,
        { ...(numeric.includes(i) ? { class: "engine-number" } : {}), ...(i === 0 && kind === "td" ? { scope: "row" } : {}), ...(kind === "th" ? { scope: "col" } : {}) },
        v === null || v === undefined ? "" : String(v)));
    return element("table", { class: "engine-values" },
      element("caption", {}, caption),
      ...(head ? [element("thead", {}, element("tr", {}, ...cells(head, "th")))] : []),
      element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row, "td")))));
  }

  function save(name, type, text) {
    const url = URL.createObjectURL(new Blob([text], { type }));
    element("a", { href: url, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(url), 1000);
  }

  function download(label, ...file) {
    const button = element("button", { type: "button" }, label);
    button.addEventListener("click", () => save(...file));
    return button;
  }

  function stop() {
    worker.terminate();
    worker = null;
    state.pooling = false;
    state.engine = "absent";
    render();
    say("Stopped. Load the engine again to go on; the table and the choices are kept.");
  }

  function show(answer) {
    state.engine = "ready";
    look(); // the table may have changed meanwhile
    if (!answer.ok) {
      render();
      say("The table or the choices cannot be used; the list says why.");
      const list = answer.problems.length
        ? [element("div", { class: "engine-scroll", role: "region", tabindex: "0", "aria-label": "List of problems, scrolls sideways" }, grid(["Row", "Column", "Found", "Expected"], answer.problems.map((p) => [p.row ?? "whole file", p.column, p.value, p.expected]), `${answer.problems.length} ${answer.problems.length === 1 ? "problem" : "problems"} in ${asked.file}`))]
        : [element("p", {}, answer.message)];
      problems(list);
      return;
    }
    last = answer;
    state.pooled = asked;
    const fit = answer.fit;
    const drawing = document.importNode(new DOMParser().parseFromString(answer.svg, "image/svg+xml").documentElement, true);
    const listed = answer.table.rows.length;
    const studies = grid(answer.table.head, answer.table.rows,
      `Every study with its own interval${listed < fit.studies.length ? `; the first ${listed} of ${fit.studies.length}, all are in the file “Studies (CSV)”` : ""}`, [0, ...[2, 3, 4, 5, 6, 7].filter((i) => answer.table.head[i] !== "Left out because")]);
    // what is downloaded does not know the colours of the page
    const picture = answer.svg.replace(/var\(--[\w-]+,\s*(#[0-9a-f]+)\)/g, "$1");
    $("results").replaceChildren(
      element("p", { id: "engine-stale", class: "engine-note", hidden: "" }, "The table or the choices have changed since. This is the result of those before; pool the table again."),
      element("h2", { id: "engine-result" }, "Result"),
      element("p", { class: "answer" }, answer.headline),
      ...(answer.understood ? [element("p", { class: "engine-hint" }, `Read as: ${answer.understood}.`)] : []),
      grid(null, answer.rows, "Numbers of the fit"),
      ...(answer.cautions.length
        ? [element("h3", {}, "Cautions"), element("ul", {}, ...answer.cautions.map((c) => element("li", {}, c)))]
        : [element("p", {}, "The engine has no caution about this fit.")]),
      element("div", { class: "engine-scroll", role: "region", tabindex: "0", "aria-label": "Forest plot, scrolls sideways" }, drawing),
      ...answer.groups.flatMap((one) => [
        ...(one.rows.length ? [element("div", { class: "engine-scroll", role: "region", tabindex: "0", "aria-label": `${one.caption}, scrolls sideways` }, grid(one.head, one.rows, one.caption, [1, 2, 3, 4]))] : []),
        ...one.notes.map((note) => element("p", { class: "engine-hint" }, note)),
      ]),
      element("details", {}, element("summary", {}, "Table of studies"),
        element("div", { class: "engine-scroll", role: "region", tabindex: "0", "aria-label": "Table of studies, scrolls sideways" }, studies)),
      element("h3", {}, "Method"),
      element("p", {}, answer.methods),
      element("p", {}, "Sources: ", ...answer.references.flatMap((doi, i) => [i ? ", " : "", element("a", { href: `https://doi.org/${doi}` }, doi)]), "."),
      element("p", { class: "engine-line" },
        download("Studies (CSV)", "studies.csv", "text/csv", answer.csv),
        download("Result (JSON)", "result.json", "application/json", `${JSON.stringify(fit, null, 2)}\n`),
        download("Forest plot (SVG)", "forest.svg", "image/svg+xml", picture)),
    );
    render();
    $("results").hidden = false;
    lead($("results"));
    say(answer.headline);
  }

  // --- the page ----------------------------------------------------------------------------

  if (why) {
    $("missing").textContent = why;
    $("missing").hidden = false;
  }
  let before = null;
  try {
    before = sessionStorage.getItem(KEPT);
    if (before) restore(before);
  } catch {
    before = null; // nothing is kept for this page, or by another version of it
  }
  if (!before && manifest) ours("cohorts");
  else render();
  form.addEventListener("submit", ask);
  for (const name of CHOICES) {
    choice(name).addEventListener("change", (event) => change({ choices: { ...state.choices, [name]: event.target.value } }));
  }
  for (const role of ROLES) {
    choice(role).addEventListener("change", (event) => {
      // the one takes the place of the other
      const spread = { se: ["variance", "lower", "upper"], variance: ["se", "lower", "upper"], lower: ["se", "variance"], upper: ["se", "variance"] };
      const others = { n: ["time"], time: ["n"], ...spread }[role] || [];
      if (event.target.value && EFFECTS.includes(role)) others.push(...COUNTS);
      if (event.target.value && COUNTS.includes(role)) others.push(...EFFECTS);
      change({ chosen: { ...state.chosen, ...Object.fromEntries(others.map((one) => [one, ""])), [role]: event.target.value } });
    });
  }
  choice("sheet").addEventListener("change", (event) => { if (worker && state.book) readBook(event.target.value); });
  $("stop").addEventListener("click", stop);
  $("save").addEventListener("click", () => save("table-and-choices.json", "application/json", `${JSON.stringify(kept(), null, 1)}\n`));
  $("load").addEventListener("click", load);
  $("csv").addEventListener("input", () => change({ csv: $("csv").value, fileName: "the table above", file: false, book: null }));
  $("file").addEventListener("change", (event) => { if (event.target.files[0]) open(event.target.files[0]); });
  window.addEventListener("pageshow", render);
  for (const button of form.querySelectorAll("[data-table]")) {
    button.addEventListener("click", () => {
      if (!manifest) return;
      ours(button.dataset.table);
      say(`${button.textContent}: the table is in the box.`);
    });
  }
  for (const kind of ["dragover", "dragleave", "drop"]) {
    root.addEventListener(kind, (event) => {
      event.preventDefault();
      root.classList.toggle("engine-drop", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files[0]) open(event.dataTransfer.files[0]);
    });
  }
  form.inert = false; // nothing that was typed or chosen before would have been heard
  window.engineResult = () => last; // for tests and the curious
})();
