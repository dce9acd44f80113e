/* What the glossary says of a term, beside the word: on hover, focus, or the first tap. */
(() => {
  "use strict";

  const links = document.querySelectorAll("article a[href*='glossary.html#term-'], article a[href^='#term-']:not(.headerlink)");
  if (!links.length) return;
  const STATIC = document.querySelector("script[src*='_static/site.js']").src.replace(/site\.js.*$/, "");
  const WAIT = 150; // ms, so that a card does not flash where the pointer only passes
  const GAP = 8; // px
  const card = document.createElement("div");
  card.id = "term-card";
  card.setAttribute("role", "tooltip");
  card.hidden = true;
  document.querySelector("article").append(card);

  let reading; // the terms, read once
  const terms = () =>
    (reading ??= new Promise((done, failed) => {
      const script = document.createElement("script");
      script.src = `${STATIC}terms.js`;
      script.onload = () => done(window.bookTerms);
      script.onerror = (lost) => {
        reading = undefined; // asked for again by the next link
        failed(lost);
      };
      document.head.append(script);
    }));

  let shown = null; // the link whose card is open
  let wanted = null;
  let timer;

  function place() {
    if (!shown) return;
    const word = shown.getClientRects()[0] ?? shown.getBoundingClientRect();
    const { width, height } = card.getBoundingClientRect();
    const left = Math.min(word.left, document.documentElement.clientWidth - width - GAP);
    const below = word.bottom + GAP + height <= innerHeight || word.top < height + GAP;
    card.style.left = `${Math.max(GAP, left)}px`;
    card.style.top = `${below ? word.bottom + GAP : word.top - GAP - height}px`;
  }

  function hide() {
    clearTimeout(timer);
    wanted = null;
    shown?.removeAttribute("aria-describedby");
    shown = null;
    card.hidden = true;
  }

  async function show(link) {
    clearTimeout(timer);
    wanted = link;
    let text;
    try {
      text = (await terms())[decodeURIComponent(link.hash.slice(1))];
    } catch (missing) {
      return false; // the link leads to the glossary all the same
    }
    if (!text || wanted !== link) return false;
    hide();
    card.innerHTML = text;
    card.hidden = false;
    shown = wanted = link;
    link.setAttribute("aria-describedby", card.id);
    place();
    return true;
  }

  const later = (act) => {
    clearTimeout(timer);
    timer = setTimeout(act, WAIT);
  };

  for (const link of links) {
    let touched = false;
    link.addEventListener("pointerenter", (event) => {
      if (event.pointerType === "mouse") later(() => show(link));
    });
    link.addEventListener("pointerleave", (event) => {
      if (event.pointerType === "mouse") later(hide);
    });
    link.addEventListener("focus", () => {
      if (!touched) show(link);
    });
    link.addEventListener("blur", hide);
    link.addEventListener("pointerdown", (event) => {
      touched = event.pointerType === "touch";
    });
    link.addEventListener("click", (event) => {
      if (!touched || shown === link) return; // a second tap follows the link
      event.preventDefault();
      show(link).then((done) => {
        if (!done && wanted === link) location.href = link.href;
      });
    });
  }
  card.addEventListener("pointerenter", () => clearTimeout(timer)); // a card can be pointed at
  card.addEventListener("pointerleave", () => later(hide));
  document.addEventListener("pointerdown", (event) => {
    if (shown && !card.contains(event.target) && event.target.closest("a") !== shown) hide();
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
  });
  addEventListener("scroll", place, { passive: true });
  addEventListener("resize", place);
})();
