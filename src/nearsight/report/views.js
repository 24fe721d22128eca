// How one snapshot is drawn: slices, a line, an isosurface. explorer.js chooses what.

const SEQUENTIAL = "Cividis";
const DIVERGING = [[0, "#0b4f8a"], [0.25, "#7fb0d6"], [0.5, "#f7f7f5"], [0.75, "#eb9a6b"], [1, "#a63a12"]];
const POSITIVE = "#c4521b", NEGATIVE = "#1f6aa5", TRUTH = "#1c2733", SAED = "#8a929c";
const PLANES = [[0, 1], [0, 2], [1, 2]];
const VECTOR = ["a₁", "a₂", "a₃"];
const NEAR = 1.3; // bohr: atoms this close to a plane or a line are marked
const PIXELS = 220;
const TEXT = {
  family: "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif",
  size: 12, color: "#1c2733",
};

const MODEBAR = { orientation: "v", bgcolor: "rgba(255,255,255,0.8)", color: "#9aa5b1", activecolor: "#5a6675" };

const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const length = (a) => Math.sqrt(dot(a, a));
const short = (v) => (v === 0 ? "0" : v.toPrecision(3).replace(/-/g, "−"));
const wrapHalf = (f) => f - Math.round(f);

function unpack(packed) {
  if (packed.values) return packed.values;
  const text = atob(packed.data), values = new Float32Array(text.length / 2);
  for (let i = 0; i < values.length; i++) {
    values[i] = packed.low + packed.step * (text.charCodeAt(2 * i) + 256 * text.charCodeAt(2 * i + 1));
  }
  packed.values = values;
  return values;
}

const difference = (a, b) => a.map((v, i) => v - b[i]);
const largest = (values) => values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

// ---- geometry of a plane ----------------------------------------------------------------------

// In-plane Cartesian axes: e1 along the first vector, e2 at right angles to it.
function planeOf(field, number) {
  const [a, b] = PLANES[number], across = 3 - a - b;
  const va = field.cell[a], vb = field.cell[b];
  const e1 = va.map((x) => x / length(va));
  const rest = vb.map((x, d) => x - dot(vb, e1) * e1[d]);
  const e2 = rest.map((x) => x / length(rest));
  return { a, b, across, e1, e2, width: length(va), shear: dot(vb, e1), height: length(rest) };
}

// Values on a parallelogram to pixels on a rectangle; null outside of the cell.
function raster(values, field, plane) {
  const na = field.shape[plane.a], nb = field.shape[plane.b];
  const left = Math.min(0, plane.shear), right = plane.width + Math.max(0, plane.shear);
  const step = Math.max(right - left, plane.height) / PIXELS;
  const x = range(left, right, step), y = range(0, plane.height, step);
  const z = y.map((py) => x.map((px) => {
    const t = py / plane.height, s = (px - t * plane.shear) / plane.width;
    return s < 0 || s > 1 || t > 1 ? null : bilinear(values, na, nb, s * na, t * nb);
  }));
  return { x, y, z, left, right };
}

function range(from, to, step) {
  const n = Math.max(2, Math.round((to - from) / step));
  return Array.from({ length: n }, (_, i) => from + ((i + 0.5) * (to - from)) / n);
}

function bilinear(values, na, nb, p, q) {
  const i = Math.floor(p), j = Math.floor(q), u = p - i, v = q - j;
  const at = (k, l) => values[(k % na) * nb + (l % nb)];
  return (1 - u) * ((1 - v) * at(i, j) + v * at(i, j + 1)) + u * ((1 - v) * at(i + 1, j) + v * at(i + 1, j + 1));
}

