/* What pages do with a script: copy a citation, download a figure. Without it they stay readable. */
(() => {
  "use strict";

  // -- copying ------------------------------------------------------------------------------------

  for (const button of document.querySelectorAll("button.copy")) {
    const status = button.parentElement.querySelector("[role=status]");
    button.addEventListener("click", async () => {
      try {
        await window.bookCopy(document.getElementById(button.dataset.copy).textContent);
        status.textContent = "Copied.";
      } catch (refused) {
        status.textContent = "Copying was refused; please select the text.";
      }
    });
  }

  // -- in which colours -------------------------------------------------------------------------------

  const COLOURS = { auto: "as the system has them", light: "light", dark: "dark" };
  const sayColours = () => {
    for (const button of document.querySelectorAll(".theme-switch-button")) {
      const label = `Colours: ${COLOURS[document.documentElement.dataset.mode] ?? COLOURS.auto}`;
      button.setAttribute("aria-label", label);
      button.title = label;
    }
  };
  sayColours();
  new MutationObserver(sayColours).observe(document.documentElement, { attributeFilter: ["data-mode"] });

  // -- figures ------------------------------------------------------------------------------------

  const SCALE = 2;
  const FONTS = { 400: "CohortSans-Regular.woff2", 700: "CohortSans-Semibold.woff2" };
  let embedded; // the fonts as text, fetched once

  function save(blob, name) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  function base64(buffer) {
    let text = "";
    for (const byte of new Uint8Array(buffer)) text += String.fromCharCode(byte);
    return btoa(text);
  }

  /* Pages opened from a disk may not read files: their drawings name the font, without its bytes. */
  async function fontFaces() {
    if (!location.protocol.startsWith("http")) return "";
    const folder = new URL("fonts/", document.querySelector("link[href*='_static/site.css']").href);
    const faces = Object.entries(FONTS).map(async ([weight, file]) => {
      const answer = await fetch(new URL(file, folder));
      if (!answer.ok) return "";
      const data = base64(await answer.arrayBuffer());
      return `@font-face{font-family:"Cohort Sans";font-weight:${weight};src:url(data:font/woff2;base64,${data}) format("woff2")}`;
    });
    return (await Promise.all(faces)).join("");
  }

  /* A copy of the drawing that stands alone: light colours in place of variables, white paper. */
  function standalone(svg) {
    const copied = svg.cloneNode(true);
    const theme = document.documentElement.dataset.theme;
    document.documentElement.dataset.theme = "light"; // read at once, never painted
    const originals = [svg, ...svg.querySelectorAll("*")];
    const copies = [copied, ...copied.querySelectorAll("*")];
    const rules = [...document.getElementById("picture-styles")?.sheet.cssRules ?? []];
    originals.forEach((original, i) => {
      const shared = rules.filter((rule) => original.matches(rule.selectorText));
      if (!shared.length && !(original.getAttribute("style") || "").includes("var(")) return;
      const computed = getComputedStyle(original);
      for (const { style } of [...shared, original]) {
        for (const property of [...style]) {
          if (style !== original.style || style.getPropertyValue(property).includes("var(")) {
            copies[i].style.setProperty(property, computed.getPropertyValue(property));
          }
        }
      }
      if (shared.length) copies[i].removeAttribute("class");
    });
    const paper = getComputedStyle(document.documentElement).getPropertyValue("--picture-surface").trim();
    document.documentElement.dataset.theme = theme;
    const [x, y, width, height] = svg.getAttribute("viewBox").split(/[\s,]+/).map(Number);
    for (const property of ["width", "height", "min-width", "max-width", "display", "aspect-ratio"]) copied.style.removeProperty(property);
    copied.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    copied.setAttribute("width", width);
    copied.setAttribute("height", height);
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    Object.entries({ x, y, width, height, fill: paper || "#fff" }).forEach(([k, v]) => rect.setAttribute(k, v));
    const desc = document.createElementNS("http://www.w3.org/2000/svg", "desc"); // beside it on the page
    desc.textContent = document.getElementById(svg.getAttribute("aria-describedby"))?.textContent ?? "";
    copied.removeAttribute("aria-describedby");
    copied.firstChild.after(desc, rect);
    return { copied, width, height };
  }

  async function drawing(svg) {
    embedded ??= fontFaces();
    const { copied, width, height } = standalone(svg);
    const faces = await embedded;
    if (faces) {
      const style = document.createElementNS("http://www.w3.org/2000/svg", "style");
      style.textContent = faces;
      copied.prepend(style);
    }
    return { text: new XMLSerializer().serializeToString(copied), width, height };
  }

  const svgBlob = (text) => new Blob([text], { type: "image/svg+xml" });

  async function png(svg) {
    const { text, width, height } = await drawing(svg);
    const image = new Image();
    const address = URL.createObjectURL(svgBlob(text));
    try {
      image.src = address;
      await image.decode();
      const canvas = document.createElement("canvas");
      canvas.width = Math.round(SCALE * width);
      canvas.height = Math.round(SCALE * height);
      canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
      return await new Promise((done) => canvas.toBlob(done, "image/png"));
    } finally {
      URL.revokeObjectURL(address);
    }
  }

  /* A printed cell as data: no thousands separators, a plain minus, nothing for a missing value. */
  function plain(cell) {
    const text = cell.textContent.replace(/\s+/g, " ").trim();
    if (text === "\u2013") return "";
    if (/^[\u2212-]?\d{1,3}(,\d{3})*(\.\d+)?$/.test(text)) return text.replaceAll(",", "").replace("\u2212", "-");
    // a spreadsheet would compute what begins so; a number may begin with its sign
    return /^[=+@-]/.test(text) && !/^[+-][\d.]+(e[+-]?\d+)?$/i.test(text) ? `'${text}` : text;
  }

  function csv(table) {
    const lines = [...table.tHead.rows].slice(-1).map((row) => [...row.cells].map(plain));
    const grouped = table.querySelector("tbody .gt_group_heading") !== null;
    let group = "";
    for (const row of [...table.tBodies].flatMap((body) => [...body.rows])) {
      const heading = row.querySelector(".gt_group_heading");
      if (heading) group = plain(heading);
      else lines.push([...(grouped ? [group] : []), ...[...row.cells].map(plain)]);
    }
    if (grouped) lines[0].unshift("Group");
    const quoted = (value) => (/[",\n]/.test(value) ? `"${value.replaceAll('"', '""')}"` : value);
    return lines.map((line) => line.map(quoted).join(",")).join("\r\n") + "\r\n";
  }

  /* A row of buttons under a box, one for each kind of file, which say whose it is. */
  function downloads(name, whose, box, kinds) {
    const bar = document.createElement("div");
    bar.className = "picture-tools";
    bar.setAttribute("role", "group");
    bar.setAttribute("aria-label", `Download ${whose}`);
    const label = document.createElement("span");
    label.textContent = "Download";
    bar.append(label);
    for (const [kind, make] of Object.entries(kinds)) {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = kind;
      button.setAttribute("aria-label", `Download ${whose} as ${kind}`);
      button.addEventListener("click", async () => save(await make(), `${name}.${kind.toLowerCase()}`));
      bar.append(button);
    }
    (box.parentElement.querySelector(":scope > figcaption") ?? box).after(bar);
  }

  const csvBlob = (table) => new Blob([csv(table)], { type: "text/csv" });

  for (const box of document.querySelectorAll("figure.picture[id] > .picture-scroll:has(> svg)")) {
    const svg = box.querySelector("svg");
    const table = box.parentElement.querySelector("details.picture-data table");
    const number = box.parentElement.querySelector(".figure-number")?.textContent ?? "the figure";
    downloads(box.parentElement.id, number, box, {
      SVG: async () => svgBlob((await drawing(svg)).text),
      PNG: () => png(svg),
      ...(table && { CSV: () => csvBlob(table) }),
    });
  }

  for (const box of document.querySelectorAll(".text_html > .table-scroll[id]:has(> table > thead)")) {
    downloads(box.id, `the table “${box.getAttribute("aria-label")}”`, box, { CSV: () => csvBlob(box.querySelector("table")) });
  }

  // -- tables and lists that are searched ----------------------------------------------------------

  /* A field above what it filters, of which only what has all of its words stays; says how much. */
  const folded = (text) => text.normalize("NFD").replace(/[\u0300-\u036f]/g, "").toLowerCase();
  function filter(before, wording, things, items, after) {
    for (const item of items) item.text = folded(item.elements.map((element) => element.textContent).join(" "));
    const bar = document.createElement("div");
    bar.className = "table-filter";
    const label = document.createElement("label");
    label.textContent = `${wording} `;
    const field = document.createElement("input");
    field.type = "search";
    field.autocomplete = "off";
    label.append(field);
    const status = document.createElement("span");
    status.setAttribute("role", "status");
    bar.append(label, status);
    before.before(bar);
    field.addEventListener("input", () => {
      const words = folded(field.value).split(/\s+/).filter(Boolean);
      let left = 0;
      for (const item of items) {
        const stays = words.every((word) => item.text.includes(word));
        for (const element of item.elements) element.hidden = !stays;
        left += stays;
      }
      status.textContent = words.length ? `${left} of ${items.length} ${things}` : "";
      after?.(words.length > 0);
    });
    return field;
  }

  for (const box of document.querySelectorAll(".table-search[id]:has(> table > thead)")) {
    const rows = [...box.querySelectorAll("tbody tr")];
    const isHeading = (row) => row.querySelector(".gt_group_heading") !== null;
    const items = rows.filter((row) => !isHeading(row)).map((row) => ({ elements: [row] }));
    const field = filter(box, "Filter the rows", "rows", items, () => {
      let heading; // of the group, shown when one of its rows is
      for (const row of rows) {
        if (isHeading(row)) {
          heading = row;
          heading.hidden = true;
        } else if (heading && !row.hidden) heading.hidden = false;
      }
      box.scrollTop = 0;
    });
    field.setAttribute("aria-controls", box.id);
  }

  /* Terms of the glossary; a definition belongs to all terms above it. */
  for (const list of document.querySelectorAll("dl.glossary")) {
    const items = [];
    for (const element of list.children) {
      if (element.tagName === "DT" && items.at(-1)?.elements.at(-1).tagName !== "DT") items.push({ elements: [] });
      items.at(-1).elements.push(element);
    }
    filter(list, "Filter the terms", "terms", items);
  }

  /* All tables of a page of menus at once. */
  const menu = document.querySelector(".filter-menu");
  if (menu) {
    const tables = [...document.querySelectorAll("article table.menu")];
    const items = tables.flatMap((table) => [...table.tBodies[0].rows].map((row) => ({ elements: [row] })));
    filter(menu, "Filter the methods", "methods", items, () => {
      for (const table of tables) {
        (table.closest(".cell") ?? table).hidden = [...table.tBodies[0].rows].every((row) => row.hidden);
      }
    });
  }

  // -- drawings for phones ------------------------------------------------------------------------

  /* A page with many pictures has them in a file, which is read when the first one comes near. */
  const apart = document.querySelector("[data-phones]");
  if (apart) {
    const small = matchMedia("(max-width: 40rem)");
    const pictures = document.querySelectorAll("figure.picture");
    let reading = false; // a phone that is turned comes here again
    const near = new IntersectionObserver((seen) => {
      if (reading || !small.matches || !seen.some((one) => one.isIntersecting)) return;
      reading = true;
      near.disconnect();
      const script = document.createElement("script");
      script.src = document.querySelector("script[src*='_static/site.js']").src.replace(/site\.js.*$/, apart.dataset.phones);
      script.onload = () => {
        const { rules, forms } = window.phoneForms;
        document.head.append(Object.assign(document.createElement("style"), { textContent: rules }));
        // one a task, so that the phone answers in between; what the reader sees comes first
        const far = ({ top, bottom }) => Math.max(top - innerHeight, -bottom, 0);
        const left = [...pictures].filter((picture) => forms[picture.id])
          .map((picture) => [far(picture.getBoundingClientRect()), picture])
          .sort(([one], [other]) => one - other);
        const put = () => {
          const [, picture] = left.shift();
          picture.querySelector(".picture-scroll")?.insertAdjacentHTML("afterend", forms[picture.id]);
          picture.getBoundingClientRect(); // is laid out now
          if (left.length) setTimeout(put);
        };
        if (left.length) put();
      };
      document.head.append(script);
    }, { rootMargin: "600px" });
    const look = () => pictures.forEach((picture) => { near.unobserve(picture); near.observe(picture); });
    small.addEventListener("change", look);
    look();
  }

  // -- code ---------------------------------------------------------------------------------------

  /* One choice for all pages: the code that the text explains, all of it, or none. */
  const choice = document.querySelector(".code-switch select");
  if (choice) {
    const root = document.documentElement;
    choice.value = root.dataset.code;
    const show = () => {
      root.dataset.code = choice.value;
      for (const fold of document.querySelectorAll("div.cell > details.hide")) fold.open = choice.value === "all";
    };
    choice.addEventListener("change", () => {
      show();
      try { localStorage.setItem("code", choice.value); } catch (refused) { /* no storage: this page only */ }
    });
    if (choice.value === "all") show();
  }
})();
