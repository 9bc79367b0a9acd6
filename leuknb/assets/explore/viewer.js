// One image at its full height, or beside its twin, with an attribution map laid over the one that the model reads.

function render({ model, el }) {
  let urls = [], view = "auto"; // which image is shown: the one that the model reads, a chosen variant, or both
  el.classList.add("lk-viewer");
  const pair = el.appendChild(make("div", "lk-pair"));
  const bar = el.appendChild(make("div", "lk-bar"));
  const choice = bar.appendChild(make("div", "lk-choice"));
  choice.setAttribute("role", "group");
  choice.setAttribute("aria-label", "Variant on show");
  const label = bar.appendChild(make("label", "lk-slider", "Attribution "));
  const slider = label.appendChild(make("input"));
  Object.assign(slider, { type: "range", min: 0, max: 100, step: 5 });
  const percent = label.appendChild(make("span", "lk-number"));
  const note = el.appendChild(make("div", "lk-note"));
  note.setAttribute("role", "status");

  const source = (bytes, type) => {
    const url = URL.createObjectURL(new Blob([bytes], { type }));
    urls.push(url);
    return url;
  };
  const figure = (shown, bytes, overlay) => {
    const node = make("figure", "lk-image");
    const frame = node.appendChild(make("div", "lk-frame"));
    if (bytes && bytes.byteLength) {
      const image = frame.appendChild(make("img"));
      image.alt = shown.alt;
      image.onload = () => {
        frame.style.aspectRatio = `${image.naturalWidth} / ${image.naturalHeight}`;
        frame.style.setProperty("--lk-ratio", image.naturalWidth / image.naturalHeight);
      };
      image.src = source(bytes, "image/jpeg");
      if (overlay && overlay.byteLength) {
        const map = frame.appendChild(make("img", "lk-overlay"));
        map.alt = model.get("overlay_alt");
        map.src = source(overlay, "image/png");
        const [left, top, width, height] = model.get("overlay_box");
        Object.assign(map.style, { left: `${left}%`, top: `${top}%`, width: `${width}%`, height: `${height}%` });
      }
    } else {
      frame.appendChild(make("span", "lk-missing", shown.missing));
    }
    return node;
  };
  const shade = () => {
    const value = Math.round(model.get("opacity") * 100);
    slider.value = value;
    percent.textContent = `${value}\u00a0%`;
    pair.querySelectorAll(".lk-overlay").forEach((map) => (map.style.opacity = value / 100));
  };
  const turn = () => {
    const names = model.get("images").map((image) => image.caption), wanted = names.indexOf(view);
    const one = wanted >= 0 ? wanted : Math.max(0, model.get("overlay_index"));
    const both = view === "both" && names.length > 1;
    [...pair.children].forEach((node, i) => (node.hidden = !both && i !== one));
    pair.classList.toggle("lk-both", both);
    [...choice.children].forEach((button, i) => button.setAttribute("aria-pressed", both ? i === names.length : i === one));
  };
  const offer = () => {
    const names = model.get("images").map((image) => image.caption), options = names.length > 1 ? [...names, "both"] : [];
    if (`${options}` === `${[...choice.children].map((button) => button.textContent)}`) return;
    choice.replaceChildren(...options.map((name) => {
      const button = make("button", "lk-button", name);
      button.onclick = () => ((view = name), turn());
      return button;
    }));
  };
  const fill = () => {
    urls.forEach(URL.revokeObjectURL);
    urls = [];
    const blobs = model.get("blobs"), on = model.get("overlay_index");
    pair.replaceChildren(...model.get("images").map((p, i) => figure(p, blobs[i], i === on && model.get("overlay"))));
    label.hidden = !(on >= 0 && model.get("overlay").byteLength > 0);
    bar.hidden = !model.get("images").length;
    note.textContent = model.get("note");
    offer();
    turn();
    shade();
  };
  slider.oninput = () => (model.set("opacity", slider.value / 100), shade());
  slider.onchange = () => model.save_changes();
  model.on("change:version", fill);
  model.on("change:opacity", shade);
  fill();
  return () => {
    urls.forEach(URL.revokeObjectURL);
    model.off("change:version", fill);
    model.off("change:opacity", shade);
  };
}

export default { render };