// Atoms (and images on the rim) within NEAR of the plane, in its own coordinates.
function atomsNearPlane(field, plane) {
  const cut = field.anchor[plane.across] / field.shape[plane.across];
  const vc = field.cell[plane.across], va = field.cell[plane.a], vb = field.cell[plane.b];
  const normal = [0, 1, 2].map((d) => vc[d] - dot(vc, plane.e1) * plane.e1[d] - dot(vc, plane.e2) * plane.e2[d]);
  const found = { x: [], y: [], text: [], color: [] };
  field.fractional.forEach((f, atom) => {
    const off = wrapHalf(f[plane.across] - cut), above = off * length(normal);
    if (Math.abs(above) > NEAR) return;
    for (const s of [-1, 0, 1]) for (const t of [-1, 0, 1]) {
      const fa = f[plane.a] + s, fb = f[plane.b] + t;
      if (fa < -0.02 || fa > 1.02 || fb < -0.02 || fb > 1.02) continue;
      const r = [0, 1, 2].map((d) => fa * va[d] + fb * vb[d] + off * vc[d]);
      found.x.push(dot(r, plane.e1));
      found.y.push(dot(r, plane.e2));
      found.color.push(field.colours[atom]);
      found.text.push(`${field.symbols[atom]}, atom ${atom}<br>${short(above)} bohr from the plane`);
    }
  });
  return found;
}

// ---- figures ----------------------------------------------------------------------------------

function drawSlice(place, field, number, values, scale, unit) {
  const plane = planeOf(field, number), picture = raster(values, field, plane), atoms = atomsNearPlane(field, plane);
  const heat = {
    type: "heatmap", ...picture, hoverongaps: false, zsmooth: false, ...scale,
    hovertemplate: `%{z:.4g} ${unit}<extra></extra>`,
    colorbar: {
      orientation: "h", x: 0.5, xanchor: "center", y: 0, yref: "container", yanchor: "bottom", len: 0.92,
      thickness: 12, outlinewidth: 0, nticks: 5, title: { text: unit, side: "bottom", font: { size: 12 } },
      tickfont: { size: 11 },
    },
  };
  const marks = {
    type: "scatter", mode: "markers", cliponaxis: false, x: atoms.x, y: atoms.y, text: atoms.text,
    hovertemplate: "%{text}<extra></extra>",
    marker: { size: 9, color: atoms.color, line: { color: "#111", width: 1.2 } },
  };
  const rim = {
    type: "scatter", mode: "lines", hoverinfo: "skip", line: { color: "#3c4855", width: 1.5 },
    x: [0, plane.width, plane.width + plane.shear, plane.shear, 0], y: [0, 0, plane.height, plane.height, 0],
  };
  const oblique = Math.abs(plane.shear) > 1e-3 * plane.width;
  const axis = { showgrid: false, zeroline: false, ticks: "outside", ticklen: 3, nticks: 6, constrain: "domain" };
  const pad = 0.02 * plane.width;
  const layout = {
    font: TEXT, showlegend: false, dragmode: narrow() ? false : "zoom", hovermode: "closest",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "#fff", margin: { l: 48, r: 8, t: 6, b: 112 },
    xaxis: { ...axis, range: [picture.left - pad, picture.right + pad], title: { text: `along ${VECTOR[plane.a]} (bohr)`, standoff: 6 } },
    yaxis: {
      ...axis, scaleanchor: "x", range: [-pad, plane.height + pad],
      title: { text: oblique ? `across ${VECTOR[plane.a]} (bohr)` : `along ${VECTOR[plane.b]} (bohr)`, standoff: 6 },
    },
  };
  const wide = place.clientWidth - 56;
  layout.height = Math.round(wide * plane.height / (picture.right - picture.left)) + 118;
  place.style.height = `${layout.height}px`;
  Plotly.react(place, [heat, rim, marks], layout, { ...CONFIG, displayModeBar: false });
}

// A line of grid points along one cell vector lies in two of the stored slices; take it from the first.
function lineOf(field, density, direction) {
  const number = PLANES.findIndex((plane) => plane.includes(direction)), [a, b] = PLANES[number];
  const values = unpack(density.slices[number]), nb = field.shape[b];
  const line = Array.from({ length: field.shape[direction] }, (_, i) =>
    direction === a ? values[i * nb + field.anchor[b]] : values[field.anchor[a] * nb + i]);
  return [...line, line[0]];
}

function atomsNearLine(field, direction) {
  const v = field.cell[direction], e = v.map((x) => x / length(v)), found = { x: [], text: [] };
  field.fractional.forEach((f, atom) => {
    const off = f.map((value, d) => (d === direction ? 0 : wrapHalf(value - field.anchor[d] / field.shape[d])));
    const r = [0, 1, 2].map((d) => off[0] * field.cell[0][d] + off[1] * field.cell[1][d] + off[2] * field.cell[2][d]);
    const along = dot(r, e), away = length(r.map((x, d) => x - along * e[d]));
    if (away > NEAR) return;
    const position = f[direction] * length(v) + along;
    found.x.push(((position % length(v)) + length(v)) % length(v));
    found.text.push(`${field.symbols[atom]}, atom ${atom}<br>${short(away)} bohr from the line`);
  });
  return found;
}

