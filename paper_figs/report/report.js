"use strict";
// Filter and sort the claims, open what a link points to, show pictures in full size.
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

function filter() {
  const verdict = document.getElementById("by-verdict").value, whose = document.getElementById("by-whose").value;
  let shown = 0;
  for (const row of all("tr[data-verdict]")) {
    row.hidden = (verdict && row.dataset.verdict !== verdict) || (whose && row.dataset.whose !== whose);
    shown += row.hidden ? 0 : 1;
  }
  document.getElementById("shown").textContent = `${shown} claims shown`;
}

function sort(button) {
  const table = button.closest("table"), column = button.closest("th").cellIndex, body = table.tBodies[0];
  const falling = button.dataset.order === "rising";
  button.dataset.order = falling ? "falling" : "rising";
  all("th", table).forEach((th) => th.removeAttribute("aria-sort"));
  button.closest("th").setAttribute("aria-sort", falling ? "descending" : "ascending");
  const rows = [...body.rows].sort((a, b) => a.cells[column].innerText.localeCompare(b.cells[column].innerText));
  body.append(...(falling ? rows.reverse() : rows));
}

function openTarget() {  // a theorem that is linked to is open
  const target = location.hash === "" ? null : document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
  target?.scrollIntoView();
}

for (const select of all("#filters select")) select.addEventListener("input", filter);
for (const button of all("th button")) button.addEventListener("click", () => sort(button));
const dialog = document.getElementById("large");
for (const link of all("a.picture")) link.addEventListener("click", (event) => {
  event.preventDefault();
  const small = link.querySelector("img"), large = dialog.querySelector("img");
  large.src = small.src; large.alt = small.alt;
  dialog.showModal();
});
dialog.addEventListener("click", () => dialog.close());
addEventListener("hashchange", openTarget);
addEventListener("beforeprint", () => all("section.subject details").forEach((fold) => { fold.open = true; }));
openTarget();
