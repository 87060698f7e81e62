"use strict";
// The page's state is its address: copy it, and others see what you see.

const CONTROLS = ["fork-prompt", "fork-dropped", "fork-temperature", "fork-seed", "vocabulary", "base", "scale", "temperature", "shape", "size", "shift", "seed", "coupling"];
const starting = Object.fromEntries(CONTROLS.map((id) => [id, byId(id).value]));

function save() {
  const state = new URLSearchParams();
  for (const id of CONTROLS) if (byId(id).value !== starting[id]) state.set(id, byId(id).value);
  if (byId("base").value === OWN) { state.set("z", current.z.map((x) => Number(x.toFixed(4)))); state.set("D", current.D.map((x) => Number(x.toFixed(4)))); }
  if (finished.size) state.set("done", [...finished]);
  history.replaceState(null, "", `#${state}`);
}

function restore() {
  const state = new URLSearchParams(location.hash.slice(1));
  for (const id of CONTROLS) if (state.has(id)) byId(id).value = state.get(id);
  const numbers = (key) => state.get(key).split(",").map(Number);
  if (state.has("z") && state.has("D")) {
    const [z, D] = [numbers("z"), numbers("D")];
    if (z.length === D.length && z.length <= 12 && [...z, ...D].every(Number.isFinite)) current = { z, D };
    else { byId("base").value = "gaussian"; byId("shape").value = "gaussian"; }
  } else if (byId("base").value === OWN) byId("base").value = "gaussian";
  for (const id of (state.get("done") ?? "").split(",")) {
    const lesson = LESSONS.find((one) => one.id === id);
    if (lesson) answerLesson(lesson, lesson.outcome(lesson.compute(lesson.slider.value)));
  }
  drawPreset(); drawFork();
}
restore();
