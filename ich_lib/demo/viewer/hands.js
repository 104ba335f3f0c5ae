// ---- what the hand does: keys, wheel, drag, swipe, pinch -----------------------------------------------------------

const coarse = matchMedia("(pointer: coarse)").matches;
const dragging = (touch = coarse) => {
  const does = state.drag ?? (touch ? "slices" : "window");
  return does === "window" && state.scan && !state.scan.hu_known ? "slices" : does; // unknown HU have one window
};

function go(k) {
  if (!state.scan) return;
  state.place[state.plane] = Math.min(Math.max(k, 0), reach() - 1);
  if (!at(".montage").hidden) closeMontage();
  position.value = index() + 1;
  drawStrip();
  fillSlice();
  fillInputs();
  draw();
}

function choose(k) {
  if (!state.scan || !state.scan.windows[k] || (k && !state.scan.hu_known)) return;
  setWindow(state.scan.windows[k].level, state.scan.windows[k].width, state.scan.windows[k].name);
  redraw();
}

function lookAt(level, width) {
  if (!state.scan?.hu_known || !Number.isFinite(level) || !(width >= 1)) return;
  setWindow(Math.min(Math.max(level, -1024), 3071), Math.min(width, 4096), "own");
  redraw();
}

function redraw() {
  if (!state.scan) return;
  drawStrip();
  draw();
  if (!at(".montage").hidden) drawMontage();
}

function toggle(name) {
  if (name === "truth" && !state.scan.truth) return;
  box(name).checked = !box(name).checked;
  redraw();
}

function setOpacity(value) {
  box("opacity").value = value;
  at(".amount output").textContent = box("opacity").value + " %";
  redraw();
}

function setThreshold(level) {
  if (!state.scan) return;
  state.threshold = Math.min(Math.max(level, 1), 255);
  for (const slice of state.ready) slice?.borders.clear();
  fillCounts();
  fillSlice();
  drawStrip();
  redraw();
}

function closeMontage() {
  at(".montage").hidden = true;
  fillPlanes();
}

// The next slice with blood in the mask, or the one before; past the last comes the first.
function goBlood(step) {
  if (!state.scan) return;
  const count = state.scan.slices.length, from = state.place.axial;
  const target = Array.from({ length: count }, (_, n) => (((from + step * (n + 1)) % count) + count) % count).find(hasBlood);
  if (target === undefined) return (at(".announcement").textContent = say("no_blood_marked"));
  if (state.plane !== "axial") show("axial");
  go(target);
}

function show(which) {
  if (!state.scan || (which !== "axial" && (!state.scan.slice_mm || state.scan.slices.length === 1))) return;
  at(".montage").hidden = true;
  state.plane = which;
  state.probe = null;
  resetZoom();
  position.max = reach();
  fillPlanes();
  go(index());
}

function montage() {
  if (!state.scan) return;
  at(".montage").hidden = !at(".montage").hidden;
  fillPlanes();
  drawMontage();
  share();
}

function setFlipped(wanted) {
  state.flipped = wanted;
  fillPlanes();
  redraw();
}

function setCrosshair(wanted) {
  state.crosshair = wanted;
  fillPlanes();
  redraw();
}

function setSlab(wanted) {
  state.slab = at(".slab").value = wanted;
  redraw();
}

// The other planes go through this point of the frame.
function linkPlanes([row, column]) {
  const { stack } = state.scan, slice = stack[stack.length - 1 - row], { place } = state;
  const through = { axial: { coronal: row, sagittal: column }, coronal: { axial: slice, sagittal: column }, sagittal: { axial: slice, coronal: column } };
  state.place = { ...place, ...through[state.plane] };
}

function setDrag(wanted) {
  state.drag = wanted === "window" && state.scan && !state.scan.hu_known ? "move" : wanted;
  root.dataset.drag = dragging();
  fillPlanes();
}

function fullscreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else root.requestFullscreen?.();
}

const DARK = "ich-dark"; // what the browser keeps

function setDark(wanted) {
  document.body.classList.toggle("dark", wanted);
  for (const { root: one } of viewers) one.querySelector(".dark-switch").setAttribute("aria-pressed", wanted);
  keep(DARK, wanted ? "yes" : "no");
}

function help() {
  const dialog = at(".legend-of-keys");
  dialog.returnValue = "";
  dialog.showModal();
  dialog.focus(); // else the button at its end has the focus, and the list opens there
  dialog.scrollTop = 0;
}

