"use strict";
// Plotly figures made by Python, their buttons, and drawing only what is about to be seen.

const read = (id) => JSON.parse(document.getElementById(id).textContent);
const narrow = () => window.innerWidth < 700;

const CONFIG = {
  responsive: true,
  displaylogo: false,
  modeBarButtonsToRemove: ["lasso2d", "select2d", "autoScale2d", "zoomIn2d", "zoomOut2d", "resetCameraLastSave3d"],
  toImageButtonOptions: { format: "svg" },
};

// Draw `place` when it comes near the window, and again at every later request; all are drawn for print.
const pending = new Map();
const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) if (entry.isIntersecting) drawNow(entry.target);
}, { rootMargin: "700px 0px" });

function drawNow(place) {
  const draw = pending.get(place);
  pending.delete(place);
  watcher.unobserve(place);
  if (draw) { place.dataset.drawn = "yes"; draw(); }
}

function whenSeen(place, draw) {
  if (place.dataset.drawn) return draw();
  pending.set(place, draw);
  watcher.observe(place);
}

window.addEventListener("beforeprint", () => {
  for (const place of [...pending.keys()]) drawNow(place);
  for (const fold of document.querySelectorAll("details")) fold.open = true;
});

// On a narrow window a finger must be able to scroll past a figure, and margins are dear.
function fitted(layout) {
  const copy = { ...layout, dragmode: narrow() ? false : layout.dragmode ?? "zoom" };
  if (narrow()) copy.font = { ...layout.font, size: 11 };
  return copy;
}

function showVariant(panel, variants, name) {
  const place = panel.querySelector(".plot");
  for (const button of panel.querySelectorAll(".choice button")) {
    button.setAttribute("aria-pressed", String(button.dataset.variant === name));
  }
  const { data, layout } = variants[name];
  place.dataset.height ??= place.clientHeight;
  place.style.height = `${Number(place.dataset.height) + (narrow() ? 90 : 0)}px`; // room for more legend rows
  whenSeen(place, () => Plotly.react(place, data, fitted(layout), CONFIG));
}

function startFigures() {
  const figures = read("figures");
  for (const panel of document.querySelectorAll("[data-figure]")) {
    const variants = figures[panel.dataset.figure];
    for (const button of panel.querySelectorAll(".choice button")) {
      button.addEventListener("click", () => showVariant(panel, variants, button.dataset.variant));
    }
    showVariant(panel, variants, Object.keys(variants)[0]);
  }
}

function startNavigation() {
  const links = new Map([...document.querySelectorAll("nav a")].map((a) => [a.hash.slice(1), a]));
  const seen = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      for (const link of links.values()) link.classList.remove("here");
      links.get(entry.target.id)?.classList.add("here");
    }
  }, { rootMargin: "-20% 0px -75% 0px" });
  for (const section of document.querySelectorAll("main > section")) seen.observe(section);
}

startFigures();
startNavigation();
