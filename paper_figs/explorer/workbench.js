"use strict";
// The workbench: any logits, any perturbation, every bound; and two chains that write text.

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
};
const OWN = "own";  // logits that were typed or dragged: sliders leave them alone

let current = { z: [], D: [] };

function presetLogits() {
  const n = number("vocabulary"), scale = number("scale"), size = number("size"), shape = byId("shape").value, base = byId("base").value;
  const random = generator(number("seed"));
  // The swap pair: z = (-s/2, 0) and z' = (s/2, 0). q is p with its atoms exchanged, and TV = tanh(R/4).
  if (shape === "swap") return { z: [-size / 2, 0], D: [size, 0].map((x) => x + number("shift")) };
  const z = base === OWN ? current.z : BASES[base](n, scale, random);
  const D = shape === OWN ? array(z.length, (i) => current.D[i] ?? 0) : SHAPES[shape](z, size, random).map((x) => x + number("shift"));
  return { z, D };
}

function fillEditor() {
  const body = byId("editor").tBodies[0];
  body.replaceChildren(...current.z.map((_, i) => {
    const row = document.createElement("tr");
    row.insertCell().textContent = i + 1;
    for (const key of ["z", "D"]) {
      const input = document.createElement("input");
      Object.assign(input, { type: "number", step: "any", min: -60, max: 60, value: Number(current[key][i].toFixed(6)) });
      input.setAttribute("aria-label", `${key} of token ${i + 1}`);
      input.addEventListener("input", () => {
        if (input.value !== "" && input.validity.valid) { takeOver(); current[key][i] = Number(input.value); drawStep(); resetChain(); save(); }
      });
      row.insertCell().append(input);
    }
    return row;
  }));
}

function takeOver() {  // what was typed or dragged is kept until a preset is chosen again
  byId("base").value = OWN; byId("shape").value = OWN;
  byId("vocabulary").value = current.z.length;
}

const axis = () => Math.max(4, 2.2 * number("scale"), ...current.z.map((x, i) => Math.max(Math.abs(x), Math.abs(x + current.D[i]))));
let logitAxis = 4;

function drawStep() {
  const T = number("temperature"), { z, D } = current;
  const { p, q, columns } = measure(z, D, T);
  pairs(byId("logits"), { low: -logitAxis, high: logitAxis, dense: z, pruned: z.map((x, i) => x + D[i]) });
  pairs(byId("probabilities"), { low: 0, high: 1, dense: p, pruned: q });
  byId("bounds").tBodies[0].innerHTML = BOUNDS.map((b) => {
    const value = columns[b.quantity];
    const [lower, estimate, upper] = ["lower", "estimate", "upper"].map((side) => b[side]?.(columns));
    if (lower === undefined && estimate === undefined && upper === undefined) return "";  // its hypothesis fails here
    const share = upper > 0 ? value / upper : value === 0 ? 0 : NaN;
    const part = upper === undefined || Number.isNaN(share) ? "" : `<meter min="0" max="1" value="${share}" aria-label="share of the bound">${show(share)}</meter> ${show(share)}`;
    return `<tr data-theorem="${b.id}" data-claim="${b.claim}" data-quantity="${b.quantity}" data-value="${value}" data-lower="${lower ?? ""}" data-upper="${upper ?? ""}">
      <td>${b.quantity}</td><td>${show(value)}</td><td title="${b.title}">${b.id} ${b.name}</td><td>${show(lower)}</td><td>${show(estimate)}</td><td>${show(upper)}</td><td>${part}</td></tr>`;
  }).join("");
  byId("statistics").tBodies[0].innerHTML = Object.entries(columns).map(([name, value]) =>
    `<tr data-column="${name}" data-value="${value}"><th scope="row">${name}</th><td>${show(value)}</td></tr>`).join("");
  const ratio = columns.cosdist_p / columns.cosdist_z_centred;
  byId("amplification").textContent = columns.oscillation === 0 ? "Nothing that the softmax can see has changed: every distance of p and q is 0."
    : `The turn of the logits (1−cos, centred: ${show(columns.cosdist_z_centred)}) arrives ${factor(ratio)} in the probabilities (${show(columns.cosdist_p)}), at an entropy of ${show(columns.entropy)} nats. As they stand the logits give ${show(columns.cosdist_z)}: a common shift changes that number and nothing else.`;
}

function drawPreset() {
  for (const output of document.querySelectorAll("#controls output[for]")) output.textContent = byId(output.htmlFor.value).value;
  current = presetLogits(); logitAxis = axis();
  fillEditor(); drawStep(); resetChain();
}

