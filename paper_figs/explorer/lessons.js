"use strict";
// Ten lessons. Each: a preset, one question with three answers, a reveal computed from the package's formulas, one chart
// that a slider moves. `outcome(numbers)` says which answer the numbers give; `numbers` are what tests compare.

const peaked = (gap) => [gap, 0, -0.5, -1, -1.5];
const NUDGE = [0, 0.6, -0.3, 0.3, -0.6];
const amplified = (m) => m.columns.cosdist_p / m.columns.cosdist_z_centred;
const steps = (low, high, n) => array(n + 1, (k) => low + (high - low) * k / n);
const geometricSteps = (low, high, n) => array(n + 1, (k) => low * (high / low) ** (k / n));
const one = (z, D, T = 1) => ({ z, D, T, ...measure(z, D, T) });
const barsOf = (m, names) => ({ low: 0, high: 1, dense: m.p, pruned: m.q, names });

// Chains: rows of logits from the package's own gallery, start in the first word.
const rowsOf = (logits) => logits.map((row) => softmax(row, 1));
const through = (weights, matrix) => matrix[0].map((_, j) => sumOf(weights.map((w, i) => w * matrix[i][j])));
function lawAfter(matrix, start, n) { let law = array(matrix.length, (i) => (i === start ? 1 : 0)); for (let t = 0; t < n; t++) law = through(law, matrix); return law; }
function slip(name, n) {  // total variation of the n-th next word after one wrong word, the model itself being right
  const P = rowsOf(CHAINS[name].logits), last = P.length - 1;
  const [a, b] = [lawAfter(P, 0, n), lawAfter(P, last, n)];
  return sumOf(a.map((v, i) => Math.abs(v - b[i]))) / 2;
}

function head() {  // a random head: 60 logits from 6 hidden numbers, one vector h and a change of a tenth of its length
  const random = generator(11), W = array(60, () => array(6, () => gaussian(random)));
  const h = array(6, () => gaussian(random)), d = array(6, () => gaussian(random));
  const size = (v) => Math.sqrt(sumOf(v.map((x) => x * x)));
  return { W, h, d: d.map((x) => x * size(h) / size(d)) };
}
function threeSpaces(size, scale) {
  const { W, h, d } = head(), dot = (w, v) => sumOf(w.map((x, i) => x * v[i]));
  const z = W.map((w) => scale * dot(w, h)), D = W.map((w) => scale * size * dot(w, d));
  const hidden = measure(h, d.map((x) => size * x), 1).columns.cosdist_z, m = one(z, D);
  return { hidden, logits: m.columns.cosdist_z, probabilities: m.columns.cosdist_p, entropy: m.columns.entropy, m };
}