// ---- zoom and shift

// `x` and `y` stay where they are on the screen: shares of the picture.
function setZoom(near, x = 0.5, y = 0.5) {
  const next = Math.min(Math.max(near, 1), MOST_ZOOM);
  state.shift = [x - ((x - state.shift[0]) * next) / state.zoom, y - ((y - state.shift[1]) * next) / state.zoom];
  state.zoom = next;
  moveBy(0, 0);
}

function moveBy(dx, dy) {
  state.shift = [state.shift[0] + dx, state.shift[1] + dy].map((share) => Math.min(Math.max(share, 1 - state.zoom), 0)); // no edge leaves the rim
  root.dataset.zoomed = state.zoom > 1 ? "yes" : "no";
  redrawPlace();
}

function resetZoom() {
  state.zoom = 1;
  moveBy(0, 0);
}

function redrawPlace() {
  if (!state.scan || !state.frame) return;
  share();
  drawPlace();
  drawMarks(state.frame);
}

// ---- the point whose HU are shown

function spotAt(x, y) { // shares of the picture to [row, column] with their fractions
  const spot = inView(1, 1, state.frame).inverse().transformPoint(new DOMPoint(x, y));
  return [spot.y, spot.x];
}

function pointAt(x, y) { // to whole ones, or null outside
  const [row, column] = spotAt(x, y).map(Math.floor);
  return row >= 0 && column >= 0 && row < state.frame.rows && column < state.frame.columns ? [row, column] : null;
}

function tellPoint() {
  const n = state.probe && state.probe[0] * state.frame.columns + state.probe[1];
  if (n === null || state.frame.values[n] === undefined) return (at(".point").textContent = "");
  const value = hu(state.frame.values[n]);
  at(".point").textContent = state.scan.hu_known
    ? say("reading", { hu: Math.round(value), blood: cutOf(state.frame.blood[n]) })
    : say("gray", { gray: Math.round(Math.min(Math.max((value - state.look.level) / state.look.width + 0.5, 0), 1) * 255) });
}

function movePoint(down, right) {
  if (!state.frame) return;
  const [row, column] = state.probe ?? [state.frame.rows >> 1, state.frame.columns >> 1];
  const across = turnable() ? -right : right;
  state.probe = [Math.min(Math.max(row + down, 0), state.frame.rows - 1), Math.min(Math.max(column + across, 0), state.frame.columns - 1)];
  root.dataset.point = "keys";
  if (state.crosshair) linkPlanes(state.probe);
  if (state.measuring) measureTo([state.probe[0] + 0.5, state.probe[1] + 0.5]);
  drawMarks(state.frame);
  tellPoint();
  at(".announcement").textContent = at(".point").textContent;
}

// ---- keys

const KEYS = { // up is toward the head, on the slider too
  ArrowUp: () => go(index() + 1), ArrowRight: () => go(index() + 1), PageUp: () => go(index() + 5), End: () => go(Infinity),
  ArrowDown: () => go(index() - 1), ArrowLeft: () => go(index() - 1), PageDown: () => go(index() - 5), Home: () => go(0),
  1: () => choose(0), 2: () => choose(1), 3: () => choose(2), 4: () => choose(3), 5: () => choose(4),
  o: () => toggle("outline"), f: () => toggle("fill"), h: () => toggle("heat"), t: () => toggle("truth"),
  j: () => setOpacity(+box("opacity").value - 10), k: () => setOpacity(+box("opacity").value + 10),
  ",": () => setThreshold(state.threshold - 5), ".": () => setThreshold(state.threshold + 5), 9: () => setThreshold(state.scan.threshold),
  a: () => show("axial"), c: () => show("coronal"), s: () => show("sagittal"), m: montage, n: () => setFlipped(!state.flipped),
  d: () => setDrag({ window: "move", move: "slices", slices: "ruler", ruler: "region", region: "window" }[dragging()]),
  l: () => setCrosshair(!state.crosshair), y: () => setSlab({ thin: "mean", mean: "mip", mip: "thin" }[state.slab]),
  b: () => goBlood(1), v: () => goBlood(-1), r: () => measureByKeys("ruler"), g: () => measureByKeys("region"), Escape: forgetMeasure,
  "+": () => setZoom(state.zoom * 1.25), "=": () => setZoom(state.zoom * 1.25), "-": () => setZoom(state.zoom / 1.25), 0: resetZoom,
  i: () => (panel.open = !panel.open), x: fullscreen, p: openSolid, "?": help,
};
const SHIFTED = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

