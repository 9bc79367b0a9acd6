// The border between gallery and details: drag it, or move it with the arrow keys; a double click puts it back.

function render({ model, el }) {
  el.classList.add("lk-splitter");
  el.tabIndex = 0;
  const say = { role: "separator", "aria-orientation": "vertical", "aria-label": "Border between gallery and details", "aria-valuemin": 20, "aria-valuemax": 80 };
  Object.entries(say).forEach(([name, value]) => el.setAttribute(name, value));
  const show = (share) => {
    const body = el.closest(".lk-body"), root = el.closest(".leuknb");
    body?.style.setProperty("--lk-split", share);
    if (body && document.body.dataset.voila) root.style.setProperty("--lk-rest", `${Math.ceil(body.getBoundingClientRect().top + scrollY) + 16}px`);
    el.setAttribute("aria-valuenow", Math.round(100 * share));
  };
  const put = (share, save = true) => {
    model.set("share", Math.min(0.8, Math.max(0.2, share)));
    if (save) model.save_changes();
  };
  el.onpointerdown = (event) => {
    event.preventDefault(); // no text is selected and nothing dragged along
    el.focus();
    const move = ({ clientX }) => {
      const { left, width } = el.closest(".lk-body").getBoundingClientRect();
      put((clientX - left) / width, false);
    };
    const end = () => {
      window.removeEventListener("pointermove", move);
      model.save_changes();
    };
    window.addEventListener("pointermove", move);
    window.addEventListener("pointerup", end, { once: true });
  };
  el.ondblclick = () => put(0.5);
  el.onkeydown = (event) => {
    const step = { ArrowLeft: -0.02, ArrowRight: 0.02, Home: -1, End: 1 }[event.key];
    if (!step) return;
    put(model.get("share") + step);
    event.preventDefault();
    event.stopPropagation();
  };
  const change = () => show(model.get("share"));
  model.on("change:share", change);
  const resize = new ResizeObserver(change);
  const timer = setTimeout(() => (change(), resize.observe(el.closest(".leuknb"))), 0);
  return () => {
    clearTimeout(timer);
    resize.disconnect();
    model.off("change:share", change);
  };
}

export default { render };