const LESSONS = [
  {
    id: "confident", title: "Why a sure model does not amplify",
    setup: "The model is sure: its first token is 6 logits ahead. Pruning moves every logit by up to 0.6.",
    question: "How far do the probabilities turn, compared with the logits?",
    answers: ["Further: the softmax amplifies", "About as far", "Much less"],
    slider: { label: "lead of the first token, in logits", min: 0, max: 10, step: 0.1, value: 6 },
    compute: (x) => ({ m: one(peaked(x), NUDGE), curve: steps(0, 10, 40).map((g) => [g, amplified(one(peaked(g), NUDGE))]) }),
    ratio: (n) => amplified(n.m),
    outcome: (n) => (amplified(n.m) < 0.2 ? 2 : amplified(n.m) < 2 ? 1 : 0),
    reveal: (n) => `The turn is ${factor(amplified(n.m))}: with an entropy of ${show(n.m.columns.entropy)} nats there is hardly any probability left to move.`,
    chart: (svg, n, x) => chart(svg, { x: [0, 10], y: [1e-6, 100], logy: true, xlabel: "lead of the first token, in logits", at: x,
      lines: [{ points: n.curve, colour: "pruned", label: "1−cos of p over 1−cos of centred z" }, { points: [[0, 1], [10, 1]], colour: "ink", dash: "4 3", label: "neither amplified nor damped" }] }),
  },
  {
    id: "temperature", title: "What temperature does",
    setup: "The same sure model, the same pruning. You lower the temperature from 1 to 0.4.",
    question: "What happens to the distance of the two distributions?",
    answers: ["It grows like 1/T²", "It stays", "It shrinks"],
    slider: { label: "temperature T", min: 0.2, max: 5, step: 0.05, value: 0.4 },
    compute: (x) => ({ m: one(peaked(3), NUDGE, x), before: one(peaked(3), NUDGE, 1),
      curve: steps(0.2, 5, 48).map((T) => [T, one(peaked(3), NUDGE, T).columns.cosdist_p]),
      estimate: steps(0.2, 5, 48).map((T) => [T, one(peaked(3), NUDGE, 1).columns.cosdist_p / T ** 2]) }),
    outcome: (n) => { const r = n.m.columns.cosdist_p / n.before.columns.cosdist_p; return r > 1.2 ? 0 : r > 0.8 ? 1 : 2; },
    reveal: (n) => `1−cos goes from ${show(n.before.columns.cosdist_p)} at T = 1 to ${show(n.m.columns.cosdist_p)} at T = ${show(n.m.T)}: dividing by T enlarges the change, but it makes the model surer faster. 1/T² is only right where p does not change with T.`,
    chart: (svg, n, x) => chart(svg, { x: [0.2, 5], y: [1e-8, 1], logy: true, xlabel: "temperature T", at: x,
      lines: [{ points: n.curve, colour: "pruned", label: "1−cos(p, q)" }, { points: n.estimate, colour: "estimate", dash: "4 3", label: "growing like 1/T²" }] }),
  },
  {
    id: "options", title: "Why multiple choice survives",
    setup: "Ten tokens; A to D are the options. Pruning moves the other tokens a lot and the options little.",
    question: "Does the chosen option change?",
    answers: ["Yes", "It may, nobody can know", "Certainly not"],
    slider: { label: "how far the options move, in logits", min: 0, max: 4, step: 0.05, value: 0.8 },
    compute: (x) => {
      const z = [2, 0.5, 0, -0.5, 3, 2.5, 2, 1, 1, 0], D = [-x / 2, x / 2, 0, -x / 4, 2, -3, 2, -2, 3, -2];
      const m = one(z, D), among = one(z.slice(0, 4), D.slice(0, 4)), margin = 1.5;
      return { m, among, margin, curve: steps(0, 4, 40).map((s) => [s, s]) };
    },
    outcome: (n) => (n.margin > n.among.columns.oscillation ? 2 : n.among.q[0] < Math.max(...n.among.q) ? 0 : 1),
    reveal: (n) => `Over the whole vocabulary TV is ${show(n.m.columns.tv)}, among the options, renormalised, ${show(n.among.columns.tv)}. The first option leads by ${show(n.margin)}; the change spans ${show(n.among.columns.oscillation)} on the options. ${n.margin > n.among.columns.oscillation ? "A smaller span than the lead cannot turn the order (H2)." : "Now the span exceeds the lead: nothing is certain any more."}`,
    chart: (svg, n) => pairs(svg, barsOf(n.among, ["A", "B", "C", "D"])),
  },
  {
    id: "slip", title: "Why an early slip ruins the rest",
    setup: "Three chains of words. Once, early, a wrong word is written. From then on the model makes no error at all.",
    question: "In which chain is the slip still felt 20 words later?",
    answers: ["In all of them", "Where words keep a topic, or where one error is final", "In none"],
    slider: { label: "words after the slip", min: 1, max: 40, step: 1, value: 20 },
    compute: (x) => ({ n: x, at: { mixing: slip("mixing", x), slow: slip("slow", x), absorbing: slip("absorbing", x) },
      curves: ["mixing", "slow", "absorbing"].map((name) => array(40, (k) => [k + 1, slip(name, k + 1)])) }),
    outcome: (n) => { const felt = Object.values(n.at).map((v) => v > 0.05); return felt.every(Boolean) ? 0 : felt.some(Boolean) ? 1 : 2; },
    reveal: (n) => `After ${n.n} words the slip still moves the next word by a total variation of ${show(n.at.mixing)} where everything can follow everything, ${show(n.at.slow)} with two topics, ${show(n.at.absorbing)} where one error is final.`,
    chart: (svg, n, x) => chart(svg, { x: [1, 40], y: [0, 1], xlabel: "words after the slip", at: x, lines: [
      { points: n.curves[0], colour: "dense", label: "mixing: forgotten" }, { points: n.curves[1], colour: "estimate", label: "two topics: lasts" },
      { points: n.curves[2], colour: "pruned", label: "absorbing: final" }] }),
  },
  {
    id: "shift", title: "A shift that nobody sees",
    setup: "Pruning adds the same number to every logit, and nothing else.",
    question: "What changes?",
    answers: ["The probabilities", "The cosine of the logits, nothing else", "Neither"],
    slider: { label: "added to every logit", min: -10, max: 10, step: 0.5, value: 5 },
    compute: (x) => ({ m: one([2, 1, 0, -1, -2.5], array(5, () => x)), curve: steps(-10, 10, 40).map((s) => [s, one([2, 1, 0, -1, -2.5], array(5, () => s)).columns.cosdist_z]) }),
    outcome: (n) => (n.m.columns.tv > 1e-9 ? 0 : n.m.columns.cosdist_z > 1e-9 ? 1 : 2),
    reveal: (n) => `1−cos of the logits is ${show(n.m.columns.cosdist_z)}, of the logits less their mean ${show(n.m.columns.cosdist_z_centred)}, and TV(p, q) = ${show(n.m.columns.tv)}. The cosine of raw logits measures something that no text depends on.`,
    chart: (svg, n, x) => chart(svg, { x: [-10, 10], y: [0, 2], xlabel: "added to every logit", at: x, lines: [
      { points: n.curve, colour: "dense", label: "1−cos of the logits" }, { points: [[-10, 0], [10, 0]], colour: "pruned", label: "TV(p, q)" }] }),
  },
  {
    id: "halflife", title: "How long do texts agree?",
    setup: "At every token the two models differ by a total variation of 0.05. They share their random numbers as well as possible.",
    question: "After how many tokens are half of the texts no longer identical?",
    answers: ["About 5", "About 14", "About 100"],
    slider: { label: "total variation per token", min: 0.005, max: 0.3, step: 0.005, value: 0.05 },
    compute: (x) => ({ epsilon: x, half: Math.log(0.5) / Math.log1p(-x), curve: array(101, (n) => [n, (1 - x) ** n]) }),
    outcome: (n) => [5, 14, 100].map((g) => Math.abs(Math.log(n.half / g))).reduce((best, d, i, all) => (d < all[best] ? i : best), 0),
    reveal: (n) => `All n tokens stay identical with probability (1 − ${show(n.epsilon)})ⁿ (G2): half of the texts after ${n.half.toFixed(1)} tokens. Small errors per token end identical text soon; whether the text gets worse is another question.`,
    chart: (svg, n) => chart(svg, { x: [0, 100], y: [0, 1], xlabel: "tokens n", at: n.half, lines: [
      { points: n.curve, colour: "dense", label: "texts still identical" }, { points: [[0, 0.5], [100, 0.5]], colour: "ink", dash: "4 3", label: "half" }] }),
  },
  {
    id: "estimate", title: "When the paper's estimate is wrong",
    setup: "Two tokens exchange their logits, 5 apart. The paper estimates 1−cos(p, q) by Var_r/2.",
    question: "How good is the estimate?",
    answers: ["Within 25 %", "Much too large", "Much too small"],
    slider: { label: "distance R of the two logits", min: 0.1, max: 8, step: 0.1, value: 5 },
    compute: (x) => { const at = (R) => { const m = one([-R / 2, 0], [R, 0]); return { m, guess: bound("T2", "estimate", m.columns, "cosdist_p") }; };
      return { ...at(x), curve: geometricSteps(0.1, 8, 40).map((R) => { const { m, guess } = at(R); return [R, guess / m.columns.cosdist_p]; }) }; },
    outcome: (n) => { const r = n.guess / n.m.columns.cosdist_p; return r > 1.25 ? 1 : r < 0.8 ? 2 : 0; },
    reveal: (n) => `The truth is ${show(n.m.columns.cosdist_p)}, the estimate ${show(n.guess)} (T2). It looks at the dense model's weights only; when the change moves the weights themselves, it can be off by any factor (C5).`,
    chart: (svg, n, x) => chart(svg, { x: [0.1, 8], y: [1e-3, 10], logy: true, xlabel: "distance R of the two logits", at: x, lines: [
      { points: n.curve, colour: "estimate", label: "estimate over truth" }, { points: [[0.1, 1], [8, 1]], colour: "ink", dash: "4 3", label: "exact" }] }),
  },
  {
    id: "attained", title: "When a bound is attained",
    setup: "Three changes of the logits with the same span R = 2: one at random, one of a single unlikely token, one that exchanges two tokens.",
    question: "Which moves the probabilities as far as R allows?",
    answers: ["The random one", "The single token", "The exchange"],
    slider: { label: "span R of the change", min: 0.2, max: 8, step: 0.1, value: 2 },
    compute: (R) => {
      const random = one([1, 0.5, 0, -0.5, -1], [0.3, -0.5, 0.5, 0, -0.2].map((v) => v * R)), single = one([1, 0.5, 0, -0.5, -3], [0, 0, 0, 0, R]), swap = one([-R / 2, 0], [R, 0]);
      return { random, single, swap, ceiling: bound("B1", "upper", swap.columns), curve: steps(0.2, 8, 40).map((r) => [r, bound("B1", "upper", one([-r / 2, 0], [r, 0]).columns)]), R };
    },
    outcome: (n) => [n.random, n.single, n.swap].map((m) => m.columns.tv).reduce((best, v, i, all) => (v > all[best] ? i : best), 0),
    reveal: (n) => `R = ${show(n.R)} allows TV = tanh(R/4) = ${show(n.ceiling)} (B1). At random ${show(n.random.columns.tv)}, the single token ${show(n.single.columns.tv)}, the exchange ${show(n.swap.columns.tv)}: exactly the bound, so no smaller function of R would do.`,
    chart: (svg, n, x) => chart(svg, { x: [0.2, 8], y: [0, 1], xlabel: "span R of the change", at: x,
      lines: [{ points: n.curve, colour: "bound", label: "largest possible TV: tanh(R/4)" }],
      dots: [[x, n.random.columns.tv, "dense"], [x, n.single.columns.tv, "estimate"], [x, n.swap.columns.tv, "pruned"]] }),
  },
  {
    id: "greedy", title: "When greedy decoding flips",
    setup: "The top token leads by 1.2 logits. Pruning changes the logits; its largest and smallest change are 1.0 apart.",
    question: "Can the top token change?",
    answers: ["Yes", "It depends on the other tokens", "No, whatever the change"],
    slider: { label: "span of the change, in logits", min: 0, max: 3, step: 0.05, value: 1 },
    compute: (x) => ({ margin: 1.2, worst: one([1.2, 0, -0.5], [-x / 2, x / 2, 0]), x }),
    outcome: (n) => (n.worst.columns.oscillation < n.margin ? 2 : 0),
    reveal: (n) => `Even the worst change of span ${show(n.x)} takes half from the first and gives half to the second. The lead ${show(n.margin)} ${n.x < n.margin ? "is larger: no flip (G10)" : "is not larger: it can flip"}. Greedy text departs at the first position where this fails.`,
    chart: (svg, n) => pairs(svg, barsOf(n.worst, ["first", "second", "third"])),
  },
  {
    id: "spaces", title: "Why h, z and p differ",
    setup: "A hidden state is turned a little; a head makes 60 logits of it; the softmax makes probabilities. The head's scale decides how sure the model is.",
    question: "Is the change in p larger than the change in h?",
    answers: ["Always larger", "It depends on how sure the model is", "Always smaller"],
    slider: { label: "scale of the logits", min: 0.05, max: 12, step: 0.05, value: 1 },
    compute: (x) => ({ now: threeSpaces(0.1, x), curve: geometricSteps(0.05, 12, 60).map((s) => [s, threeSpaces(0.1, s)]) }),
    outcome: (n) => { const larger = n.curve.map(([, s]) => s.probabilities > s.hidden); return larger.every(Boolean) ? 0 : larger.some(Boolean) ? 1 : 2; },
    reveal: (n) => `Now 1−cos is ${show(n.now.hidden)} in h, ${show(n.now.logits)} in z and ${show(n.now.probabilities)} in p, at an entropy of ${show(n.now.entropy)} nats. A flat softmax hides the change, a sure one too; in between it shows.`,
    chart: (svg, n, x) => chart(svg, { x: [0.05, 12], y: [1e-8, 1], logy: true, xlabel: "scale of the logits", at: x, lines: [["hidden", "dense", "hidden state h"], ["logits", "estimate", "logits z"], ["probabilities", "pruned", "probabilities p"]]
      .map(([key, colour, label]) => ({ points: n.curve.map(([s, v]) => [s, v[key]]), colour, label })) }),
  },
];

