/* The laboratory: sliders set the truth, studies are drawn and pooled at once. */
(() => {
  "use strict";
  const { h, s, number, percent, count, between, select, slider, results, button, announcer, run } = window.interactive;
  const { draw, pool, wilson, expit, logit } = window.interactive.statistics;

  const ROW = 11, HEAD = 26, FOOT = 50;

  run("laboratory", (panel, data) => {
    const now = { ...data.start, spread: data.spread, smallest: data.smallest };
    const status = announcer(panel);
    const sizes = data.ranges.size;

    const setting = (key, label, [min, max], step, print, steps) => slider(
      `${data.name}-slider-${key}`, label, { min, max, step }, (at) => { now[key] = steps ? steps[at] : at; update(); },
      () => (steps ? steps.indexOf(now[key]) : now[key]), () => print(now[key]));
    const sliders = [
      setting("tau", "True spread τ (logits)", data.ranges.tau, 0.05, (x) => number(x)),
      setting("studies", "Studies", data.ranges.studies, 1, String),
      setting("size", "Patients in a typical study", [0, sizes.length - 1], 1, count, sizes),
      setting("rate", "True event rate", data.ranges.rate, 0.01, (x) => percent(x, 0)),
    ];
    const method = select("Estimator of τ²", [["DL", "DerSimonian-Laird"], ["PM", "Paule-Mandel"]], (name) => { now.method = name; update(); });
    const again = button("Draw again", () => { now.seed += 1; update(); });
    const back = button("Back to the start", () => {
      Object.assign(now, data.start);
      update();
    });
    function show() {
      method.list.value = now.method;
      for (const one of sliders) one.set();
    }

    const { cells, list } = results({ Q: "Q", I2: "I²", tau: "τ estimated", pooled: "Pooled rate", prediction: "Prediction interval", truth: "95% of true rates" });
    const canvas = s("svg", { class: "interactive-drawing", role: "img", "aria-label": "Drawn studies" });

    function ticks(limit) {
      const step = [0.01, 0.02, 0.05, 0.1, 0.2].find((one) => limit / one <= 6);
      return Array.from({ length: Math.floor(limit / step + 1e-9) + 1 }, (_, i) => i * step);
    }

    function paint(drawn, fit, expected, truth) {
      const bounds = drawn.events.map((x, i) => wilson(x, drawn.n[i], data.z));
      const upper = bounds.map(([, high]) => high).sort((a, b) => a - b);
      // the widest intervals of small studies may leave the frame
      const reach = Math.max(truth[1], (expected || fit.ci)[1], upper[Math.floor(0.8 * (upper.length - 1))]);
      const limit = Math.min(1, Math.ceil(reach * 20) / 20);
      const x = (value) => `${(100 * Math.min(value, limit)) / limit}%`;
      const line = (y, from, to, kind) => s("line", { x1: x(from), x2: x(to), y1: y, y2: y, class: kind });
      const base = HEAD + ROW * fit.k;
      const marks = [s("rect", { x: x(truth[0]), width: `${(100 * (Math.min(truth[1], limit) - truth[0])) / limit}%`, y: HEAD - 4, height: base - HEAD + 8, class: "interactive-band" })];
      for (const tick of ticks(limit)) {
        const last = tick > 0.97 * limit;
        marks.push(s("line", { x1: x(tick), x2: x(tick), y1: HEAD - 6, y2: base + FOOT - 8, class: "interactive-grid" }),
          s("text", { x: x(tick), y: 14, "text-anchor": tick === 0 ? "start" : last ? "end" : "middle" }, percent(tick, 0)));
      }
      const order = drawn.rates.map((_, i) => i).sort((a, b) => drawn.rates[a] - drawn.rates[b]);
      order.forEach((i, row) => {
        const y = HEAD + ROW * (row + 0.5), at = drawn.events[i] / drawn.n[i];
        marks.push(line(y, ...bounds[i], "interactive-interval"));
        if (at <= limit) marks.push(s("circle", { cx: x(at), cy: y, r: 1.5 + 0.6 * Math.sqrt(fit.weights[i]), class: "interactive-dot" }));
        if (drawn.rates[i] <= limit) marks.push(s("line", { x1: x(drawn.rates[i]), x2: x(drawn.rates[i]), y1: y - 5, y2: y + 5, class: "interactive-true" }));
      });
      marks.push(line(base + 18, ...fit.ci, "interactive-pooled"), s("circle", { cx: x(fit.estimate), cy: base + 18, r: 5, class: "interactive-point" }));
      if (expected) marks.push(line(base + 33, ...expected, "interactive-prediction"));
      canvas.setAttribute("height", base + FOOT);
      canvas.replaceChildren(...marks);
    }

    function update() {
      show();
      const drawn = draw(now), fit = pool(drawn.events, drawn.n, now.method, data.t);
      const expected = fit.k < data.prediction ? null : fit.prediction;
      const middle = logit(now.rate), truth = [expit(middle - data.z * now.tau), expit(middle + data.z * now.tau)];
      cells.Q.textContent = `${number(fit.Q, 1)} on ${fit.df} df, ${fit.p < 0.001 ? "p < 0.001" : `p = ${number(fit.p, 3)}`}`;
      cells.I2.textContent = percent(fit.I2 / 100, 0);
      cells.tau.textContent = number(Math.sqrt(fit.tau2));
      cells.pooled.textContent = `${percent(fit.estimate)} (95%\u00a0CI ${between(...fit.ci)})`;
      cells.prediction.textContent = expected ? between(...expected) : `none shown below ${data.prediction} studies`;
      cells.truth.textContent = now.tau === 0 ? `all ${percent(now.rate)}` : between(...truth);
      paint(drawn, fit, expected, truth);
      const said = `I² ${cells.I2.textContent}, Q ${cells.Q.textContent}, prediction interval ${cells.prediction.textContent}`;
      canvas.setAttribute("aria-label", `${fit.k} drawn studies with their intervals. ${said}; true rates ${cells.truth.textContent}.`);
      status.say(said);
    }
    panel.append(
      h("div", { class: "interactive-controls" }, ...sliders.map((one) => one.field), method.field, h("div", { class: "interactive-buttons" }, again, back)),
      list, canvas,
      h("p", { class: "interactive-legend" }, "Dots and thin lines: studies with 95% intervals, sorted by their true rates (short strokes). Shaded: where 95% of the true rates lie. Below: pooled rate with its confidence interval, and the prediction interval (dashed)."),
      status.place);
    update();

    const starts = { ...data.start };
    const read = () => Object.fromEntries(Object.entries(starts).filter(([key, value]) => now[key] !== value).map(([key]) => [key, now[key]]));
    /* Only what a control can hold is taken from the address. */
    function write(asked) {
      Object.assign(now, starts);
      if (["DL", "PM"].includes(asked.method)) now.method = asked.method;
      if (/^\d{1,9}$/.test(asked.seed)) now.seed = Number(asked.seed);
      if (sizes.includes(Number(asked.size))) now.size = Number(asked.size);
      for (const key of ["tau", "studies", "rate"]) {
        const [min, max] = data.ranges[key], value = Number(asked[key]);
        if (asked[key] !== undefined && value >= min && value <= max) now[key] = key === "studies" ? Math.round(value) : value;
      }
      update();
    }
    return { show, read, write };
  });
})();