function drawLine(place, field, direction, shown) {
  const dashes = new Map();
  const long = length(field.cell[direction]), n = field.shape[direction];
  const x = Array.from({ length: n + 1 }, (_, i) => (i * long) / n);
  const truth = lineOf(field, field.densities.truth, direction);
  const data = [{ x, y: truth, name: "truth", mode: "lines", line: { color: TRUTH, width: 4 }, opacity: 0.35 }];
  let most = 0;
  for (const model of shown) {
    const y = lineOf(field, field.densities[model.id], direction), error = difference(y, truth);
    const line = { color: model.colour, width: model.learned ? 1.8 : 1.5, dash: dashOf(model, dashes) };
    if (model.learned) most = Math.max(most, largest(error));
    const shared = { x, mode: "lines", line, name: model.name, legendgroup: model.id };
    data.push({ ...shared, y, hovertemplate: "%{y:.4g}" }, { ...shared, y: error, yaxis: "y2", showlegend: false, hovertemplate: "error %{y:.3g}" });
  }
  const atoms = atomsNearLine(field, direction);
  data.push({
    x: atoms.x, y: atoms.x.map(() => 0.025), yaxis: "y3", mode: "markers", cliponaxis: false, name: "atoms near the line", text: atoms.text,
    hovertemplate: "%{text}<extra></extra>", marker: { symbol: "triangle-up", size: 11, color: "#6b7785" },
  });
  place.style.height = narrow() ? "680px" : "520px"; // the legend of a narrow figure is long
  const axis = { gridcolor: "#dfe4ea", zeroline: false, showline: true, linecolor: "#9aa5b1", ticks: "outside", automargin: true };
  Plotly.react(place, data, {
    font: TEXT, hovermode: "closest", dragmode: narrow() ? false : "zoom",
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "#fff", margin: { l: 70, r: narrow() ? 14 : 44, t: 14, b: 50 }, modebar: MODEBAR,
    legend: { orientation: "h", x: 0, y: 1.02, yanchor: "bottom" },
    xaxis: { ...axis, anchor: "y2", range: [0, long], title: { text: `distance along ${VECTOR[direction]} (bohr)` } },
    yaxis: { ...axis, domain: [0.42, 1], title: { text: "density (e/bohr³)" } },
    yaxis2: { ...axis, domain: [0, 0.34], zeroline: true, zerolinecolor: "#9aa5b1", range: most ? [-1.15 * most, 1.15 * most] : undefined,
      title: { text: "error (e/bohr³)" } },
    yaxis3: { overlaying: "y", range: [0, 1], visible: false, fixedrange: true },
  }, config());
}

// One method at several fractions has one colour: each further one gets another dash.
function dashOf(model, seen) {
  if (!model.learned) return "dash";
  const number = seen.get(model.colour) ?? 0;
  seen.set(model.colour, number + 1);
  return ["solid", "dot", "dashdot", "longdash"][number % 4];
}

const isPart = (model) => model?.learned && model.kept < 1;

// One seed of each, the chosen one first of its kind.
function seedsOnce(models, chosen) {
  const stem = (model) => model.name.replace(/ \(seed .*\)$/, "");
  const seen = new Set(chosen ? [stem(chosen)] : []);
  return models.filter((model) => model === chosen || (!seen.has(stem(model)) && seen.add(stem(model))));
}

// The chosen model, all points, every other method at the chosen fraction (beside all points the first one
// of the menu), and superposed atoms.
function atOneFraction(field, chosen) {
  const kept = (isPart(chosen) ? chosen : field.models.find(isPart))?.kept;
  return seedsOnce(field.models, chosen).filter((model) => model === chosen || !isPart(model) || model.kept === kept);
}

// All points and one method at every fraction, large to small, under the same model where it has all points.
function overFractions(field, like) {
  const full = field.models.filter((model) => model.learned && model.kept === 1);
  const mine = seedsOnce(field.models.filter((model) => isPart(model) && model.method === like.method && model.setup === like.setup), like);
  const first = full.find((model) => model.setup === like.setup) ?? full[0];
  return [...(first ? [first] : []), ...mine.sort((a, b) => b.kept - a.kept)];
}

