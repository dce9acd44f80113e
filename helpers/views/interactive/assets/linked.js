/* Three pictures beside the forest plot that share its selection: study map, funnel, Baujat plot. */
(() => {
  "use strict";
  const { h, s, number, count, onWidth } = window.interactive;

  const HEIGHT = 262, BOX = { left: 40, right: 10, top: 24, bottom: 34 };

  /* Round steps of an axis. */
  function ticks(from, to, most) {
    const raw = (to - from) / most, size = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * size).find((one) => one >= raw * (1 - 1e-9));
    const found = [];
    for (let i = Math.ceil(from / step - 1e-9); i * step <= to + 1e-9 * step; i += 1) found.push(i * step);
    const digits = Math.max(0, -Math.floor(Math.log10(step) + 1e-9));
    return found.map((value) => [value, number(value, digits)]);
  }

  /* Logit of a rate and its standard error; half an event more where a cell is empty. */
  function effect({ deaths, patients }) {
    const add = deaths === 0 || deaths === patients ? 0.5 : 0;
    const yes = deaths + add, no = patients - deaths + add;
    return [Math.log(yes / no), Math.sqrt(1 / yes + 1 / no)];
  }

  const KINDS = {
    map: {
      title: "Study map",
      axes: ["Median follow-up, months", "Nonrelapse mortality, %"],
      place: (row) => (row.follow_up === null ? null : [row.follow_up, 100 * row.at[0]]),
      from: () => [0, 0],
      missing: (many) => `${count(many)} without a reported follow-up`,
    },
    funnel: {
      title: "Funnel plot",
      axes: ["Rate, % (logit scale)", "Standard error"],
      place: (row) => effect(row),
      from: () => [null, 0],
      down: true, // precise cohorts on top
      rates: true,
    },
    baujat: {
      title: "Baujat plot",
      axes: ["Contribution to heterogeneity", "Influence on the mean"],
      place: (row, { influence }) => influence.get(row.name) || null,
      from: () => [0, 0],
      missing: (many) => `${count(many)} not pooled, or without a result when left out`,
    },
  };
  const RATES = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.8];

  /* `view` is the forest plot's: rows shown, the set of those pooled, and what happens to it. */
  function chart(view, key) {
    const kind = KINDS[key];
    const back = s("g", {}), dots = s("g", {}), brush = s("rect", { class: "interactive-brush", width: 0, height: 0 });
    const svg = s("svg", { class: "interactive-drawing interactive-linked", height: HEIGHT, role: "img" }, back, dots, brush);
    const said = h("p", { class: "interactive-legend" });
    const frame = h("div", { class: "interactive-chart", tabindex: 0, role: "group", "aria-label": `${kind.title}. Arrow keys walk through the cohorts, space ticks one off, shift with arrow keys brushes.` },
      h("p", { class: "interactive-title" }, kind.title), svg, said);
    let width = 0, placed = [], scale = null;

    function draw() {
      if (!width) return;
      placed = [];
      for (const row of view.shown) {
        const at = kind.place(row, view);
        if (at && at.every(Number.isFinite)) placed.push({ row, at });
      }
      const missing = view.shown.length - placed.length;
      const waiting = key === "baujat" && missing > 0 && view.waiting;
      said.textContent = waiting ? "Computing …" : missing && kind.missing ? `Not drawn: ${kind.missing(missing)}.` : "";
      svg.setAttribute("aria-label", `${kind.title}: ${kind.axes[0]} against ${kind.axes[1].toLowerCase()}, ${count(placed.length)} cohorts.`);
      if (!placed.length) {
        back.replaceChildren(s("text", { x: BOX.left, y: HEIGHT / 2 }, waiting ? "" : "Nothing to draw"));
        dots.replaceChildren();
        return;
      }
      const ends = [0, 1].map((axis) => {
        const all = placed.map(({ at }) => at[axis]), fixed = kind.from()[axis];
        const low = fixed ?? Math.min(...all), high = Math.max(...all), gap = 0.06 * (high - low || 1);
        // a mark at zero hides no number of the axis; a funnel ends in its point
        return [fixed === null || !kind.rates ? low - gap : fixed, high + gap];
      });
      const inner = [width - BOX.left - BOX.right, HEIGHT - BOX.top - BOX.bottom];
      const share = (axis, value) => (value - ends[axis][0]) / (ends[axis][1] - ends[axis][0]);
      scale = {
        x: (value) => BOX.left + inner[0] * share(0, value),
        y: (value) => BOX.top + inner[1] * (kind.down ? share(1, value) : 1 - share(1, value)),
      };
      const foot = HEIGHT - BOX.bottom, marks = [];
      const across = kind.rates
        ? RATES.map((p) => [Math.log(p / (1 - p)), String(+(100 * p).toFixed(1))]).filter(([v]) => v >= ends[0][0] && v <= ends[0][1]).filter(([v], i, all) => i === 0 || scale.x(v) - scale.x(all[i - 1][0]) > 26)
        : ticks(...ends[0], Math.max(2, Math.floor(inner[0] / 60)));
      for (const [value, text] of across) marks.push(
        s("line", { x1: scale.x(value), x2: scale.x(value), y1: BOX.top, y2: foot, class: "interactive-grid" }),
        s("text", { x: scale.x(value), y: foot + 14, "text-anchor": "middle" }, text));
      for (const [value, text] of ticks(...ends[1], 4)) marks.push(
        s("line", { x1: BOX.left, x2: width - BOX.right, y1: scale.y(value), y2: scale.y(value), class: "interactive-grid" }),
        s("text", { x: BOX.left - 5, y: scale.y(value) + 4, "text-anchor": "end" }, text));
      const fit = view.fit;
      if (kind.rates && fit && Number.isFinite(fit.mu)) {
        const wide = view.rule.z * ends[1][1];
        const clip = (v) => Math.max(BOX.left, Math.min(width - BOX.right, scale.x(v)));
        marks.push(s("line", { x1: clip(fit.mu), x2: clip(fit.mu), y1: BOX.top, y2: foot, class: "interactive-middle" }));
        for (const side of [-1, 1]) {
          // cut where the line leaves the frame
          const edge = side < 0 ? ends[0][0] : ends[0][1], reach = Math.min(wide, Math.abs(edge - fit.mu));
          marks.push(s("line", { x1: scale.x(fit.mu), y1: scale.y(0), x2: scale.x(fit.mu + side * reach), y2: scale.y(reach / view.rule.z), class: "interactive-null" }));
        }
      }
      if (key === "map" && fit && Number.isFinite(fit.estimate)) marks.push(
        s("line", { x1: BOX.left, x2: width - BOX.right, y1: scale.y(100 * fit.estimate), y2: scale.y(100 * fit.estimate), class: "interactive-null" }));
      marks.push(s("text", { x: width - BOX.right, y: HEIGHT - 4, "text-anchor": "end" }, kind.axes[0]), s("text", { x: 2, y: 9 }, kind.axes[1]));
      back.replaceChildren(...marks);
      const largest = Math.sqrt(Math.max(...view.rows.map((row) => row.patients)));
      dots.replaceChildren(...placed.map((one) => {
        const { row, at } = one;
        one.mark = s("circle", { cx: scale.x(at[0]), cy: scale.y(at[1]), r: 3 + (7 * Math.sqrt(row.patients)) / largest, style: view.colour(row), class: "interactive-cohort" }, s("title", {}, row.name));
        one.mark.dataset.cohort = row.name;
        one.mark.addEventListener("mouseenter", () => view.describe(row));
        one.mark.addEventListener("mouseleave", () => view.describe(view.current));
        return one.mark;
      }));
      fade();
    }

    /* All pictures hear of a selection and fade what is outside it. */
    function fade() {
      for (const { row, mark } of placed) mark?.classList.toggle("interactive-faded", !view.pooled.has(row.name));
    }
    function point() {
      for (const { row, mark } of placed) {
        mark?.classList.toggle("interactive-pointed", row === view.pointed);
      }
    }
    view.panel.addEventListener("selection", draw);
    if (key === "baujat") {
      view.panel.addEventListener("influence", draw);
      const near = new IntersectionObserver((seen) => {
        if (!seen.some((one) => one.isIntersecting)) return;
        near.disconnect();
        view.near = true;
        view.influences?.();
      }, { rootMargin: "600px 0px" });
      near.observe(frame);
    }
    view.panel.addEventListener("pointed", point);

    // -- by pointer: a rectangle keeps what is inside
    let start = null;
    const here = (event) => {
      const box = svg.getBoundingClientRect();
      return [event.clientX - box.left, event.clientY - box.top];
    };
    const rectangle = (a, b) => ({ x: Math.min(a[0], b[0]), y: Math.min(a[1], b[1]), width: Math.abs(a[0] - b[0]), height: Math.abs(a[1] - b[1]) });
    const stop = () => {
      start = null;
      brush.setAttribute("width", 0);
      brush.setAttribute("height", 0);
    };
    svg.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      start = here(event);
      svg.setPointerCapture(event.pointerId);
    });
    svg.addEventListener("pointermove", (event) => {
      if (!start) return;
      for (const [name, value] of Object.entries(rectangle(start, here(event)))) brush.setAttribute(name, value);
    });
    svg.addEventListener("pointercancel", stop);
    svg.addEventListener("pointerup", (event) => {
      if (!start || !scale) return stop();
      const area = rectangle(start, here(event)), [px, py] = start;
      stop();
      if (area.width < 5 && area.height < 5) {
        const distance = ({ at }) => Math.hypot(scale.x(at[0]) - px, scale.y(at[1]) - py);
        const near = [...placed].sort((a, b) => distance(a) - distance(b))[0];
        if (near && distance(near) < 22) view.pick(near.row, true);
        return undefined;
      }
      const inside = placed.filter(({ at }) => {
        const x = scale.x(at[0]), y = scale.y(at[1]);
        return x >= area.x && x <= area.x + area.width && y >= area.y && y <= area.y + area.height;
      });
      view.brush(inside.map(({ row }) => row.name));
      return undefined;
    });

    // -- by keyboard: left and right along the one axis, down and up along the other
    frame.addEventListener("keydown", (event) => {
      const axis = { ArrowLeft: 0, ArrowRight: 0, ArrowUp: 1, ArrowDown: 1 }[event.key];
      if (axis === undefined) return view.key(event);
      const along = [...placed].sort((a, b) => a.at[axis] - b.at[axis] || a.row.name.localeCompare(b.row.name)).map(({ row }) => row);
      const forward = event.key === "ArrowRight" || (event.key === "ArrowUp") !== Boolean(kind.down && axis === 1);
      const move = axis === 0 ? (event.key === "ArrowRight" ? 1 : -1) : forward ? 1 : -1;
      view.step(event, along, move);
      return undefined;
    });

    onWidth(svg, (now) => {
      width = now;
      draw();
    });
    return frame;
  }

  window.interactive.linked = (view) => h("div", { class: "interactive-charts" }, ...Object.keys(KINDS).map((key) => chart(view, key)));
})();
