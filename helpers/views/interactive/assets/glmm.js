/* The binomial GLMM of the book, fitted in the page: what the engine finds, for any cohorts.
   Model: Hamza, van Houwelingen and Stijnen 2008, doi:10.1016/j.jclinepi.2007.03.016; adaptive
   Gauss-Hermite quadrature: Pinheiro and Bates 1995, doi:10.1080/10618600.1995.10474663. */
(() => {
  "use strict";

  const NODES = [-2.651961356835233, -1.673551628767471, -0.8162878828589647, 0, 0.8162878828589647, 1.673551628767471, 2.651961356835233];
  /* logarithms of the weights, with exp(z^2) taken in */
  const LOG_WEIGHTS = [0.0009717812450995192, 0.05451558281912703, 0.4256072526101278, 0.8102646175568073, 0.4256072526101278, 0.05451558281912703, 0.0009717812450995192]
    .map((w, j) => Math.log(w) + NODES[j] * NODES[j] - Math.log(Math.PI) / 2);
  const expit = (x) => (x >= 0 ? 1 / (1 + Math.exp(-x)) : Math.exp(x) / (1 + Math.exp(x)));
  const softplus = (x) => (x > 0 ? x + Math.log1p(Math.exp(-x)) : Math.log1p(Math.exp(x)));
  const sum = (list) => list.reduce((a, b) => a + b, 0);

  /* A study, with the log-likelihood of its own rate, to which all others are relative. */
  function study(x, n) {
    const inside = x > 0 && x < n;
    return { x, n, best: inside ? x * Math.log(x / n) + (n - x) * Math.log1p(-x / n) : 0, mode: 0 };
  }

  const at = new Float64Array(7), log = new Float64Array(7);

  /* Log-likelihood of a study; with `into`, adds gradient and Hessian in (mu, tau) as moments of
     the random effect given the counts (Louis 1982, doi:10.1111/j.2517-6161.1982.tb01203.x). */
  function term(one, mu, tau, into) {
    const { x, n } = one;
    let b = one.mode, info = 1;
    for (let round = 0; round < 60; round += 1) {
      const p = expit(mu + tau * b);
      info = 1 + tau * tau * n * p * (1 - p);
      const step = Math.max(-2, Math.min(2, (tau * (x - n * p) - b) / info));
      b += step;
      if (Math.abs(step) < 1e-12) break;
    }
    one.mode = b;
    const p = expit(mu + tau * b);
    const scale = 1 / Math.sqrt(1 + tau * tau * n * p * (1 - p));
    let top = -Infinity;
    for (let j = 0; j < 7; j += 1) {
      const u = b + Math.SQRT2 * scale * NODES[j], eta = mu + tau * u;
      at[j] = u;
      log[j] = LOG_WEIGHTS[j] + x * eta - n * softplus(eta) - one.best - (u * u) / 2;
      if (log[j] > top) top = log[j];
    }
    let total = 0;
    for (let j = 0; j < 7; j += 1) {
      log[j] = Math.exp(log[j] - top);
      total += log[j];
    }
    if (into) {
      let r1 = 0, ru1 = 0, rr = 0, rru = 0, rruu = 0, v0 = 0, v1 = 0, v2 = 0;
      for (let j = 0; j < 7; j += 1) {
        const w = log[j] / total, u = at[j], q = expit(mu + tau * u), r = x - n * q, v = n * q * (1 - q);
        r1 += w * r; ru1 += w * r * u; rr += w * r * r; rru += w * r * r * u; rruu += w * r * r * u * u;
        v0 += w * v; v1 += w * v * u; v2 += w * v * u * u;
      }
      into.m += r1;
      into.t += ru1;
      into.mm += rr - r1 * r1 - v0;
      into.mt += rru - r1 * ru1 - v1;
      into.tt += rruu - ru1 * ru1 - v2;
    }
    return top + Math.log(total) + Math.log(scale);
  }

  const value = (studies, mu, tau) => {
    let total = 0;
    for (const one of studies) total += term(one, mu, Math.abs(tau));
    return total;
  };

  function moments(studies, mu, tau) {
    const into = { m: 0, t: 0, mm: 0, mt: 0, tt: 0, value: 0 };
    for (const one of studies) into.value += term(one, mu, tau, into);
    return into;
  }

  /* Derivatives of the quadrature likelihood itself, by differences of the fourth order. */
  function derivatives(f, mu, tau, h = 1e-3) {
    const line = (g) => {
      const [c, p1, m1, p2, m2] = [g(0), g(h), g(-h), g(2 * h), g(-2 * h)];
      return [(8 * (p1 - m1) - (p2 - m2)) / (12 * h), (16 * (p1 + m1) - (p2 + m2) - 30 * c) / (12 * h * h)];
    };
    const cross = (s) => (f(mu + s, tau + s) - f(mu + s, tau - s) - f(mu - s, tau + s) + f(mu - s, tau - s)) / (4 * s * s);
    const [m, mm] = line((d) => f(mu + d, tau)), [t, tt] = line((d) => f(mu, tau + d));
    return { m, t, mm, tt, mt: (4 * cross(h) - cross(2 * h)) / 3 };
  }

  /* Newton in (mu, tau^2), which stays above zero; the caller knows the fit at zero. */
  function ascend(studies, mu, omega, floor) {
    let here = moments(studies, mu, Math.sqrt(omega));
    for (let round = 0; round < 60; round += 1) {
      const tau = Math.sqrt(omega);
      const g = here.t / (2 * tau), cross = here.mt / (2 * tau), bend = (here.tt - here.t / tau) / (4 * omega);
      const inner = bend - (cross * cross) / here.mm, slope = g - (cross * here.m) / here.mm;
      let move = here.mm < 0 && inner < 0 ? -slope / inner : slope > 0 ? omega : -omega / 2;
      move = Math.max(-0.75 * omega, Math.min(3 * omega, move));
      let step = -(here.m + cross * move) / Math.min(here.mm, -1e-12);
      step = Math.max(-2, Math.min(2, step));
      let share = 1, next = null;
      for (let half = 0; half < 40; half += 1, share /= 2) {
        next = moments(studies, mu + share * step, Math.sqrt(omega + share * move));
        if (next.value >= here.value - 1e-10) break;
      }
      mu += share * step;
      omega += share * move;
      here = next;
      if (omega < floor) return null;
      if (Math.abs(share * step) < 1e-10 && Math.abs(share * move) < 1e-10 * omega) break;
    }
    return { mu, tau: Math.sqrt(omega), value: here.value };
  }

  /* From the moments to the maximum of the quadrature likelihood itself. */
  function polish(studies, { mu, tau }) {
    const f = (a, b) => value(studies, a, b);
    let a = mu, b = tau, d, det;
    for (let round = 0; round < 40; round += 1) {
      d = derivatives(f, a, b);
      det = d.mm * d.tt - d.mt * d.mt;
      // few studies and a wide spread leave ripples: uphill, where the surface is no dome
      const dome = d.mm < 0 && det > 0, slope = Math.hypot(d.m, d.t);
      const move = dome
        ? [(-d.m * d.tt + d.t * d.mt) / det, (-d.t * d.mm + d.m * d.mt) / det]
        : [(0.2 * d.m) / slope, (0.2 * d.t) / slope];
      const size = Math.abs(move[0]) + Math.abs(move[1]), here = f(a, b);
      let part = Math.min(1, 2 / size);
      while (part > 1e-9 && f(a + part * move[0], b + part * move[1]) < here - 1e-10) part /= 2;
      a += part * move[0];
      b = Math.abs(b + part * move[1]);
      if (part * size < 1e-8) break;
    }
    return d.mm < 0 && det > 0 ? { mu: a, tau: b, d, det, value: f(a, b) } : null;
  }

  /* Above this variance of logits, seven nodes leave ripples and the page gives no result. */
  const WIDE = 4;
  const GRID = Array.from({ length: 20 }, (_, i) => 0.02 * 1.45 ** i);

  /* Fit by maximum likelihood. The status is "fitted", "single" (one study), "none" or "all" (no
     study has an event, or every patient has it: an exact limit is left), "empty" or "wide"
     (studies too different for the quadrature of the page, or no finite maximum). */
  function maximise(events, n) {
    const studies = events.map((x, i) => study(x, n[i])), k = studies.length;
    const died = sum(events), people = sum(n);
    if (k === 0) return { status: "empty", k };
    if (died === 0 || died === people) return { status: died ? "all" : "none", k, died, people };
    const zero = Math.log(died / (people - died)), rate = died / people;
    const flat = value(studies, zero, 0);
    const info = people * rate * (1 - rate);
    const boundary = { status: "fitted", k, mu: zero, tau2: 0, se: 1 / Math.sqrt(info), boundary: true, studies };
    if (k === 1) return { ...boundary, status: "single" };
    const score = sum(studies.map(({ x, n: size }) => (x - size * rate) ** 2 - size * rate * (1 - rate)));
    if (studies.every(({ n: size }) => size <= 1)) return boundary;
    let mu = zero;
    const profile = GRID.map((tau) => {
      for (let round = 0; round < 20; round += 1) {
        const { m, mm } = moments(studies, mu, tau);
        const step = Math.max(-1, Math.min(1, -m / Math.min(mm, -1e-12)));
        mu += step;
        if (Math.abs(step) < 1e-3) break;
      }
      return { mu, tau, value: value(studies, mu, tau) };
    });
    const ends = profile.at(-1);
    let found = null;
    for (const [i, here] of profile.entries()) {
      const before = i ? profile[i - 1].value : flat, after = i < GRID.length - 1 ? profile[i + 1].value : -Infinity;
      const rises = i === 0 && score > 0 && here.value >= after;
      if (!rises && !(here.value >= before && here.value >= after)) continue;
      if (here === ends) continue;
      const peak = ascend(studies, here.mu, here.tau ** 2, score <= 0 ? 1e-3 * GRID[0] ** 2 : 1e-14);
      const top = peak && (peak.tau ** 2 > 2 * WIDE ? peak : polish(studies, peak));
      if (top && (!found || top.value > found.value)) found = top;
    }
    if (ends.value > Math.max(flat, found ? found.value : -Infinity)) return { status: "wide", k };
    if (!found || (score <= 0 && found.value <= flat)) return boundary;
    if (found.tau ** 2 > WIDE) return { status: "wide", k };
    const { det, d, mu: a, tau: b } = found;
    return { status: "fitted", k, mu: a, tau2: b * b, se: Math.sqrt(-d.tt / det), boundary: false, studies };
  }

  /* The fit for simulations, many times as fast: Newton in (mu, log tau) to a millionth, without the
     search for a second maximum. Null where no study, or every patient, has the event, or where no
     maximum was found. */
  function quick(events, n) {
    const studies = events.map((x, i) => study(x, n[i])), died = sum(events), people = sum(n);
    if (died === 0 || died === people) return null;
    const rate = died / people, info = people * rate * (1 - rate), zero = Math.log(died / (people - died));
    const boundary = { mu: zero, tau2: 0, se: 1 / Math.sqrt(info) };
    const score = sum(studies.map(({ x, n: size }) => (x - size * rate) ** 2 - size * rate * (1 - rate)));
    if (score <= 0) return boundary;
    const squares = sum(studies.map(({ n: size }) => (size * rate * (1 - rate)) ** 2));
    let mu = zero, tau = Math.sqrt(Math.min(1, Math.max(0.02, score / squares)));
    let here = moments(studies, mu, tau);
    for (let round = 0; round < 50; round += 1) {
      const t = tau * here.t, mt = tau * here.mt, tt = tau * tau * here.tt + t, det = here.mm * tt - mt * mt;
      const dome = here.mm < 0 && det > 0;
      let a = dome ? (mt * t - tt * here.m) / det : -here.m / Math.min(here.mm, -1e-12), b = dome ? (mt * here.m - here.mm * t) / det : Math.sign(t) / 2;
      const most = Math.max(Math.abs(a), Math.abs(b), 1);
      a /= most;
      b /= most;
      let next = null, part = 1;
      for (; part > 0.01; part /= 2) {
        next = moments(studies, mu + part * a, tau * Math.exp(part * b));
        if (next.value >= here.value - 1e-9) break;
      }
      if (part < 0.01) break; // no step leads up: the moments and the quadrature differ by more
      const gain = next.value - here.value;
      mu += part * a;
      tau *= Math.exp(part * b);
      here = next;
      if (tau < 1e-4) return boundary;
      if (gain < 1e-8) break;
    }
    const { mm, mt, tt } = here, det = mm * tt - mt * mt;
    return mm < 0 && det > 0 ? { mu, tau2: tau * tau, se: Math.sqrt(-tt / det) } : null;
  }

  /* The result as the book prints it. `rule` has the normal quantile `z`, t quantiles `t` (df = 1
     first), `few` studies below which the interval is that of t, and `prediction` studies below
     which no prediction interval is shown. */
  function pool(events, n, rule) {
    const fit = maximise(events, n);
    if (fit.status === "none" || fit.status === "all") {
      const limit = rule.tail ** (1 / fit.people);
      return { ...fit, estimate: fit.died ? 1 : 0, ci: fit.died ? [limit, 1] : [0, 1 - limit] };
    }
    if (fit.status !== "fitted" && fit.status !== "single") return fit;
    const { k, mu, se, tau2 } = fit;
    const wide = (k > 1 && k < rule.few ? rule.t[k - 2] : rule.z) * se;
    const made = { ...fit, estimate: expit(mu), ci: [expit(mu - wide), expit(mu + wide)] };
    if (k >= 3) {
      const next = rule.t[k - 3] * Math.sqrt(tau2 + se * se);
      made.prediction = [expit(mu - next), expit(mu + next)];
      made.shows = k >= rule.prediction;
    }
    return made;
  }

  /* Share of each study in the information on mu, in percent (Riley et al. 2018,
     doi:10.1177/0962280216688033). */
  function weights(fit) {
    const tau = Math.sqrt(fit.tau2), h = 1e-3;
    const each = fit.studies.map((one) => {
      const f = (d) => term(one, fit.mu + d, tau);
      return Math.max(0, -(16 * (f(h) + f(-h)) - (f(2 * h) + f(-2 * h)) - 30 * f(0)) / (12 * h * h));
    });
    const total = sum(each);
    return each.map((one) => (100 * one) / total);
  }

  /* Mean and standard deviation of the logit of a centre given its counts: its estimate, drawn
     towards the others. */
  function shrunken(fit, x, n) {
    if (fit.tau2 === 0) return { logit: fit.mu, se: fit.se, estimate: expit(fit.mu), towards: 100 };
    const tau = Math.sqrt(fit.tau2), one = study(x, n);
    term(one, fit.mu, tau);
    const p = expit(fit.mu + tau * one.mode), scale = 1 / Math.sqrt(1 + fit.tau2 * n * p * (1 - p));
    let total = 0, first = 0, second = 0;
    const density = (u) => { const eta = fit.mu + tau * u; return x * eta - n * softplus(eta) - (u * u) / 2; };
    const top = density(one.mode);
    for (let j = -120; j <= 120; j += 1) {
      const u = one.mode + (scale * j) / 10, w = Math.exp(density(u) - top);
      total += w;
      first += w * u;
      second += w * u * u;
    }
    const mean = first / total, variance = second / total - mean * mean;
    return { logit: fit.mu + tau * mean, se: tau * Math.sqrt(variance), estimate: expit(fit.mu + tau * mean), towards: 100 * variance };
  }

  /* Probabilities of 0, 1, ... n events in a new centre: its logit is mu + t sqrt(tau^2 + se^2) with
     k - 2 degrees of freedom, as behind the prediction interval. Trapezes over sinh(v). */
  function predictive(fit, n) {
    const df = fit.k - 2, spread = Math.sqrt(fit.tau2 + fit.se * fit.se);
    const out = new Float64Array(n + 1), choose = new Float64Array(n + 1);
    for (let x = 1; x <= n; x += 1) choose[x] = choose[x - 1] + Math.log((n - x + 1) / x);
    let total = 0;
    for (let v = -12; v <= 12; v += 0.04) {
      const u = Math.sinh(v), w = Math.cosh(v) * (1 + (u * u) / df) ** (-(df + 1) / 2);
      total += w;
      const eta = fit.mu + spread * u, yes = -softplus(-eta), no = -softplus(eta);
      if (w < 1e-18) continue;
      for (let x = 0; x <= n; x += 1) out[x] += w * Math.exp(choose[x] + x * yes + (n - x) * no);
    }
    return out.map((p) => p / total);
  }

  /* Where a centre lies among new ones of its size, and the central 95 % of their events. */
  function place(fit, x, n) {
    const probabilities = predictive(fit, n);
    let below = 0;
    for (let i = 0; i < x; i += 1) below += probabilities[i];
    const same = probabilities[x], range = [0, n];
    let total = 0, first = true;
    for (let i = 0; i <= n; i += 1) {
      total += probabilities[i];
      if (first && total >= 0.025) { range[0] = i; first = false; }
      if (total >= 0.975) { range[1] = i; break; }
    }
    return { below, same, above: Math.max(0, 1 - below - same), range };
  }

  /* The Baujat plot (Baujat et al. 2002, doi:10.1002/sim.1221): deviance of each study, and how
     far the mean moves without it. */
  function baujat(fit) {
    const tau = Math.sqrt(fit.tau2);
    return fit.studies.map((one, i) => {
      const now = term(one, fit.mu, tau);
      let best = 0;
      if (one.x > 0 && one.x < one.n) {
        let eta = Math.log(one.x / (one.n - one.x));
        for (let round = 0; round < 50; round += 1) {
          const into = { m: 0, t: 0, mm: 0, mt: 0, tt: 0 };
          term(one, eta, tau, into);
          const step = Math.max(-1, Math.min(1, -into.m / Math.min(into.mm, -1e-12)));
          eta += step;
          if (Math.abs(step) < 1e-9) break;
        }
        best = term(one, eta, tau);
      }
      return { contribution: Math.max(0, 2 * (best - now)), influence: () => influence(fit, i) };
    });
  }
  function influence(fit, i) {
    const rest = fit.studies.filter((_, j) => j !== i).map(({ x, n }) => study(x, n));
    const died = sum(rest.map(({ x }) => x)), people = sum(rest.map(({ n }) => n));
    if (died === 0 || died === people) return NaN;
    let gone = fit.tau2 > 0 && rest.length > 1 ? ascend(rest, fit.mu, fit.tau2, 1e-7) : null;
    if (gone) {
      const d = moments(rest, gone.mu, gone.tau);
      gone = { mu: gone.mu, variance: -d.tt / (d.mm * d.tt - d.mt * d.mt) };
    } else {
      const whole = maximise(rest.map(({ x }) => x), rest.map(({ n }) => n));
      if (whole.se === undefined) return NaN;
      gone = { mu: whole.mu, variance: whole.se ** 2 };
    }
    return (fit.mu - gone.mu) ** 2 / gone.variance;
  }

  window.interactive.glmm = { pool, quick, weights, shrunken, predictive, place, baujat };
})();
