// A stack of slices: scrolled and windowed in the browser, outlines on top, and regions drawn with pointer, finger or keys.
// data: id, frames {window: [data URI, ...]}, names [...], slice (the one to read), rows, columns, draw, regions, ink (color of what is drawn), outlines
//   [{slice, name, color, dash, lines: [[[x, y], ...], ...]}]; points are shares of width and height.
// State "regions": what was drawn on that slice, a list of lists of points.

const SHORTEST = 0.004; // of the width, between two points that are kept
const SMALLEST = 3; // points that enclose something
const NEAR = 0.02; // of the width: a point set by key so near to the first closes the line
const STEP = 0.01, LEAP = 0.05; // of the width: one press of an arrow key, and with Shift
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export default function (component) {
  const { parentElement, data, setStateValue } = component;
  const root = parentElement.querySelector(".slices");
  const find = (selector) => root.querySelector(selector);
  const canvas = find("canvas"), range = find("input");
  if (!root.state || root.state.id !== data.id) {
    root.state = { id: data.id, slice: data.slice, window: Object.keys(data.frames)[0], regions: data.regions, pictures: {}, cross: [0.5, 0.5], points: [], keys: false };
  }
  const state = root.state;
  state.drawn = null;
  const count = data.frames[state.window].length;
  canvas.width = Math.max(640, data.columns);
  canvas.height = Math.round((canvas.width * data.rows) / data.columns);

  const drawable = () => data.draw && state.slice === data.slice;

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

  // The points set by key so far, their line, and the cross.
  function keyed(context) {
    if (state.points.length) line(context, state.points, data.ink, [], state.points.length >= SMALLEST);
    context.setLineDash([]);
    for (const [x, y] of state.points) {
      context.fillStyle = "#000";
      context.fillRect(x * canvas.width - 4, y * canvas.height - 4, 8, 8);
      context.fillStyle = "#fff";
      context.fillRect(x * canvas.width - 2.5, y * canvas.height - 2.5, 5, 5);
    }
    if (!state.keys) return;
    const [x, y] = state.cross, arm = 0.03, tall = (arm * canvas.width) / canvas.height;
    line(context, [[x - arm, y], [x + arm, y]], "#fff", [], false);
    line(context, [[x, y - tall], [x, y + tall]], "#fff", [], false);
  }

  function hint() {
    if (data.draw && !drawable()) return "Scroll back to the slice in question to draw.";
    if (!data.draw || !state.keys) return "";
    const count = state.points.length;
    if (!count) return "Arrows move the cross, Enter sets a point.";
    return `${count} ${count === 1 ? "point" : "points"}.` + (count < SMALLEST ? "" : " One more on the first ends this region.");
  }

  function paint() {
    const context = canvas.getContext("2d"), image = picture();
    context.imageSmoothingQuality = "high";
    if (image.complete && image.naturalWidth) context.drawImage(image, 0, 0, canvas.width, canvas.height);
    for (const one of data.outlines) {
      if (one.slice === state.slice) one.lines.forEach((points) => line(context, points, one.color, one.dash, true));
    }
    if (data.draw && state.slice === data.slice) {
      state.regions.forEach((points) => line(context, points, data.ink, [], true));
      if (state.drawn) line(context, state.drawn, data.ink, [], false);
      keyed(context);
    }
    const where = data.names[state.slice];
    find(".place").textContent = where;
    const [across, down] = state.cross.map((share) => Math.round(share * 100));
    const cross = data.draw ? `, cross at ${across} % from the left and ${down} % from the top` : "";
    canvas.setAttribute("aria-label", `${where}, ${state.window} window${cross}`);
    canvas.setAttribute("role", data.draw ? "application" : "img");
    range.value = state.slice;
    canvas.classList.toggle("draws", drawable());
    find(".hint").textContent = hint();
    find(".undo").disabled = find(".clear").disabled = !state.regions.length && !state.points.length;
    root.querySelectorAll(".windows button").forEach((button) =>
      button.setAttribute("aria-pressed", String(button.textContent === state.window)));
  }

  function send() {
    setStateValue("regions", state.points.length >= SMALLEST ? [...state.regions, state.points] : state.regions);
    paint();
  }

  function back() {
    if (state.points.length) state.points = state.points.slice(0, -1);
    else state.regions = state.regions.slice(0, -1);
    send();
  }

  function move([x, y], far) {
    const step = far ? LEAP : STEP, within = (value) => Math.min(Math.max(value, 0), 1);
    state.cross = [within(state.cross[0] + x * step), within(state.cross[1] + (y * step * canvas.width) / canvas.height)];
    paint();
  }

  function put() {
    const [x, y] = state.cross, away = ([left, top]) => Math.hypot(x - left, ((y - top) * canvas.height) / canvas.width);
    if (state.points.length >= SMALLEST && away(state.points[0]) < NEAR) {
      state.regions = [...state.regions, state.points];
      state.points = [];
    } else if (!state.points.length || away(state.points[state.points.length - 1]) > 0) {
      state.points = [...state.points, state.cross];
    }
    send();
  }

  // What a key does, or undefined. Off the slice in question the arrows scroll, as they do where nothing is drawn.
  function meant(event) {
    const step = { ArrowUp: 1, PageUp: 1, ArrowDown: -1, PageDown: -1 }[event.key];
    if (drawable() && ARROWS[event.key]) return () => move(ARROWS[event.key], event.shiftKey);
    if (drawable() && (event.key === "Enter" || event.key === " ")) return put;
    if (drawable() && event.key === "Backspace") return back;
    return step && count > 1 ? () => go(state.slice + step) : undefined;
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
  find(".how").hidden = !data.draw;
  find(".undo").onclick = back;
  find(".clear").onclick = () => { state.regions = state.points = []; send(); };

  canvas.onpointerdown = (event) => {
    if (!drawable() || event.button) return;
    canvas.setPointerCapture(event.pointerId);
    canvas.focus();
    state.keys = false;
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
    const act = event.ctrlKey || event.altKey || event.metaKey ? undefined : meant(event);
    if (!act) return;
    state.keys = true;
    act();
    event.preventDefault();
    event.stopPropagation();
  };
  canvas.onfocus = () => { state.keys = canvas.matches(":focus-visible"); paint(); };
  canvas.onblur = () => { state.keys = false; paint(); };

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
