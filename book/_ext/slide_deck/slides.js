/* Shows a set of slides with reveal.js; without it, on a phone and on an upright tablet, where a
   slide would be too small to read, the set is one long page. The pages beside the sets follow the theme of the system alone. */
const root = document.documentElement;
const printing = /print-pdf/.test(location.search);
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => { root.dataset.theme = dark.matches && !printing ? "dark" : "light"; };
dark.addEventListener("change", follow);
follow();
addEventListener("beforeprint", () => { root.dataset.theme = "light"; });
addEventListener("afterprint", follow);

const small = matchMedia("(max-width: 40rem), (max-width: 64rem) and (orientation: portrait)");
const beside = /[?&]receiver/.test(location.search); // a window in the view of the speaker
if (typeof Reveal !== "undefined" && (printing || beside || !small.matches)) {
  root.classList.add("deck");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  Reveal.initialize({
    width: 1920, height: 1080, margin: 0, center: false, minScale: 0.1,
    hash: true, slideNumber: "c/t", controlsTutorial: false, transition: still ? "none" : "slide", transitionSpeed: "fast",
    scrollActivationWidth: null, pdfSeparateFragments: false, pdfMaxPagesPerSlide: 1,
    plugins: [RevealNotes],
  }).then(() => {
    document.querySelector(".reveal").removeAttribute("role"); // "application" would hide the page
    document.querySelector(".slide-number")?.setAttribute("aria-hidden", "true");
    const turn = () => { root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark"; };
    Reveal.addKeyBinding({ keyCode: 84, key: "T", description: "Light or dark" }, turn);
  });
}

/* A long page is laid out part by part after its first screen, as those of the book (frame.js). */
const later = root.classList.contains("deck") || location.hash ? [] : [...document.querySelectorAll("main section:nth-of-type(n + 4)")];
function lay(left) {
  const end = performance.now() + 3;
  while (left.length && performance.now() < end) {
    const part = left.shift();
    part.style.contentVisibility = "visible";
    part.getBoundingClientRect(); // now
  }
  if (left.length) setTimeout(lay, 0, left);
  else {
    delete root.dataset.laying;
    for (const part of later) part.style.contentVisibility = "";
  }
}
if (later.length) requestAnimationFrame(() => setTimeout(lay, 0, [...later]));
else delete root.dataset.laying;
