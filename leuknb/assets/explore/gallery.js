// The gallery: a list box that scrolls through all images. Only those near the visible rows are fetched and drawn.

const GAP = 8, TEXT = 42, SMALLEST = 112, LARGEST = 256;

function card(item, url) {
  const option = make("div", "lk-card");
  option.setAttribute("role", "option");
  option.setAttribute("aria-label", item.alt);
  option.title = item.alt;
  const frame = option.appendChild(make("div", "lk-frame"));
  if (url) {
    const image = frame.appendChild(make("img"));
    image.alt = "";
    image.draggable = false;
    image.src = url;
  } else {
    frame.appendChild(make("span", "lk-missing", "image file not found"));
  }
  if (item.badge) {
    const badge = frame.appendChild(make("span", "lk-badge", item.badge));
    badge.appendChild(make("small", "", " wrong"));
    badge.title = item.badge_title;
  }
  if (item.chip) frame.appendChild(make("span", "lk-badge lk-true", item.chip));
  if (item.flagged) frame.appendChild(make("span", "lk-flag", "⚑"));
  if (item.label) frame.appendChild(make("span", "lk-badge lk-label", `✎ ${item.label}`));
  const line = option.appendChild(make("div", "lk-prediction"));
  const predicted = line.appendChild(make("span", item.confidence ? (item.wrong ? "lk-wrong" : "lk-right") : "lk-quiet", item.mark));
  predicted.appendChild(make("bdi", "", item.predicted));
  line.appendChild(make("span", "lk-number", item.confidence ?? ""));
  option.appendChild(make("div", "lk-name")).appendChild(make("bdi", "", item.name));
  return option;
}

// Lab's one-letter shortcuts (D D deletes a cell) must not fire while someone works inside.
function keep(event) {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}

