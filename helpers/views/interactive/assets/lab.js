/* A lab: guess, set the truth, repeat a thousand times, and read what came out. */
(() => {
  "use strict";
  const { h, s, number, percent, count, select, slider, save, button, announcer, run } = window.interactive;
  const { simulation } = window.interactive.kernels;

  const RUNS = 1000, MOST = 10000, SLICE = 12; // repetitions of a press, in all; milliseconds between two looks of the browser
  const LOOKS = [["ink", ""], ["lbcl", "6 3"], ["mm", "2 3"], ["quiet", "8 3 2 3"]];
  const PRINT = { count, percent: (x) => percent(x, 0), number: (x) => number(x) };
  const HEIGHT = 260, TOP = 14, BASE = 212, LEFT = 15, WIDE = 81;
  const GUESSES = [["", "not yet guessed"], ["up", "go up"], ["same", "stay the same"], ["down", "go down"]];

  const reference = (data, now) => (data.reference === "" ? null : typeof data.reference === "string" ? now[data.reference] : data.reference);

  /* First and last point of a curve, and whether it goes "up", "down" or is the "same". */
  function ends(data, rows, curve) {
    const points = rows.filter((row) => row.curve === curve && Number.isFinite(row.value));
    if (!points.length) return null;
    const a = points[0], b = points.at(-1), off = b.value - a.value, clear = Math.abs(off) > data.errors * Math.hypot(a.mcse, b.mcse);
    return { a, b, way: clear && percent(a.value) !== percent(b.value) ? (off > 0 ? "up" : "down") : "same" };
  }

  /* The sentences of helpers.teaching.lab_pages.came_out, by the same rule. */
  function verdicts(data, rows, now) {
    const at = (x) => data.x.at.replace("{}", PRINT[data.x.print](x)), known = reference(data, now);
    return data.curves.map((curve) => {
      const found = ends(data, rows, curve);
      if (!found) return null;
      const { a, b, way } = found, first = percent(a.value), last = percent(b.value), end = at(b.x);
      let said = first === last ? `“${curve}” is ${first} at ${at(a.x)} and at ${end}.`
        : way === "same" ? `“${curve}” is ${first} at ${at(a.x)} and ${last} at ${end}, a difference within ${data.within}.`
          : `“${curve}” goes ${way} from ${first} at ${at(a.x)} to ${last} at ${end}.`;
      if (known !== null && (!data.refers.length || data.refers.includes(curve))) {
        const its = `the ${data.reference_label} (${percent(known)})`;
        if (last === percent(known)) said += ` At ${end} it equals ${its} to the digit shown.`;
        else if (Math.abs(b.value - known) > data.errors * b.mcse) said += ` At ${end} it is ${b.value > known ? "above" : "below"} ${its}.`;
        else said += ` At ${end} it is off ${its} by no more than ${data.within}.`;
      }
      return said;
    }).filter(Boolean);
  }

  /* Each curve against that of the run before, as a mean over the values across that both have. */
  function against(data, rows, before) {
    return data.curves.map((curve) => {
      const pairs = rows.filter((row) => row.curve === curve).map((row) => [row, before.find((other) => other.curve === curve && other.x === row.x)])
        .filter(([a, b]) => b && Number.isFinite(a.value) && Number.isFinite(b.value));
      if (!pairs.length) return null;
      const off = pairs.reduce((sum, [a, b]) => sum + a.value - b.value, 0) / pairs.length;
      const error = Math.sqrt(pairs.reduce((sum, [a, b]) => sum + a.mcse ** 2 + b.mcse ** 2, 0)) / pairs.length;
      const points = number(100 * Math.abs(off));
      if (Math.abs(off) <= data.errors * error) return `“${curve}” differs on average by no more than ${data.within}.`;
      return points === "0.00" ? `“${curve}” differs on average by less than 0.005 percentage points.`
        : `“${curve}” is on average ${points} percentage points ${off > 0 ? "higher" : "lower"}.`;
    }).filter(Boolean);
  }

  run("lab", (panel, data) => {
    const notes = { guess: "", saw: "", why: "" };
    const now = { ...data.start, seed: 1 };
    let made = null, goal = 0, timer = 0, painted = 0, told = 0, previous = null, opened = "";
    const status = announcer(panel);
    const print = (control, value) => PRINT[control.print](value);
    const settings = () => JSON.stringify([now, goal]);

    const sliders = data.controls.map((control) => {
      const { key: name, label, values } = control;
      return slider(`lab-${data.key}-${name}`, label, { min: 0, max: values.length - 1, step: 1 }, (at) => change(name, values[at]), () => values.indexOf(now[name]), () => print(control, now[name]));
    });
    const one = button("Draw one", () => go(made ? made.done + 1 : 1));
    const thousand = button("Run 1,000 repetitions", () => go(timer ? goal : goal + RUNS));
    const stop = button("Stop", () => halt(true));
    const again = button("Draw again", () => { const wanted = goal; clear(); now.seed += 1; go(wanted || 1); });
    const back = button("Back to the start", () => { clear(); Object.assign(now, data.start, { seed: 1 }); show(); status.say("Back at the start; nothing has been drawn."); });
    const bar = h("progress", { max: RUNS, value: 0, "aria-label": `Repetitions of: ${data.title}` });
    const where = h("span", { "data-progress": true });
    const canvas = s("svg", { class: "interactive-drawing", role: "img", height: HEIGHT });
    const key = h("p", { class: "interactive-legend" });
    const list = h("ul", { class: "interactive-told", "data-verdicts": true });
    const body = h("tbody");
    const table = h("div", { class: "interactive-scroll", tabindex: 0, role: "region", "aria-label": `Numbers of: ${data.title}` },
      h("table", {}, h("thead", {}, h("tr", {}, h("th", { scope: "col" }, data.x.label), ...data.curves.map((curve) => h("th", { scope: "col" }, curve)))), body));

    // -- the worksheet ------------------------------------------------------------------------------

    const guess = select(`Guess first. ${data.guess.question}`, GUESSES, (value) => { notes.guess = value; tell(); });
    const noted = (name, label) => {
      const area = h("textarea", { rows: 3, maxlength: 400, autocomplete: "off", oninput: () => { notes[name] = area.value; } });
      return { area, field: h("label", { class: "interactive-field" }, h("span", {}, label), area) };
    };
    const saw = noted("saw", "What did you see?"), why = noted("why", "Change a number: what changed, and why?");
    const asked = data.controls.find((control) => control.key === data.task.key);
    const task = button(`Set ${asked.label}: ${print(asked, data.task.value)}`, () => change(data.task.key, data.task.value), { "data-task": true });
    const judged = h("p", { "data-guess": true });
    const keeping = button("Save the worksheet", () => {
      const words = (pairs, value) => pairs.find(([one]) => one === value)[1];
      const lines = [data.title, "", ...data.controls.map((control) => `${control.label}: ${print(control, now[control.key])}`), `Repetitions: ${made ? made.done : 0}, draw ${now.seed}`, "",
        `${data.guess.question} Guess: ${words(GUESSES, notes.guess)}. ${judged.textContent}`, "", ...[...list.children].map((item) => item.textContent), "", "What did you see?", notes.saw, "", data.task.question, notes.why, "", location.href];
      save(new Blob([lines.join("\r\n")], { type: "text/plain" }), `worksheet-${data.key}.txt`);
    });
    const sheet = h("section", { class: "interactive-sheet", "aria-label": `Worksheet: ${data.title}` },
      h("p", { class: "interactive-title" }, "Worksheet"), guess.field, judged, saw.field,
      h("p", {}, data.task.question), task, why.field, h("div", { class: "interactive-buttons" }, keeping));

    // -- running ------------------------------------------------------------------------------------

    function halt(said) {
      clearTimeout(timer);
      timer = 0;
      if (made && said) { goal = made.done; status.say(`Stopped after ${count(made.done)} repetitions.`); }
      tell();
    }
    /* Nothing is left of what was drawn; a run that was finished is kept, to compare the next with. */
    function clear() {
      clearTimeout(timer);
      timer = 0;
      if (made && made.done >= 2) previous = { now: { ...now }, rows: made.found() };
      made = null;
      goal = told = 0;
      tell();
    }
    function change(name, value) {
      if (now[name] === value) return;
      clear();
      now[name] = value;
      show();
      status.say(`${data.controls.filter((control) => control.key === name).map((control) => `${control.label} ${print(control, value)}`)}; nothing has been drawn with it.`);
    }
    function go(wanted) {
      goal = Math.min(MOST, wanted);
      made ||= simulation(data, { ...now }, now.seed);
      clearTimeout(timer);
      timer = setTimeout(slice, 0);
      tell();
    }
    function slice() {
      const until = performance.now() + SLICE;
      while (made.done < goal && performance.now() < until) made.step();
      timer = made.done < goal ? setTimeout(slice, 0) : 0;
      if (!timer || performance.now() - painted > 150) tell();
      const quarter = Math.floor((4 * made.done) / goal);
      if (!timer) status.say(`${count(made.done)} ${made.done === 1 ? "repetition" : "repetitions"}. ${[...list.children].map((item) => item.textContent).join(" ")}`);
      else if (quarter > told && goal >= RUNS) { told = quarter; status.say(`${count(made.done)} of ${count(goal)} repetitions.`); }
    }

    // -- what is shown ------------------------------------------------------------------------------

    function paint(rows) {
      const log = data.x.log ? Math.log : (x) => x, [from, to] = [data.x.values[0], data.x.values.at(-1)].map(log), known = reference(data, now);
      const x = (value) => `${LEFT + (to > from ? (WIDE * (log(value) - from)) / (to - from) : WIDE / 2)}%`;
      const most = Math.max(...rows.map((row) => row.value + 2 * row.mcse).filter(Number.isFinite), known ? 1.1 * known : rows.length ? 0 : 1, 0.01);
      // where all coverages are high, the axis begins at one half
      const least = Math.min(...rows.map((row) => row.value - 2 * row.mcse).filter(Number.isFinite)), floor = least > 0.55 && Number.isFinite(least) ? 0.5 : 0;
      const limit = Math.min(1, most * 1.05), y = (value) => BASE - ((BASE - TOP) * (Math.min(value, limit) - floor)) / (limit - floor);
      const step = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.25].find((each) => (limit - floor) / each <= 5) || 0.25, marks = [];
      for (let tick = floor; tick <= limit + 1e-9; tick += step) marks.push(
        s("line", { x1: `${LEFT}%`, x2: `${LEFT + WIDE}%`, y1: y(tick), y2: y(tick), class: "interactive-grid" }),
        s("text", { x: `${LEFT - 1.5}%`, y: y(tick) + 4, "text-anchor": "end" }, percent(tick, step < 0.01 ? 1 : 0)));
      let edge = -9;
      for (const value of data.x.values) {
        const place = parseFloat(x(value));
        if (place - edge < 11 && place > edge) continue;
        edge = place;
        marks.push(s("text", { x: `${place}%`, y: BASE + 18, "text-anchor": place > LEFT + WIDE - 3 ? "end" : "middle" }, PRINT[data.x.print](value)));
      }
      marks.push(s("text", { x: `${LEFT + WIDE / 2}%`, y: BASE + 40, "text-anchor": "middle" }, data.x.label));
      if (known !== null) marks.push(s("line", { x1: `${LEFT}%`, x2: `${LEFT + WIDE}%`, y1: y(known), y2: y(known), class: "interactive-null" }));
      data.curves.forEach((curve, j) => {
        const [colour, dash] = LOOKS[j], paintOf = `stroke: var(--picture-${colour}); fill: var(--picture-${colour})`;
        const points = rows.filter((row) => row.curve === curve && Number.isFinite(row.value));
        points.forEach((point, i) => {
          const before = points[i - 1];
          if (before) marks.push(s("line", { x1: x(before.x), x2: x(point.x), y1: y(before.value), y2: y(point.value), "stroke-width": 2, "stroke-dasharray": dash, style: paintOf }));
          marks.push(s("line", { x1: x(point.x), x2: x(point.x), y1: y(Math.max(0, point.value - 1.96 * point.mcse)), y2: y(point.value + 1.96 * point.mcse), "stroke-width": 1.4, style: paintOf }),
            s("circle", { cx: x(point.x), cy: y(point.value), r: 3, style: paintOf }));
        });
        for (const { x: at, last } of rows.filter((row) => row.curve === curve && row.last >= floor)) marks.push(s("circle", { cx: x(at), cy: y(last), r: 5, "fill-opacity": 0, "stroke-width": 1.2, style: `stroke: var(--picture-${colour})` }));
      });
      canvas.replaceChildren(...marks);
    }

    function tell() {
      painted = performance.now();
      const rows = made ? made.found() : [], done = made ? made.done : 0, running = Boolean(timer);
      bar.max = goal || RUNS;
      bar.value = done;
      where.textContent = goal ? `${count(done)} of ${count(goal)} repetitions` : "Nothing drawn yet";
      stop.disabled = !running;
      panel.toggleAttribute("data-running", running);
      paint(rows);
      const cell = ({ value, mcse }) => (Number.isFinite(value) ? `${percent(value)} (\u00b1${number(196 * mcse, 1)})` : "\u2013");
      body.replaceChildren(...data.x.values.map((at) => h("tr", { "data-x": at }, h("th", { scope: "row" }, PRINT[data.x.print](at)),
        ...data.curves.map((curve) => h("td", {}, done ? cell(rows.find((row) => row.x === at && row.curve === curve)) : "\u2013")))));
      const said = running || done < 2 ? [] : verdicts(data, rows, now);
      if (said.length && previous && previous.rows.length) {
        const changed = data.controls.filter(({ key }) => previous.now[key] !== now[key]).map((control) => `${control.label} ${print(control, now[control.key])} instead of ${print(control, previous.now[control.key])}`);
        if (changed.length) said.push(...against(data, rows, previous.rows).map((sentence) => `Against the run before (${changed.join("; ")}): ${sentence}`));
      }
      list.replaceChildren(...said.map((sentence) => h("li", {}, sentence)));
      const found = said.length ? ends(data, rows, data.guess.curve) : null;
      const ways = { up: "it goes up", down: "it goes down", same: "no difference beyond the error of the simulation" };
      judged.textContent = found ? `${notes.guess ? (notes.guess === found.way ? "Your guess came out: " : "Your guess did not come out: ") : "It came out: "}${ways[found.way]}.` : "";
      canvas.setAttribute("aria-label", `${data.y} against ${data.x.label}. ${said.join(" ") || where.textContent}`);
    }
    function show() {
      for (const slider of sliders) slider.set();
      guess.list.value = notes.guess;
      saw.area.value = notes.saw;
      why.area.value = notes.why;
    }

    key.append(`${data.y}. `, ...data.curves.flatMap((curve, j) => [
      s("svg", { width: 26, height: 8, "aria-hidden": "true" }, s("line", { x1: 0, x2: 26, y1: 4, y2: 4, "stroke-width": 2, "stroke-dasharray": LOOKS[j][1], style: `stroke: var(--picture-${LOOKS[j][0]})` })), ` ${curve}. `]),
    data.reference_label ? `Dashed, across: ${data.reference_label}. ` : "", "Bars: error of the simulation (95%). Open circles: the last repetition.");
    panel.append(h("div", { class: "interactive-lab" },
      h("div", {}, h("div", { class: "interactive-controls" }, ...sliders.map((slider) => slider.field)),
        h("div", { class: "interactive-buttons" }, one, thousand, stop, again, back),
        h("p", { class: "interactive-run" }, bar, where), canvas, key, list, table),
      sheet), status.place);
    show();
    tell();

    const starts = { ...data.start, seed: 1 };
    const read = () => Object.fromEntries([
      ...Object.entries(now).filter(([name, value]) => starts[name] !== value),
      ...(goal ? [["runs", goal]] : []), ...Object.entries(notes).filter(([, text]) => text)]);
    /* Only what a control can hold is taken from the address; what was run there is run again. */
    function write(wanted) {
      const next = { ...starts };
      for (const { key: name, values } of data.controls) if (values.includes(Number(wanted[name])) && wanted[name] !== undefined) next[name] = Number(wanted[name]);
      if (/^\d{1,6}$/.test(wanted.seed)) next.seed = Number(wanted.seed);
      const runs = /^\d{1,5}$/.test(wanted.runs) ? Math.min(MOST, Number(wanted.runs)) : 0;
      notes.guess = GUESSES.some(([value]) => value === wanted.guess) ? wanted.guess : "";
      for (const name of ["saw", "why"]) notes[name] = String(wanted[name] || "").slice(0, 400);
      opened = JSON.stringify([next, runs]);
      if (opened !== settings()) {
        clear();
        Object.assign(now, next);
        if (runs) go(runs);
      }
      show();
      tell();
    }
    return { show, read, write };
  });

  window.interactive.lab = { verdicts, against };
})();
