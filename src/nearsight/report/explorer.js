// Menus for the snapshot, the model and the plane; views.js draws.

class Explorer {
  constructor(root, fields) {
    this.root = root;
    this.fields = fields;
    this.fill("field", fields.map((field, i) => [i, field.title]));
    this.fillModels();
    root.addEventListener("change", (event) => this.changed(event.target.dataset.role));
    for (const role of ["level", "beside-level"]) this.part(role)?.addEventListener("input", () => this.changed(role));
    this.drawAll();
    this.width = window.innerWidth;
    window.addEventListener("resize", () => {
      if (window.innerWidth === this.width) return; // a phone's bars come and go
      this.width = window.innerWidth;
      this.drawSlices();
      this.drawBeside();
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
    this.fillBeside();
  }

  // Methods that can stand beside the full data: each with the model it was trained with.
  fillBeside() {
    const pruned = this.field.models.filter(isPart), most = Math.max(...pruned.map((m) => overFractions(this.field, m).length), 0);
    if (this.part("along")) this.part("along").closest("label").hidden = most < 3;
    if (!this.part("beside")) return;
    const before = this.part("beside").selectedOptions[0]?.text;
    const kind = (model) => [model.method, model.setup].filter(Boolean).join(", ");
    const first = pruned.filter((model, i) => pruned.findIndex((other) => kind(other) === kind(model)) === i);
    this.fill("beside", first.map((model) => [model.id, kind(model)]));
    const wanted = first.find((model) => kind(model) === before) ?? first.find((model) => model.best)
      ?? first.find((model) => overFractions(this.field, model).length === most) ?? first[0];
    if (wanted) this.part("beside").value = wanted.id;
  }

  changed(role) {
    if (role === "field") this.fillModels();
    if (role === "plane") return this.drawSlices();
    if (role === "direction" || role === "along") return this.drawLine();
    if (role?.startsWith("beside")) return this.drawBeside();
    if (role === "quantity" || role === "level") return this.drawSurface();
    this.drawAll();
  }

  drawAll() {
    this.modelId = this.model?.id;
    this.showErrors();
    this.drawSlices();
    this.drawBeside();
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
    const one = this.part("along").value === "fractions" && isPart(this.likeChosen());
    const shown = one ? overFractions(field, this.likeChosen()) : atOneFraction(field, model);
    whenSeen(place, () => drawLine(place, field, direction, shown));
    const others = one ? " Models of another method are drawn once one of them is chosen above."
      : fractions.size > 1 ? " Models of another fraction are drawn once one of them is chosen above." : "";
    this.part("line-note").textContent = `Through ${field.where}, along a cell vector, on a grid of ${field.shape.join(" × ")}. Triangles are ` +
      `atoms within ${NEAR} bohr of the line; the error axis fits the trained models. Click a name to hide it.${others}`;
  }

  // The chosen model where it is pruned, else the one that stands beside the full data.
  likeChosen() {
    return isPart(this.model) ? this.model : this.besideModel() ?? this.field.models.find(isPart);
  }

  besideModel() {
    const place = this.part("beside");
    return place && this.field.models.find((model) => model.id === place.value);
  }

  // The full data, and one method at the fractions nearest to 10 % and 1 %.
  besideModels() {
    const like = this.besideModel();
    if (!like) return [];
    const all = overFractions(this.field, like), pruned = all.filter(isPart), chosen = new Set();
    for (const aim of [0.1, 0.01]) {
      const rest = pruned.filter((model) => !chosen.has(model));
      const off = (model) => Math.abs(Math.log(model.kept / aim));
      if (rest.length) chosen.add(rest.reduce((best, model) => (off(model) < off(best) ? model : best)));
    }
    return all.filter((model) => !isPart(model) || chosen.has(model));
  }

  drawBeside() {
    const root = this.part("columns");
    if (!root) return;
    const { field, plane } = this, models = this.besideModels(), isError = this.part("beside-quantity").value === "error";
    const share = Number(this.part("beside-level").value) / 100, quantity = isError ? "error" : "prediction";
    this.part("beside-share").textContent = `${Math.round(100 * share)} %`;
    root.closest("figure").hidden = models.length < 2;
    if (models.length < 2) return;
    const columns = this.besideColumns(root, models), truth = unpack(field.densities.truth.slices[plane]);
    const values = models.map((model) => unpack(field.densities[model.id].slices[plane])).map((v) => (isError ? difference(v, truth) : v));
    const most = Math.max(1e-12, median(values.map(largest)));
    const scale = isError ? { colorscale: DIVERGING, zmin: -most, zmax: most, zmid: 0 }
      : { colorscale: SEQUENTIAL, zmin: Math.min(...truth), zmax: Math.max(...truth) };
    columns.forEach(([slice], i) => whenSeen(slice, () => drawSlice(slice, field, plane, values[i], scale, "e/bohr³")));
    let level;
    columns.forEach(([, space], i) => whenSeen(space, () => {
      level ??= levelOf(field, models[0], quantity, share);
      drawSurface(space, field, surfaces(field, models[i], quantity, level), true);
      this.part("beside-note").textContent = this.describeBeside(isError, level, values.some((v) => largest(v) > 1.001 * most));
    }));
  }

  describeBeside(isError, level, beyond) {
    return isError
      ? `Slices share one scale${beyond ? ", which the largest errors go beyond" : ""}. Below, orange: the prediction exceeds the truth by more than ` +
        `${short(level)} e/bohr³; blue: it falls short by more. The level encloses the chosen share of the cell for the first model and is the same for all.`
      : `Slices share one scale. Below, surfaces of constant density ${short(level)} e/bohr³, the same for all.`;
  }

  // A place for a slice and one for a surface for each model, made anew where their number has changed.
  besideColumns(root, models) {
    if (root.children.length !== models.length) {
      for (const place of root.querySelectorAll(".plot")) Plotly.purge(place);
      root.replaceChildren(...models.map(() => {
        const column = document.createElement("div");
        column.append(document.createElement("h4"), document.createElement("div"), document.createElement("div"));
        for (const place of column.querySelectorAll("div")) place.className = "plot";
        column.lastChild.style.height = "300px";
        column.children[1].style.height = "340px";
        return column;
      }));
    }
    return [...root.children].map((column, i) => {
      const nrmse = models[i].errors ? `NRMSE ${short(models[i].errors.nrmse)} %` : "", name = document.createElement("span");
      name.textContent = nrmse;
      column.firstChild.replaceChildren(`${models[i].name.replace(/ \(seed .*\)$/, "")} `, name);
      return [column.children[1], column.children[2]];
    });
  }

  drawSurface() {
    const place = this.part("surface");
    if (!place) return;
    const quantity = this.part("quantity").value, share = Number(this.part("level").value) / 100, { field, model } = this;
    this.part("share").textContent = `${Math.round(100 * share)} %`;
    const available = model ? quantity : "truth";
    whenSeen(place, () => {
      const level = levelOf(field, model, available, share);
      drawSurface(place, field, surfaces(field, model, available, level));
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
