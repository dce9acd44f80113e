/* The reader's own centre among the pooled cohorts, cohorts to add, and two products side by side. */
(() => {
  "use strict";
  const { h, s, number, percent, count, between, share, input, select, button } = window.interactive;
  const { place, predictive, shrunken, pool } = window.interactive.glmm;
  const { wilson } = window.interactive.statistics;

  const MOST = 5000;

  /* Counts that the reader typed: [died, treated], or what is wrong with them. */
  function counts(died, treated) {
    if (died === "" && treated === "") return { empty: true };
    const [x, n] = [died, treated].map(Number);
    if (died === "" || treated === "" || !Number.isInteger(x) || !Number.isInteger(n)) return { wrong: "Give whole numbers for both." };
    if (n < 1 || n > MOST) return { wrong: `Patients: from 1 to ${count(MOST)}.` };
    if (x < 0 || x > n) return { wrong: "Deaths: from 0 to the number of patients." };
    return { x, n };
  }

  function centre(view) {
    const { data, now } = view;
    const field = (key, label, more) => {
      const box = input({ oninput: () => { now[key] = box.value; update(); }, ...more });
      return { key, box, field: h("label", { class: "interactive-field" }, h("span", {}, label), box) };
    };
    const whole = { type: "number", min: 0, step: 1, inputmode: "numeric" };
    const fields = [
      field("treated", "Treated at my centre", { ...whole, min: 1 }),
      field("died", "Died without relapse", whole),
      field("months", "Median follow-up, months (may be left out)", { type: "number", min: 0, step: "any", inputmode: "decimal" }),
      field("called", "Name", { type: "text", maxlength: 40 }),
    ];
    const result = h("p", { class: "interactive-told", "data-result": "centre" });
    const picture = s("svg", { class: "interactive-drawing interactive-centre", height: 120, role: "img" });
    const add = button("Add to the cohorts", () => {
      const { x, n } = counts(now.died, now.treated);
      const months = now.months === "" ? null : Number(now.months);
      view.add({ name: now.called.trim() || "My centre", deaths: x, patients: n, follow_up: months });
    });
    const remove = button("Take out what was added", () => view.clear());

    function paint(fit, x, n, range) {
      const p = predictive(fit, n), last = Math.min(n, Math.max(Math.ceil(1.5 * range[1]), x + 1, 4));
      const top = Math.max(...p.slice(0, last + 1)), step = 100 / (last + 1);
      const bars = Array.from({ length: last + 1 }, (_, i) => s("rect", {
        x: `${i * step}%`, width: `${0.86 * step}%`, y: 96 * (1 - p[i] / top) + 2, height: (96 * p[i]) / top,
        class: i === x ? "interactive-here" : i < range[0] || i > range[1] ? "interactive-tail" : "interactive-bar",
      }));
      const every = Math.ceil((last + 1) / 10);
      const labels = bars.map((_, i) => (i % every === 0 && (i + 0.4) * step > 1 && (i + 0.4) * step < 97 ? s("text", { x: `${(i + 0.43) * step}%`, y: 114, "text-anchor": "middle" }, String(i)) : null));
      picture.replaceChildren(...bars, ...labels.filter(Boolean));
      picture.setAttribute("aria-label", `Deaths expected among ${count(n)} patients of a new centre; the central 95% are ${range[0]} to ${range[1]}, yours are ${x}.`);
    }

    function words(given) {
      const { fit } = view, { x, n } = given, [low, high] = wilson(x, n, data.rule.z);
      const own = `Your rate is ${percent(x / n)} (${data.level}\u00a0CI ${between(low, high)}).`;
      if (fit.status !== "fitted") return [`${own} The chosen cohorts have no pooled rate to compare it with.`, null];
      if (!fit.shows) return [`${own} ${count(data.rule.prediction)} cohorts are needed to say where it lies.`, null];
      const at = place(fit, x, n), drawn = shrunken(fit, x, n), z = data.rule.z, { expit } = window.interactive.statistics;
      const parts = [own,
        `Of new centres that resemble the ${count(fit.k)} pooled cohorts and treat ${count(n)} patients, ${percent(at.below)} would be expected to count fewer deaths, ${percent(at.same)} the same number and ${percent(at.above)} more; the central 95% count ${at.range[0]} to ${at.range[1]}.`];
      parts.push(fit.tau2 === 0
        ? "The variance between cohorts is estimated as zero, so that the shrunken estimate is the pooled rate."
        : `Drawn towards the others, your estimate is ${percent(drawn.estimate)} (${between(expit(drawn.logit - z * drawn.se), expit(drawn.logit + z * drawn.se))}).`);
      const follow = view.list.map((row) => row.follow_up).filter((months) => months !== null).sort((a, b) => a - b);
      if (follow.length) parts.push(`Deaths accrue with time: half of these cohorts have a median follow-up of ${number(follow[(follow.length - 1) >> 1], 1)}\u00a0months or less.`);
      return [parts.join(" "), at];
    }

    function update(told = true) {
      const given = counts(now.died, now.treated);
      const named = now.called.trim() || "My centre", full = view.added.length >= data.added;
      const wrong = given.wrong || (now.months !== "" && !(Number(now.months) >= 0) ? "Follow-up: months, 0 or more." : "")
        || (/[|;~]/.test(named) ? "Name: without | ; and ~." : "");
      const taken = view.rows.some((row) => row.name === named);
      add.disabled = Boolean(given.empty || wrong || taken || full);
      remove.hidden = !view.added.length;
      const [text, at] = given.empty ? ["Type two numbers, and see where your centre lies among them.", null] : wrong ? [wrong, null] : words(given);
      const why = given.empty || wrong ? "" : taken ? ` ${named} is in the list; another name is needed to add it.` : full ? ` No more than ${data.added} can be added.` : "";
      result.textContent = text + why;
      picture.style.display = at ? "" : "none";
      if (at) paint(view.fit, given.x, given.n, at.range);
      if (told) view.say(result.textContent);
    }
    function show() {
      for (const { key, box } of fields) box.value = now[key];
    }
    const part = h("details", { class: "interactive-part" }, h("summary", {}, "My centre"),
      h("div", { class: "interactive-controls" }, ...fields.map((one) => one.field), h("div", { class: "interactive-buttons" }, add, remove)), result, picture);
    return { show, refresh: () => update(false), field: part };
  }

  /* -- two products, with what else differs between their cohorts -------------------------------- */

  function mix(rows, key) {
    const levels = [...new Set(rows.map((row) => row[key]))];
    return levels.map((level) => {
      const mine = rows.filter((row) => row[key] === level).length;
      return { level, mine };
    }).sort((a, b) => b.mine - a.mine || a.level.localeCompare(b.level)).map(({ level, mine }) => `${level} ${share(mine, rows.length)}`).join(", ");
  }
  function middle(rows) {
    const known = rows.map((row) => row.follow_up).filter((months) => months !== null).sort((a, b) => a - b);
    if (!known.length) return "not reported";
    const half = known.length >> 1, median = known.length % 2 ? known[half] : (known[half - 1] + known[half]) / 2;
    return known.length > 1 ? `${number(median, 1)} (${number(known[0], 1)} to ${number(known.at(-1), 1)})` : number(median, 1);
  }

  function compare(view) {
    const { data, now } = view;
    const levels = data.filters.find(({ key }) => key === "product").levels;
    const lists = ["first", "second"].map((key, i) => select(i ? "Second to compare" : "First to compare", [["", "choose"], ...levels.map((level) => [level, level])], (level) => { now[key] = level; update(); }));
    const body = h("div", { class: "interactive-compared" });

    function update() {
      const sides = [now.first, now.second];
      if (!sides[0] || !sides[1] || sides[0] === sides[1]) {
        body.replaceChildren(h("p", {}, "Choose two products: their pooled rates stand beside disease, setting and follow-up, which differ too."));
        return;
      }
      const groups = sides.map((level) => view.list.filter((row) => row.product === level));
      const fits = groups.map((rows) => pool(rows.map((row) => row.deaths), rows.map((row) => row.patients), data.rule));
      const lines = [
        ["Pooled rate", fits.map((fit) => view.print(fit))],
        ["Cohorts", groups.map((rows) => count(rows.length))],
        ["Deaths / patients", groups.map((rows) => `${count(rows.reduce((a, row) => a + row.deaths, 0))} / ${count(rows.reduce((a, row) => a + row.patients, 0))}`)],
        ["Disease, share of cohorts", groups.map((rows) => (rows.length ? mix(rows, "entity") : "–"))],
        ["Setting, share of cohorts", groups.map((rows) => (rows.length ? mix(rows, "setting") : "–"))],
        ["Median follow-up, months: middle (range)", groups.map((rows) => (rows.length ? middle(rows) : "–"))],
        ["Published", groups.map((rows) => { const years = rows.map((row) => row.year).sort(); return rows.length ? (years[0] === years.at(-1) ? String(years[0]) : `${years[0]} to ${years.at(-1)}`) : "–"; })],
      ];
      body.replaceChildren(
        h("table", {}, h("caption", { class: "interactive-hidden" }, `${sides[0]} and ${sides[1]} among the pooled cohorts`),
          h("thead", {}, h("tr", {}, h("td", {}), ...sides.map((level) => h("th", { scope: "col" }, level)))),
          h("tbody", {}, ...lines.map(([label, cells]) => h("tr", {}, h("th", { scope: "row" }, label), ...cells.map((cell) => h("td", {}, cell)))))),
        h("p", { class: "interactive-legend" }, "Among the cohorts that are pooled now. Products were not assigned by chance: a difference between the columns may come from any of the lower rows."));
    }
    return {
      show: () => lists.forEach(({ list }, i) => { list.value = [now.first, now.second][i]; }),
      refresh: update,
      field: h("details", { class: "interactive-part" }, h("summary", {}, "Compare two products"),
        h("div", { class: "interactive-controls" }, ...lists.map(({ field }) => field)), body),
    };
  }

  window.interactive.centre = { centre, compare, counts };
})();
