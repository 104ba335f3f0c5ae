// ---- what the hand does: keys, wheel, drag, swipe, pinch -----------------------------------------------------------

const coarse = matchMedia("(pointer: coarse)").matches;
let drag = null; // what dragging does, once somebody chose; until then a finger turns slices and a mouse the window
const dragging = (touch = coarse) => drag ?? (touch ? "slices" : "window");

function go(k) {
  if (!scan) return;
  place[plane] = Math.min(Math.max(k, 0), reach() - 1);
  if (!at(".montage").hidden) closeMontage();
  position.value = index() + 1;
  drawStrip();
  fillSlice();
  draw();
}

function choose(k) {
  if (!scan || !scan.windows[k] || (k && !scan.hu_known)) return;
  setWindow(scan.windows[k].level, scan.windows[k].width, scan.windows[k].name);
  redraw();
}

function lookAt(level, width) {
  if (!scan?.hu_known || !Number.isFinite(level) || !(width >= 1)) return;
  setWindow(Math.min(Math.max(level, -1024), 3071), Math.min(width, 4096), "own");
  redraw();
}

function redraw() {
  if (!scan) return;
  draw();
  if (!at(".montage").hidden) drawMontage();
}

function toggle(name) {
  if (name === "truth" && !scan.truth) return;
  box(name).checked = !box(name).checked;
  redraw();
}

function setOpacity(value) {
  box("opacity").value = value;
  at(".amount output").textContent = box("opacity").value + " %";
  redraw();
}

function setThreshold(level) {
  if (!scan) return;
  threshold = Math.min(Math.max(level, 1), 255);
  for (const slice of ready) slice?.borders.clear();
  fillCounts();
  fillSlice();
  drawStrip();
  redraw();
}

function closeMontage() {
  at(".montage").hidden = true;
  fillPlanes();
}

function show(which) {
  if (!scan || (which !== "axial" && (!scan.slice_mm || scan.slices.length === 1))) return;
  at(".montage").hidden = true;
  plane = which;
  probe = null;
  resetZoom();
  position.max = reach();
  fillPlanes();
  go(index());
}

function montage() {
  if (!scan) return;
  at(".montage").hidden = !at(".montage").hidden;
  fillPlanes();
  drawMontage();
}

function setFlipped(wanted) {
  flipped = wanted;
  fillPlanes();
  redraw();
}

function setDrag(wanted) {
  drag = wanted;
  root.dataset.drag = dragging();
  fillPlanes();
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else root.requestFullscreen?.();
}

// ---- zoom and shift

// `x` and `y` stay where they are on the screen: shares of the picture.
function setZoom(near, x = 0.5, y = 0.5) {
  const next = Math.min(Math.max(near, 1), MOST_ZOOM);
  shift = [x - ((x - shift[0]) * next) / zoom, y - ((y - shift[1]) * next) / zoom];
  zoom = next;
  moveBy(0, 0);
}

function moveBy(dx, dy) {
  shift = [shift[0] + dx, shift[1] + dy].map((share) => Math.min(Math.max(share, 1 - zoom), 0)); // no edge leaves the rim
  root.dataset.zoomed = zoom > 1 ? "yes" : "no";
  redrawPlace();
}

function resetZoom() {
  zoom = 1;
  moveBy(0, 0);
}

function redrawPlace() {
  if (!scan || !frame) return;
  drawPlace();
  drawMarks(frame);
}

// ---- the point whose HU are told

function pointAt(x, y) { // shares of the picture to [row, column], or null outside
  const spot = inView(1, 1, frame).inverse().transformPoint(new DOMPoint(x, y));
  const row = Math.floor(spot.y), column = Math.floor(spot.x);
  return row >= 0 && column >= 0 && row < frame.rows && column < frame.columns ? [row, column] : null;
}

function tellPoint() {
  const n = probe && probe[0] * frame.columns + probe[1];
  if (n === null || frame.values[n] === undefined) return (at(".point").textContent = "");
  const value = hu(frame.values[n]);
  at(".point").textContent = scan.hu_known
    ? say("reading", { hu: Math.round(value), blood: cutOf(frame.blood[n]) })
    : say("gray", { gray: Math.round(Math.min(Math.max((value - look.level) / look.width + 0.5, 0), 1) * 255) });
}

function movePoint(down, right) {
  if (!frame) return;
  const [row, column] = probe ?? [frame.rows >> 1, frame.columns >> 1];
  const across = turnable() ? -right : right;
  probe = [Math.min(Math.max(row + down, 0), frame.rows - 1), Math.min(Math.max(column + across, 0), frame.columns - 1)];
  root.dataset.point = "keys";
  drawMarks(frame);
  tellPoint();
  at(".told").textContent = at(".point").textContent;
}

// ---- keys

