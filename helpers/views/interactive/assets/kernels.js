/* What one repetition of a lab does: draw one meta-analysis at a value across, and give a number
   for each curve (NaN where it has none). The same as helpers.teaching.labs, to which tests hold it. */
(() => {
  "use strict";
  const { expit, logit, generator, binomial, line, reml, chi2Tail } = window.interactive.statistics;
  const { quick } = window.interactive.glmm;

  function normal(uniform) {
    const radius = Math.sqrt(-2 * Math.log(uniform()));
    return radius * Math.cos(2 * Math.PI * uniform());
  }
  const many = (k, make) => Array.from({ length: k }, (_, i) => make(i));
  const total = (list) => list.reduce((a, b) => a + b, 0);
  const below = (z) => (z < 0 ? chi2Tail(z * z, 1) / 2 : 1 - chi2Tail(z * z, 1) / 2);

  function counts(uniform, k, proportion, tau, size) {
    const middle = logit(proportion), n = many(k, size);
    return { n, x: n.map((one) => binomial(uniform(), one, expit(middle + tau * normal(uniform)))) };
  }
  /* Logits, half an event more where a cell is empty, or everywhere. */
  function logits({ x, n }, everywhere = false) {
    const add = x.map((one, i) => (everywhere || one === 0 || one === n[i] ? 0.5 : 0));
    return {
      y: x.map((one, i) => Math.log((one + add[i]) / (n[i] - one + add[i]))),
      v: x.map((one, i) => 1 / (one + add[i]) + 1 / (n[i] - one + add[i])),
    };
  }
  function random({ y, v }) {
    const k = y.length, tau2 = reml(y, v), w = v.map((one) => 1 / (one + tau2)), fit = line(y, w, null);
    const se = 1 / Math.sqrt(fit.sw);
    return { k, tau2, mu: fit.mean, se, scaled: se * Math.sqrt(fit.rss / (k - 1)), w, rest: fit.rest };
  }
  const holds = (fit, half, truth) => (Math.abs(fit.mu - truth) <= half ? 1 : 0);

  /* The rate of a new study: mean +- t sqrt(tau2 + se2), never inside the confidence interval. */
  function aNewOne(fit, { tau, proportion }, { t, z }) {
    const centre = logit(proportion), wald = z * fit.se;
    const half = Math.max(wald, t[fit.k - 3] * Math.sqrt(fit.tau2 + fit.se * fit.se));
    const within = (h) => (tau === 0 ? holds(fit, h, centre) : below((fit.mu + h - centre) / tau) - below((fit.mu - h - centre) / tau));
    return { confidence: within(wald), prediction: within(half) };
  }

  const KERNELS = {
    i2(uniform, size, { k, proportion }, { curves }) {
      return curves.map((name) => {
        const { y, v } = logits(counts(uniform, k, proportion, Number(name.split("= ")[1]), () => size));
        const q = line(y, v.map((one) => 1 / one), null).rss;
        return q > 0 ? Math.max(0, 1 - (k - 1) / q) : 0;
      });
    },
    prediction(uniform, k, now, data) {
      const held = aNewOne(random(logits(counts(uniform, k, now.proportion, now.tau, () => now.size))), now, data);
      return [held.confidence, held.prediction];
    },
    zero(uniform, k, now, data) {
      const fit = random(logits(counts(uniform, k, now.proportion, now.tau, () => now.size)));
      const held = aNewOne(fit, now, data).prediction, zero = fit.tau2 === 0;
      return [zero ? 1 : 0, zero ? held : NaN, zero ? NaN : held];
    },
    median(uniform, tau, { k, proportion, size }) {
      const { x, n } = counts(uniform, k, proportion, tau, () => size), fit = quick(x, n), died = total(x);
      let mean = 0, weight = 0;
      for (let u = -8; u <= 8; u += 0.05) {
        const w = Math.exp((-u * u) / 2);
        weight += w;
        mean += w * expit(logit(proportion) + tau * u);
      }
      return [fit ? expit(fit.mu) : died ? 1 : 0, died / total(n), mean / weight];
    },
    egger(uniform, proportion, { tau }, { sizes, t }) {
      const drawn = counts(uniform, sizes.length, proportion, tau, (i) => sizes[i]), { x, n } = drawn;
      const { y, v } = logits(drawn), df = sizes.length - 2;
      const rejects = (fit, scale) => (Math.abs(fit.slope) > t[df - 1] * Math.sqrt(scale / fit.sxx) ? 1 : 0);
      const egger = line(y, v.map((one) => 1 / one), v.map(Math.sqrt)), peters = line(y, n, n.map((one) => 1 / one));
      const turned = x.map((one, i) => arcsines(one, n[i])), spread = n.map((one) => 1 / (4 * one + 2)), roots = spread.map(Math.sqrt);
      const tau2 = reml(turned, spread, roots), third = line(turned, spread.map((one) => 1 / (one + tau2)), roots);
      return [rejects(egger, egger.rss / df), rejects(peters, peters.rss / df), rejects(third, 1)];
    },
    back(uniform, largest, { small, k, proportion }) {
      const n = many(k, (i) => (i < k - 1 ? small : largest)), x = n.map((one) => binomial(uniform(), one, proportion));
      const { mean, sw } = line(x.map((one, i) => arcsines(one, n[i])), n.map((one) => 4 * one + 2), null);
      return [turnedBack(mean, k / total(n.map((one) => 1 / one))), turnedBack(mean, 0.25 * sw), total(x) / total(n)];
    },
    correction(uniform, size, { k, proportion, tau }) {
      const { x, n } = counts(uniform, k, proportion, tau, () => size);
      const kept = x.map((_, i) => i).filter((i) => x[i] > 0 && x[i] < n[i]), of = (list) => kept.map((i) => list[i]);
      const left = kept.length > 1 ? expit(random(logits({ x: of(x), n: of(n) })).mu) : NaN;
      const fit = quick(x, n);
      return [expit(random(logits({ x, n })).mu), expit(random(logits({ x, n }, true)).mu), left, fit ? expit(fit.mu) : total(x) ? 1 : 0];
    },
    coverage(uniform, k, { proportion, tau }, { sizes, t, z }) {
      const drawn = counts(uniform, k, proportion, tau, () => sizes[Math.floor(uniform() * sizes.length)]);
      const truth = logit(proportion), fit = random(logits(drawn)), glmm = quick(drawn.x, drawn.n);
      return [holds(fit, z * fit.se, truth), holds(fit, t[k - 2] * fit.scaled, truth), glmm ? holds(glmm, t[k - 2] * glmm.se, truth) : 0];
    },
    dependence(uniform, twins, { k, shared, tau, proportion, size }, { t }) {
      const both = Math.round(shared * size), truth = logit(proportion), first = [], second = [];
      for (let i = 0; i < k; i += 1) {
        const rate = expit(truth + tau * normal(uniform)), common = binomial(uniform(), both, rate);
        first.push(common + binomial(uniform(), size - both, rate));
        if (i < twins) second.push(common + binomial(uniform(), size - both, rate));
      }
      const same = (x) => random(logits({ x, n: x.map(() => size) }));
      const fit = same([...first, ...second]), once = same(first), all = total(fit.w);
      const pull = first.map((_, i) => fit.w[i] * fit.rest[i] + (i < twins ? fit.w[k + i] * fit.rest[k + i] : 0));
      const clustered = Math.sqrt((total(pull.map((one) => one * one)) * k) / (k - 1)) / all;
      return [holds(fit, t[fit.k - 2] * fit.scaled, truth), holds(fit, t[k - 2] * clustered, truth), holds(once, t[k - 2] * once.scaled, truth)];
    },
  };

  /* Double arcsine of Freeman and Tukey 1950, doi:10.1214/aoms/1177729756, and its inverse by
     Miller 1978, doi:10.1080/00031305.1978.10479283. */
  function arcsines(x, n) {
    return 0.5 * (Math.asin(Math.sqrt(x / (n + 1))) + Math.asin(Math.sqrt((x + 1) / (n + 1))));
  }
  function turnedBack(y, n) {
    const lowest = arcsines(0, n), inside = Math.min(Math.max(y, lowest), Math.PI / 2 - lowest), sine = Math.sin(2 * inside);
    const s = Math.min(1, Math.max(0, ((n + 1) * sine * sine - 1) / (n * sine)));
    const small = (0.5 * s * s) / (1 + Math.sqrt((1 - s) * (1 + s)));
    return Math.cos(2 * inside) >= 0 ? small : 1 - small;
  }

  /* Repetitions of a lab, one after another, that may be stopped and taken up again: each value
     across has its own stream, so that a thousand at once are the same as a thousand in parts. */
  function simulation(data, settings, seed) {
    const across = data.x.values, streams = across.map((_, i) => generator(seed * 1000003 + i * 7919));
    const sums = across.map(() => data.curves.map(() => ({ n: 0, mean: 0, squares: 0, last: NaN })));
    let turn = 0, done = 0;
    return {
      get done() { return done; },
      step() {
        const values = KERNELS[data.key](streams[turn], across[turn], settings, data);
        values.forEach((value, j) => {
          const one = sums[turn][j];
          one.last = value;
          if (!Number.isFinite(value)) return;
          one.n += 1;
          const off = value - one.mean;
          one.mean += off / one.n;
          one.squares += off * (value - one.mean);
        });
        turn = (turn + 1) % across.length;
        if (turn === 0) done += 1;
      },
      /* Rows of x, curve, value, mcse, last; without a value where fewer than two draws have one. */
      found: () => data.curves.flatMap((curve, j) => across.map((x, i) => {
        const { n, mean, squares, last } = sums[i][j];
        return { x, curve, n, last, value: n > 1 ? mean : NaN, mcse: n > 1 ? Math.sqrt(squares / (n - 1) / n) : NaN };
      })),
    };
  }

  window.interactive.kernels = { simulation };
})();
