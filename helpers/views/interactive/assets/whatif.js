/* The what-if: a slider supposes how many deaths are prevented, and the page counts. */
(() => {
  "use strict";
  const { h, s, number, percent, slider, results, button, announcer, run } = window.interactive;

  run("whatif", (panel, data) => {
    const now = { part: data.start };
    const status = announcer(panel);
    const per = (x) => number(1000 * x, 0);
    const part = slider(`${data.name}-slider`, data.label, { min: 0, max: 1, step: 0.05 }, (value) => { now.part = value; update(); }, () => now.part, () => percent(now.part, 0));
    const back = button("Back to the start", () => { now.part = data.start; update(); });

    const { cells, list } = results(data.labels);
    const bar = s("svg", { class: "interactive-drawing", role: "img", height: 34 });

    function update() {
      part.set();
      const [low, high] = data.ci.map((limit) => now.part * limit), fewer = now.part * data.estimate, left = data.estimate - fewer;
      cells.left.textContent = per(left);
      cells.fewer.textContent = now.part ? `${per(fewer)} (${per(low)} to ${per(high)})` : "0";
      cells.treated.textContent = now.part ? `${number(1 / fewer, 0)} (${number(1 / high, 0)} to ${number(1 / low, 0)})` : "\u2013";
      cells.all.textContent = per(data.all - fewer);
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
        part.field, h("div", { class: "interactive-buttons" }, back)),
      list, bar, h("p", { class: "interactive-legend" }, data.legend), status.place);
    update();
    return { show: part.set };
  });
})();
