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
  if (!narrow()) return copy;
  copy.font = { ...layout.font, size: 11 };
  for (const name of ["xaxis", "yaxis"]) {
    const title = layout[name].title;
    copy[name] = { ...layout[name], title: { ...title, font: { ...title.font, size: 11 } } };
    if (layout[name].type === "category") copy[name].tickfont = { size: 9.5 };
  }
  return copy;
}

// The tool buttons of a touch screen are always there, and on a narrow one they cover the legend.
const config = () => (narrow() ? { ...CONFIG, displayModeBar: false } : CONFIG);

// The name of a variant has one part for each row of buttons; `instead` is a button about to be pressed.
function variantName(panel, instead) {
  return [...panel.querySelectorAll(".choice")].map((row) => {
    const button = row.contains(instead) ? instead : row.querySelector('[aria-pressed="true"]');
    return button.dataset.variant;
  }).join(" · ");
}

function press(panel, variants, button) {
  for (const other of button.closest(".choice").children) {
    if (other.dataset.variant) other.setAttribute("aria-pressed", String(other === button));
  }
  showVariant(panel, variants);
}

function showVariant(panel, variants) {
  const place = panel.querySelector(".plot");
  for (const button of panel.querySelectorAll(".choice button")) {
    button.disabled = !(variantName(panel, button) in variants);
  }
  const { data, layout } = variants[variantName(panel)];
  place.dataset.height ??= place.clientHeight;
  place.style.height = `${Number(place.dataset.height) + (narrow() ? 90 : 0)}px`; // room for more legend rows
  whenSeen(place, () => Plotly.react(place, data, fitted(layout), config()));
}

function startFigures() {
  const figures = read("figures");
  for (const panel of document.querySelectorAll("[data-figure]")) {
    const variants = figures[panel.dataset.figure];
    for (const button of panel.querySelectorAll(".choice button")) {
      button.addEventListener("click", () => press(panel, variants, button));
    }
    showVariant(panel, variants);
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
