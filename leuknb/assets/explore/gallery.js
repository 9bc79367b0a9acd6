// The gallery: one page of thumbnails as a list box.

function card(item, bytes, urls) {
  const option = make("div", "lk-card");
  option.setAttribute("role", "option");
  option.setAttribute("aria-label", item.alt);
  option.title = item.alt;
  const frame = option.appendChild(make("div", "lk-frame"));
  if (bytes && bytes.byteLength) {
    const image = frame.appendChild(make("img"));
    image.alt = item.alt;
    image.draggable = false;
    urls.push((image.src = URL.createObjectURL(new Blob([bytes], { type: "image/jpeg" }))));
  } else {
    frame.appendChild(make("span", "lk-missing", "image file not found"));
  }
  frame.appendChild(make("span", "lk-badge", item.badge)).title = item.badge_title;
  if (item.chip) frame.appendChild(make("span", "lk-badge lk-true", item.chip));
  if (item.flagged) frame.appendChild(make("span", "lk-flag", "⚑"));
  const line = option.appendChild(make("div", "lk-prediction"));
  const predicted = line.appendChild(make("span", item.wrong ? "lk-wrong" : "lk-right", item.wrong ? "✗ " : "✓ "));
  predicted.appendChild(make("bdi", "", item.predicted));
  line.appendChild(make("span", "lk-number", item.confidence));
  option.appendChild(make("div", "lk-name")).appendChild(make("bdi", "", item.name));
  if (item.label) option.appendChild(make("div", "lk-name lk-label", `✎ ${item.label}`));
  return option;
}

// Lab's one-letter shortcuts (D D deletes a cell) must not fire while someone works inside.
function keep(event) {
  if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
}

function render({ model, el }) {
  let urls = [], shown = [];
  el.classList.add("lk-gallery");
  const head = el.appendChild(make("div", "lk-bar"));
  const count = head.appendChild(make("div", "lk-count"));
  count.setAttribute("role", "status");
  const pager = head.appendChild(make("div", "lk-pager"));
  const back = pager.appendChild(make("button", "lk-button", "‹"));
  const where = pager.appendChild(make("span", "lk-number"));
  const next = pager.appendChild(make("button", "lk-button", "›"));
  back.setAttribute("aria-label", "Previous page");
  next.setAttribute("aria-label", "Next page");
  const notice = el.appendChild(make("div", "lk-notice"));
  const grid = el.appendChild(make("div", "lk-grid"));
  grid.setAttribute("role", "listbox");
  grid.setAttribute("aria-label", "Images. Arrow keys choose, page keys turn the page, F flags.");

  const set = (name, value) => (model.set(name, value), model.save_changes());
  const turn = (step) => {
    const page = model.get("page") + step;
    if (page >= 0 && page < model.get("pages")) set("page", page);
  };
  back.onclick = () => turn(-1);
  next.onclick = () => turn(1);

  const mark = () => {
    const at = model.get("selected") - model.get("start");
    const hadFocus = grid.contains(document.activeElement) || grid.dataset.refocus === "yes";
    [...grid.children].forEach((node, i) => {
      node.setAttribute("aria-selected", i === at);
      node.tabIndex = i === (grid.children[at] ? at : 0) ? 0 : -1;
    });
    const node = grid.children[at] ?? (grid.dataset.refocus === "yes" ? grid.children[0] : undefined);
    if (node && hadFocus) node.focus({ preventScroll: true });
    if (node) reveal(node);
    if (node) delete grid.dataset.refocus;
  };
  const reveal = (node) => {
    const low = node.offsetTop - grid.offsetTop, high = low + node.offsetHeight;
    if (low < grid.scrollTop) grid.scrollTop = low - 4;
    if (high > grid.scrollTop + grid.clientHeight) grid.scrollTop = high - grid.clientHeight + 4;
  };
  const fill = () => {
    if (grid.contains(document.activeElement)) grid.dataset.refocus = "yes";
    urls.forEach(URL.revokeObjectURL);
    urls = [];
    const thumbs = model.get("thumbs"), turned = [back, next].find((button) => button === document.activeElement);
    shown = model.get("items");
    grid.replaceChildren(...shown.map((item, i) => {
      const option = card(item, thumbs[i], urls);
      option.onclick = () => (option.focus({ preventScroll: true }), model.send({ open: item.image }));
      return option;
    }));
    grid.scrollTop = 0;
    const pages = model.get("pages");
    count.textContent = model.get("title");
    notice.textContent = model.get("notice");
    where.textContent = `page ${pages ? model.get("page") + 1 : 0} of ${pages}`;
    back.disabled = model.get("page") <= 0;
    next.disabled = model.get("page") >= pages - 1;
    if (turned?.disabled) [back, next, grid.firstChild].find((node) => node && !node.disabled)?.focus();
    grid.classList.toggle("lk-empty", !model.get("items").length);
    mark();
  };

  grid.onkeydown = (event) => {
    const columns = getComputedStyle(grid).gridTemplateColumns.split(" ").length;
    const here = [...grid.children].indexOf(document.activeElement), total = model.get("total");
    const at = here < 0 ? model.get("selected") : model.get("start") + here;
    const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns };
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.key in steps) {
      const to = at < 0 ? model.get("start") : at + steps[event.key];
      if (to >= 0 && to < total) set("selected", to);
    } else if (event.key === "Home") set("selected", 0);
    else if (event.key === "End") set("selected", total - 1);
    else if (event.key === "PageDown") turn(1);
    else if (event.key === "PageUp") turn(-1);
    else if (event.key === "Enter" || event.key === " ") here >= 0 && model.send({ open: shown[here].image });
    else if (event.key.toLowerCase() === "f") here >= 0 && !event.repeat && model.send({ flag: shown[here].image });
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
  model.on("change:version", fill);
  model.on("change:selected", mark);
  fill();
  return () => {
    clearTimeout(timer);
    watch.disconnect();
    urls.forEach(URL.revokeObjectURL);
    model.off("change:version", fill);
    model.off("change:selected", mark);
  };
}

export default { render };
