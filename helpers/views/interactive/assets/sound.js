/* A forest plot that can be heard: what a row says, and its tones. */
(() => {
  "use strict";
  const { number } = window.interactive;

  /* Where the interval of a cohort lies, from the numbers. */
  function verdict(row, fit) {
    if (!fit || !Number.isFinite(fit.estimate)) return "";
    if (row.at[1] > fit.estimate) return "its whole interval lies above the pooled rate";
    if (row.at[2] < fit.estimate) return "its whole interval lies below the pooled rate";
    return "its interval contains the pooled rate";
  }

  /* One line, for speech and for braille. */
  function sentence(row, view) {
    const share = view.weights.get(row.name);
    const said = [`${row.name}: ${row.estimate}, ${row.interval}`];
    said.push(share === undefined ? "not pooled" : `weight ${number(share, 1)}%`);
    const judged = verdict(row, view.fit);
    if (judged) said.push(judged);
    return `${said.join("; ")}.`;
  }

  const LOW = 220, OCTAVES = 2;

  /* Tones of a row: first one at its rate, then one that glides over its interval, the longer the
     wider. Frequencies rise by two octaves over the axis; times are in seconds. */
  function tones(row, limit) {
    const pitch = (rate) => LOW * 2 ** (OCTAVES * Math.min(1, rate / limit));
    const [rate, low, high] = row.at;
    return [
      { at: 0, length: 0.16, from: pitch(rate), to: pitch(rate) },
      { at: 0.2, length: 0.1 + (0.9 * Math.min(limit, high - low)) / limit, from: pitch(low), to: pitch(high) },
    ];
  }

  let context = null;
  function play(list) {
    context ??= new AudioContext();
    context.resume();
    const begin = context.currentTime + 0.02;
    for (const { at, length, from, to } of list) {
      const tone = context.createOscillator(), loud = context.createGain();
      tone.frequency.setValueAtTime(from, begin + at);
      tone.frequency.exponentialRampToValueAtTime(to, begin + at + length);
      loud.gain.setValueAtTime(0, begin + at);
      loud.gain.linearRampToValueAtTime(0.15, begin + at + 0.015);
      loud.gain.setValueAtTime(0.15, begin + at + length - 0.015);
      loud.gain.linearRampToValueAtTime(0, begin + at + length);
      tone.connect(loud).connect(context.destination);
      tone.start(begin + at);
      tone.stop(begin + at + length + 0.02);
    }
  }

  window.interactive.sound = { verdict, sentence, tones, play };
})();