function render({ model, el }) {
  let known = new Map(), drawn = new Map(), asked = 0, plan = { columns: 1, width: SMALLEST, row: SMALLEST + TEXT + GAP };
  const id = `lk${Math.random().toString(36).slice(2)}`;
  el.classList.add("lk-gallery");
  const head = el.appendChild(make("div", "lk-bar"));
  const count = head.appendChild(make("div", "lk-count"));
  count.setAttribute("role", "status");
  const sized = head.appendChild(make("label", "lk-slider", "Size "));
  const slider = sized.appendChild(make("input"));
  Object.assign(slider, { type: "range", min: 56, max: 320, step: 8 });
  const fit = head.appendChild(make("button", "lk-button", "Fit"));
  fit.title = "As large as all images fit, and no smaller than 112 pixels";
  const notice = el.appendChild(make("div", "lk-notice"));
  const grid = el.appendChild(make("div", "lk-grid"));
  grid.tabIndex = 0;
  grid.setAttribute("role", "listbox");
  grid.setAttribute("aria-label", "Images. Arrow keys choose, Enter opens, F flags, question mark lists all keys.");
  const all = grid.appendChild(make("div", "lk-all"));
  all.setAttribute("role", "presentation");

  const total = () => model.get("total");
  const set = (name, value) => (model.set(name, value), model.save_changes());
  const measure = () => {
    const w = all.clientWidth, h = grid.clientHeight - 8, side = model.get("side");
    const columnsOf = (size) => Math.max(1, Math.floor((w + GAP) / (size + GAP)));
    const widthOf = (columns) => Math.floor((w - (columns - 1) * GAP) / columns);
    let columns = columnsOf(side || SMALLEST);
    if (!side)
      for (let c = Math.max(1, Math.ceil((w + GAP) / (LARGEST + GAP))); c < columns; c++)
        if (Math.ceil(total() / c) * (widthOf(c) + TEXT + GAP) <= h) columns = c;
    const width = Math.max(40, Math.min(widthOf(columns), 400));
    plan = { columns, width, row: width + TEXT + GAP };
    slider.value = side || width;
    grid.classList.toggle("lk-tiny", width < 100);
    fit.setAttribute("aria-pressed", !side);
    all.style.height = `${Math.ceil(total() / columns) * plan.row}px`;
  };
  const visible = (margin = 0) => {
    const first = Math.floor(grid.scrollTop / plan.row) - margin, rows = Math.ceil(grid.clientHeight / plan.row) + 1 + 2 * margin;
    return [Math.max(0, first * plan.columns), Math.min(total(), (first + rows) * plan.columns)];
  };
  const place = (i) => {
    const entry = known.get(i), node = entry ? card(entry.item, entry.url) : make("div", "lk-card lk-wait");
    if (entry) {
      node.id = `${id}-${i}`;
      node.setAttribute("aria-posinset", i + 1);
      node.setAttribute("aria-setsize", total());
      node.onclick = () => (grid.focus({ preventScroll: true }), model.send({ open: entry.item.image }));
    }
    node.style.cssText = `width:${plan.width}px;height:${plan.row - GAP}px;transform:translate(${(i % plan.columns) * (plan.width + GAP)}px,${Math.floor(i / plan.columns) * plan.row}px)`;
    return node;
  };
  const draw = (anew = false) => {
    if (!grid.clientHeight) return;
    const [first, end] = visible(1), nodes = new Map();
    for (let i = first; i < end; i++) {
      const old = anew ? undefined : drawn.get(i);
      nodes.set(i, old && !(known.has(i) && !old.id) ? old : place(i));
    }
    const changed = nodes.size !== drawn.size || [...nodes].some(([i, node]) => drawn.get(i) !== node);
    drawn = nodes;
    if (changed) all.replaceChildren(...nodes.values());
    mark();
    fetch();
  };
  const fetch = () => {
    const [first, end] = visible(), missing = (a, b) => { for (let i = a; i < b; i++) if (!known.has(i)) return true; return false; };
    const wide = visible(3);
    if (asked) return;
    const seen = visible(1); // what the next change of the filters sends at once
    if (missing(first, end)) (asked = model.get("version")), model.send({ look: [first, end], seen });
    else if (missing(...seen)) (asked = model.get("version")), model.send({ look: wide, seen });
  };
  const learn = (start, items, thumbs) => items.forEach((item, n) => {
    const bytes = thumbs[n], old = known.get(start + n);
    if (old?.url) URL.revokeObjectURL(old.url);
    const url = bytes && bytes.byteLength ? URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" })) : "";
    known.set(start + n, { item, url });
  });
  const forget = () => {
    known.forEach(({ url }) => url && URL.revokeObjectURL(url));
    known = new Map();
  };
  const mark = () => {
    const at = model.get("selected");
    drawn.forEach((node, i) => node.id && node.setAttribute("aria-selected", i === at));
    if (drawn.get(at)?.id) grid.setAttribute("aria-activedescendant", `${id}-${at}`);
    else grid.removeAttribute("aria-activedescendant");
  };
  const reveal = () => {
    const at = model.get("selected"), low = Math.floor(at / plan.columns) * plan.row;
    if (at < 0) return;
    if (low < grid.scrollTop) grid.scrollTop = low;
    if (low + plan.row > grid.scrollTop + grid.clientHeight - 8) grid.scrollTop = low + plan.row - grid.clientHeight + 8;
  };
  const select = () => (reveal(), draw());
  const fill = () => {
    name();
    forget();
    asked = 0;
    learn(model.get("start"), model.get("items"), model.get("thumbs"));
    count.textContent = model.get("title");
    notice.textContent = model.get("notice");
    grid.classList.toggle("lk-empty", !total());
    measure();
    if (!model.get("keep")) model.get("selected") < 0 ? (grid.scrollTop = 0) : reveal();
    draw(true);
  };
  const hear = (message, buffers) => {
    if (message.version !== model.get("version")) return;
    asked = 0;
    learn(message.start, message.items, buffers);
    notice.textContent = message.notice;
    draw();
  };
  // ipywidgets' slider gives its two handles no name.
  const name = () => el.closest(".leuknb")?.querySelectorAll(".lk-filters .noUi-handle").forEach((handle, i) =>
    handle.setAttribute("aria-label", i ? "Highest confidence" : "Lowest confidence"));
  const again = () => {
    name();
    const first = Math.round(grid.scrollTop / plan.row) * plan.columns;
    measure();
    grid.scrollTop = Math.floor(first / plan.columns) * plan.row;
    draw(true);
  };

  slider.oninput = () => set("side", +slider.value);
  fit.onclick = () => set("side", 0);
  grid.onscroll = () => draw();
  grid.onkeydown = (event) => {
    const at = model.get("selected"), columns = plan.columns, rows = Math.max(1, Math.floor(grid.clientHeight / plan.row));
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns, PageUp: -columns * rows, PageDown: columns * rows };
    const image = known.get(at)?.item.image, key = event.key;
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (key in steps) {
      const to = at < 0 ? visible()[0] : at + steps[key], paged = key.startsWith("Page");
      if (paged) set("selected", Math.max(0, Math.min(total() - 1, to)));
      else if (to >= 0 && to < total()) set("selected", to);
    } else if (key === "Home") set("selected", 0);
    else if (key === "End") set("selected", total() - 1);
    else if (key === "Enter" || key === " ") image && model.send({ open: image });
    else if (key.toLowerCase() === "f") image && !event.repeat && model.send({ flag: image });
    else if (key.toLowerCase() === "p") image && !event.repeat && model.send({ pin: image });
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  // The static copy below is for viewers without a kernel.
  const hide = () => {
    const copy = el.closest(".jp-OutputArea-child")?.nextElementSibling;
    if (copy?.querySelector(".lk-still")) copy.style.display = "none";
  };
  const watch = new MutationObserver(hide);
  const settle = () => {
    const area = el.closest(".jp-OutputArea"), root = el.closest(".leuknb");
    if (!root) return (timer = setTimeout(settle, 100));
    root.addEventListener("keydown", keep);
    if (area) watch.observe(area, { childList: true, subtree: true });
    hide();
  };
  let timer = setTimeout(settle, 0);
  const resize = new ResizeObserver(again);
  resize.observe(grid);
  model.on("change:version", fill);
  model.on("change:selected", select);
  model.on("change:side", again);
  model.on("msg:custom", hear);
  fill();
  return () => {
    clearTimeout(timer);
    watch.disconnect();
    resize.disconnect();
    forget();
    model.off("change:version", fill);
    model.off("change:selected", select);
    model.off("change:side", again);
    model.off("msg:custom", hear);
  };
}

export default { render };
