// Flag, corrected label and note. Every change is sent with the name of the image that it was made for, and with a number that grows.

function render({ model, el }) {
  el.classList.add("lk-annotate");
  const row = el.appendChild(make("div", "lk-annotate-row"));
  const button = (text, title, onclick) => Object.assign(row.appendChild(make("button", "lk-button", text)), { title, onclick });
  const box = Math.random();
  let number = 0;
  const send = (change) => model.send({ image: model.get("image"), order: [box, ++number], ...change });
  const flag = button("⚑ Flag", "Flag this image (F in the gallery)", () => {
    const flagged = flag.getAttribute("aria-pressed") !== "true";
    flag.setAttribute("aria-pressed", flagged);
    send({ flagged });
  });
  const named = row.appendChild(make("label", "", "Label "));
  const label = named.appendChild(make("select"));
  label.onchange = () => send({ label: label.value });
  button("Undo", "Take the last annotation back", () => model.send({ do: "undo" }));
  button("Export labels", "Write a CSV with the corrected labels, to run again", () => model.send({ do: "export" }));
  const noted = el.appendChild(make("label", "", "Note"));
  const note = noted.appendChild(make("textarea"));
  note.placeholder = "saved as you type";
  note.oninput = () => send({ note: note.value });
  const problem = el.appendChild(make("div", "lk-problem"));

  const fill = () => {
    const now = model.get("label"), labels = model.get("labels");
    flag.setAttribute("aria-pressed", model.get("flagged"));
    label.replaceChildren(...["", ...new Set([...labels, ...(now ? [now] : [])])].map((name) => {
      const option = make("option", "", name || model.get("unlabelled"));
      option.value = name;
      return option;
    }));
    label.value = now;
    problem.textContent = model.get("problem");
    problem.hidden = !model.get("problem");
    el.querySelectorAll("button, select, textarea").forEach((node) => (node.disabled = !problem.hidden));
  };
  const write = () => (note.value = model.get("note"));
  model.on("change:version", fill);
  model.on("change:rewrite", write);
  fill();
  write();
  return () => {
    model.off("change:version", fill);
    model.off("change:rewrite", write);
  };
}

export default { render };
