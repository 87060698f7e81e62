"use strict";
// Numbers, random numbers, and the two pictures of the page. DEFINITIONS and BOUNDS come from the package's formulas.

const byId = (id) => document.getElementById(id);
const number = (id) => Number(byId(id).value);
const array = (n, f) => Array.from({ length: n }, (_, i) => f(i));
const sumOf = (values) => values.reduce((a, b) => a + b, 0);
const show = (x) => x === undefined ? "" : Number.isNaN(x) ? "undefined" : !Number.isFinite(x) ? (x > 0 ? "∞" : "−∞") : x === 0 ? "0"
  : Math.abs(x) >= 1e-3 && Math.abs(x) < 1e5 ? x.toPrecision(4) : x.toExponential(2);
const tick = (v) => v !== 0 && (Math.abs(v) < 1e-3 || Math.abs(v) >= 1e5) ? v.toExponential(0) : String(Number(v.toPrecision(3)));
const percent = (x) => `${(100 * x).toFixed(x > 0 && x < 0.01 ? 1 : 0)} %`;
const factor = (ratio) => ratio >= 1 ? `amplified ${show(ratio)}×` : `damped ${show(1 / ratio)}×`;

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
const exponential = (random) => -Math.log(1 - random());

function softmax(logits, T) {
  const top = Math.max(...logits);
  const weight = logits.map((x) => Math.exp((x - top) / T));
  const sum = sumOf(weight);
  return weight.map((w) => w / sum);
}

const SIGNED = ["low_p", "high_p", "low_r", "high_r", "parallel", "rho_plus", "rho_minus"];
const STANDING = ["p_max", "p_rest", "entropy", "entropy_perturbed", "gini_p", "gini_r", "norm_sq", "parallel", "orthogonal_sq", "cosdist_z"];
// As theory.measure: where nothing moved every distance is 0, and what cannot be negative is not.
function measure(z, D, T) {
  const delta = D.map((x) => x / T), still = Math.max(...D) === Math.min(...D), unchanged = D.every((x) => x === 0);
  const p = softmax(z, T), q = still ? p : softmax(z.map((x, i) => x + D[i]), T);
  const columns = {};
  for (const [name, define] of Object.entries(DEFINITIONS)) {
    const value = define(p, q, z, D, delta, z.length);
    if (still && !STANDING.includes(name)) columns[name] = 0;
    else if (unchanged && ["cosdist_z", "parallel", "orthogonal_sq"].includes(name)) columns[name] = 0;
    else columns[name] = SIGNED.includes(name) ? value : Math.max(0, value);
  }
  columns.temperature = T;
  return { p, q, columns };
}

const bound = (id, side, columns, quantity) => BOUNDS.find((b) => b.id === id && b[side] && (!quantity || b.quantity === quantity))[side](columns);

// Lines on fixed axes. spec: {x: [low, high], y: [low, high], logx, logy, xlabel, ylabel, lines: [{points, colour, dash, label}], at}
function chart(svg, spec) {
  const width = 640, height = 260, left = 46, right = 20, top = 12, bottom = 40;
  const scale = (log) => (log ? Math.log : (v) => v);
  const place = ([low, high], log, from, to) => (v) => {
    const f = scale(log), t = (f(Math.min(high, Math.max(low, v))) - f(low)) / (f(high) - f(low));
    return from + (to - from) * t;
  };
  const x = place(spec.x, spec.logx, left, width - right), y = place(spec.y, spec.logy, height - bottom, top);
  const ticks = ([low, high], log) => log
    ? array(Math.round(Math.log10(high / low)) + 1, (k) => low * 10 ** k) : array(5, (k) => low + (high - low) * k / 4);
  const grid = ticks(spec.y, spec.logy).map((v) => `<line x1="${left}" x2="${width - right}" y1="${y(v)}" y2="${y(v)}" stroke="var(--faint)"/>
    <text x="${left - 5}" y="${y(v) + 4}" text-anchor="end">${tick(v)}</text>`).join("")
    + ticks(spec.x, spec.logx).map((v) => `<text x="${x(v)}" y="${height - 24}" text-anchor="middle">${tick(v)}</text>`).join("");
  const lines = spec.lines.map((line) => `<path fill="none" stroke="var(--${line.colour})" stroke-width="2" ${line.dash ? `stroke-dasharray="${line.dash}"` : ""}
    d="${line.points.filter(([, v]) => Number.isFinite(v)).map(([u, v], i) => `${i ? "L" : "M"}${x(u).toFixed(1)} ${y(v).toFixed(1)}`).join("")}"/>`).join("");
  const at = spec.at === undefined ? "" : `<line x1="${x(spec.at)}" x2="${x(spec.at)}" y1="${top}" y2="${height - bottom}" stroke="var(--ink)" stroke-dasharray="2 3"/>`;
  const dots = (spec.dots ?? []).map(([u, v, colour]) => `<circle cx="${x(u)}" cy="${y(v)}" r="4" fill="var(--${colour})"/>`).join("");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.innerHTML = grid + at + lines + dots + `<text x="${(left + width - right) / 2}" y="${height - 6}" text-anchor="middle">${spec.xlabel}</text>`;
  legend(svg, spec.lines);
}

function legend(svg, lines) {
  let list = svg.nextElementSibling;
  if (!list?.classList.contains("legend")) { list = document.createElement("p"); list.className = "legend"; svg.after(list); }
  list.innerHTML = lines.filter((line) => line.label).map((line) =>
    `<span><svg width="26" height="8" aria-hidden="true"><line x1="0" x2="26" y1="4" y2="4" stroke="var(--${line.colour})" stroke-width="3" ${line.dash ? `stroke-dasharray="${line.dash}"` : ""}/></svg> ${line.label}</span>`).join(" ");
}

// Pairs of bars, dense beside pruned, on an axis that stays where it is: spec {low, high, names, dense, pruned}
function pairs(svg, spec) {
  const width = 640, height = 190, n = spec.dense.length, slot = (width - 50) / n;
  const y = (v) => 12 + (height - 36) * (spec.high - Math.min(spec.high, Math.max(spec.low, v))) / (spec.high - spec.low);
  const one = (v, i, offset, colour) => `<rect data-index="${i}" data-model="${colour}" x="${44 + i * slot + slot * offset}" width="${slot * 0.38}" fill="var(--${colour})"
    y="${Math.min(y(v), y(0))}" height="${Math.max(1, Math.abs(y(v) - y(0)))}"><title>${show(v)}</title></rect>`;
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.innerHTML = spec.dense.map((v, i) => one(v, i, 0.1, "dense") + one(spec.pruned[i], i, 0.52, "pruned")
    + `<text x="${44 + i * slot + slot / 2}" y="${height - 6}" text-anchor="middle">${spec.names?.[i] ?? i + 1}</text>`).join("")
    + `<line x1="44" x2="${width - 6}" y1="${y(0)}" y2="${y(0)}" stroke="var(--ink)"/>`
    + [spec.low, spec.high].map((v) => v === 0 ? "" : `<text x="40" y="${y(v) + 4}" text-anchor="end">${show(v)}</text>`).join("");
}
