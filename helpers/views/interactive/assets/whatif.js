/* The what-if: a slider supposes how many deaths are prevented, and the page counts. */
(() => {
  "use strict";
  const { h, s, number, percent, input, button, announcer, run } = window.interactive;

  run("whatif", (panel, data) => {
    const now = { part: data.start };
    const status = announcer(panel);
    const per = (x) => number(1000 * x, 0);
    const id = `${data.name}-slider`;
    const shown = h("output", { for: id });
    const range = input({ type: "range", id, min: 0, max: 1, step: 0.05, oninput: () => { now.part = Number(range.value); update(); } });
    const back = button("Back to the start", () => { now.part = data.start; update(); });

    const results = {};
    const list = h("dl", { class: "interactive-results" });
    for (const [key, label] of Object.entries(data.labels)) {
      results[key] = h("dd", { "data-result": key });
      list.append(h("div", {}, h("dt", {}, label), results[key]));
    }
    const bar = s("svg", { class: "interactive-drawing", role: "img", height: 34 });

    function show() {
      range.value = now.part;
      shown.textContent = percent(now.part, 0);
      range.setAttribute("aria-valuetext", percent(now.part, 0));
    }

    function update() {
      show();
      const [low, high] = data.ci.map((limit) => now.part * limit), fewer = now.part * data.estimate, left = data.estimate - fewer;
      results.left.textContent = per(left);
      results.fewer.textContent = now.part ? `${per(fewer)} (${per(low)} to ${per(high)})` : "0";
      results.treated.textContent = now.part ? `${number(1 / fewer, 0)} (${number(1 / high, 0)} to ${number(1 / low, 0)})` : "\u2013";
      results.all.textContent = per(data.all - fewer);
      const x = (value) => `${(100 * value) / data.all}%`;
      bar.replaceChildren(
        s("rect", { x: 0, width: x(left), y: 4, height: 26, style: "fill: var(--picture-accent)" }),
        s("rect", { x: x(left), width: x(fewer), y: 4, height: 26, style: "fill: none; stroke: var(--picture-accent); stroke-dasharray: 3 3" }),
        s("rect", { x: x(data.estimate), width: x(data.all - data.estimate), y: 4, height: 26, style: "fill: var(--picture-grid)" }));
      const said = `${per(left)} of 1,000 die of infection, ${per(fewer)} fewer; ${per(data.all - data.estimate)} die of other causes without relapse`;
      bar.setAttribute("aria-label", said);
      status.say(said);
    }
    panel.append(
      h("div", { class: "interactive-controls" },
        h("div", { class: "interactive-slider" }, h("label", { for: id }, data.label), shown, range),
        h("div", { class: "interactive-buttons" }, back)),
      list, bar, h("p", { class: "interactive-legend" }, data.legend), status.place);
    update();
    return { show };
  });
})();
