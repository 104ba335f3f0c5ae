// ---- with the viewer beside and with the address of the page: one state for all that show the same scan -------------

const VIEW = "ich-view"; // the event by which viewers follow each other
const viewers = (window.ichViewers ??= new Set());

const seen = () => [...viewers].filter((one) => one.root.isConnected && one.root.checkVisibility())
  .sort((a, b) => (a.root.compareDocumentPosition(b.root) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
const isFirst = () => (seen()[0]?.root ?? root) === root;
const isSame = (a, b) => Boolean(a && b && a.slices.length === b.slices.length && a.slices[a.slices.length >> 1] === b.slices[b.slices.length >> 1]);

// Everything that both viewers have in common: where one looks, through which window, and what is laid over it.
function view() {
  return {
    plane: state.plane, place: state.place, zoom: state.zoom, shift: state.shift, look: state.look, flipped: state.flipped, drag: state.drag, crosshair: state.crosshair, slab: state.slab,
    threshold: state.threshold === state.scan.threshold ? null : state.threshold, // each model has its own until somebody moves it
    boxes: ["outline", "fill", "heat", "truth"].map((name) => box(name).checked), opacity: box("opacity").value, montage: !at(".montage").hidden,
  };
}

function share() {
  link();
  const now = state.scan && JSON.stringify(view());
  if (!now || now === state.sent) return;
  state.sent = now;
  window.dispatchEvent(new CustomEvent(VIEW, { detail: { from: root, scan: state.scan, now } }));
}

function follow({ from, scan, now }) {
  if (from === root || !isSame(scan, state.scan) || now === state.sent) return;
  state.sent = now;
  const wanted = JSON.parse(now), cut = wanted.threshold ?? state.scan.threshold;
  Object.assign(state, { plane: wanted.plane, place: wanted.place, zoom: wanted.zoom, shift: wanted.shift, flipped: wanted.flipped, drag: wanted.drag, crosshair: wanted.crosshair });
  state.slab = at(".slab").value = wanted.slab;
  ["outline", "fill", "heat", "truth"].forEach((name, k) => (box(name).checked = wanted.boxes[k]));
  box("opacity").value = wanted.opacity;
  at(".amount output").textContent = wanted.opacity + " %";
  setWindow(wanted.look.level, wanted.look.width, wanted.look.name);
  root.dataset.zoomed = state.zoom > 1 ? "yes" : "no";
  at(".montage").hidden = !wanted.montage;
  position.max = reach();
  position.value = index() + 1;
  fillPlanes();
  if (cut !== state.threshold) setThreshold(cut);
  fillSlice();
  redraw();
}

// A viewer that opens beside another one looks where that one does.
function join() {
  const first = seen()[0];
  if (first && first.root !== root && isSame(first.state.scan, state.scan)) follow({ from: first.root, scan: first.state.scan, now: JSON.stringify(first.view()) });
}

function fillTitle() {
  const all = seen(), name = state.scan?.report.models.join(", ");
  at(".title").hidden = all.length < 2 || !name;
  at(".title a").hidden = !all.every((one) => one.state.scan?.report.has_mask ?? true); // a classifier has no mask that could differ
  at(".title .model").textContent = name ? say(isFirst() ? "model_first" : "model_second", { name }) : "";
  at(".title .other").textContent = say(isFirst() ? "show_second" : "show_first");
}

// On a phone the two viewers lie side by side, one of them on the screen: to the other, and back by the same key.
function showOther() {
  const other = seen().find((one) => one.root !== root)?.root, row = root.closest("#viewers");
  if (!other || !row) return;
  row.scrollBy({ left: other.getBoundingClientRect().left - row.getBoundingClientRect().left, behavior: "instant" });
  other.querySelector(".title .other").focus({ preventScroll: true });
}

// ---- the address: ?case=&slice=&window=&plane= opens what is on the screen

function link() {
  clearTimeout(state.waiting);
  state.waiting = setTimeout(() => {
    if (!state.scan || !isFirst()) return;
    const query = new URLSearchParams(location.search), asked = { case: state.scan.case, slice: index() + 1, window: state.look.name, plane: state.plane };
    for (const [name, value] of Object.entries(asked)) state.scan.case ? query.set(name, value) : query.delete(name);
    const address = location.pathname + (query.size ? "?" + query : "") + location.hash;
    if (address !== location.pathname + location.search + location.hash && location.protocol.startsWith("http")) history.replaceState(history.state, "", address);
  }, 400); // browsers refuse more than some dozens of changes a second
}

// What the address asks for, once, and of the case that it names.
function obeyAddress() {
  const asked = state.address;
  state.address = new URLSearchParams();
  if (!isFirst() || !state.scan.case || asked.get("case") !== state.scan.case) return;
  const { windows, hu_known: known } = state.scan, wanted = windows.find(({ name }) => name === asked.get("window"));
  if (wanted && known) setWindow(wanted.level, wanted.width, wanted.name);
  if (["coronal", "sagittal"].includes(asked.get("plane")) && state.scan.slice_mm && state.scan.slices.length > 1) state.plane = asked.get("plane");
  const slice = Number.parseInt(asked.get("slice"), 10);
  if (slice) state.place[state.plane] = Math.min(Math.max(slice - 1, 0), reach() - 1);
  position.max = reach();
}