const finished = new Set();

function drawLesson(lesson) {
  const box = byId(`lesson-${lesson.id}`), x = Number(box.querySelector("input[type=range]").value);
  lesson.numbers = lesson.compute(x);
  box.querySelector("output").textContent = x;
  box.querySelector(".sentence").textContent = lesson.reveal(lesson.numbers);
  lesson.chart(box.querySelector("svg.picture"), lesson.numbers, x);
}

function answerLesson(lesson, choice) {
  const box = byId(`lesson-${lesson.id}`), right = lesson.outcome(lesson.compute(lesson.slider.value));
  box.querySelectorAll(".answers button").forEach((button, i) => {
    button.classList.toggle("right", i === right); button.classList.toggle("chosen", i === choice);
    button.setAttribute("aria-pressed", String(i === choice));
  });
  box.querySelector(".judgement").textContent = choice === right ? "Right." : `The numbers say: ${lesson.answers[right].toLowerCase()}.`;
  box.querySelector(".reveal").hidden = false;
  box.querySelector("summary .tick").textContent = "✓";
  box.querySelector("summary .done").textContent = " (done)";
  finished.add(lesson.id);
  byId("progress").textContent = `${finished.size} of ${LESSONS.length} done`;
  drawLesson(lesson);
}

byId("lesson-list").innerHTML = LESSONS.map((lesson, k) => `<details id="lesson-${lesson.id}" class="lesson">
  <summary><span class="tick" aria-hidden="true">${k + 1}</span> ${lesson.title}<span class="done visually-hidden"></span></summary>
  <p>${lesson.setup}</p><p class="question">${lesson.question}</p>
  <div class="answers" role="group" aria-label="answers">${lesson.answers.map((answer) => `<button type="button" aria-pressed="false">${answer}</button>`).join("")}</div>
  <p class="judgement" role="status"></p>
  <div class="reveal" hidden><p class="sentence" aria-live="polite"></p>
    <div class="sticky"><svg class="picture" role="img" aria-label="${lesson.title}: chart"></svg></div>
    <label>${lesson.slider.label}: <output></output>
      <input type="range" min="${lesson.slider.min}" max="${lesson.slider.max}" step="${lesson.slider.step}" value="${lesson.slider.value}"></label></div>
  </details>`).join("");
byId("progress").textContent = `0 of ${LESSONS.length} done`;

for (const lesson of LESSONS) {
  const box = byId(`lesson-${lesson.id}`);
  box.querySelectorAll(".answers button").forEach((button, i) => button.addEventListener("click", () => { answerLesson(lesson, i); save(); }));
  box.querySelector("input[type=range]").addEventListener("input", () => { drawLesson(lesson); save(); });
}
