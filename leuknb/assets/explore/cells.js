// An image with a numbered button on each of its cells.

function render({ model, el }) {
  let url = "";
  const frame = el.appendChild(make("div"));
  Object.assign(frame.style, { position: "relative", maxWidth: "440px" });
  const button = ([x, y], k) => {
    const node = make("button", "lk-button", `${k + 1}`);
    node.setAttribute("aria-label", `cell ${k + 1}`);
    node.setAttribute("aria-pressed", model.get("chosen") === k + 1);
    Object.assign(node.style, { position: "absolute", left: `${x}%`, top: `${y}%`, transform: "translate(-50%, -50%)", padding: "0 5px", minWidth: "24px", minHeight: "24px" });
    node.onclick = () => (model.set("chosen", k + 1), model.save_changes());
    return node;
  };
  const fill = () => {
    URL.revokeObjectURL(url);
    const bytes = model.get("image"), image = make("img");
    url = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }));
    Object.assign(image, { src: url, alt: model.get("alt") });
    Object.assign(image.style, { width: "100%", display: "block" });
    frame.replaceChildren(...(bytes.byteLength ? [image, ...model.get("places").map(button)] : []));
  };
  const press = () => frame.querySelectorAll("button").forEach((node, k) => node.setAttribute("aria-pressed", model.get("chosen") === k + 1));
  model.on("change:version", fill);
  model.on("change:chosen", press);
  fill();
  return () => {
    URL.revokeObjectURL(url);
    model.off("change:version", fill);
    model.off("change:chosen", press);
  };
}

export default { render };
