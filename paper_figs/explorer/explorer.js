"use strict";
// DEFINITIONS, BOUNDS and WORDS come from the package's symbolic expressions; this file draws and asks.

const byId = (id) => document.getElementById(id);
const number = (id) => Number(byId(id).value);
const show = (x) => x === undefined ? "" : !Number.isFinite(x) ? String(x) : x === 0 ? "0"
  : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? x.toPrecision(5) : x.toExponential(3);

// ---------------------------------------------------------------- random numbers
function generator(seed) {  // mulberry32: small, seeded, good enough for a picture
  let state = (seed + 0x9e3779b9) >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
const gaussian = (random) => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const array = (n, f) => Array.from({ length: n }, (_, i) => f(i));

// ---------------------------------------------------------------- one step
const BASES = {
  gaussian: (n, scale, random) => array(n, () => scale * gaussian(random)),
  zipf: (n, scale) => array(n, (i) => -scale * Math.log(i + 1)),
  peaked: (n, scale) => array(n, (i) => (i === 0 ? 2 * scale : 0)),
  flat: (n) => array(n, () => 0),
};
const SHAPES = {
  gaussian: (z, size, random) => z.map(() => size * gaussian(random)),
  sparse: (z, size) => z.map((_, i) => (i === z.length - 1 ? size : 0)),
  along: (z, size) => z.map((x) => size * x),
  twovalued: (z, size) => z.map((x) => (x === Math.max(...z) ? 0 : size)),
  swap: (z, size) => z.map((_, i) => (i === 0 ? size : 0)),
};

function softmax(logits, T) {
  const top = Math.max(...logits);
  const weight = logits.map((x) => Math.exp((x - top) / T));
  const sum = weight.reduce((a, b) => a + b, 0);
  return weight.map((w) => w / sum);
}

function measure(z, D, T) {
  const delta = D.map((x) => x / T);
  const p = softmax(z, T);
  const q = softmax(z.map((x, i) => x + D[i]), T);
  const columns = {};
  for (const [name, define] of Object.entries(DEFINITIONS)) columns[name] = define(p, q, z, D, delta, z.length);
  columns.temperature = T;
  return { p, q, columns };
}

function presetLogits() {
  const n = number("vocabulary"), scale = number("scale"), size = number("size"), shape = byId("shape").value;
  const random = generator(number("seed"));
  // The swap pair has two tokens, p = (sigma(-R/2), sigma(R/2)) with R = size / T, and q is p with its atoms exchanged.
  const z = shape === "swap" ? [-size / 2, size / 2] : BASES[byId("base").value](n, scale, random);
  const D = SHAPES[shape](z, size, random).map((x) => x + number("shift"));
  return { z, D };
}

let current = { z: [], D: [] };

function fillEditor() {
  const body = byId("editor").tBodies[0];
  body.replaceChildren(...current.z.map((_, i) => {
    const row = document.createElement("tr");
    row.insertCell().textContent = i + 1;
    for (const key of ["z", "D"]) {
      const input = document.createElement("input");
      Object.assign(input, { type: "number", step: "any", min: -60, max: 60, value: current[key][i] });
      input.setAttribute("aria-label", `${key} of token ${i + 1}`);
      input.addEventListener("input", () => {
        if (input.value !== "" && input.validity.valid) { current[key][i] = Number(input.value); drawStep(); }
      });
      row.insertCell().append(input);
    }
    return row;
  }));
}

function bars(svg, first, second) {
  const width = 600, height = 170, base = [...first, ...second];
  const low = Math.min(0, ...base), high = Math.max(0, ...base), span = high - low || 1;
  const y = (v) => 10 + (height - 30) * (high - v) / span, slot = width / first.length;
  const bar = (v, i, offset, colour) => `<rect x="${i * slot + slot * offset}" width="${slot * 0.36}" fill="var(--${colour})"
    y="${Math.min(y(v), y(0))}" height="${Math.max(0.5, Math.abs(y(v) - y(0)))}"><title>${show(v)}</title></rect>`;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.innerHTML = first.map((v, i) => bar(v, i, 0.1, "dense") + bar(second[i], i, 0.5, "pruned")
    + `<text x="${i * slot + slot / 2}" y="${height - 4}" text-anchor="middle">${i + 1}</text>`).join("")
    + `<line x1="0" x2="${width}" y1="${y(0)}" y2="${y(0)}" stroke="var(--ink)"/>`
    + `<text x="2" y="10">${show(high)}</text>`;
}

function drawStep() {
  const T = number("temperature"), { z, D } = current;
  const { p, q, columns } = measure(z, D, T);
  bars(byId("logits"), z, z.map((x, i) => x + D[i]));
  bars(byId("probabilities"), p, q);
  byId("bounds").tBodies[0].innerHTML = BOUNDS.map((bound) => {
    const value = columns[bound.quantity];
    const [lower, estimate, upper] = ["lower", "estimate", "upper"].map((side) => bound[side]?.(columns));
    if (lower === undefined && estimate === undefined && upper === undefined) return "";  // its hypothesis fails here
    const share = upper > 0 ? value / upper : value === 0 ? 0 : NaN;
    return `<tr data-theorem="${bound.id}" data-claim="${bound.claim}" data-quantity="${bound.quantity}" data-value="${value}" data-lower="${lower ?? ""}" data-upper="${upper ?? ""}">
      <td>${bound.quantity}</td><td>${show(value)}</td><td title="${bound.title}">${bound.id} ${bound.name}</td>
      <td>${show(lower)}</td><td>${show(estimate)}</td><td>${show(upper)}</td>
      <td>${upper === undefined ? "" : `<meter min="0" max="1" value="${share || 0}">${show(share)}</meter> ${show(share)}`}</td></tr>`;
  }).join("");
  byId("statistics").tBodies[0].innerHTML = Object.entries(columns).map(([name, value]) =>
    `<tr data-column="${name}" data-value="${value}"><th>${name}</th><td>${show(value)}</td></tr>`).join("");
  byId("amplification").textContent = `The cosine distance of the logits is ${show(columns.cosdist_z)} as they stand and `
    + `${show(columns.cosdist_z_centred)} after centring; the probabilities moved by ${show(columns.cosdist_p)}. `
    + "A common shift of all logits changes the first number and nothing else.";
}

function drawPreset() {
  for (const output of document.querySelectorAll("output[for]")) output.textContent = byId(output.htmlFor.value).value;
  current = presetLogits();
  fillEditor();
  drawStep();
  resetChain();
}

// ---------------------------------------------------------------- many steps
const N = 40;              // tokens that the curves show
const EXACT_TEXTS = 3e5;   // enumerate the texts for the exact total variation while there are no more than these
let chain;

function buildChain() {
  const V = WORDS.length, T = number("temperature"), random = generator(number("seed") + 1);
  const z = array(V, () => array(V, () => number("scale") * gaussian(random)));
  const D = z.map((row) => row.map(() => number("size") * gaussian(random)));
  const P = z.map((row) => softmax(row, T));
  const Q = z.map((row, x) => softmax(row.map((v, i) => v + D[x][i]), T));
  const R = Math.max(...D.map((row) => (Math.max(...row) - Math.min(...row)) / T));
  return { P, Q, R, curves: accumulate(P, Q, R), runs: [], random: generator(number("seed") + 2), dense: [0], pruned: [0] };
}

const through = (weights, matrix) => weights.map((_, j) => weights.reduce((sum, w, i) => sum + w * matrix[i][j], 0));
const combine = (A, B, f) => A.map((row, i) => row.map((a, j) => f(a, B[i][j])));
const sumOf = (values) => values.reduce((a, b) => a + b, 0);

function accumulate(P, Q, R) {
  const V = P.length, agree = combine(P, Q, Math.min), overlap = combine(P, Q, (a, b) => Math.sqrt(a * b));
  const rowKl = P.map((row, x) => sumOf(row.map((p, i) => p * Math.log(p / Q[x][i]))));
  const start = array(V, (i) => (i === 0 ? 1 : 0));
  let same = start, bhattacharyya = start, history = start, kl = 0;
  let textsP = [{ last: 0, p: 1, q: 1 }];
  const stepAgreement = 1 - STEP_TV(R);
  return array(N, (t) => {
    kl += sumOf(history.map((w, x) => w * rowKl[x]));
    history = through(history, P); same = through(same, agree); bhattacharyya = through(bhattacharyya, overlap);
    if (textsP && textsP.length * V <= EXACT_TEXTS) {
      textsP = textsP.flatMap((text) => P[text.last].map((p, i) => ({ last: i, p: text.p * p, q: text.q * Q[text.last][i] })));
    } else textsP = null;
    const survival = sumOf(same), bc = sumOf(bhattacharyya);
    return {
      n: t + 1, survival, guarantee: Math.pow(stepAgreement, t + 1), kl,
      tv: textsP ? sumOf(textsP.map((text) => Math.abs(text.p - text.q))) / 2 : undefined,
      tvLow: 1 - bc, tvHigh: Math.min(1 - survival, Math.sqrt(Math.max(0, 1 - bc * bc))),
    };
  });
}

function draw(weights, u) {
  let i = 0;
  for (let sum = weights[0]; i < weights.length - 1 && u >= sum; sum += weights[++i]);
  return i;
}

const COUPLINGS = {
  independent: (p, q, random) => [draw(p, random()), draw(q, random())],
  gumbel: (p, q, random) => {  // the same exponential race for both: argmin of E_i / p_i
    const race = p.map(() => -Math.log(1 - random()));
    const winner = (w) => w.reduce((best, x, i) => (race[i] / x < race[best] / w[best] ? i : best), 0);
    return [winner(p), winner(q)];
  },
  maximal: (p, q, random) => {
    const common = p.map((x, i) => Math.min(x, q[i])), mass = sumOf(common), u = random();
    if (u < mass) { const i = draw(common, u); return [i, i]; }
    const rest = (w) => { const left = w.map((x, i) => x - common[i]), total = sumOf(left); return draw(left, random() * total); };
    return [rest(p), rest(q)];
  },
};

function nextTokens(state) {
  const x = state.dense.at(-1), y = state.pruned.at(-1);
  const [a, b] = COUPLINGS[byId("coupling").value](chain.P[x], chain.Q[y], chain.random);
  state.dense.push(a); state.pruned.push(b);
}

const firstDifference = (state) => state.dense.findIndex((x, t) => x !== state.pruned[t]);

function drawChain() {
  const at = firstDifference(chain);
  const write = (tokens, other) => tokens.map((x, t) => (x === other[t] ? WORDS[x] : `<span class="different">${WORDS[x]}</span>`)).join(" ");
  byId("dense-text").innerHTML = write(chain.dense, chain.pruned);
  byId("pruned-text").innerHTML = write(chain.pruned, chain.dense);
  byId("divergence").textContent = at < 0 ? `${chain.dense.length - 1} tokens written, the texts still agree.`
    : `The texts first differ at token ${at}.`;
  const seen = (n) => (chain.runs.length ? chain.runs.filter((at) => at < 0 || at > n).length / chain.runs.length : undefined);
  byId("accumulation-table").tBodies[0].innerHTML = chain.curves.filter(({ n }) => [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40].includes(n))
    .map((c) => `<tr data-n="${c.n}" data-survival="${c.survival}" data-guarantee="${c.guarantee}" data-kl="${c.kl}" data-tv="${c.tv ?? ""}">
      <td>${c.n}</td><td>${show(c.survival)}</td><td>${show(c.guarantee)}</td><td>${show(seen(c.n))}</td>
      <td>${show(c.tv)}</td><td>${show(c.tvLow)}</td><td>${show(c.tvHigh)}</td><td>${show(c.kl)}</td></tr>`).join("");
  curves(byId("accumulation"), seen);
}

function curves(svg, seen) {
  const width = 640, height = 260, x = (n) => 40 + (width - 50) * n / N, y = (v) => 15 + (height - 45) * (1 - v);
  const path = (key, style) => `<path fill="none" stroke-width="2" ${style} d="${[{ n: 0, [key]: key === "survival" || key === "guarantee" ? 1 : 0 },
    ...chain.curves.filter((c) => c[key] !== undefined)].map((c, i) => `${i ? "L" : "M"}${x(c.n)} ${y(c[key])}`).join("")}"/>`;
  const dots = chain.runs.length ? chain.curves.map((c) => `<circle cx="${x(c.n)}" cy="${y(seen(c.n))}" r="2.5" fill="var(--dense)"/>`).join("") : "";
  const written = chain.dense.length - 1;
  const key = (row, style, text) => `<line x1="${width - 235}" x2="${width - 210}" y1="${22 + 15 * row}" y2="${22 + 15 * row}" stroke-width="2" ${style}/>
    <text x="${width - 205}" y="${26 + 15 * row}">${text}</text>`;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.innerHTML = [0, 0.5, 1].map((v) => `<line x1="40" x2="${width - 10}" y1="${y(v)}" y2="${y(v)}" stroke="var(--faint)"/><text x="12" y="${y(v) + 4}">${v}</text>`).join("")
    + [0, 10, 20, 30, 40].map((n) => `<text x="${x(n)}" y="${height - 14}" text-anchor="middle">${n}</text>`).join("")
    + `<text x="${width / 2}" y="${height - 1}" text-anchor="middle">tokens n</text>`
    + `<line x1="${x(Math.min(N, written))}" x2="${x(Math.min(N, written))}" y1="${y(1)}" y2="${y(0)}" stroke="var(--ink)" stroke-dasharray="2 3"/>`
    + path("survival", 'stroke="var(--dense)"') + path("guarantee", 'stroke="var(--bound)" stroke-dasharray="6 3"')
    + path("tv", 'stroke="var(--pruned)"') + path("tvHigh", 'stroke="var(--pruned)" stroke-dasharray="6 3"')
    + path("tvLow", 'stroke="var(--pruned)" stroke-dasharray="2 3"') + dots
    + key(0, 'stroke="var(--dense)"', "texts still equal (dots: runs)") + key(1, 'stroke="var(--bound)" stroke-dasharray="6 3"', "guaranteed by R alone")
    + key(2, 'stroke="var(--pruned)"', "total variation, exact") + key(3, 'stroke="var(--pruned)" stroke-dasharray="6 3"', "its upper and lower bounds");
}

function resetChain() { chain = buildChain(); drawChain(); }

byId("controls").addEventListener("input", (event) => { if (!event.target.closest("#editor")) drawPreset(); });
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("coupling").addEventListener("change", resetChain);
byId("reset").addEventListener("click", resetChain);
byId("step").addEventListener("click", () => { nextTokens(chain); drawChain(); });
byId("run").addEventListener("click", () => { for (let t = 0; t < 10; t++) nextTokens(chain); drawChain(); });
byId("replay").addEventListener("click", () => {
  for (let run = 0; run < 200; run++) {
    const state = { dense: [0], pruned: [0] };
    for (let t = 0; t < N; t++) nextTokens(state);
    chain.runs.push(firstDifference(state));
  }
  drawChain();
});
drawPreset();
