// A scatter plot of features. Drag around points, click one, or walk with the arrow keys; the legend chooses a kind.

const SHAPES = ["circle", "square", "triangle", "diamond", "plus", "cross", "down", "bar"];

function trace(pen, shape, x, y, r) {
  const polygon = (points) => points.forEach(([dx, dy], i) => pen[i ? "lineTo" : "moveTo"](x + dx * r, y + dy * r));
  pen.beginPath();
  if (shape === "circle") pen.arc(x, y, r, 0, 7);
  else if (shape === "square") pen.rect(x - r * 0.9, y - r * 0.9, 1.8 * r, 1.8 * r);
  else if (shape === "triangle") polygon([[0, -1.2], [1.1, 0.8], [-1.1, 0.8]]);
  else if (shape === "diamond") polygon([[0, -1.3], [1.3, 0], [0, 1.3], [-1.3, 0]]);
  else if (shape === "down") polygon([[0, 1.2], [1.1, -0.8], [-1.1, -0.8]]);
  else if (shape === "bar") pen.rect(x - r * 0.4, y - r * 1.3, 0.8 * r, 2.6 * r);
  else if (shape === "plus") polygon([[-.4, -1.3], [.4, -1.3], [.4, -.4], [1.3, -.4], [1.3, .4], [.4, .4], [.4, 1.3], [-.4, 1.3], [-.4, .4], [-1.3, .4], [-1.3, -.4], [-.4, -.4]]);
  else polygon([[-1.2, -.7], [-.7, -1.2], [0, -.5], [.7, -1.2], [1.2, -.7], [.5, 0], [1.2, .7], [.7, 1.2], [0, .5], [-.7, 1.2], [-1.2, .7], [-.5, 0]]);
  pen.closePath();
}

function inside(polygon, x, y) {
  let odd = false;
  for (let i = 0, j = polygon.length - 1; i < polygon.length; j = i++) {
    const [ax, ay] = polygon[i], [bx, by] = polygon[j];
    if (ay > y !== by > y && x < ((bx - ax) * (y - ay)) / (by - ay) + ax) odd = !odd;
  }
  return odd;
}

function floats(view) {
  return new Float32Array(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength));
}

