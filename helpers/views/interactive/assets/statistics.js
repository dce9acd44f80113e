/* Drawing studies and pooling them: the formulas of the book's engine for logits. */
(() => {
  "use strict";
  const expit = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
  const logit = (p) => Math.log(p) - Math.log1p(-p);
  const sum = (list) => list.reduce((a, b) => a + b, 0);

  // -- drawing: the same numbers as helpers.interactive.draw ----------------------------------------

  /* Numbers between 0 and 1, both excluded (mulberry32). */
  function generator(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), 1 | state) >>> 0;
      t = ((t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t) >>> 0;
      return (((t ^ (t >>> 14)) >>> 0) + 0.5) / 4294967296;
    };
  }

  /* Quantile of the binomial distribution; the terms are logs, because (1 - p)^n may vanish. */
  function binomial(u, n, p) {
    if (p >= 1) return n;
    const odds = logit(p);
    let term = n * Math.log1p(-p), total = 0;
    for (let x = 0; x < n; x += 1) {
      total += Math.exp(term);
      if (u <= total) return x;
      term += Math.log((n - x) / (x + 1)) + odds;
    }
    return n;
  }

  function draw({ tau, studies, size, rate, spread, smallest, seed }) {
    const uniform = generator(seed);
    const drawn = { rates: [], n: [], events: [] };
    for (let i = 0; i < studies; i += 1) {
      const radius = Math.sqrt(-2 * Math.log(uniform())), angle = 2 * Math.PI * uniform();
      const p = expit(logit(rate) + tau * radius * Math.cos(angle));
      const n = Math.max(smallest, Math.floor(size * Math.exp(spread * radius * Math.sin(angle)) + 0.5));
      drawn.rates.push(p);
      drawn.n.push(n);
      drawn.events.push(binomial(uniform(), n, p));
    }
    return drawn;
  }

  // -- pooling --------------------------------------------------------------------------------------

  /* Logits and their variances; half an event more where a cell is empty. */
  function effects(events, n) {
    return events.map((x, i) => {
      const add = x === 0 || x === n[i] ? 0.5 : 0;
      const yes = x + add, no = n[i] - x + add;
      return { y: Math.log(yes / no), v: 1 / yes + 1 / no };
    });
  }

  function weighted(studies, tau2) {
    const w = studies.map(({ v }) => 1 / (v + tau2));
    const total = sum(w);
    const mu = sum(w.map((one, i) => one * studies[i].y)) / total;
    const q = sum(w.map((one, i) => one * (studies[i].y - mu) ** 2));
    return { w, total, mu, q, squares: sum(w.map((one) => one * one)) };
  }

  const ESTIMATORS = {
    /* DerSimonian and Laird 1986, doi:10.1016/0197-2456(86)90046-2 */
    DL(studies) {
      const { total, q, squares } = weighted(studies, 0);
      return Math.max(0, (q - (studies.length - 1)) / (total - squares / total));
    },
    /* Paule and Mandel 1982, doi:10.6028/jres.087.022: generalised Q equals its degrees of freedom.
       Q falls with tau2, so that halving a bracket finds the root. */
    PM(studies) {
      const df = studies.length - 1;
      if (weighted(studies, 0).q <= df) return 0;
      let low = 0, high = 1;
      while (weighted(studies, high).q > df) high *= 2;
      for (let step = 0; step < 200 && high - low > 1e-15 * high; step += 1) {
        const middle = (low + high) / 2;
        if (weighted(studies, middle).q > df) low = middle;
        else high = middle;
      }
      return (low + high) / 2;
    },
  };

  /* A weighted mean (`x` null) or line, with what the tests and REML need of it. */
  function line(y, w, x) {
    let sw = 0, sx = 0, sxx = 0, sy = 0;
    for (let i = 0; i < y.length; i += 1) { sw += w[i]; sy += w[i] * y[i]; if (x) sx += w[i] * x[i]; }
    const middle = x ? sx / sw : 0, mean = sy / sw;
    let sxy = 0;
    if (x) for (let i = 0; i < y.length; i += 1) { sxx += w[i] * (x[i] - middle) ** 2; sxy += w[i] * (x[i] - middle) * (y[i] - mean); }
    const slope = x ? sxy / sxx : 0;
    const rest = y.map((one, i) => one - mean - (x ? slope * (x[i] - middle) : 0));
    let rss = 0;
    for (let i = 0; i < y.length; i += 1) rss += w[i] * rest[i] * rest[i];
    return { mean, slope, middle, sw, sxx, rest, rss };
  }

  /* REML estimate of tau2 around a mean or a line, by Fisher's scores: Harville 1977,
     doi:10.1080/01621459.1977.10480998. A step that turns back is halved. */
  function reml(y, v, x = null) {
    let tau2 = 0, damp = 1, last = 0;
    for (let round = 0; round < 200; round += 1) {
      const w = v.map((one) => 1 / (one + tau2)), { middle, sw, sxx, rest } = line(y, w, x);
      let trace = 0, square = 0, score = 0, b0 = 0, b1 = 0, b2 = 0;
      for (let i = 0; i < y.length; i += 1) {
        const c = x ? x[i] - middle : 0, leverage = 1 / sw + (x ? (c * c) / sxx : 0), ww = w[i] * w[i];
        trace += w[i] - ww * leverage;
        square += ww - 2 * ww * w[i] * leverage;
        score += ww * rest[i] * rest[i];
        b0 += ww; b1 += ww * c; b2 += ww * c * c;
      }
      square += (b0 / sw) ** 2 + (x ? (b2 / sxx) ** 2 + (2 * b1 * b1) / (sw * sxx) : 0);
      let step = (score - trace) / square;
      if (step * last < 0) damp /= 2;
      last = step;
      step *= damp;
      const next = Math.max(0, tau2 + step);
      if (Math.abs(next - tau2) < 1e-11 * (1 + tau2)) return next;
      tau2 = next;
    }
    return tau2;
  }

  /* log Gamma of m / 2, exact up to rounding. */
  function logGamma(half) {
    let total = half % 1 ? 0.5 * Math.log(Math.PI) : 0;
    for (let x = half % 1 ? 0.5 : 1; x < half; x += 1) total += Math.log(x);
    return total;
  }

  /* Upper tail of chi-square: a series on the left, a continued fraction (Lentz) on the right. */
  function chi2Tail(q, df) {
    if (q <= 0) return 1;
    const a = df / 2, x = q / 2, front = Math.exp(a * Math.log(x) - x - logGamma(a));
    if (x < a + 1) {
      let term = 1 / a, total = term;
      for (let j = 1; term > 1e-17 * total; j += 1) {
        term *= x / (a + j);
        total += term;
      }
      return 1 - front * total;
    }
    let b = x + 1 - a, c = 1e300, d = 1 / b, value = d;
    for (let j = 1; j < 10000; j += 1) {
      const an = -j * (j - a);
      b += 2;
      d = 1 / (an * d + b);
      c = b + an / c;
      value *= c * d;
      if (Math.abs(c * d - 1) < 1e-15) break;
    }
    return front * value;
  }

  /* A pooled rate: random effects, Knapp-Hartung interval never narrower than the plain one, and a
     prediction interval with the same standard error and k - 2 degrees of freedom. `t` holds the quantiles, df = 1 first. */
  function pool(events, n, method, t) {
    const studies = effects(events, n), k = studies.length, df = k - 1;
    const common = weighted(studies, 0);
    const tau2 = ESTIMATORS[method](studies);
    const { w, total, mu, q } = weighted(studies, tau2);
    const typical = df / (common.total - common.squares / common.total);
    const se = Math.sqrt(1 / total);
    const scaled = se * Math.sqrt(Math.max(1, q / df));
    const wide = t[df - 1] * scaled;
    const next = t[df - 2] * Math.sqrt(tau2 + scaled * scaled);
    return {
      k, mu, se, tau2, Q: common.q, df, p: chi2Tail(common.q, df), I2: (100 * tau2) / (tau2 + typical),
      estimate: expit(mu), ci: [expit(mu - wide), expit(mu + wide)],
      prediction: [expit(mu - next), expit(mu + next)],
      weights: w.map((one) => (100 * one) / total),
    };
  }

  /* Wilson 1927, doi:10.1080/01621459.1927.10502953 */
  function wilson(x, n, z) {
    const centre = (x + (z * z) / 2) / (n + z * z);
    const half = (z / (n + z * z)) * Math.sqrt((x * (n - x)) / n + (z * z) / 4);
    return [x === 0 ? 0 : centre - half, x === n ? 1 : centre + half];
  }

  window.interactive.statistics = { draw, pool, wilson, expit, logit, generator, binomial, line, reml, chi2Tail };
})();
