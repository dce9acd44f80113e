/* The look of every element that has words of its own: all that decides whether axe finds the words
   pale, or does not find a link among words. Elements of one look get one verdict, wherever they
   stand. A look is the element's type and ink, every painted thing that its words lie over, and how
   its ancestors layer, fade and clip; of a link also the type and lines of the block around it.

   Keeps the elements of each look in window.looks, and gives the looks by rule of axe. */
() => {
  const PICTURE = /^(canvas|embed|iframe|img|object|svg|video)$/;
  const FIELD = /^(input|select|textarea)$/;
  const INK = ["color", "-webkit-text-fill-color", "-webkit-text-stroke-width", "text-shadow",
    "font-size", "font-weight", "text-indent"];
  const GROUND = ["background-color", "background-image", "background-clip", "background-size",
    "background-position"];
  const LAYER = ["opacity", "filter", "mix-blend-mode", "clip-path", "mask-image", "position",
    "z-index", "float", "overflow-x", "overflow-y", "transform", "isolation"];
  const LINES = ["font-size", "font-weight", "font-style", "font-family", "text-decoration-line",
    "text-decoration-style", "outline-style", "outline-width", "border-top-width",
    "border-bottom-width", "border-bottom-color", "background-color", "background-image",
    "display", "color"];
  const BESIDE = ["content", "display", "position", "width", "height", "background-color",
    "background-image"];
  const LINK = "a[href], [role=link]";
  const CLEAR = "rgba(0, 0, 0, 0)";
  const WORDS = /[^\s!-/:-@[-`{-~]/; // axe asks nothing of punctuation
  const STRIP = 128; // pixels of the page that are searched together for painted things

  const values = (style, names) => names.map((name) => style.getPropertyValue(name)).join();

  /* 53 bits of a text: a name that is the same on every page. */
  function digest(text) {
    let [high, low] = [0xdeadbeef, 0x41c6ce57];
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      high = Math.imul(high ^ code, 2654435761);
      low = Math.imul(low ^ code, 1597334677);
    }
    high = Math.imul(high ^ (high >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
    low = Math.imul(low ^ (low >>> 16), 2246822507) ^ Math.imul(high ^ (high >>> 13), 3266489909);
    return (4294967296 * (2097151 & low) + (high >>> 0)).toString(36);
  }

  const isInside = (inner, outer) => inner.left >= outer.left - 1 && inner.top >= outer.top - 1
    && inner.right <= outer.right + 1 && inner.bottom <= outer.bottom + 1;
  const touches = (one, other) => one.left < other.right - 1 && other.left < one.right - 1
    && one.top < other.bottom - 1 && other.top < one.bottom - 1;

  const facts = new Map();
  const strips = new Map();
  for (const element of document.querySelectorAll("*")) {
    const style = getComputedStyle(element);
    // what a closed disclosure holds has boxes; what has no box of its own may hold words
    if (!element.checkVisibility() && style.display !== "contents") continue;
    const box = element.getBoundingClientRect();
    const image = PICTURE.test(element.localName) || style.backgroundImage !== "none";
    const paints = image || style.backgroundColor !== CLEAR;
    const beside = ["::before", "::after"].map((which) => {
      const drawn = getComputedStyle(element, which);
      return drawn.content === "none" ? "" : values(drawn, BESIDE);
    });
    const layer = [values(style, LAYER), ...beside].join("|");
    const ground = paints ? `${image ? element.localName : ""} ${values(style, GROUND)}` : "";
    const isBlock = !style.display.startsWith("inline");
    facts.set(element, { style, box, paints, layer, ground, isBlock });
    if (!paints || style.visibility !== "visible" || !box.width || !box.height) continue;
    for (let i = Math.floor(box.top / STRIP); i <= box.bottom / STRIP; i++) {
      if (!strips.has(i)) strips.set(i, []);
      strips.get(i).push(element);
    }
  }

  function* ancestors(element) {
    for (let one = element.parentElement; one; one = one.parentElement) yield one;
  }

  /* What lies beside the page, as a drawer that is closed, nobody sees. */
  const { clientWidth, scrollWidth } = document.documentElement;
  const isOnPage = (rect) => rect.width && rect.height && rect.bottom + scrollY > 0
    && rect.right > 0 && rect.left < Math.max(clientWidth, scrollWidth);

  function rectsOf(element) {
    if (FIELD.test(element.localName)) return [facts.get(element).box].filter(isOnPage);
    const range = document.createRange();
    const found = [];
    for (const child of element.childNodes) {
      if (child.nodeType !== Node.TEXT_NODE || !WORDS.test(child.nodeValue)) continue;
      range.selectNodeContents(child);
      found.push(...range.getClientRects());
    }
    return found.filter(isOnPage);
  }

  let alone = 0;

  /* What is painted where the words are, without what holds them and what they hold. */
  function strangers(element, rects) {
    const found = new Set();
    for (const rect of rects) {
      for (let i = Math.floor(rect.top / STRIP); i <= rect.bottom / STRIP; i++) {
        for (const one of strips.get(i) ?? []) {
          const there = facts.get(one);
          if (!touches(rect, there.box) || element.contains(one) || one.contains(element)) continue;
          // of words that are covered in part none have quite the same look
          if (!isInside(rect, there.box)) return [`${location.pathname} ${alone++}`];
          const layers = [one, ...ancestors(one)].map((each) => facts.get(each).layer);
          found.add([there.ground, ...layers].join("/"));
        }
      }
    }
    return [...found];
  }

  function lookOf(element, rects) {
    const chain = [element, ...ancestors(element)].map((one) => {
      const there = facts.get(one);
      const clips = there.paints || there.style.overflowX !== "visible";
      const whole = clips && rects.every((rect) => isInside(rect, there.box));
      return [there.ground, there.layer, whole].join("|");
    });
    const ink = values(facts.get(element).style, INK);
    return [ink, ...chain, "over", ...strangers(element, rects)].join("\n");
  }

  const letters = (element) => element.textContent.replace(/\s/g, "").length;

  /* The type of a link and of what it stands in, up to the block; nothing where most are links.
     Wider than axe, which counts blanks and looks from one line break to the next. */
  function among(link) {
    const above = [...ancestors(link)];
    const place = above.findIndex((one) => facts.get(one).isBlock);
    const block = above[place];
    const linked = [...block.querySelectorAll(LINK)].map(letters).reduce((sum, one) => sum + one, 0);
    const others = letters(block) - linked;
    if (!others || (2 * others < linked && !block.querySelector("br, hr"))) return null;
    const lines = [link, ...above.slice(0, place + 1)].map((one) => values(facts.get(one).style, LINES));
    return lines.join("\n");
  }

  const looks = { "color-contrast": new Map(), "link-in-text-block": new Map() };
  function add(rule, look, element) {
    const name = digest(look);
    if (!looks[rule].has(name)) looks[rule].set(name, []);
    looks[rule].get(name).push(element);
  }

  for (const [element, { style }] of facts) {
    if (style.visibility !== "visible") continue;
    const rects = rectsOf(element);
    const isLink = element.matches(LINK) && letters(element) && isOnPage(facts.get(element).box);
    const around = isLink ? among(element) : null;
    if (!rects.length && around === null) continue;
    const look = lookOf(element, rects);
    if (rects.length) add("color-contrast", look, element);
    if (around !== null) add("link-in-text-block", `${look}\n${around}`, element);
  }
  window.looks = looks;
  return Object.fromEntries(Object.entries(looks).map(([rule, found]) => [rule, [...found.keys()]]));
}
