/* The specification curve: every analysis of a claim, to walk through and to pick by its choices. */
(() => {
  "use strict";
  const { h, s, number, hundredths, percent, count, share, input, select, button, onWidth, announcer, run } = window.interactive;

  const HEIGHT = 240, TOP = 8, LEFT = 44;

  function unpack(claim, digits) {
    const place = new Map([...digits].map((digit, i) => [digit, i]));
    const n = claim.packed.length / claim.widths.reduce((a, b) => a + b, 0);
    const value = new Float64Array(n), lower = new Float64Array(n), upper = new Float64Array(n);
    const supports = new Uint8Array(n), side = new Uint8Array(n);
    const levels = claim.choices.map(() => new Int8Array(n));
    let at = 0, estimate = claim.start;
    const read = (width) => {
      let total = 0;
      for (const end = at + width; at < end; at += 1) total = total * 64 + place.get(claim.packed[at]);
      return total;
    };
    for (let i = 0; i < n; i += 1) {
      let [code, more, down, up] = claim.widths.map(read);
      estimate += more;
      value[i] = estimate / claim.scale;
      lower[i] = (estimate - down) / claim.scale;
      upper[i] = (estimate + up) / claim.scale;
      supports[i] = i >= claim.against;
      side[i] = code % 3;
      code = Math.floor(code / 3);
      for (let d = levels.length - 1; d >= 0; d -= 1) {
        const { absent } = claim.choices[d], base = claim.choices[d].levels.length + absent;
        levels[d][i] = (code % base) - absent;
        code = Math.floor(code / base);
      }
    }
    return { n, value, lower, upper, supports, side, levels };
  }

  const median = (list) => {
    const ordered = [...list].sort((a, b) => a - b), half = ordered.length >> 1;
    return ordered.length % 2 ? ordered[half] : (ordered[half - 1] + ordered[half]) / 2;
  };

  function scaleOf(claim, all) {
    const ratio = claim.unit === "ratio", move = ratio ? Math.log : (v) => v;
    const low = [...all.lower].sort((a, b) => a - b), high = [...all.upper].sort((a, b) => a - b);
    // all estimates, and all intervals but a few of the widest
    const ends = [
      Math.min(low[Math.floor(0.02 * all.n)], all.value[0], claim.null),
      Math.max(high[Math.floor(0.98 * (all.n - 1))], all.value[all.n - 1], claim.null),
    ].map(move);
    const margin = 0.04 * (ends[1] - ends[0]);
    const from = ends[0] - margin, to = ends[1] + margin;
    const y = (v) => TOP + HEIGHT * (1 - Math.min(1, Math.max(0, (move(v) - from) / (to - from))));
    const beyond = (v) => (move(v) > to ? 1 : move(v) < from ? -1 : 0);
    const inside = (tick) => move(tick) >= from && move(tick) <= to;
    if (ratio) {
      const apart = (tick) => tick === 1 || Math.abs(y(tick) - y(1)) > 18;
      const ticks = [0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 8, 12, 20].filter((tick) => inside(tick) && apart(tick));
      return { y, beyond, ticks: ticks.filter((tick, i) => i === 0 || y(ticks[i - 1]) - y(tick) > 14) };
    }
    const step = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2].find((one) => (to - from) / one <= 7);
    return { y, beyond, ticks: Array.from({ length: 200 }, (_, i) => i * step).filter(inside) };
  }

  run("curve", (panel, data) => {
    const status = announcer(panel);
    const print = (claim, v) => (claim.unit === "percent" ? percent(v, 2) : number(v));
    let key = data.first, claim, all, mine, scale, at = 0, chosen = [], lists = [], width = 0;

    const which = select("Claim", Object.entries(data.claims).map(([key, one]) => [key, one.statement]), open);
    const choices = h("div", { class: "interactive-controls interactive-choices", role: "group", "aria-label": "Choices" });
    const summary = h("p", { class: "interactive-summary" });
    const legend = h("p", { class: "interactive-legend" });
    const layer = { still: s("g", {}), picked: s("g", {}), cursor: s("g", {}) };
    const canvas = s("svg", { class: "interactive-drawing interactive-curve", height: HEIGHT + TOP + 30, role: "img" }, layer.still, layer.picked, layer.cursor);
    const id = `${data.name}-slider`;
    const range = input({ type: "range", id, min: 1, step: 1, oninput: () => walk(Number(range.value) - 1) });
    const place = h("output", { for: id });
    const published = button("Go to the published analysis", () => {
      chosen = chosen.map(() => -1);
      pickOut();
      walk(claim.mark);
    });
    const clear = button("Take back all choices", () => {
      chosen = chosen.map(() => -1);
      pickOut();
    });
    const card = h("div", { class: "interactive-card" });

    const x = (i) => LEFT + ((i + 0.5) / all.n) * (width - LEFT);

    /* Neighbours share a column: medians of their estimates and limits. */
    function columns(list) {
      const bins = new Map(), columns = Math.floor((width - LEFT) / 2);
      for (const i of list) {
        const bin = Math.floor((i * columns) / all.n);
        if (bins.has(bin)) bins.get(bin).push(i);
        else bins.set(bin, [i]);
      }
      return [...bins.values()];
    }
    const round = (v) => v.toFixed(1);
    function path(groups) {
      const intervals = [], points = [];
      for (const group of groups) {
        const middle = round(x(median(group)));
        const [low, value, high] = [all.lower, all.value, all.upper].map((list) => round(scale.y(median(group.map((i) => list[i])))));
        intervals.push(`M${middle} ${low}V${high}`);
        points.push(`${middle} ${value}`);
      }
      return { intervals: intervals.join(""), points };
    }

    function show() {
      which.list.value = key;
      lists.forEach((list, d) => { list.value = chosen[d] < 0 ? "" : chosen[d]; });
      range.disabled = !mine.length;
      range.max = Math.max(1, mine.length);
      range.value = mine.indexOf(at) + 1;
    }

    function open(name) {
      key = name;
      claim = data.claims[key];
      all = claim.all ??= unpack(claim, data.digits);
      scale = scaleOf(claim, all);
      chosen = claim.choices.map(() => -1);
      const fields = claim.choices.map((choice, d) => select(
        choice.name.replace(/^[a-z]/, (letter) => letter.toUpperCase()), // τ² stays what it is
        [["", "any"], ...choice.levels.map((level, i) => [i, level])],
        (value) => { chosen[d] = value === "" ? -1 : Number(value); pickOut(); },
      ));
      lists = fields.map(({ list }) => list);
      choices.replaceChildren(...fields.map(({ field }) => field));
      published.hidden = claim.mark === null;
      let left = 0;
      for (let i = 0; i < all.n; i += 1) if (scale.beyond(all.lower[i]) || scale.beyond(all.upper[i])) left += 1;
      legend.textContent = `Upwards: ${claim.quantity}, ${claim.unit === "percent" ? "%" : "ratio, logarithmic scale"}. Line: estimates; grey: ${claim.level} intervals; dashed: where the claim begins.${left ? ` ${count(left)} intervals reach beyond the frame; an arrow shows it at the analysis.` : ""}`;
      at = claim.mark ?? Math.floor(all.n / 2);
      paint();
      pickOut();
    }

    function paint() {
      const every = path(columns(all.value.keys()));
      const marks = scale.ticks.map((tick) => [
        s("line", { x1: LEFT, x2: width, y1: scale.y(tick), y2: scale.y(tick), class: "interactive-grid" }),
        s("text", { x: LEFT - 6, y: scale.y(tick) + 4, "text-anchor": "end" }, claim.unit === "percent" ? `${+(100 * tick).toFixed(1)}%` : String(tick)),
      ]);
      layer.still.replaceChildren(...marks.flat(),
        s("line", { x1: LEFT, x2: width, y1: scale.y(claim.null), y2: scale.y(claim.null), class: "interactive-null" }),
        s("path", { d: every.intervals, class: "interactive-interval" }),
        s("path", { d: `M${every.points.join("L")}`, class: "interactive-line" }),
        s("text", { x: LEFT, y: HEIGHT + TOP + 22 }, `${count(all.n)} analyses, sorted by estimate`));
    }

    const fits = (i) => chosen.every((level, d) => level < 0 || all.levels[d][i] === level);

    /* The analyses with the choices; the walk goes through them alone. */
    function pickOut(told = true) {
      const free = chosen.every((level) => level < 0);
      mine = [];
      for (let i = 0; i < all.n; i += 1) if (free || fits(i)) mine.push(i);
      const found = path(free ? [] : columns(mine));
      layer.picked.replaceChildren(
        s("path", { d: found.intervals, class: "interactive-picked" }),
        s("path", { d: found.points.map((point) => `M${point}h0`).join(""), class: "interactive-picked-point" }));
      canvas.classList.toggle("interactive-quiet", !free);
      if (!mine.length) {
        show();
        summary.textContent = "No analysis has these choices together.";
        place.textContent = "–";
        range.setAttribute("aria-valuetext", "no analysis");
        layer.cursor.replaceChildren();
        card.replaceChildren(h("p", {}, "Nothing to show: take back a choice."));
      } else {
        const some = mine.filter((i) => all.supports[i]).length, sure = mine.filter((i) => all.side[i] === 2).length;
        const values = mine.map((i) => all.value[i]);
        const whom = free ? `All ${count(all.n)} analyses` : `${count(mine.length)} of ${count(all.n)} analyses`;
        summary.textContent = `${whom}: ${share(some, mine.length)} support “${claim.statement}”, ${share(sure, mine.length)} with the whole ${claim.level} interval. Estimates ${print(claim, values[0])} to ${print(claim, values[values.length - 1])}, median ${print(claim, median(values))}.`;
        // stay where the reader was, or at the next analysis that is left
        let next = mine.findIndex((i) => i >= at);
        if (next < 0) next = mine.length - 1;
        walk(next);
      }
      canvas.setAttribute("aria-label", `Curve of ${/^[A-Z][a-z]/.test(claim.quantity) ? claim.quantity[0].toLowerCase() + claim.quantity.slice(1) : claim.quantity}. ${summary.textContent}`);
      if (told) status.say(summary.textContent);
    }

    const verdict = (i) => {
      if (all.side[i] === 2) return "supports the claim with its whole interval";
      if (all.side[i] === 0) return "contradicts the claim with its whole interval";
      return all.supports[i] ? "supports the claim, but its interval does not exclude the opposite" : "does not support the claim";
    };

    function walk(step) {
      at = mine[step];
      show();
      look(step);
    }

    /* Show an analysis without going there. */
    function look(step) {
      const i = mine[step];
      const text = `${print(claim, all.value[i])} (${claim.level} interval ${claim.unit === "percent" ? hundredths(all.lower[i], 2) : number(all.lower[i])} to ${print(claim, all.upper[i])})`;
      place.textContent = `${count(step + 1)} of ${count(mine.length)}`;
      range.setAttribute("aria-valuetext", `${place.textContent}: ${text}, ${verdict(i)}`);
      const middle = x(i);
      layer.cursor.replaceChildren(
        s("line", { x1: middle, x2: middle, y1: TOP, y2: TOP + HEIGHT, class: "interactive-cursor" }),
        s("line", { x1: middle, x2: middle, y1: scale.y(all.lower[i]), y2: scale.y(all.upper[i]), class: "interactive-pooled" }),
        ...[[scale.beyond(all.upper[i]) > 0, TOP, 1], [scale.beyond(all.lower[i]) < 0, TOP + HEIGHT, -1]].filter(([out]) => out).map(([, edge, way]) =>
          s("path", { d: `M${middle - 6} ${edge + 9 * way}L${middle} ${edge}L${middle + 6} ${edge + 9 * way}`, class: "interactive-beyond" })),
        s("circle", { cx: middle, cy: scale.y(all.value[i]), r: 6, class: "interactive-point" }));
      const rows = claim.choices.map((choice, d) => {
        const level = all.levels[d][i];
        return h("div", {}, h("dt", {}, choice.name), h("dd", {}, level < 0 ? "no role here" : choice.levels[level]));
      });
      const known = i === claim.mark ? " This is the published analysis." : "";
      card.replaceChildren(h("p", {}, h("strong", {}, text), ` ${verdict(i)}.${known}`), h("dl", { class: "interactive-results" }, ...rows));
    }

    /* Which of the picked analyses lies under the pointer. */
    function aimed(event) {
      const box = canvas.getBoundingClientRect();
      const aim = ((event.clientX - box.left - LEFT) / (width - LEFT)) * all.n;
      // nearest of the picked analyses, by halving
      let low = 0, high = mine.length - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (mine[middle] < aim - 0.5) low = middle + 1;
        else high = middle;
      }
      if (low > 0 && aim - 0.5 - mine[low - 1] < mine[low] - (aim - 0.5)) low -= 1;
      return low;
    }
    // pointing looks, a click or a tap stays: a mouse on its way elsewhere changes nothing
    canvas.addEventListener("pointermove", (event) => { if (mine.length) look(aimed(event)); });
    canvas.addEventListener("pointerleave", () => { if (mine.length) look(mine.indexOf(at)); });
    canvas.addEventListener("click", (event) => { if (mine.length) walk(aimed(event)); });
    panel.append(
      h("div", { class: "interactive-controls" }, which.field), choices,
      h("div", { class: "interactive-buttons" }, published, clear), summary, legend, canvas,
      h("div", { class: "interactive-slider interactive-walk" }, h("label", { for: id }, "Analysis, from the smallest estimate to the largest"), place, range),
      card, status.place);
    which.field.classList.add("interactive-long");
    const measured = () => Math.max(160, Math.round(canvas.getBoundingClientRect().width));
    // drawn in pixels of the screen, so that its words keep their size; another width is no news
    onWidth(canvas, () => {
      const now = measured();
      if (now === width) return;
      width = now;
      if (!claim) open(key);
      else {
        paint();
        pickOut(false);
      }
    });

    function read() {
      if (!claim) return {};
      const found = {};
      if (key !== data.first) found.claim = key;
      claim.choices.forEach((choice, d) => { if (chosen[d] >= 0) found[choice.name] = choice.levels[chosen[d]]; });
      if (at !== (claim.mark ?? Math.floor(all.n / 2))) found.at = at + 1;
      return found;
    }
    function write(asked) {
      width = measured();
      open(data.claims[asked.claim] ? asked.claim : data.first);
      chosen = claim.choices.map((choice) => choice.levels.indexOf(asked[choice.name]));
      if (Number.isInteger(Number(asked.at))) at = Math.min(all.n, Math.max(1, Number(asked.at))) - 1;
      pickOut();
    }
    return { show: () => { if (claim) show(); }, read, write };
  });
})();
