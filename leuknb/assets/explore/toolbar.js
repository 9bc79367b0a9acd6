// Help about the keys, a link to this view, and the gallery as a sheet for a slide.

function render({ model, el }) {
  el.classList.add("lk-toolbar");
  const voila = Boolean(document.body.dataset.voila), shared = model.get("shared");
  const button = (text, title, onclick) => {
    const node = el.appendChild(make("button", "lk-button", text));
    return Object.assign(node, { title, onclick });
  };
  const said = make("span", "lk-note");
  said.setAttribute("role", "status");
  const say = (text) => {
    said.textContent = text;
    clearTimeout(say.timer);
    say.timer = setTimeout(() => (said.textContent = ""), 6000);
  };
  const address = () => `${location.origin}${location.pathname}#view=${model.get("view")}`; // without the token
  const copy = async (text) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const box = el.appendChild(make("textarea", "", text));
      box.select();
      document.execCommand("copy");
      box.remove();
    }
    say(voila ? "Link copied, without the token" : "Line of Python copied");
  };
  if (shared) {
    button(voila ? "Copy link" : "Copy line", voila ? "A link to this view" : "A line of Python that opens this view", () => copy(voila ? address() : model.get("line")));
    for (const kind of ["PNG", "PDF"])
      button(kind, `The gallery as a contact sheet (${kind})`, () => (say("Drawing the sheet …"), model.send({ sheet: kind })));
  }
  const ask = button("?", "Keys", () => dialog.showModal());
  ask.setAttribute("aria-label", "Keys");
  const dialog = el.appendChild(make("dialog", "lk-help"));
  dialog.setAttribute("aria-label", "Keys");
  dialog.appendChild(make("h4", "", "Keys"));
  const list = dialog.appendChild(make("dl"));
  model.get("shortcuts").forEach(([key, text]) => {
    list.appendChild(make("dt")).appendChild(make("kbd", "", key));
    list.appendChild(make("dd", "", text));
  });
  const close = dialog.appendChild(make("button", "lk-button", "Close"));
  close.onclick = () => dialog.close();
  el.appendChild(said);

  const hear = ({ name, type, problem }, buffers) => {
    if (problem) return say(problem);
    const link = make("a"), url = URL.createObjectURL(new Blob(buffers, { type }));
    Object.assign(link, { href: url, download: name });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 60_000);
    say(`${name} is ready`);
  };
  const remember = () => voila && shared && history.replaceState(null, "", `${location.pathname}${location.search}#view=${model.get("view")}`);
  const help = (event) => {
    const typing = event.target.closest?.("input:not([type=range]), textarea, select");
    if (event.key !== "?" || typing || dialog.open || event.ctrlKey || event.altKey || event.metaKey) return;
    dialog.showModal();
    event.preventDefault();
  };
  let root = null;
  const settle = () => {
    root = voila ? document : el.closest(".leuknb");
    root ? root.addEventListener("keydown", help, true) : (timer = setTimeout(settle, 100));
  };
  let timer = setTimeout(settle, 0);
  const given = voila && shared && location.hash.match(/^#view=(.+)$/);
  if (given) model.send({ restore: given[1] });
  model.on("change:view", remember);
  model.on("msg:custom", hear);
  return () => {
    clearTimeout(timer);
    root?.removeEventListener("keydown", help, true);
    model.off("change:view", remember);
    model.off("msg:custom", hear);
  };
}

export default { render };