function cellEdges(cell) {
  const xyz = { x: [], y: [], z: [] };
  const corner = (c) => [0, 1, 2].map((d) => c[0] * cell[0][d] + c[1] * cell[1][d] + c[2] * cell[2][d]);
  for (const [m, n] of EDGES) {
    for (const p of [corner(CORNERS[m]), corner(CORNERS[n]), [null, null, null]]) {
      xyz.x.push(p[0]); xyz.y.push(p[1]); xyz.z.push(p[2]);
    }
  }
  return { type: "scatter3d", mode: "lines", hoverinfo: "skip", line: { color: "#7d8896", width: 2 }, ...xyz };
}

function atomMarks(field) {
  const marks = { x: [], y: [], z: [], text: [], color: [] };
  field.fractional.forEach((f, atom) => {
    for (const s of images(f[0])) for (const t of images(f[1])) for (const u of images(f[2])) {
      ["x", "y", "z"].forEach((name, d) => marks[name].push(s * field.cell[0][d] + t * field.cell[1][d] + u * field.cell[2][d]));
      marks.text.push(`${field.symbols[atom]}, atom ${atom}`);
      marks.color.push(field.colours[atom]);
    }
  });
  return {
    type: "scatter3d", mode: "markers", x: marks.x, y: marks.y, z: marks.z, text: marks.text,
    hovertemplate: "%{text}<extra></extra>",
    marker: { size: narrow() ? 4 : 6, color: marks.color, line: { color: "#222", width: 1 } },
  };
}

const images = (f) => (f < 0.02 ? [f, f + 1] : f > 0.98 ? [f - 1, f] : [f]);

function volumeOf(field, model, quantity) {
  const truth = unpack(field.densities.truth.volume);
  if (quantity === "truth") return truth;
  const values = unpack(field.densities[model.id].volume);
  return quantity === "error" ? difference(values, truth) : values;
}

// The level that a share of the cell lies above; of an error, that its size lies above.
function levelOf(field, model, quantity, share) {
  const values = volumeOf(field, model, quantity);
  return levelEnclosing(quantity === "error" ? values.map(Math.abs) : values, share);
}

function surfaces(field, model, quantity, level) {
  const shape = field.densities.truth.volume.shape, values = volumeOf(field, model, quantity);
  const mesh = (v, color, name) => ({
    type: "mesh3d", ...surfaceNet(v, shape, level, field.cell), color, opacity: 1, name,
    hoverinfo: "name", flatshading: false,
    lighting: { ambient: 0.45, diffuse: 0.75, specular: 0.25, roughness: 0.4, fresnel: 0.1 },
    lightposition: { x: 1e5, y: -2e4, z: 1e5 },
  });
  if (quantity !== "error") return [mesh(values, "#3d86b8", `${short(level)} e/bohr³`)];
  return [
    mesh(values, POSITIVE, `+${short(level)} e/bohr³`),
    mesh(values.map((v) => -v), NEGATIVE, `−${short(level)} e/bohr³`),
  ];
}

function cameraFor(small) {
  const far = small ? 1.5 : 1.12;
  return { eye: { x: 1.5 * far, y: 1.1 * far, z: 0.75 * far }, center: { x: 0, y: 0, z: -0.12 } };
}

function drawSurface(place, field, traces, bare = false) {
  const axis = (name) => ({
    title: { text: bare ? "" : `${name} (bohr)` }, showticklabels: !bare, showgrid: !bare, showline: !bare, showbackground: false, gridcolor: "#e6eaee", zeroline: false, showspikes: false,
    tickfont: { size: 10 }, nticks: 5,
  });
  Plotly.react(place, [cellEdges(field.cell), atomMarks(field), ...traces], {
    font: TEXT, showlegend: false, uirevision: field.label, margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)",
    modebar: MODEBAR,
    scene: {
      aspectmode: "data", xaxis: axis("x"), yaxis: axis("y"), zaxis: axis("z"), dragmode: "orbit",
      camera: cameraFor(narrow()), // in perspective: Plotly shades an orthographic mesh from the wrong side
    },
  }, bare ? { ...config(), displayModeBar: false } : config());
}
