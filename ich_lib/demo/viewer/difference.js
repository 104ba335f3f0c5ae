// Where the masks of two models differ, on the slice that both viewers show; mL are of the whole scan.

const STRENGTH = 0.6;
const at = (selector) => element.querySelector(selector);
const memory = { language: preferred(), counted: "", counts: null, waiting: 0 };
const say = (key, values) => wordIn(memory.language, key, values);

function pair() {
  const visible = [...(window.ichViewers ?? [])].filter((one) => one.root.isConnected && one.root.checkVisibility());
  visible.sort((a, b) => (a.root.compareDocumentPosition(b.root) & Node.DOCUMENT_POSITION_FOLLOWING ? -1 : 1));
  const [a, b] = visible, same = (one) => one.state.scan?.slices[one.state.scan.slices.length >> 1];
  const ready = a && b && same(a) && same(a) === same(b) && [a, b].every((one) => one.state.scan.blood && one.state.scan.report.has_mask && one.state.frame && one.root.dataset.decoded === "all");
  return ready && a.root.dataset.slice === b.root.dataset.slice && a.state.plane === b.state.plane ? [a, b] : null;
}

function draw() {
  if (!element.isConnected || !element.checkVisibility()) return;
  const both = pair();
  at("h2").textContent = say("difference");
  at(".note").textContent = both ? "" : say("difference_wait");
  at(".note").hidden = Boolean(both);
  at(".frame").hidden = at("ul").hidden = !both;
  if (!both) return;
  paint(...both);
  count(...both);
}

function paint(a, b) {
  const frame = a.state.frame, other = b.state.frame, canvas = at("canvas"), image = new ImageData(frame.columns, frame.rows), { data } = image;
  if (other.blood.length !== frame.blood.length) return;
  for (let n = 0; n < frame.values.length; n++) {
    const gray = a.state.grays[frame.values[n]] & 255, first = frame.blood[n] >= a.state.threshold, second = other.blood[n] >= b.state.threshold;
    const color = first && second ? BOTH : first ? ONLY_FIRST : second ? ONLY_SECOND : null;
    for (let channel = 0; channel < 3; channel++) data[4 * n + channel] = color ? gray * (1 - STRENGTH) + color[channel] * STRENGTH : gray;
    data[4 * n + 3] = 255;
  }
  [canvas.width, canvas.height] = [frame.columns, frame.rows];
  canvas.getContext("2d").putImageData(image, 0, 0);
  const [tall, wide] = a.sizes() ?? [1, 1], box = at(".frame"), { zoom, shift } = a.state, side = a.turnable() ? -1 : 1;
  box.style.setProperty("--shape", (frame.columns * wide) / (frame.rows * tall));
  const { clientWidth: width, clientHeight: height } = box;
  canvas.style.transform = "matrix(" + [side * zoom, 0, 0, zoom, shift[0] * width + (side < 0 ? zoom * width : 0), shift[1] * height].join(",") + ")";
}

// Voxels that only the first, only the second, and both mark; in mL where the spacing is known.
function count(a, b) {
  const key = [a.state.scan.id, b.state.scan.id, a.state.threshold, b.state.threshold].join();
  if (memory.counted !== key) {
    const counts = [0, 0, 0], { slabs } = a.state.scan;
    a.state.ready.forEach((slice, k) => {
      const other = b.state.ready[k].blood;
      for (let n = 0; n < other.length; n++) {
        const first = slice.blood[n] >= a.state.threshold, second = other[n] >= b.state.threshold;
        if (first || second) counts[first && second ? 2 : first ? 0 : 1] += slabs[k];
      }
    });
    Object.assign(memory, { counted: key, counts });
  }
  const pixel = a.state.scan.pixel_ml, digits = { minimumFractionDigits: 1, maximumFractionDigits: 1 };
  const volume = (n) => (pixel ? (n * pixel).toLocaleString(memory.language, digits) + " mL" : say("pixels", { n: Math.round(n) }));
  ["only_first", "only_second", "both_models"].forEach((name, k) => (element.querySelectorAll("li span")[k].textContent = say(name, { ml: volume(memory.counts[k]) })));
}

function soon() {
  cancelAnimationFrame(memory.waiting);
  memory.waiting = requestAnimationFrame(draw);
}

for (const name of ["ich-drawn", "ich-view"]) window.addEventListener(name, soon);
window.addEventListener(LANGUAGE, (event) => ((memory.language = event.detail), soon()));
new ResizeObserver(soon).observe(element);
draw();