function render({ model, el }) {
  el.classList.add("lk-map");
  const legend = el.appendChild(make("div", "lk-legend"));
  const canvas = el.appendChild(make("canvas"));
  const axes = el.appendChild(make("div", "lk-note lk-axes"));
  const note = el.appendChild(make("div", "lk-note"));
  note.setAttribute("role", "status");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  let xy = new Float32Array(), kinds = new Uint8Array(), places = [], cursor = -1, lasso = null;

  const place = () => {
    const w = canvas.clientWidth, h = canvas.clientHeight, n = xy.length / 2;
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < n; i++) {
      x0 = Math.min(x0, xy[2 * i]); x1 = Math.max(x1, xy[2 * i]);
      y0 = Math.min(y0, xy[2 * i + 1]); y1 = Math.max(y1, xy[2 * i + 1]);
    }
    const at = (v, low, high, size) => 14 + ((v - low) / (high - low || 1)) * (size - 28);
    places = Array.from({ length: n }, (_, i) => [at(xy[2 * i], x0, x1, w), h - at(xy[2 * i + 1], y0, y1, h)]);
  };
  const paint = () => {
    const ratio = window.devicePixelRatio || 1, pen = canvas.getContext("2d");
    canvas.width = canvas.clientWidth * ratio;
    canvas.height = canvas.clientHeight * ratio;
    pen.scale(ratio, ratio);
    const colours = model.get("legend").map((entry) => entry.colour);
    const style = getComputedStyle(el), ink = style.color;
    const r = places.length > 1500 ? 3.2 : 4.5;
    places.forEach(([x, y], i) => {
      trace(pen, SHAPES[kinds[i] % 8], x, y, r);
      pen.fillStyle = colours[kinds[i]];
      pen.fill();
      pen.lineWidth = 0.6;
      pen.strokeStyle = ink;
      pen.stroke();
    });
    const ring = (i, size) => {
      if (!places[i]) return;
      pen.beginPath();
      pen.arc(...places[i], size, 0, 7);
      pen.lineWidth = 2.5;
      pen.strokeStyle = style.getPropertyValue("--lk-accent");
      pen.stroke();
    };
    ring(model.get("marked"), 11);
    if (document.activeElement === canvas) ring(cursor, 8);
    if (lasso) {
      pen.beginPath();
      lasso.forEach(([x, y], i) => pen[i ? "lineTo" : "moveTo"](x, y));
      pen.closePath();
      pen.lineWidth = 1.5;
      pen.setLineDash([5, 4]);
      pen.strokeStyle = ink;
      pen.stroke();
    }
  };
  const fill = () => {
    xy = floats(model.get("xy"));
    const view = model.get("kinds");
    kinds = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
    canvas.setAttribute("aria-label", model.get("title") + ". Arrow keys walk from point to point, Enter shows the image.");
    axes.textContent = xy.length ? model.get("axes") : "";
    note.textContent = model.get("note");
    canvas.hidden = !xy.length;
    legend.replaceChildren(...model.get("legend").map((entry, kind) => {
      const button = make("button", "lk-key");
      const sample = button.appendChild(make("canvas", "lk-sample"));
      sample.width = sample.height = 32;
      const pen = sample.getContext("2d");
      trace(pen, SHAPES[kind % 8], 16, 16, 10);
      pen.fillStyle = entry.colour;
      pen.fill();
      pen.lineWidth = 1.5;
      pen.strokeStyle = getComputedStyle(el).color;
      pen.stroke();
      button.appendChild(make("span", "", `${entry.label} (${entry.count})`));
      button.setAttribute("aria-label", `${entry.label}: show these ${entry.count} images`);
      button.onclick = () => choose([...kinds.keys()].filter((i) => kinds[i] === kind));
      return button;
    }));
    place();
    paint();
  };
  const choose = (points) => points.length && model.send({ choose: points });
  const nearest = (x, y) => {
    let best = -1, least = 144;
    places.forEach(([a, b], i) => {
      const d = (a - x) ** 2 + (b - y) ** 2;
      if (d < least) [best, least] = [i, d];
    });
    return best;
  };
  const spot = (event) => [event.offsetX, event.offsetY];
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    lasso = [spot(event)];
  };
  canvas.onpointermove = (event) => {
    if (!lasso) return (canvas.style.cursor = nearest(...spot(event)) >= 0 ? "pointer" : "crosshair");
    lasso.push(spot(event));
    paint();
  };
  canvas.onpointerup = (event) => {
    const path = lasso || [], [x, y] = spot(event);
    lasso = null;
    if (!path.length) return;
    const far = Math.max(...path.map(([a, b]) => Math.hypot(a - path[0][0], b - path[0][1])));
    const points = far < 6 ? [nearest(x, y)].filter((i) => i >= 0) : [...places.keys()].filter((i) => inside(path, ...places[i]));
    choose(points);
    paint();
  };
  canvas.onkeydown = (event) => {
    const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (way) {
      if (cursor < 0) cursor = Math.max(0, model.get("marked"));
      else {
        const [x, y] = places[cursor];
        let best = cursor, least = Infinity;
        places.forEach(([a, b], i) => {
          const along = (a - x) * way[0] + (b - y) * way[1], across = Math.abs((a - x) * way[1]) + Math.abs((b - y) * way[0]);
          const cost = along + 2 * across;
          if (i !== cursor && along > 0.5 && across <= along * 1.5 && cost < least) [best, least] = [i, cost];
        });
        cursor = best;
      }
      paint();
    } else if (event.key === "Enter" && cursor >= 0) {
      const gallery = el.closest(".leuknb")?.querySelector(".lk-grid");
      if (gallery) gallery.dataset.refocus = "yes"; // the map is about to be hidden
      model.send({ choose: [cursor], show: true });
    }
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  canvas.onfocus = canvas.onblur = paint;
  const resize = new ResizeObserver(() => (place(), paint()));
  resize.observe(canvas);
  model.on("change:version", fill);
  model.on("change:marked", paint);
  fill();
  return () => {
    resize.disconnect();
    model.off("change:version", fill);
    model.off("change:marked", paint);
  };
}

export default { render };
