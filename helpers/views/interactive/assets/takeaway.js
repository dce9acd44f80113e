/* What a reader takes away: the picture as SVG or PNG, the table as CSV, as they are now. */
(() => {
  "use strict";
  const { s, h, hundredths, count, save } = window.interactive;

  const ROW = 18, HEAD = 46, NAME = 190, NUMBERS = 250, WIDTH = 900;

  function cell(value) {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  }

  function table(view) {
    const head = ["cohort", "disease", "product", "setting", "year", "deaths", "patients", "median_follow_up_months", "rate", "lower", "upper", "pooled", "weight_percent", "doi"];
    const lines = view.shown.map((row) => [
      row.name, row.entity, row.product, row.setting, row.year, row.deaths, row.patients, row.follow_up, ...row.at,
      view.pooled.has(row.name) ? "yes" : "no", view.weights.has(row.name) ? view.weights.get(row.name).toFixed(2) : null, row.doi,
    ]);
    const fit = view.fit;
    if (Number.isFinite(fit.estimate)) {
      const mine = view.shown.filter((row) => view.pooled.has(row.name)), total = (key) => mine.reduce((a, row) => a + row[key], 0);
      lines.push(["Pooled (GLMM)", null, null, null, null, total("deaths"), total("patients"), null, ...[fit.estimate, ...fit.ci].map((x) => x.toFixed(6)), null, null, null]);
      if (fit.shows) lines.push(["Prediction interval", null, null, null, null, null, null, null, null, ...fit.prediction.map((x) => x.toFixed(6)), null, null, null]);
    }
    return `${[head, ...lines].map((line) => line.map(cell).join(",")).join("\r\n")}\r\n`;
  }

  /* A forest plot that needs no style sheet: all colours are written into it. */
  function drawing(view) {
    const style = getComputedStyle(view.panel);
    const colour = (name) => style.getPropertyValue(`--picture-${name}`).trim() || "#000";
    const rows = view.shown, fit = view.fit, pooled = Number.isFinite(fit.estimate), height = HEAD + ROW * (rows.length + (pooled ? 2 : 0)) + 40;
    const left = NAME + NUMBERS, right = WIDTH - 20, { limit } = view.axis;
    const x = (value) => left + ((right - left) * Math.min(value, limit)) / limit;
    const ink = colour("ink"), grid = colour("grid");
    const text = (at, y, words, more) => s("text", { x: at, y, fill: ink, ...more }, words);
    const parts = [
      s("title", {}, view.title), s("desc", {}, view.told),
      s("rect", { width: WIDTH, height, fill: colour("surface") }),
      text(10, 24, "Cohort", { "font-weight": 700 }), text(NAME + 110, 24, "Deaths / patients", { "text-anchor": "end", "font-weight": 700 }),
      text(left - 14, 24, view.axis.interval, { "text-anchor": "end", "font-weight": 700 }), text(left, 24, view.axis.label, { "font-weight": 700 }),
    ];
    for (const tick of view.axis.ticks) parts.push(
      s("line", { x1: x(tick), x2: x(tick), y1: HEAD - 6, y2: height - 30, stroke: grid }),
      text(x(tick), height - 14, String(Math.round(100 * tick)), { "text-anchor": "middle" }));
    const most = Math.sqrt(Math.max(...view.rows.map((row) => row.patients)));
    rows.forEach((row, i) => {
      const y = HEAD + ROW * (i + 0.5), side = 5 + (7 * Math.sqrt(row.patients)) / most, paint = colour(view.slug(row.entity));
      parts.push(s("g", view.pooled.has(row.name) ? {} : { opacity: 0.35 },
        text(10, y + 4, row.name), text(NAME + 110, y + 4, `${count(row.deaths)} / ${count(row.patients)}`, { "text-anchor": "end" }),
        text(left - 14, y + 4, row.short, { "text-anchor": "end" }),
        s("line", { x1: x(row.at[1]), x2: x(row.at[2]), y1: y, y2: y, stroke: paint, "stroke-width": 1.6 }),
        s("rect", { x: x(row.at[0]) - side / 2, y: y - side / 2, width: side, height: side, fill: paint })));
    });
    if (pooled) {
      const y = HEAD + ROW * (rows.length + 0.8), [low, high] = fit.ci, middle = fit.estimate;
      parts.push(text(10, y + 4, "Pooled", { "font-weight": 700 }),
        text(left - 14, y + 4, `${hundredths(middle)} (${hundredths(low)} to ${hundredths(high)})`, { "text-anchor": "end", "font-weight": 700 }),
        s("path", { d: `M${x(low)} ${y}L${x(middle)} ${y - 6}L${x(high)} ${y}L${x(middle)} ${y + 6}Z`, fill: ink }));
      if (fit.shows) parts.push(s("line", { x1: x(fit.prediction[0]), x2: x(fit.prediction[1]), y1: y + 12, y2: y + 12, stroke: ink, "stroke-width": 1.6, "stroke-dasharray": "5 3" }));
    }
    const svg = s("svg", { viewBox: `0 0 ${WIDTH} ${height}`, width: WIDTH, height, "font-family": "Source Sans 3, Segoe UI, Roboto, sans-serif", "font-size": 12.5 }, ...parts);
    return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(svg)}`;
  }

  function png(view, name) {
    const image = new Image();
    image.onload = () => {
      const canvas = h("canvas", { width: 2 * image.width, height: 2 * image.height });
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      canvas.toBlob((blob) => save(blob, name));
    };
    image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(drawing(view))}`;
  }

  // as under a figure (book.js)
  window.interactive.takeaway = (view) => h("div", { class: "picture-tools", role: "group", "aria-label": "Download the cohorts" },
    h("span", {}, "Download"),
    ...Object.entries({
      SVG: () => save(new Blob([drawing(view)], { type: "image/svg+xml" }), "cohorts.svg"),
      PNG: () => png(view, "cohorts.png"),
      CSV: () => save(new Blob([table(view)], { type: "text/csv" }), "cohorts.csv"),
    }).map(([kind, click]) => h("button", { type: "button", onclick: click, "aria-label": `Download the cohorts as ${kind}` }, kind)));
})();