at(".desk").addEventListener("pointerenter", () => (state.rested = true));
at(".desk").addEventListener("pointerleave", () => (state.rested = false));

// Keys work while the viewer has the focus, and while the pointer rests on it and nothing else has the focus. Fields
// where one types keep all of theirs, other sliders and the menu those that move them.
function onKey(event) {
  const inside = element.contains(document.activeElement), free = document.activeElement === document.body, field = event.target;
  if (!state.scan || event.ctrlKey || event.metaKey || event.defaultPrevented || element.querySelector("dialog[open]") || (!inside && !(free && state.rested))) return;
  const moves = /^(Arrow|Page|Home|End)/.test(event.key);
  if (field.type === "number" || field.tagName === "SELECT" || (field.type === "range" && field !== position && moves)) return;
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

function onWheel(event) {
  if (!state.scan || !at(".montage").hidden) return;
  event.preventDefault();
  const lines = event.deltaMode === 1 ? event.deltaY * 40 : event.deltaY;
  if (event.ctrlKey) return setZoom(state.zoom * Math.exp(-lines / 300), ...shareOf(event)); // a pinch on a touch pad too
  stage.focus({ preventScroll: true }); // so that the arrow keys follow
  state.turned -= lines;
  const steps = Math.trunc(state.turned / 40); // a notch of a wheel is 100 or 120, a touch pad sends many small ones
  if (!steps) return;
  state.turned = 0;
  go(index() + Math.sign(steps) * Math.max(1, Math.round(Math.abs(steps) / 3)));
}

function onDown(event) {
  if (!state.scan || !at(".montage").hidden || event.target.closest("button")) return;
  state.fingers.set(event.pointerId, [event.clientX, event.clientY]);
  state.walked = 0;
  point(event);
  if (state.frame && ["ruler", "region"].includes(dragging(event.pointerType === "touch"))) beginMeasure(dragging(), spotAt(...shareOf(event)));
  else if (state.crosshair && state.probe) (linkPlanes(state.probe), redraw());
  stage.setPointerCapture(event.pointerId);
}

function point(event) {
  if (!state.frame) return;
  state.probe = pointAt(...shareOf(event));
  root.dataset.point = "hand";
  tellPoint();
}

function onMove(event) {
  if (!state.scan || !state.frame) return;
  const last = state.fingers.get(event.pointerId), here = [event.clientX, event.clientY];
  if (event.pointerType !== "touch") point(event);
  if (!last) return;
  const [dx, dy] = [here[0] - last[0], here[1] - last[1]];
  if (state.fingers.size === 2) pinch(event.pointerId, last, here);
  else dragged(event, dx, dy);
  state.fingers.set(event.pointerId, here);
}

function dragged(event, dx, dy) {
  const touch = event.pointerType === "touch", does = event.shiftKey || event.buttons === 4 || (touch && state.zoom > 1 && !state.drag) ? "move" : dragging(touch);
  if (does === "move") return moveBy(dx / picture.clientWidth, dy / picture.clientHeight);
  if (does === "ruler" || does === "region") return measureTo(spotAt(...shareOf(event)));
  if (does === "window") return lookAt(state.look.level + dy, Math.max(state.look.width + dx * 2, 1));
  state.walked += !state.drag || Math.abs(dx) > Math.abs(dy) ? dx : -dy; // where nobody chose, up and down scroll the page
  const steps = Math.trunc(state.walked / 24);
  if (!steps) return;
  state.walked -= 24 * steps;
  go(index() + steps);
}

function pinch(id, last, here) {
  const other = [...state.fingers].find(([key]) => key !== id)[1];
  const far = (one) => Math.hypot(one[0] - other[0], one[1] - other[1]);
  const [x, y] = shareOf({ clientX: (here[0] + other[0]) / 2, clientY: (here[1] + other[1]) / 2 });
  moveBy((here[0] - last[0]) / 2 / picture.clientWidth, (here[1] - last[1]) / 2 / picture.clientHeight);
  setZoom((state.zoom * far(here)) / Math.max(far(last), 1), x, y);
}

function onStrip(event) {
  const place = layers.strip.getBoundingClientRect();
  if (state.plane !== "axial") show("axial");
  go(Math.floor(((event.clientX - place.left) / place.width) * state.scan.slices.length));
}

function onDouble(event) {
  if (event.target.closest(".montage")) return;
  resetZoom();
  if (state.look?.name === "own") choose(0);
}
