// Menus for the snapshot, the model and the plane; views.js draws.

class Explorer {
  constructor(root, fields) {
    this.root = root;
    this.fields = fields;
    this.fill("field", fields.map((field, i) => [i, field.title]));
    this.fillModels();
    root.addEventListener("change", (event) => this.changed(event.target.dataset.role));
    this.part("level")?.addEventListener("input", () => this.changed("level"));
    this.drawAll();
    this.width = window.innerWidth;
    window.addEventListener("resize", () => {
      if (window.innerWidth === this.width) return; // a phone's bars come and go
      this.width = window.innerWidth;
      this.drawSlices();
    });
  }

  part(role) { return this.root.querySelector(`[data-role="${role}"]`); }
  get field() { return this.fields[Number(this.part("field").value)]; }
  get model() { return this.field.models[Number(this.part("model").value)]; }
  get plane() { return Number(this.part("plane").value); }

  fill(role, options) {
    this.part(role).replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  }

  // Keep the model when the snapshot changes, if the new one has it.
  fillModels() {
    const before = this.modelId;
    this.fill("model", this.field.models.map((model, i) => [i, model.name]));
    const same = this.field.models.findIndex((model) => model.id === before);
    this.part("model").value = String(Math.max(0, same));
  }

  changed(role) {
    if (role === "field") this.fillModels();
    if (role === "plane") return this.drawSlices();
    if (role === "direction") return this.drawLine();
    if (role === "quantity" || role === "level") return this.drawSurface();
    this.drawAll();
  }

  drawAll() {
    this.modelId = this.model?.id;
    this.showErrors();
    this.drawSlices();
    this.drawLine();
    this.drawSurface();
  }

  showErrors() {
    const errors = this.model?.errors, out = this.root.querySelector(".errors");
    const pairs = errors ? [["NRMSE", `${short(errors.nrmse)} %`], ["NMAE", `${short(errors.nmae)} %`]] : [];
    if (errors && errors.energy !== null) pairs.push(["ΔE", `${short(errors.energy)} mHa/atom`]);
    out.replaceChildren(...pairs.map(([name, value]) => {
      const item = document.createElement("span"), strong = document.createElement("b");
      strong.textContent = value;
      item.append(strong, name);
      return item;
    }));
  }

  drawSlices() {
    const { field, model, plane } = this, truth = unpack(field.densities.truth.slices[plane]);
    const of = (m) => unpack(field.densities[m.id].slices[plane]);
    const predicted = model ? of(model) : null;
    const all = [truth, ...field.models.map(of)];
    const density = {
      colorscale: SEQUENTIAL, zmin: Math.min(...all.map((v) => Math.min(...v))), zmax: Math.max(...all.map((v) => Math.max(...v))),
    };
    const peers = model?.learned ? field.models.filter((m) => m.learned) : model ? [model] : [];
    // the median: one bad model does not wash out all others
    const most = Math.max(1e-12, peers.length ? median(peers.map((m) => largest(difference(of(m), truth)))) : 0);
    const beyond = predicted && largest(difference(predicted, truth)) > 1.001 * most;
    const error = { colorscale: DIVERGING, zmin: -most, zmax: most, zmid: 0 };
    const draw = (role, values, scale) => {
      const place = this.part(role);
      place.closest("figure").hidden = values === null;
      if (values) whenSeen(place, () => drawSlice(place, field, plane, values, scale, "e/bohr³"));
    };
    draw("truth", truth, density);
    draw("prediction", predicted, density);
    draw("error", predicted && difference(predicted, truth), error);
    this.part("who").textContent = model ? model.name : "";
    this.describeSlice(model, most, beyond);
  }

  describeSlice(model, most, beyond) {
    const scope = model?.learned ? "the same for all trained models of this snapshot and plane" : "of this density alone";
    this.part("slice-note").textContent = `The plane passes through ${this.field.where}; dots are atoms within ${NEAR} bohr of it. ` +
      (model ? `Error scale ±${short(most)} e/bohr³, ${scope}${beyond ? "; this one goes beyond it" : ""}.` : "");
  }

  drawLine() {
    const place = this.part("line");
    if (!place) return;
    const direction = Number(this.part("direction").value), { field, model } = this;
    const fractions = new Set(field.models.filter((m) => m.learned && m.kept < 1).map((m) => m.kept));
    whenSeen(place, () => drawLine(place, field, direction, model));
    this.part("line-note").textContent = `Through ${field.where}, along a cell vector, on a grid of ${field.shape.join(" × ")}. Triangles are ` +
      `atoms within ${NEAR} bohr of the line; the error axis fits the trained models. Click a name to hide it.` +
      (fractions.size > 1 ? " Models of another fraction are drawn once one of them is chosen above." : "");
  }

  drawSurface() {
    const place = this.part("surface");
    if (!place) return;
    const quantity = this.part("quantity").value, share = Number(this.part("level").value) / 100, { field, model } = this;
    this.part("share").textContent = `${Math.round(100 * share)} %`;
    const available = model ? quantity : "truth";
    whenSeen(place, () => {
      const { level, traces } = surfaces(field, model, available, share);
      drawSurface(place, field, traces);
      const size = field.densities.truth.volume.shape.join(" × ");
      this.part("surface-note").textContent = available === "error"
        ? `Orange: the prediction exceeds the truth by ${short(level)} e/bohr³; blue: it falls short by as much. Grid thinned to ${size}.`
        : `Surface of constant density ${short(level)} e/bohr³; higher inside. Grid thinned to ${size}. Drag to turn, scroll to zoom.`;
    });
  }
}

function startExplorers() {
  const fields = read("fields");
  for (const root of document.querySelectorAll("[data-explorer]")) {
    const chosen = fields.filter((field) => String(field.generality) === root.dataset.generality);
    if (chosen.length) new Explorer(root, chosen);
  }
}

startExplorers();
