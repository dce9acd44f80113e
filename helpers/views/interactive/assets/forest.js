/* The forest plot: rows to sort, to filter and to walk through. */
(() => {
  "use strict";
  const { h, s, count, input, select, button, announcer, run } = window.interactive;

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
  const colour = (row) => `stroke: var(--picture-${slug(row.entity)}); fill: var(--picture-${slug(row.entity)})`;

  const swatch = (level) => h("span", { class: "interactive-key", style: `background: var(--picture-${slug(level)})` });

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

  run("forest", (panel, data) => {
    const { axis } = data;
    const x = (value) => `${(100 * value) / axis.limit}%`;
    const chosen = Object.fromEntries(data.filters.map(({ key }) => [key, ""]));
    const status = announcer(panel);
    let order = "estimate", down = true, rows = [], current = null;

    // -- controls
    const sort = select("Sort by", Object.entries(ORDERS).map(([key, [text]]) => [key, text]), (key) => {
      order = key;
      down = key !== "name"; // names begin with A
      update();
    });
    const descending = input({ type: "checkbox", onchange: () => { down = descending.checked; update(); } });
    const filters = data.filters.map(({ key, label, levels }) => {
      const many = (level) => data.rows.filter((row) => row[key] === level).length;
      const options = [["", `all (${data.rows.length})`], ...levels.map((level) => [level, `${level} (${many(level)})`])];
      return { key, ...select(label, options, (level) => { chosen[key] = level; update(); }) };
    });
    const all = button("Show all", () => {
      for (const key of Object.keys(chosen)) chosen[key] = "";
      update();
    });

    function show() {
      sort.list.value = order;
      descending.checked = down;
      for (const { key, list } of filters) list.value = chosen[key];
    }

    // -- table
    const picture = (...marks) => s("svg", { class: "interactive-marks", "aria-hidden": "true" }, ...marks);
    const grid = () => axis.ticks.map((tick) => s("line", { class: "interactive-grid", x1: x(tick), x2: x(tick), y1: 0, y2: "100%" }));
    const line = (from, to, more) => s("line", { x1: x(from), x2: x(to), y1: "50%", y2: "50%", ...more });
    const most = Math.sqrt(Math.max(...data.rows.map((row) => row.patients)));

    for (const row of data.rows) {
      const side = 5 + (7 * Math.sqrt(row.patients)) / most;
      row.button = h("button", { type: "button", tabindex: -1, class: "interactive-row", "aria-describedby": `${data.name}-chosen` },
        swatch(row.entity), row.name);
      row.line = h("tr", {},
        h("th", { scope: "row" }, row.button),
        h("td", { class: "interactive-wide" }, `${count(row.deaths)} / ${count(row.patients)}`),
        h("td", { class: "interactive-wide" }, row.short),
        h("td", { class: "interactive-plot" }, picture(...grid(),
          line(row.at[1], row.at[2], { style: colour(row), "stroke-width": 1.6 }),
          s("rect", { x: x(row.at[0]), y: "50%", width: side, height: side, transform: `translate(${-side / 2} ${-side / 2})`, style: colour(row), "stroke-width": 0 }))));
      row.button.addEventListener("focus", () => pick(row));
      row.button.addEventListener("click", () => { pick(row); row.button.focus(); });
      row.line.addEventListener("click", () => row.button.focus());
      row.line.addEventListener("mouseenter", () => describe(row));
    }
    const ticks = picture(...axis.ticks.map((tick) => s("text", {
      x: x(tick), y: "1.1em", "text-anchor": tick === 0 ? "start" : tick === axis.limit ? "end" : "middle",
    }, String(Math.round(100 * tick)))));
    const body = h("tbody", { onmouseleave: () => describe(current) });
    const total = h("tr", {});
    const table = h("table", {},
      h("caption", { class: "interactive-hidden" }, `${data.title}. Arrow keys walk through the cohorts.`),
      h("thead", {}, h("tr", {},
        h("th", { scope: "col" }, "Cohort"),
        h("th", { scope: "col", class: "interactive-wide" }, "Deaths / patients"),
        h("th", { scope: "col", class: "interactive-wide" }, axis.interval),
        h("th", { scope: "col", class: "interactive-plot" }, axis.label, ticks))),
      body, h("tfoot", {}, total));
    table.addEventListener("keydown", (event) => {
      const at = rows.indexOf(current);
      const next = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
      if (next === undefined || !event.target.closest(".interactive-row")) return;
      event.preventDefault();
      const row = rows[Math.min(Math.max(next, 0), rows.length - 1)];
      row.button.focus();
      row.button.scrollIntoView({ block: "nearest" });
    });

    // -- what stands below
    const card = h("div", { class: "interactive-card", id: `${data.name}-chosen` });
    function describe(row) {
      for (const other of data.rows) other.line.classList.toggle("interactive-shown", other === row);
      if (!row) {
        card.replaceChildren(h("p", {}, "No cohort has all of these. Show all, or take back a choice."));
        return;
      }
      const follow = row.follow_up_text ? `median follow-up ${row.follow_up_text}` : "follow-up not reported";
      const source = [];
      if (row.title) source.push(h("cite", {}, row.title), ". ");
      if (row.journal) source.push(`${row.journal}. `);
      if (row.doi) source.push(h("a", { href: `https://doi.org/${row.doi}` }, `doi:${row.doi}`), row.verified ? "" : " (not verified)");
      card.replaceChildren(
        h("p", {}, h("strong", {}, row.name), ` · ${row.entity} · ${row.product} · ${row.setting} · ${row.year}`),
        h("p", {}, `${count(row.deaths)} nonrelapse deaths among ${count(row.patients)} patients: ${row.estimate} (${row.interval}); ${follow}.`),
        h("p", { class: "interactive-source" }, ...(source.length ? source : ["Source: not found in public."])));
    }
    function pick(row) {
      if (current) current.button.tabIndex = -1;
      current = row;
      if (current) current.button.tabIndex = 0;
      describe(current);
    }

    function pooled() {
      const found = data.pooled[data.filters.map(({ key }) => chosen[key]).join("|")];
      if (found) return found;
      return { text: rows.length === 1 ? "one cohort, nothing to pool" : rows.length ? "no pooled estimate: the fit did not converge" : "nothing to pool", at: null };
    }

    function update() {
      show();
      rows = sorted(data.rows.filter((row) => Object.entries(chosen).every(([key, level]) => !level || row[key] === level)), order, down);
      body.replaceChildren(...rows.map((row) => row.line));
      const sum = pooled();
      const marks = [...grid()];
      if (sum.at) {
        const [middle, low, high, least, greatest] = sum.at;
        if (least !== undefined) marks.push(line(least, Math.min(greatest, axis.limit), { class: "interactive-prediction" }));
        marks.push(line(low, high, { class: "interactive-sum" }), s("line", { x1: x(middle), x2: x(middle), y1: "18%", y2: "82%", class: "interactive-middle" }));
      }
      const patients = rows.reduce((a, row) => a + row.patients, 0);
      const deaths = rows.reduce((a, row) => a + row.deaths, 0);
      total.replaceChildren(
        h("th", { scope: "row" }, "Pooled"),
        h("td", { class: "interactive-wide" }, `${count(deaths)} / ${count(patients)}`),
        h("td", { class: "interactive-wide" }, sum.at ? sum.text.replace(/;.*/, "").replace(/%/g, "").replace(/95\u00a0CI /, "") : "–"),
        h("td", { class: "interactive-plot" }, picture(...marks)));
      pick(rows.includes(current) ? current : rows[0] || null);
      const way = (DIRECTIONS[order] || ["largest", "smallest"])[down ? 0 : 1];
      const flat = sum.flat ? " The variance between cohorts is estimated as zero, so both intervals may be too narrow." : "";
      const text = `${rows.length} of ${data.rows.length} cohorts, sorted by ${ORDERS[order][0].toLowerCase()}, ${way} first. Pooled: ${sum.text}.${flat}`;
      summary.textContent = text;
      status.say(text);
    }
    const summary = h("p", { class: "interactive-summary" });
    const key = h("p", { class: "interactive-legend" }, ...data.filters[0].levels.map((level) => h("span", { class: "interactive-level" }, swatch(level), level)), "Squares as large as the cohorts; below, the pooled rate and its prediction interval (dashed).");
    panel.append(
      h("div", { class: "interactive-controls" }, sort.field,
        h("label", { class: "interactive-check" }, descending, "Largest first"), ...filters.map((filter) => filter.field), all),
      summary, h("div", { class: "interactive-scroll" }, table), key, card, status.place);
    update();
    return show;
  });
})();
