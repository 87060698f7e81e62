"use strict";
// "Where does the text fork?": recorded texts of the dense model, and what a pruned model makes of them.
// RECORDED: see record.py. Up to the first different token both models read the same text, so the race is exact; the
// tokens that were not recorded race as one.

const fork = { guess: undefined };

function forkText(seed = number("fork-seed") - 1) {
  const temperature = RECORDED.temperatures[number("fork-temperature")];
  return RECORDED.texts.find((t) => t.prompt === byId("fork-prompt").value && t.temperature === temperature && t.seed === seed);
}

const withTail = (logp) => { const p = logp.map(Math.exp); return [...p, Math.max(1e-12, 1 - sumOf(p))]; };

// Tokens as text: the end of a text is a word, a line break a sign.
const printable = (token) => (/^<\|.*\|>$/.test(token) ? " (end)" : token.replace(/</g, "&lt;").replace(/\n/g, "⏎"));

// Arrival times of an exponential race in which the dense model's token is first; the pruned model's times are
// the same noise at its own speeds.
function race(step, model, random) {
  const p = withTail(step.logp[0]), q = withTail(step.logp[model]);
  const first = exponential(random);
  const times = p.map((mass, i) => (i === step.chosen ? first : first + exponential(random) / mass));
  const other = times.map((t, i) => t * p[i] / q[i]);
  return other.reduce((best, t, i) => (t < other[best] ? i : best), 0);
}

function firstFork(text, model, seed) {
  const random = generator(1000 * seed + 17);
  for (const [place, step] of text.steps.entries()) {
    const winner = race(step, model, random);
    if (winner !== step.chosen) return { place, word: step.words[winner] ?? "…" };
  }
  return { place: text.steps.length, word: "" };
}

// Survival of exact agreement (G2) and total variation of n tokens (J1) over the recorded texts of this prompt.
function forkCurves(model) {
  const texts = array(4, (seed) => forkText(seed)).filter(Boolean), longest = Math.max(...texts.map((t) => t.steps.length));
  const rows = texts.map((text) => {
    let agree = 0, ratio = 0;
    return array(longest, (n) => {
      const step = text.steps[n];
      if (step) { const r = step.logp[model][step.chosen] - step.logp[0][step.chosen]; agree += Math.min(0, r); ratio += r; }
      return { survival: Math.exp(agree), tv: -Math.expm1(Math.min(0, ratio)) };
    });
  });
  const mean = (key) => array(longest, (n) => sumOf(rows.map((row) => row[n][key])) / rows.length);
  let top = 0;
  const tv = mean("tv").map((v) => (top = Math.max(top, v)));  // total variation never falls with n
  return { survival: mean("survival"), tv, texts: texts.length };
}

function answerKept(text, model) {
  const answer = RECORDED.answers[text.prompt];
  const step = answer && text.steps.find((s) => s.words[s.chosen].trim().toLowerCase().startsWith(answer.toLowerCase()));
  return step ? Math.min(1, Math.exp(step.logp[model][step.chosen] - step.logp[0][step.chosen])) : undefined;
}

function drawFork() {
  const model = number("fork-dropped"), text = forkText(), spec = RECORDED.specs[model];
  byId("fork-dropped-value").textContent = spec.replace("attn:", "") + (spec === "attn:1" ? " attention sublayer" : " attention sublayers");
  byId("fork-temperature-value").textContent = text.temperature;
  byId("fork-seed-value").textContent = text.seed + 1;
  const end = text.steps.length, found = firstFork(text, model, text.seed), told = fork.guess !== undefined;
  const word = (step) => printable(step.words[step.chosen]);
  byId("fork-tokens").innerHTML = text.steps.map((step, n) => `<button type="button" data-place="${n}" class="token ${told && n === fork.guess ? "guessed" : ""} ${told && n >= found.place ? "after" : ""}">${word(step)}</button>`).join("")
    + `<button type="button" data-place="${end}" class="token never ${told && fork.guess === end ? "guessed" : ""}">never within ${end}</button>`;
  byId("fork-reveal").hidden = !told;
  const { survival, tv } = forkCurves(model), kept = answerKept(text, model);
  fork.numbers = { model, place: found.place, survival, tv, expected: sumOf(survival), kept, temperature: text.temperature, prompt: text.prompt };
  if (!told) { byId("fork-question").textContent = "Click the first token at which the pruned model will write something else."; return; }
  const distance = Math.abs(fork.guess - found.place);
  byId("fork-question").textContent = distance === 0 ? "Exactly." : `You were ${distance} ${distance === 1 ? "token" : "tokens"} off.`;
  const same = text.steps.slice(0, found.place).map(word).join("");
  byId("fork-pruned").innerHTML = found.place === end ? `${same} <em>(identical)</em>` : `${same}<span class="different">${printable(found.word)}</span> <em>… from here each model reads its own text</em>`;
  const n = array(survival.length, (k) => k + 1);
  chart(byId("fork-chart"), { x: [1, survival.length], y: [0, 1], xlabel: "generated tokens n", lines: [
    { points: n.map((k) => [k, survival[k - 1]]), colour: "dense", label: "texts still identical, best coupling (G2)" },
    { points: n.map((k) => [k, tv[k - 1]]), colour: "pruned", label: "total variation of n tokens (J1): no score changes by more" }],
    at: Math.min(survival.length, Math.max(1, found.place + 1)) });
  byId("fork-conclusion").textContent = `Over the recorded texts of this prompt: expect ${fork.numbers.expected.toFixed(1)} identical tokens of ${survival.length}`
    + (kept === undefined ? "." : `; the answer “${RECORDED.answers[text.prompt]}” survives with ${percent(kept)}.`);
}

byId("fork-prompt").innerHTML = Object.keys(RECORDED.answers).map((p) => `<option>${p}</option>`).join("");
byId("fork").addEventListener("input", () => { fork.guess = undefined; drawFork(); save(); });
byId("fork-tokens").addEventListener("click", (event) => {
  const place = event.target.closest("[data-place]")?.dataset.place;
  if (place !== undefined && fork.guess === undefined) { fork.guess = Number(place); drawFork(); byId("fork-question").focus(); }
});
byId("fork-again").addEventListener("click", () => {
  byId("fork-seed").value = number("fork-seed") % 4 + 1; fork.guess = undefined; drawFork(); save(); byId("fork-tokens").querySelector("button").focus();
});
