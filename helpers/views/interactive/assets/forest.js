/* The forest plot: rows to sort, filter, tick off and walk through; what is left is pooled here. */
(() => {
  "use strict";
  const { h, s, count, number, hundredths, percent, between, input, select, slider, button, announcer, keep, run, glmm, sound, statistics, linked, centre, takeaway } = window.interactive;

  const ORDERS = {
    estimate: ["Estimate", (row) => row.at[0]],
    patients: ["Patients", (row) => row.patients],
    deaths: ["Deaths", (row) => row.deaths],
    follow_up: ["Follow-up", (row) => row.follow_up],
    year: ["Year", (row) => row.year],
    name: ["Name", (row) => row.name],
  };
  const DIRECTIONS = {
    year: ["latest", "earliest"],
    name: ["last letter", "first letter"],
    follow_up: ["longest", "shortest"],
  };
  const slug = (text) => text.toLowerCase().replace(/[^a-z0-9]+/g, "-");
  const known = new Set(["lbcl", "mcl", "mm", "il"]);
  const paint = (row) => `var(--picture-${known.has(slug(row.entity)) ? slug(row.entity) : "accent"})`;
  const colour = (row) => `stroke: ${paint(row)}; fill: ${paint(row)}`;
  const swatch = (row) => h("span", { class: "interactive-key", style: `background: ${paint(row)}` });
  const OWN = "added here";

  /* Missing values come last in either direction; ties keep the order of names. */
  function sorted(rows, key, down) {
    const value = ORDERS[key][1];
    return [...rows].sort((a, b) => {
      const [x, y] = [value(a), value(b)];
      if (x === null || y === null) return (x === null) - (y === null) || a.name.localeCompare(b.name);
      const order = typeof x === "string" ? x.localeCompare(y) : x - y;
      return (down ? -order : order) || a.name.localeCompare(b.name);
    });
  }

  run("forest", function* forest(panel, data) {
    const { rule } = data, axis = { ...data.axis };
    const x = (value) => `${(100 * Math.min(value, axis.limit)) / axis.limit}%`;
    const years = data.rows.map((row) => row.year);
    const START = {
      order: "estimate", down: true, months: 0, patients: 0, year: Math.min(...years), tones: false,
      ...Object.fromEntries(data.filters.map(({ key }) => [key, ""])),
    };
    const now = { ...START };
    // the reader's own numbers, and the choice of products
    const typed = { treated: "", died: "", months: "", called: "", first: "", second: "" };
    const status = announcer(panel);
    const view = {
      panel, data, axis, rule, title: data.title, rows: [...data.rows], added: [], shown: [], list: [],
      off: new Set(), pooled: new Set(), weights: new Map(), influence: new Map(), fit: null, current: null, pointed: null,
      now: typed, colour, slug: (entity) => (known.has(slug(entity)) ? slug(entity) : "accent"), say: (text) => status.say(text),
      waiting: false, near: false, influences: null, told: "", unknown: [],
    };

    // -- controls
    const sort = select("Sort by", Object.entries(ORDERS).map(([key, [text]]) => [key, text]), (key) => {
      now.order = key;
      now.down = key !== "name"; // names begin with A
      update();
    });
    const descending = input({ type: "checkbox", onchange: () => { now.down = descending.checked; update(); } });
    const filters = data.filters.map(({ key, label, levels }) => {
      const many = (level) => data.rows.filter((row) => row[key] === level).length;
      const options = [["", `all (${data.rows.length})`], ...levels.map((level) => [level, `${level} (${many(level)})`])];
      return { key, levels, ...select(label, options, (level) => { now[key] = level; update(); }) };
    });
    const threshold = (key, label, min, max, print) => ({
      key, min, max, ...slider(`${data.name}-slider-${key}`, label, { min, max, step: 1 }, (value) => { now[key] = value; update(); }, () => now[key], () => print(now[key])),
    });
    const follow = data.rows.map((row) => row.follow_up).filter((months) => months !== null);
    const sizes = data.rows.map((row) => row.patients).sort((a, b) => a - b);
    const sliders = [
      threshold("months", "Follow-up, at least", 0, Math.floor(Math.max(...follow)), (v) => (v ? `${v}\u00a0months` : "any")),
      threshold("patients", "Patients, at least", 0, sizes[Math.floor(0.9 * sizes.length)], (v) => (v ? count(v) : "any")),
      threshold("year", "Published from", START.year, Math.max(...years), String),
    ];
    const all = button("Show all", () => {
      for (const { key } of [...filters, ...sliders]) now[key] = START[key];
      view.off.clear();
      update();
    });
    const tones = input({ type: "checkbox", onchange: () => { now.tones = tones.checked; update(); } });

    function show() {
      sort.list.value = now.order;
      descending.checked = now.down;
      tones.checked = now.tones;
      for (const { key, list } of filters) list.value = now[key];
      for (const one of sliders) one.set();
      for (const row of view.rows) row.box.checked = !view.off.has(row.name);
      mine.show();
      two.show();
    }

    // -- table
    const picture = (...marks) => s("svg", { class: "interactive-marks", "aria-hidden": "true" }, ...marks);
    const grid = () => axis.ticks.map((tick) => s("line", { class: "interactive-grid", x1: x(tick), x2: x(tick), y1: 0, y2: "100%" }));
    const line = (from, to, more) => s("line", { x1: x(from), x2: x(to), y1: "50%", y2: "50%", ...more });
    const most = Math.sqrt(Math.max(...data.rows.map((row) => row.patients)));

    function prepare(row) {
      const side = 5 + (7 * Math.min(most, Math.sqrt(row.patients))) / most;
      row.button = h("button", { type: "button", tabindex: -1, class: "interactive-row" }, swatch(row), row.name);
      row.box = input({ type: "checkbox", tabindex: -1, onchange: () => { tick(row, row.box.checked); pick(row); } });
      row.plot = h("td", { class: "interactive-plot" });
      row.line = h("tr", {},
        h("th", { scope: "row" }, h("div", { class: "interactive-head" },
          h("label", { class: "interactive-tick" }, row.box, h("span", { class: "interactive-hidden" }, `Pool ${row.name}`)), row.button)),
        h("td", { class: "interactive-wide" }, `${count(row.deaths)} / ${count(row.patients)}`),
        h("td", { class: "interactive-wide" }, row.short),
        row.plot);
      row.draw = () => row.plot.replaceChildren(picture(...grid(),
        line(row.at[1], row.at[2], { style: colour(row), "stroke-width": 1.6 }),
        s("rect", { x: x(row.at[0]), y: "50%", width: side, height: side, transform: `translate(${-side / 2} ${-side / 2})`, style: colour(row), "stroke-width": 0 })));
      row.button.addEventListener("focus", () => pick(row, true));
      row.button.addEventListener("click", () => { pick(row, true); row.button.focus(); });
      row.line.addEventListener("click", (event) => { if (!event.target.closest(".interactive-tick")) row.button.focus(); });
      row.line.addEventListener("mouseenter", () => describe(row));
    }
    data.rows.forEach(prepare); // `rescale` draws them
    yield;
    const head = h("th", { scope: "col", class: "interactive-plot" });
    /* The axis reaches as far as the intervals of the rows, those of the reader included. */
    function rescale() {
      const most = Math.ceil(10 * Math.max(...view.rows.map((row) => row.at[2])) - 1e-9) / 10;
      axis.limit = Math.max(data.axis.limit, most);
      axis.ticks = Array.from({ length: Math.floor(axis.limit / 0.2 + 1e-9) + 1 }, (_, i) => 0.2 * i);
      head.replaceChildren(axis.label, picture(...axis.ticks.map((tick) => s("text", {
        x: x(tick), y: "1.1em", "text-anchor": tick === 0 ? "start" : tick > 0.97 * axis.limit ? "end" : "middle",
      }, String(Math.round(100 * tick))))));
      for (const row of view.rows) row.draw();
    }
    rescale();
    yield;
    const body = h("tbody", { onmouseleave: () => describe(view.current) });
    const total = h("tr", {});
    const table = h("table", {},
      h("caption", { class: "interactive-hidden" }, `${data.title}. Arrow keys walk through the cohorts, space ticks one off, shift with arrow keys keeps a stretch of rows, Escape takes all back, P plays a row.`),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Cohort"),
        h("th", { scope: "col", class: "interactive-wide" }, "Deaths / patients"),
        h("th", { scope: "col", class: "interactive-wide" }, axis.interval),
        head)),
      body, h("tfoot", {}, total));

    // -- one way of keys for the table and the pictures
    let anchor = null;
    function step(event, order, move) {
      if (!order.length) return;
      event.preventDefault();
      const at = order.indexOf(view.current);
      const row = order[Math.min(Math.max(at < 0 ? 0 : at + move, 0), order.length - 1)];
      if (event.shiftKey) {
        anchor ??= view.current || row;
        const ends = [order.indexOf(anchor), order.indexOf(row)].sort((a, b) => a - b);
        pick(row, true);
        brush(order.slice(Math.max(0, ends[0]), ends[1] + 1).map(({ name }) => name));
      } else {
        anchor = null;
        pick(row, true);
      }
    }
    function key(event) {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      if (event.key === " " && view.current && event.target.type !== "checkbox") {
        event.preventDefault();
        anchor = null;
        tick(view.current, view.off.has(view.current.name));
        keep();
      } else if (event.key === "Escape" && view.off.size) {
        view.off.clear();
        anchor = null;
        update();
        keep();
      } else if (event.key.toLowerCase() === "p" && view.current) sound.play(sound.tones(view.current, axis.limit));
    }
    table.addEventListener("keydown", (event) => {
      if (!event.target.closest(".interactive-row, .interactive-tick")) return;
      const length = view.shown.length, move = { ArrowDown: 1, ArrowUp: -1, Home: -length, End: length }[event.key];
      if (move === undefined) {
        key(event);
        return;
      }
      step(event, view.shown, move);
      view.current.button.focus();
      view.current.button.scrollIntoView({ block: "nearest" });
    });
    panel.addEventListener("keyup", (event) => { if (event.key === "Shift" && anchor) keep(); });
    panel.addEventListener("pointerdown", () => { anchor = null; });

    // -- the selection: the names of those pooled
    function tick(row, on) {
      if (on) view.off.delete(row.name);
      else view.off.add(row.name);
      update();
    }
    /* Keep these of the rows that are shown. */
    function brush(names) {
      const inside = new Set(names);
      for (const row of view.shown) {
        if (inside.has(row.name)) view.off.delete(row.name);
        else view.off.add(row.name);
      }
      update();
      if (!anchor) keep();
    }

    // -- what stands below
    const card = h("div", { class: "interactive-card" });
    // it lies over the page only after a reader has asked for a cohort
    for (const kind of ["pointerover", "focusin"])
      panel.addEventListener(kind, ({ target }) => {
        if (target.closest("tbody, .interactive-chart")) card.classList.add("interactive-asked");
      });
    function describe(row) {
      view.pointed = row;
      for (const other of view.rows) other.line.classList.toggle("interactive-shown", other === row);
      panel.dispatchEvent(new Event("pointed"));
      if (!row) {
        card.replaceChildren(h("p", {}, "No cohort has all of these. Show all, or take back a choice."));
        return;
      }
      const told = row.follow_up === null ? "follow-up not reported" : `median follow-up ${row.follow_up_text}`;
      const source = [];
      if (row.title) source.push(h("cite", {}, row.title), ". ");
      if (row.journal) source.push(`${row.journal}. `);
      if (row.doi) source.push(h("a", { href: `https://doi.org/${row.doi}` }, `doi:${row.doi}`), row.verified ? "" : " (not verified)");
      const trial = [row.trial, row.registration].filter(Boolean).join(", ");
      const share = view.weights.get(row.name), judged = sound.verdict(row, view.fit);
      const part = share === undefined ? "Not pooled" : `Weight ${number(share, 1)}%`;
      card.replaceChildren(
        h("p", {}, h("strong", {}, row.name), ` · ${[row.entity, row.product, row.setting, row.year].filter((one) => one !== null).join(" · ")}${trial ? ` · ${trial}` : ""}`),
        h("p", {}, `${count(row.deaths)} nonrelapse deaths among ${count(row.patients)} patients: ${row.estimate} (${row.interval}); ${told}. ${part}${judged ? `; ${judged}` : ""}.`),
        ...(data.audit[row.name] || []).map((note) => h("p", { class: "interactive-audit" }, h("strong", {}, "Audit "), `${note}.`)),
        h("p", { class: "interactive-source" }, ...(source.length ? source : [row.own ? "Typed on this page; it is stored in the address alone." : row.verified === null ? "No source is given for this cohort." : "Source: not found in public."])));
    }
    /* Make a row the current one; `heard` says it, and plays it if tones are on. */
    function pick(row, heard = false) {
      const other = row !== view.current;
      for (const one of [view.current, row]) if (one) { const on = one === row ? 0 : -1; one.button.tabIndex = on; one.box.tabIndex = on; }
      view.current = row;
      describe(row);
      if (row && heard && other) {
        status.say(sound.sentence(row, view));
        if (now.tones) sound.play(sound.tones(row, axis.limit));
      }
    }

    // -- cohorts of the reader
    function own({ name, deaths, patients, follow_up: months }) {
      const [low, high] = statistics.wilson(deaths, patients, rule.z), rate = deaths / patients;
      const row = {
        name, own: true, entity: OWN, product: OWN, setting: OWN, year: null, patients, deaths, follow_up: months,
        follow_up_text: months === null ? null : `${number(months, 1)}\u00a0months`, estimate: percent(rate), interval: `${data.level}\u00a0CI ${between(low, high)}`,
        short: `${hundredths(rate)} (${hundredths(low)} to ${hundredths(high)})`,
        at: [rate, low, high].map((value) => Number(value.toFixed(4))), title: null, journal: null, doi: null,
      };
      prepare(row);
      view.added.push(row);
      view.rows = [...data.rows, ...view.added];
      rescale();
    }
    function forget() {
      for (const row of view.added) view.off.delete(row.name);
      view.added = [];
      view.rows = [...data.rows];
      rescale();
    }

    /* The sentence of a result, as the book prints it. */
    function print(fit) {
      if (fit.status === "empty") return "nothing to pool";
      if (fit.status === "single") return "one cohort, nothing to pool";
      if (fit.status === "wide") return "no pooled estimate: the rates are too different for the page's approximation; helpers.pool has a finer one";
      return `${percent(fit.estimate)} (${data.level}\u00a0CI ${between(...fit.ci)})`;
    }

    let round = 0;
    /* Influence needs a fit without each cohort: one after the other, while the page stays quick,
       and not before its picture is near the window. */
    function influences(list, parts) {
      const mine = (round += 1);
      view.influence = new Map();
      view.waiting = true;
      let i = 0;
      const next = () => {
        if (mine !== round) return;
        const end = performance.now() + 5;
        while (i < list.length && performance.now() < end) {
          const { contribution, influence } = parts[i];
          view.influence.set(list[i].name, [contribution, influence()]);
          i += 1;
        }
        if (i < list.length) setTimeout(next);
        else {
          view.waiting = false;
          panel.dispatchEvent(new Event("influence"));
        }
      };
      view.influences = () => {
        view.influences = null;
        setTimeout(next, 150);
      };
      if (view.near) view.influences();
    }

    function passes(row) {
      if (filters.some(({ key: name }) => now[name] && row[name] !== now[name])) return false;
      if (now.months > 0 && !(row.follow_up >= now.months)) return false;
      return row.patients >= now.patients && (now.year === START.year || row.year >= now.year);
    }

    let before = "";
    function choose() {
      view.shown = sorted(view.rows.filter(passes), now.order, now.down);
      view.list = view.rows.filter((row) => passes(row) && !view.off.has(row.name));
      view.pooled = new Set(view.list.map((row) => row.name));
      const same = view.list.map((row) => `${row.name}/${row.deaths}/${row.patients}`).join("|");
      if (same !== before || !view.fit) {
        before = same;
        view.fit = glmm.pool(view.list.map((row) => row.deaths), view.list.map((row) => row.patients), rule);
        view.weights = new Map();
        round += 1;
        view.influence = new Map();
        view.waiting = false;
        if (view.fit.status === "fitted") {
          const shares = glmm.weights(view.fit);
          view.list.forEach((row, i) => view.weights.set(row.name, shares[i]));
          influences(view.list, glmm.baujat(view.fit));
        }
      }
    }
    function update() {
      choose();
      show();
      if (body.childElementCount !== view.shown.length || view.shown.some((row, i) => body.children[i] !== row.line)) body.replaceChildren(...view.shown.map((row) => row.line));
      for (const row of view.shown) row.line.classList.toggle("interactive-off", !view.pooled.has(row.name));
      const { fit } = view, marks = [...grid()], shown = fit.status === "fitted" || fit.status === "none" || fit.status === "all";
      if (shown) {
        if (fit.shows) marks.push(line(...fit.prediction, { class: "interactive-prediction" }));
        // what the frame cuts off has an arrow
        if (Math.max(fit.ci[1], fit.shows ? fit.prediction[1] : 0) > axis.limit) marks.push(
          s("svg", { x: "100%", y: "50%", width: 1, height: 1, overflow: "visible" }, s("path", { d: "M-7 -5L0 0L-7 5", class: "interactive-beyond" })));
        marks.push(line(...fit.ci, { class: "interactive-sum" }), s("line", { x1: x(fit.estimate), x2: x(fit.estimate), y1: "18%", y2: "82%", class: "interactive-middle" }));
      }
      const patients = view.list.reduce((a, row) => a + row.patients, 0), deaths = view.list.reduce((a, row) => a + row.deaths, 0);
      total.replaceChildren(
        h("th", { scope: "row" }, "Pooled"),
        h("td", { class: "interactive-wide" }, `${count(deaths)} / ${count(patients)}`),
        h("td", { class: "interactive-wide" }, shown ? `${hundredths(fit.estimate)} (${hundredths(fit.ci[0])} to ${hundredths(fit.ci[1])})` : "–"),
        h("td", { class: "interactive-plot" }, picture(...marks)));
      pick(view.shown.includes(view.current) ? view.current : view.shown[0] || null);
      const way = (DIRECTIONS[now.order] || ["largest", "smallest"])[now.down ? 0 : 1];
      const left = view.shown.length - view.list.length;
      const ticked = left ? ` ${count(left)} of these ${left === 1 ? "is" : "are"} ticked off, ${count(view.list.length)} pooled.` : "";
      const lost = now.months > 0 ? view.rows.filter((row) => row.follow_up === null).length : 0;
      const silent = lost ? ` ${count(lost)} without a reported follow-up ${lost === 1 ? "is" : "are"} left out.` : "";
      const said = `${print(fit)}${fit.shows ? `; ${data.level}\u00a0prediction interval ${between(...fit.prediction)}` : ""}`;
      const exact = fit.status === "none" ? " No cohort has a death: the interval is exact, for all patients as one group." : fit.status === "all" ? " All patients died: the interval is exact, for all as one group." : "";
      const flat = fit.status === "fitted" && fit.boundary ? " The variance between cohorts is estimated as zero, so both intervals may be too narrow." : "";
      const strange = view.unknown.length ? ` The address names what this page does not know, which was left out: ${view.unknown.join(", ")}.` : "";
      view.told = `${view.shown.length} of ${view.rows.length} cohorts, sorted by ${ORDERS[now.order][0].toLowerCase()}, ${way} first.${ticked}${silent} Pooled: ${said}.${exact}${flat}${strange}`;
      summary.textContent = view.told;
      status.say(view.told);
      panel.dispatchEvent(new CustomEvent("selection", { detail: { names: [...view.pooled] } }));
    }
    const summary = h("p", { class: "interactive-summary" });
    choose();
    yield;
    Object.assign(view, { pick, describe, brush, step, key, print, clear: () => { forget(); update(); }, add: (row) => { own(row); update(); pick(view.added.at(-1)); } });
    const mine = centre.centre(view), two = centre.compare(view);
    panel.addEventListener("selection", () => { mine.refresh(); two.refresh(); });
    const legend = h("p", { class: "interactive-legend" }, ...data.filters[0].levels.map((level) => h("span", { class: "interactive-level" }, swatch({ entity: level }), level)),
      "Squares as large as the cohorts; below, the pooled rate and its prediction interval (dashed). Untick a cohort, or drag a rectangle in a picture: what is left is pooled again.");
    panel.append(
      h("div", { class: "interactive-controls" }, sort.field,
        h("label", { class: "interactive-check" }, descending, "Largest first"), ...filters.map((filter) => filter.field), ...sliders.map((one) => one.field),
        h("label", { class: "interactive-check" }, tones, "Tones for each row"), all),
      summary, h("div", { class: "interactive-scroll" }, table), legend, card, linked(view), mine.field, two.field, takeaway(view), status.place);
    update();

    // -- the address
    const text = (row) => [row.name, row.deaths, row.patients, row.follow_up ?? ""].join("|");
    function read() {
      const found = {};
      for (const [name, value] of Object.entries(now)) if (value !== START[name]) found[name] = typeof value === "boolean" ? Number(value) : value;
      for (const [name, value] of Object.entries(typed)) if (value) found[`my_${name}`] = value;
      if (view.added.length) found.added = view.added.map(text).join(";");
      if (view.off.size) {
        const on = view.rows.filter((row) => !view.off.has(row.name)).map((row) => row.name);
        if (on.length < view.off.size) found.only = on.join(";");
        else found.without = [...view.off].sort().join(";");
      }
      return found;
    }
    function write(asked) {
      Object.assign(now, START);
      view.unknown = [];
      forget();
      view.off.clear();
      const take = (name, fine) => {
        if (asked[name] === undefined) return null;
        if (fine(asked[name])) return asked[name];
        view.unknown.push(`${name}=${asked[name]}`);
        return null;
      };
      now.order = take("order", (value) => ORDERS[value]) ?? START.order;
      for (const name of ["down", "tones"]) { const value = take(name, (one) => /^[01]$/.test(one)); if (value !== null) now[name] = value === "1"; }
      for (const { key: name, levels } of filters) now[name] = take(name, (value) => levels.includes(value)) ?? "";
      for (const { key: name, min, max } of sliders) now[name] = Number(take(name, (value) => /^\d+$/.test(value) && value >= min && value <= max) ?? START[name]);
      const products = data.filters.find(({ key: name }) => name === "product").levels;
      for (const name of Object.keys(typed)) {
        const product = name === "first" || name === "second";
        typed[name] = take(`my_${name}`, (value) => (product ? products.includes(value) : value.length <= 40)) ?? "";
      }
      for (const one of (asked.added || "").split(";").filter(Boolean).slice(0, data.added)) {
        const [name, deaths, patients, months] = one.split("|"), given = centre.counts(deaths ?? "", patients ?? "");
        if (given.n && name && !view.rows.some((row) => row.name === name) && (!months || Number(months) >= 0)) own({ name, deaths: given.x, patients: given.n, follow_up: months ? Number(months) : null });
        else view.unknown.push(`added=${one}`);
      }
      const names = new Set(view.rows.map((row) => row.name));
      for (const way of ["only", "without"]) {
        if (asked[way] === undefined) continue;
        const list = asked[way].split(";").filter(Boolean);
        view.unknown.push(...list.filter((name) => !names.has(name)));
        for (const name of names) if (list.includes(name) === (way === "without")) view.off.add(name);
      }
      // what the address fills in is not hidden
      if (typed.treated || typed.died) mine.field.open = true;
      if (typed.first || typed.second) two.field.open = true;
      update();
    }
    return { show, read, write };
  });
})();