// Bars are dragged: blue moves the dense logit, orange the pruned one. The axis stays where it is meanwhile.
byId("logits").addEventListener("pointerdown", (event) => {
  const bar = event.target.closest("rect[data-index]");
  if (!bar) return;
  const svg = byId("logits"), box = svg.getBoundingClientRect(), index = Number(bar.dataset.index), dense = bar.dataset.model === "dense";
  takeOver(); event.preventDefault(); svg.setPointerCapture(event.pointerId);
  const move = (e) => {
    const value = logitAxis * (1 - 2 * ((e.clientY - box.top) / box.height * 190 - 12) / 154);
    const clipped = Math.max(-logitAxis, Math.min(logitAxis, value)), other = current.z[index] + current.D[index];
    if (dense) { current.z[index] = clipped; current.D[index] = other - clipped; } else current.D[index] = clipped - current.z[index];
    drawStep();
  };
  const stop = () => { svg.removeEventListener("pointermove", move); fillEditor(); resetChain(); save(); };
  svg.addEventListener("pointermove", move); svg.addEventListener("pointerup", stop, { once: true }); svg.addEventListener("pointercancel", stop, { once: true });
  move(event);
});

// ---------------------------------------------------------------- many steps
const N = 40, WORDS = ["the", "cat", "sees", "a", "dog", "and", "runs", "home", "with", "his", "old", "hat"];
let chain;

// Row x of the dense chain holds the workbench's logits turned by x places, so every token has its own likely successors.
function buildChain() {
  const T = number("temperature"), V = current.z.length, turn = (v, x) => array(V, (i) => v[(i + x) % V]);
  const P = array(V, (x) => softmax(turn(current.z, x), T));
  const Q = array(V, (x) => softmax(array(V, (i) => current.z[(i + x) % V] + current.D[(i + x) % V]), T));
  const R = (Math.max(...current.D) - Math.min(...current.D)) / T;
  return { P, Q, R, curves: accumulate(P, Q, R), runs: [], random: generator(number("seed") + 2), dense: [0], pruned: [0] };
}

const KERNELS = {  // probability that both write j, from the same row
  maximal: (p, q) => p.map((x, i) => Math.min(x, q[i])),
  gumbel: (p, q) => p.map((x, i) => (x > 0 && q[i] > 0 ? 1 / sumOf(p.map((y, j) => Math.max(y / x, q[j] / q[i]))) : 0)),
  independent: (p, q) => p.map((x, i) => x * q[i]),
};

function accumulate(P, Q, R) {
  const V = P.length, kernel = Object.fromEntries(Object.entries(KERNELS).map(([name, f]) => [name, P.map((p, x) => f(p, Q[x]))]));
  const rowKl = P.map((p, x) => sumOf(p.map((v, i) => (v > 0 ? v * Math.log(v / Q[x][i]) : 0))));
  const start = array(V, (i) => (i === 0 ? 1 : 0)), alive = Object.fromEntries(Object.keys(kernel).map((name) => [name, start]));
  const bracket = textTv(P, Q, N);
  let history = start, kl = 0;
  return array(N, (t) => {
    kl += sumOf(history.map((w, x) => w * rowKl[x]));
    history = through(history, P);
    for (const name of Object.keys(alive)) alive[name] = through(alive[name], kernel[name]);
    const survival = Object.fromEntries(Object.entries(alive).map(([name, w]) => [name, sumOf(w)]));
    return { n: t + 1, ...survival, survival: survival.maximal, guarantee: (1 - STEP_TV(R)) ** (t + 1), kl, tvLow: bracket[t][0], tvHigh: bracket[t][1], tv: (bracket[t][0] + bracket[t][1]) / 2 };
  });
}

