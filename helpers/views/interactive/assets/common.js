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
  /* Powers of ten by the decimal form, so that 12.95 is a half to round up, as the engine does. */
  function shift(x, places) {
    const text = String(x);
    return text.includes("e") ? x * 10 ** places : Number(`${text}e${places}`);
  }
  function number(x, digits = 2) {
    const printed = shift(Math.round(shift(Math.abs(x), digits)), -digits).toFixed(digits), [whole, decimals] = printed.split(".");
    const sign = x < 0 && Number(printed) !== 0 ? "\u2212" : "";
    return sign + count(whole) + (decimals ? `.${decimals}` : "");
  }
  /* Percentages, where the unit stands elsewhere, and with it. */
  const hundredths = (x, digits = 1) => number(shift(x, 2), digits);
  const percent = (x, digits = 1) => `${hundredths(x, digits)}%`;
  const between = (a, b, digits = 1) => `${hundredths(a, digits)} to ${percent(b, digits)}`;
  /* A share in percent; only all and none are 100 and 0, however many there are. */
  function share(part, whole) {
    if (part === 0 || part === whole) return percent(part / whole, 0);
    let digits = 1;
    while (/^(0|100)\.0*%$/.test(percent(part / whole, digits))) digits += 1;
    return percent(part / whole, digits);
  }

  /* Controls show the state of their picture and hold none: a builder sets them from it. Without
     autocomplete="off", a browser fills in what they held before a reload or *Back*. */
  const input = (attributes) => h("input", { autocomplete: "off", ...attributes });

  /* A list with a label; options are [value, text]. */
  function select(label, options, change) {
    const list = h("select", { autocomplete: "off", onchange: () => change(list.value) });
    for (const [value, text] of options) list.append(h("option", { value }, text));
    return { list, field: h("label", { class: "interactive-field" }, h("span", {}, label), list) };
  }

  /* A slider with its value beside it: `value` is where it stands and `said` what that means. */
  function slider(id, label, attributes, change, value, said) {
    const shown = h("output", { for: id });
    const range = input({ type: "range", id, ...attributes, oninput: () => change(Number(range.value)) });
    const set = () => {
      range.value = value();
      shown.textContent = said();
      range.setAttribute("aria-valuetext", shown.textContent);
    };
    return { set, field: h("div", { class: "interactive-slider" }, h("label", { for: id }, label), shown, range) };
  }

  /* A list of results, each with its label; `cells` are where they are written. */
  function results(labels) {
    const cells = Object.fromEntries(Object.keys(labels).map((key) => [key, h("dd", { "data-result": key })]));
    const list = h("dl", { class: "interactive-results" }, ...Object.entries(labels).map(([key, label]) => h("div", {}, h("dt", {}, label), cells[key])));
    return { cells, list };
  }

  function save(blob, name) {
    const address = URL.createObjectURL(blob);
    h("a", { href: address, download: name }).click();
    setTimeout(() => URL.revokeObjectURL(address), 10000);
  }

  const button = (text, click, more) => h("button", { type: "button", class: "interactive-button", onclick: click, ...more }, text);

  /* Calls `changed` with the width of an element in whole pixels whenever it is another one: in the
     next frame, because what is drawn may move what is observed. */
  function onWidth(element, changed) {
    let width = 0;
    new ResizeObserver(() => requestAnimationFrame(() => {
      const now = Math.round(element.getBoundingClientRect().width);
      if (!now || now === width) return;
      width = now;
      changed(now);
    })).observe(element);
  }

  /* Says the last thing it was given, once the reader has paused; nothing before a first touch. */
  function announcer(panel) {
    const place = h("p", { class: "interactive-hidden", role: "status", "aria-live": "polite" });
    let waiting, touched = false;
    for (const kind of ["input", "change", "click"]) panel.addEventListener(kind, () => { touched = true; }, true);
    for (const kind of ["keydown", "pointerup"]) panel.addEventListener(kind, () => { touched = true; }, true);
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

  /* What the reader set, in the address: Back and Forward undo and redo, a copied address shows the
     same to others. A picture gives `read`, its settings that differ from the start, and `write`,
     which takes them back. Only the part after # changes, which works from a disk too. */
  const PREFIX = "#~";
  const parts = new Map();
  let known = "";
  function settings() {
    const all = new URLSearchParams();
    for (const [name, { read }] of parts) for (const [key, value] of Object.entries(read())) all.set(`${name}.${key}`, value);
    return String(all);
  }
  function keep() {
    const now = settings();
    if (now === known) return;
    known = now;
    history.pushState({ explored: now }, "", now ? PREFIX + now : "#");
  }
  function restore(text) {
    const asked = new URLSearchParams(text);
    let first = null;
    for (const [name, { write, panel }] of parts) {
      const mine = Object.fromEntries([...asked].filter(([key]) => key.startsWith(`${name}.`)).map(([key, value]) => [key.slice(name.length + 1), value]));
      write(mine);
      if (!first && Object.keys(mine).length) first = panel;
    }
    known = settings();
    return first;
  }
  const written = () => (location.hash.startsWith(PREFIX) ? location.hash.slice(PREFIX.length) : null);
  addEventListener("popstate", ({ state }) => {
    const asked = state?.explored ?? written();
    if (asked === null) return;
    for (const steps of queue.splice(0)) finish(steps);
    if (parts.size) restore(asked);
  });
  addEventListener("DOMContentLoaded", () => {
    if (!parts.size && !queue.length) return;
    const asked = history.state?.explored ?? written();
    if (asked) {
      const first = restore(asked);
      // a reload and Back return to their own place
      if (performance.getEntriesByType("navigation")[0]?.type === "navigate") first?.scrollIntoView();
    }
    history.replaceState({ explored: known }, "");
  });

  /* Who opens a page at its top sees the fixed pictures first (frame.js lays out the first screen).
     Then the others are built in the order of the page, one step a task, so that a slow phone
     answers in between. Who comes to a place or back finds all of them built. */
  const queue = [];
  function soon(steps) {
    if (!("laying" in document.documentElement.dataset)) finish(steps);
    else if (queue.push(steps) === 1) requestAnimationFrame(() => setTimeout(proceed));
  }
  function proceed() {
    const [steps] = queue;
    if (!steps) return;
    setTimeout(proceed); // also where a picture fails
    if (steps.next().done && queue[0] === steps) queue.shift();
  }
  function finish(steps) {
    let step = steps.next();
    while (!step.done) step = steps.next();
    return step.value;
  }

  /* Hand every picture of a kind to its builder; if that fails, the fixed picture is still there.
     What the builder returns as `show` sets its controls from its state: a page that is shown again
     may come with other values in them. `read` and `write` put that state into the address. A
     builder with much to do is a generator, which yields between its steps. */
  function run(kind, build) {
    for (const host of document.querySelectorAll(`.interactive[data-interactive="${kind}"]`)) {
      const given = host.querySelector(":scope > script[type='application/json']");
      soon((function* steps() {
        if (given.dataset.from) later(kind, build, host, given.dataset.from, given.dataset.name);
        else yield* start(kind, build, host, JSON.parse(given.textContent));
      })());
    }
  }

  function* start(kind, build, host, data) {
    const panel = h("section", { class: "interactive-panel", "aria-label": data.title });
    const made = build(panel, data), { show, read, write } = made.next ? yield* made : made;
    addEventListener("pageshow", show);
    if (read) {
      parts.set(data.key || kind, { read, write, panel }); // a page may have several of a kind
      for (const event of ["change", "click"]) panel.addEventListener(event, keep);
    }
    const figure = host.querySelector(":scope > figure");
    const still = h("details", { class: "interactive-still" }, h("summary", {}, "The same as a fixed picture, with its numbers"));
    host.append(panel, still);
    still.append(figure);
    addEventListener("beforeprint", () => { still.open = true; });
    host.dataset.ready = "";
    return { write };
  }

  /* Many numbers are read when their picture is near the window, or when the address sets it; until
     then the address keeps what it says of it. A script, because a page on a disk may read no file. */
  const NEAR = "1000px";
  const data = {};
  function later(kind, build, host, address, name) {
    let asked = {}, reading = false;
    const read = () => {
      if (reading) return;
      reading = true;
      near.disconnect();
      const script = h("script", { src: address });
      script.addEventListener("load", () => {
        finish(start(kind, build, host, data[name])).write(asked);
        known = settings();
      });
      document.head.append(script);
    };
    const near = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && read(), { rootMargin: `${NEAR} 0px` });
    near.observe(host);
    const write = (mine) => {
      asked = mine;
      if (Object.keys(mine).length) read();
    };
    parts.set(kind, { read: () => asked, write, panel: host });
  }

  window.interactive = { h, s, number, hundredths, percent, count, between, share, input, select, slider, results, save, button, onWidth, announcer, keep, run, data, queue };
})();
