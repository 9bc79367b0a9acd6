// A confusion matrix as a table of buttons: rows are the true class.

function render({ model, el }) {
  el.classList.add("lk-matrix");
  const cell = (i, j, count, total, classes) => {
    const node = make("td", i === j ? "lk-right-cell" : count ? "lk-wrong-cell" : "");
    const button = node.appendChild(make("button", "lk-cell"));
    const share = total ? count / total : 0;
    button.appendChild(make("strong", "", count.toLocaleString("en")));
    button.appendChild(make("small", "", `${i === j ? "✓" : count ? "✗" : ""} ${(100 * share).toFixed(1)}\u00a0%`));
    button.style.setProperty("--share", `${Math.round(8 + 47 * Math.sqrt(share))}%`);
    button.setAttribute("aria-label", `${count} images: true ${classes[i]}, predicted ${classes[j]}; show them`);
    button.setAttribute("aria-pressed", `${i},${j}` === `${model.get("chosen")}`);
    button.disabled = !count;
    button.onclick = () => model.send({ cell: [i, j] });
    return node;
  };
  const fill = () => {
    const focused = [...el.querySelectorAll(".lk-cell")].indexOf(document.activeElement);
    const classes = model.get("classes"), counts = model.get("counts");
    const table = make("table");
    table.appendChild(make("caption", "", model.get("title")));
    const top = table.appendChild(make("thead")).appendChild(make("tr"));
    top.appendChild(make("th", "lk-corner", "true ↓   predicted →"));
    [...classes, "images"].forEach((c) => {
      const head = top.appendChild(make("th"));
      head.scope = "col";
      head.appendChild(make("bdi", "", c));
    });
    const body = table.appendChild(make("tbody"));
    counts.forEach((row, i) => {
      const tr = body.appendChild(make("tr"));
      const total = row.reduce((a, b) => a + b, 0);
      const side = tr.appendChild(make("th"));
      side.scope = "row";
      side.appendChild(make("bdi", "", classes[i]));
      row.forEach((count, j) => tr.appendChild(cell(i, j, count, total, classes)));
      tr.appendChild(make("td", "lk-number", total.toLocaleString("en")));
    });
    el.replaceChildren(table, make("div", "lk-note", model.get("note")));
    if (focused >= 0) el.querySelectorAll(".lk-cell")[focused]?.focus();
  };
  model.on("change:version", fill);
  fill();
  return () => model.off("change:version", fill);
}

export default { render };
