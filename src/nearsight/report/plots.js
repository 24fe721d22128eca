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
  copy.margin = { ...layout.margin, r: 14 };
  for (const name of ["xaxis", "yaxis"]) {
    const title = layout[name].title;
    copy[name] = { ...layout[name], title: { ...title, font: { ...title.font, size: 11 } } };
    if (layout[name].type === "category") copy[name].tickfont = { size: 9.5 };
  }
  if (layout.barmode) { // names leave little room for the bars and the times behind them
    copy.yaxis.tickfont = { size: 9.5 };
    copy.xaxis.range = [0, 1.25 * layout.xaxis.range[1]];
  }
  return copy;
}

// The tool buttons of a touch screen are always there, and on a narrow one they cover the legend.
const config = () => (narrow() ? { ...CONFIG, displayModeBar: false } : CONFIG);

// The name of a variant has one part for each row of buttons.
function variantName(panel) {
  return [...panel.querySelectorAll(".choice")]
    .map((row) => row.querySelector('[aria-pressed="true"]').dataset.variant).join(" · ");
}

function press(panel, variants, button) {
  const choose = (row, value) => {
    for (const other of row.querySelectorAll("[data-variant]")) {
      other.setAttribute("aria-pressed", String(other.dataset.variant === value));
    }
  };
  choose(button.closest(".choice"), button.dataset.variant);
  if (!(variantName(panel) in variants)) { // the other rows follow to the first variant that has this value
    const rows = [...panel.querySelectorAll(".choice")], at = rows.indexOf(button.closest(".choice"));
    const first = Object.keys(variants).find((name) => name.split(" · ")[at] === button.dataset.variant);
    first?.split(" · ").forEach((value, row) => choose(rows[row], value));
  }
  showVariant(panel, variants);
}

// Traces marked as extra are drawn once the reader asks for all methods.
function shown(panel, data) {
  const extra = data.filter((trace) => trace.meta?.extra && trace.showlegend !== false).length;
  const button = panel.querySelector(".more");
  button.hidden = extra === 0;
  const all = button.getAttribute("aria-pressed") === "true";
  button.textContent = all ? "Fewer methods" : `All methods (${extra} more)`;
  return all ? data : data.filter((trace) => !trace.meta?.extra);
}

// Room for the rows of the legend beyond two: Plotly sets entries in columns, but groups one after another.
function legendRoom(place, data, layout) {
  if (layout.showlegend === false) return 0;
  const entries = data.filter((trace) => trace.showlegend !== false && trace.name), size = narrow() ? 5.9 : 6.9;
  const widths = entries.map((trace) => trace.name.replace(/<[^>]*>/g, "").length * size + 46), room = place.clientWidth - 90;
  const widest = Math.max(...widths, 1), inColumns = !entries.some((trace) => trace.legendgroup);
  let rows = 1, used = 0;
  for (const width of widths.map((w) => (inColumns ? widest : w))) {
    if (used > 0 && used + width > room) { rows++; used = 0; }
    used += width;
  }
  return (inColumns ? 19 : 23) * Math.max(0, rows - 2) + (narrow() ? 30 : 0);
}

function showVariant(panel, variants) {
  const place = panel.querySelector(".plot");
  const { data, layout } = variants[variantName(panel)], chosen = shown(panel, data);
  place.dataset.height ??= place.clientHeight;
  place.style.height = `${Number(place.dataset.height) + legendRoom(place, chosen, layout)}px`;
  whenSeen(place, () => Plotly.react(place, chosen, fitted(layout), config()));
}

function addMoreButton(panel, variants) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "more";
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    button.setAttribute("aria-pressed", String(button.getAttribute("aria-pressed") !== "true"));
    showVariant(panel, variants);
  });
  panel.querySelector(".plot").before(button);
}

function startFigures() {
  const figures = read("figures");
  for (const panel of document.querySelectorAll("[data-figure]")) {
    const variants = figures[panel.dataset.figure];
    for (const button of panel.querySelectorAll(".choice button")) {
      button.addEventListener("click", () => press(panel, variants, button));
    }
    addMoreButton(panel, variants);
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