const KEYS = { // up is towards the head, on the slider too
  ArrowUp: () => go(index() + 1), ArrowRight: () => go(index() + 1), PageUp: () => go(index() + 5), End: () => go(Infinity),
  ArrowDown: () => go(index() - 1), ArrowLeft: () => go(index() - 1), PageDown: () => go(index() - 5), Home: () => go(0),
  1: () => choose(0), 2: () => choose(1), 3: () => choose(2), 4: () => choose(3), 5: () => choose(4),
  o: () => toggle("outline"), f: () => toggle("fill"), h: () => toggle("heat"), t: () => toggle("truth"),
  j: () => setOpacity(+box("opacity").value - 10), k: () => setOpacity(+box("opacity").value + 10),
  ",": () => setThreshold(threshold - 5), ".": () => setThreshold(threshold + 5), 9: () => setThreshold(scan.threshold),
  a: () => show("axial"), c: () => show("coronal"), s: () => show("sagittal"), m: montage, n: () => setFlipped(!flipped),
  d: () => setDrag({ slices: "window", window: "move", move: "slices" }[dragging()]),
  "+": () => setZoom(zoom * 1.25), "=": () => setZoom(zoom * 1.25), "-": () => setZoom(zoom / 1.25), 0: resetZoom,
  x: fullscreen, "?": () => at(".legend-of-keys").showModal(),
};
const SHIFTED = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

let rested = false;
at(".desk").addEventListener("pointerenter", () => (rested = true));
at(".desk").addEventListener("pointerleave", () => (rested = false));

// Keys work while the viewer has the focus, and while the pointer rests on it and nothing else has the focus. Fields
// where one types keep all of theirs, other sliders and the menu those that move them.
function onKey(event) {
  const inside = element.contains(document.activeElement), free = document.activeElement === document.body, field = event.target;
  if (!scan || event.ctrlKey || event.metaKey || event.defaultPrevented || at(".legend-of-keys").open || (!inside && !(free && rested))) return;
  const moves = /^(Arrow|Page|Home|End)/.test(event.key);
  if (field.type === "number" || field === at(".language") || (field.type === "range" && field !== position && moves)) return;
  const [down, right] = SHIFTED[event.key] ?? [];
  const act = event.altKey ? down !== undefined && (() => moveBy(-right / 10, -down / 10))
    : event.shiftKey && down !== undefined ? () => movePoint(down, right)
    : KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!act) return;
  event.preventDefault();
  act();
}

// ---- wheel and pointers

const shareOf = (event) => {
  const place = picture.getBoundingClientRect();
  return [(event.clientX - place.left) / place.width, (event.clientY - place.top) / place.height];
};

let turned = 0;
function onWheel(event) {
  if (!scan || !at(".montage").hidden) return;
  event.preventDefault();
  const lines = event.deltaMode === 1 ? event.deltaY * 40 : event.deltaY;
  if (event.ctrlKey) return setZoom(zoom * Math.exp(-lines / 300), ...shareOf(event)); // a pinch on a touch pad too
  stage.focus({ preventScroll: true }); // so that the arrow keys follow
  turned -= lines;
  const steps = Math.trunc(turned / 40); // a notch of a wheel is 100 or 120, a touch pad sends many small ones
  if (!steps) return;
  turned = 0;
  go(index() + Math.sign(steps) * Math.max(1, Math.round(Math.abs(steps) / 3)));
}

const fingers = new Map(); // pointers on the stage, where each was last
let walked = 0; // pixels of a drag that were not enough for a slice

function onDown(event) {
  if (!scan || !at(".montage").hidden || event.target.closest("button")) return;
  fingers.set(event.pointerId, [event.clientX, event.clientY]);
  walked = 0;
  point(event);
  stage.setPointerCapture(event.pointerId);
}

function point(event) {
  if (!frame) return;
  probe = pointAt(...shareOf(event));
  root.dataset.point = "hand";
  tellPoint();
}

function onMove(event) {
  if (!scan || !frame) return;
  const last = fingers.get(event.pointerId), here = [event.clientX, event.clientY];
  if (event.pointerType !== "touch") point(event);
  if (!last) return;
  const [dx, dy] = [here[0] - last[0], here[1] - last[1]];
  if (fingers.size === 2) pinch(event.pointerId, last, here);
  else dragged(event, dx, dy);
  fingers.set(event.pointerId, here);
}

function dragged(event, dx, dy) {
  const touch = event.pointerType === "touch", does = event.shiftKey || event.buttons === 4 || (touch && zoom > 1 && !drag) ? "move" : dragging(touch);
  if (does === "move") return moveBy(dx / picture.clientWidth, dy / picture.clientHeight);
  if (does === "window") return lookAt(look.level + dy, Math.max(look.width + dx * 2, 1));
  walked += !drag || Math.abs(dx) > Math.abs(dy) ? dx : -dy; // where nobody chose, up and down scroll the page
  const steps = Math.trunc(walked / 24);
  if (!steps) return;
  walked -= 24 * steps;
  go(index() + steps);
}

function pinch(id, last, here) {
  const other = [...fingers].find(([key]) => key !== id)[1];
  const far = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
  const [x, y] = shareOf({ clientX: (here[0] + other[0]) / 2, clientY: (here[1] + other[1]) / 2 });
  moveBy((here[0] - last[0]) / 2 / picture.clientWidth, (here[1] - last[1]) / 2 / picture.clientHeight);
  setZoom((zoom * far(here)) / Math.max(far(last), 1), x, y);
}

function onStrip(event) {
  const place = layers.strip.getBoundingClientRect();
  if (plane !== "axial") show("axial");
  go(Math.floor(((event.clientX - place.left) / place.width) * scan.slices.length));
}

function onDouble(event) {
  if (event.target.closest(".montage")) return;
  resetZoom();
  if (look?.name === "own") choose(0);
}
