/* What interactive pictures share: elements, numbers, announcements, and the start. */
(() => {
  "use strict";

  const SPACE = "http://www.w3.org/2000/svg";

  function fill(made, attributes, children) {
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
      else if (value === true) made.setAttribute(key, "");
      else if (value !== false && value !== null && value !== undefined) made.setAttribute(key, value);
    }
    made.append(...children.flat().filter((child) => child !== null && child !== undefined));
    return made;
  }

  const h = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
  const s = (tag, attributes, ...children) => fill(document.createElementNS(SPACE, tag), attributes, children);

  const count = (x) => String(x).replace(/\B(?=(\d{3})+$)/g, ",");
  function number(x, digits = 2) {
    const printed = Math.abs(x).toFixed(digits), [whole, decimals] = printed.split(".");
    const sign = x < 0 && Number(printed) !== 0 ? "\u2212" : "";
    return sign + count(whole) + (decimals ? `.${decimals}` : "");
  }
  const percent = (x, digits = 1) => `${number(100 * x, digits)}%`;
  const between = (a, b, digits = 1) => `${number(100 * a, digits)} to ${percent(b, digits)}`;
  /* A share in percent; only all and none are 100 and 0. */
  const share = (part, whole) => percent(part / whole, part === 0 || part === whole ? 0 : 1);

  /* Controls show the state of their picture and hold none: a builder sets them from it. Without
     autocomplete="off", a browser fills in what they held before a reload or *Back*. */
  const input = (attributes) => h("input", { autocomplete: "off", ...attributes });

  /* A list with a label; options are [value, text]. */
  function select(label, options, change) {
    const list = h("select", { autocomplete: "off", onchange: () => change(list.value) });
    for (const [value, text] of options) list.append(h("option", { value }, text));
    return { list, field: h("label", { class: "interactive-field" }, h("span", {}, label), list) };
  }

  const button = (text, click, more) => h("button", { type: "button", class: "interactive-button", onclick: click, ...more }, text);

  /* Says the last thing it was given, once the reader has paused; nothing before a first touch. */
  function announcer(panel) {
    const place = h("p", { class: "interactive-hidden", role: "status", "aria-live": "polite" });
    let waiting, touched = false;
    for (const kind of ["input", "change", "click"]) panel.addEventListener(kind, () => { touched = true; }, true);
    const say = (text) => {
      if (!touched) return;
      clearTimeout(waiting);
      place.toggleAttribute("data-waiting", true);
      waiting = setTimeout(() => {
        place.textContent = text;
        place.toggleAttribute("data-waiting", false);
      }, 500);
    };
    return { place, say };
  }

  /* Hand every picture of a kind to its builder; if that fails, the fixed picture is still there.
     What the builder returns sets its controls from its state. A page that is shown again may come
     with other values in them. */
  function run(kind, build) {
    for (const host of document.querySelectorAll(`.interactive[data-interactive="${kind}"]`)) {
      const data = JSON.parse(host.querySelector(":scope > script[type='application/json']").textContent);
      const panel = h("section", { class: "interactive-panel", "aria-label": data.title });
      const show = build(panel, data);
      addEventListener("pageshow", show);
      const figure = host.querySelector(":scope > figure");
      const still = h("details", { class: "interactive-still" }, h("summary", {}, "The same as a fixed picture, with its numbers"));
      host.append(panel, still);
      still.append(figure);
      addEventListener("beforeprint", () => { still.open = true; });
      host.dataset.ready = "";
    }
  }

  window.interactive = { h, s, number, percent, count, between, share, input, select, button, announcer, run };
})();
