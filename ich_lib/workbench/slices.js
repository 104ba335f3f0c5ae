// A stack of slices: scrolled and windowed in the browser, outlines on top, and regions drawn with pointer or finger.
// data: id, frames {window: [data URI, ...]}, names [...], asked, rows, columns, draw, regions, outlines
//   [{slice, name, color, dash, lines: [[[x, y], ...], ...]}]; points are shares of width and height.
// State "regions": what was drawn on the asked slice, a list of lists of points.

const SHORTEST = 0.004; // of the width, between two points that are kept
const SMALLEST = 3; // points that enclose something

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  const root = parentElement.querySelector(".slices");
  const find = (selector) => root.querySelector(selector);
  const canvas = find("canvas"), range = find("input");
  if (!root.state || root.state.id !== data.id) {
    root.state = { id: data.id, slice: data.asked, window: Object.keys(data.frames)[0], regions: data.regions, pictures: {} };
  }
  const state = root.state;
  state.drawn = null;
  const count = data.frames[state.window].length;
  canvas.width = Math.max(640, data.columns);
  canvas.height = Math.round((canvas.width * data.rows) / data.columns);

  const drawable = () => data.draw && state.slice === data.asked;

  function picture() {
    const key = state.window + state.slice;
    if (!state.pictures[key]) {
      const image = new Image();
      image.onload = paint;
      image.src = data.frames[state.window][state.slice];
      state.pictures[key] = image;
    }
    return state.pictures[key];
  }

  function line(context, points, color, dash, closed) {
    context.beginPath();
    points.forEach(([x, y], i) => context[i ? "lineTo" : "moveTo"](x * canvas.width, y * canvas.height));
    if (closed) context.closePath();
    for (const [style, width, pattern] of [["#000", 4.5, []], [color, 2.4, dash]]) {
      context.strokeStyle = style;
      context.lineWidth = width;
      context.setLineDash(pattern);
      context.stroke();
    }
  }

  function paint() {
    const context = canvas.getContext("2d"), image = picture();
    context.imageSmoothingQuality = "high";
    if (image.complete && image.naturalWidth) context.drawImage(image, 0, 0, canvas.width, canvas.height);
    for (const one of data.outlines) {
      if (one.slice === state.slice) one.lines.forEach((points) => line(context, points, one.color, one.dash, true));
    }
    if (data.draw && state.slice === data.asked) {
      state.regions.forEach((points) => line(context, points, "#D55E00", [], true));
      if (state.drawn) line(context, state.drawn, "#D55E00", [], false);
    }
    const where = data.names[state.slice];
    find(".place").textContent = where;
    canvas.setAttribute("aria-label", `${where}, ${state.window} window`);
    range.value = state.slice;
    canvas.classList.toggle("draws", drawable());
    find(".hint").textContent = data.draw && !drawable() ? "Scroll back to the slice in question to draw." : "";
    find(".undo").disabled = find(".clear").disabled = !state.regions.length;
    root.querySelectorAll(".windows button").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.textContent === state.window)));
  }

  function send() {
    setStateValue("regions", state.regions);
    paint();
  }

  function go(slice) {
    state.slice = Math.min(Math.max(slice, 0), count - 1);
    paint();
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    const share = (value, low, size) => Math.min(Math.max((value - low) / size, 0), 1);
    return [share(event.clientX, box.left, box.width), share(event.clientY, box.top, box.height)];
  }

  find(".windows").replaceChildren(...Object.keys(data.frames).map((name) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = name;
    button.onclick = () => { state.window = name; paint(); };
    return button;
  }));
  find(".tools").hidden = !data.draw;
  find(".scroll").hidden = count < 2;
  range.max = count - 1;
  range.oninput = () => go(Number(range.value));
  find(".undo").onclick = () => { state.regions = state.regions.slice(0, -1); send(); };
  find(".clear").onclick = () => { state.regions = []; send(); };

  canvas.onpointerdown = (event) => {
    if (!drawable() || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    state.drawn = [place(event)];
    event.preventDefault();
  };
  canvas.onpointermove = (event) => {
    if (!state.drawn) return;
    const [x, y] = place(event), [lastX, lastY] = state.drawn[state.drawn.length - 1];
    if (Math.hypot(x - lastX, y - lastY) < SHORTEST) return;
    state.drawn.push([x, y]);
    paint();
  };
  canvas.onpointerup = canvas.onpointercancel = () => {
    const drawn = state.drawn;
    state.drawn = null;
    if (drawn && drawn.length >= SMALLEST) {
      state.regions = [...state.regions, drawn];
      send();
    } else if (drawn) paint();
  };
  canvas.onkeydown = (event) => {
    const step = { ArrowUp: 1, PageUp: 1, ArrowDown: -1, PageDown: -1 }[event.key];
    if (step && count > 1) { go(state.slice + step); event.preventDefault(); }
  };

  find(".key").replaceChildren(...[...new Map(data.outlines.map((one) => [one.name, one])).values()].map((one) => {
    const entry = document.createElement("span"), space = "http://www.w3.org/2000/svg";
    const svg = document.createElementNS(space, "svg"), stroke = document.createElementNS(space, "line");
    for (const [name, value] of Object.entries({ x1: 2, y1: 5, x2: 28, y2: 5, stroke: one.color, "stroke-width": 2.4, "stroke-dasharray": one.dash.join(" ") })) stroke.setAttribute(name, value);
    svg.append(stroke);
    entry.append(svg, one.name);
    return entry;
  }));
  paint();
}