// Total variation of whole texts by dynamic programming: f_n(x, l) = E_p f_{n-1}(x', l q/p), f_0 = (1 - l)+, on a grid of
// log-likelihood ratios. f is convex in l: chords bound it above, tangents below. The bracket is what is shown.
function textTv(P, Q, steps, bins = 1601, reach = 30) {
  const V = P.length, h = 2 * reach / (bins - 1), node = array(bins, (k) => Math.exp(-reach + h * k)), middle = (bins - 1) / 2;
  let ceiling = array(V, () => node.map((l) => Math.max(0, 1 - l))), floor = ceiling, slope = array(V, () => node.map((l) => (l < 1 ? -1 : 0)));
  return array(steps, () => {
    const next = array(V, () => [new Float64Array(bins), new Float64Array(bins), new Float64Array(bins)]);
    for (let x = 0; x < V; x++) for (let i = 0; i < V; i++) {
      const p = P[x][i]; if (p === 0) continue;
      const ratio = Q[x][i] / p, shift = Math.log(ratio) / h;
      for (let k = 0; k < bins; k++) {
        const spot = k + shift, a = Math.min(bins - 2, Math.max(0, Math.ceil(spot) - 1)), b = a + 1, landed = node[k] * ratio;
        const w = Math.min(1, Math.max(0, (landed - node[a]) / (node[b] - node[a])));
        next[x][0][k] += p * (spot < 0 ? 1 : w * ceiling[i][b] + (1 - w) * ceiling[i][a]);
        const left = floor[i][a] + slope[i][a] * (landed - node[a]), right = floor[i][b] + slope[i][b] * (landed - node[b]);
        const best = Math.max(left, right);
        if (best > 0) { next[x][1][k] += p * best; next[x][2][k] += p * ratio * (left >= right ? slope[i][a] : slope[i][b]); }
      }
    }
    ceiling = next.map((v) => v[0]); floor = next.map((v) => v[1]); slope = next.map((v) => v[2]);
    return [floor[0][middle], ceiling[0][middle]];
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
    const race = p.map(() => exponential(random)), winner = (w) => w.reduce((best, x, i) => (race[i] / x < race[best] / w[best] ? i : best), 0);
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
  const [a, b] = COUPLINGS[byId("coupling").value](chain.P[state.dense.at(-1)], chain.Q[state.pruned.at(-1)], chain.random);
  state.dense.push(a); state.pruned.push(b);
}
const firstDifference = (state) => state.dense.findIndex((x, t) => x !== state.pruned[t]);

function drawChain() {
  const at = firstDifference(chain), coupling = byId("coupling").value, word = (x) => WORDS[x % WORDS.length];
  const write = (tokens, other, colour) => tokens.map((x, t) => (x === other[t] ? word(x) : `<span class="different ${colour}">${word(x)}</span>`)).join(" ");
  byId("dense-text").innerHTML = write(chain.dense, chain.pruned, "dense");
  byId("pruned-text").innerHTML = write(chain.pruned, chain.dense, "pruned");
  byId("divergence").textContent = at < 0 ? `${chain.dense.length - 1} tokens written, the texts still agree.` : `The texts first differ at token ${at}.`;
  const seen = (n) => (chain.runs.length ? chain.runs.filter((first) => first < 0 || first > n).length / chain.runs.length : undefined);
  byId("accumulation-table").tBodies[0].innerHTML = chain.curves.filter(({ n }) => [1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40].includes(n))
    .map((c) => `<tr data-n="${c.n}" data-survival="${c.survival}" data-guarantee="${c.guarantee}" data-kl="${c.kl}" data-tv-low="${c.tvLow}" data-tv-high="${c.tvHigh}" data-seen="${seen(c.n) ?? ""}" data-coupled="${c[coupling]}">
      <td>${c.n}</td><td>${show(c[coupling])}</td><td>${show(seen(c.n))}</td><td>${show(c.survival)}</td><td>${show(c.guarantee)}</td><td>${show(c.tv)}</td><td>${show(c.kl)}</td></tr>`).join("");
  const line = (key, from) => [[0, from], ...chain.curves.map((c) => [c.n, c[key]])];
  chart(byId("accumulation"), { x: [0, N], y: [0, 1], xlabel: "tokens n", at: Math.min(N, chain.dense.length - 1), lines: [
    { points: line(coupling, 1), colour: "dense", label: "texts still equal with this decoding (dots: runs)" },
    { points: line("guarantee", 1), colour: "bound", dash: "6 3", label: "guaranteed by R alone" },
    { points: line("tv", 0), colour: "pruned", label: "total variation of the texts, exact" }],
    dots: chain.runs.length ? chain.curves.map((c) => [c.n, seen(c.n), "dense"]) : [] });
}
function resetChain() { chain = buildChain(); drawChain(); }

byId("controls").addEventListener("input", (event) => {
  if (event.target.closest("#editor")) return;
  if (["vocabulary", "scale"].includes(event.target.id) && byId("base").value === OWN) byId("base").value = "gaussian";
  if (event.target.id === "size" && byId("shape").value === OWN) byId("shape").value = "gaussian";
  if (event.target.id === "vocabulary" && byId("shape").value === OWN) byId("shape").value = "gaussian";
  drawPreset(); save();
});
byId("controls").addEventListener("submit", (event) => event.preventDefault());
byId("coupling").addEventListener("change", () => { resetChain(); save(); });
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
