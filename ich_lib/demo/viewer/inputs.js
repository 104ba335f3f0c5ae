// ---- what the model sees: the pictures that the library makes for it, asked of the server once somebody opens the panel --

const panel = at(".sees");
const looksInside = () => panel.open && answered();

function askInputs() {
  redrawPlace(); // the box comes and goes with the panel
  if (!state.scan || !looksInside()) return;
  if (state.scan.inputs) return fillInputs();
  at(".inputs").replaceChildren();
  at(".sees-note").textContent = say("sees_wait");
  if (state.inputsRequest === state.scan.id) return;
  state.inputsRequest = state.scan.id;
  trigger?.("expand");
}

// An empty list came where the scan could not be read again; the line of status says why.
function takeInputs(inputs) {
  state.inputsRequest = "";
  state.scan.inputs = inputs.length ? inputs : null;
  if (inputs.length) return fillInputs();
  at(".sees-note").textContent = say("sees_none");
}

const slabAt = (inputs, slice) => inputs.slabs.findIndex(([first, last]) => first <= slice && slice <= last);
const slabName = ([first, last]) => (first === last ? say("sees_slice", { k: first + 1 }) : say("sees_slab", { first: first + 1, last: last + 1 }));

function fillInputs() {
  if (!state.scan?.inputs || !looksInside()) return;
  at(".sees-note").textContent = say("sees_note");
  at(".inputs").replaceChildren(...state.scan.inputs.map(inputTable));
  redrawPlace();
}

// A row for each window, a column for each slice in one input with the open one.
function inputTable(inputs) {
  const here = slabAt(inputs, state.place.axial), slabs = inputs.given[here], table = made("table"), head = made("tr");
  const values = { name: inputs.model, size: inputs.size, slices: slabs.length, windows: inputs.windows.length };
  table.append(made("caption", say("sees_input", values)), head);
  head.append(made("td"), ...slabs.map((slab) => Object.assign(made("th", slabName(inputs.slabs[slab])), { scope: "col", className: slab === here ? "here" : "" })));
  inputs.windows.forEach(([level, width], number) => {
    const row = made("tr"), name = say("sees_window", { level, width });
    row.append(Object.assign(made("th", name), { scope: "row" }));
    for (const slab of slabs) {
      const cell = made("td", undefined, slab === here ? "here" : ""), canvas = made("canvas");
      canvas.role = "img";
      canvas.ariaLabel = slabName(inputs.slabs[slab]) + ", " + name;
      canvas.width = canvas.height = inputs.size;
      paintInput(canvas, inputs.pictures[slab][number]);
      cell.append(canvas);
      row.append(cell);
    }
    table.append(row);
  });
  return table;
}

async function paintInput(canvas, packed) {
  const { width: size } = canvas, values = unguessed(await inflated(packed), size, size), image = new ImageData(size, size), pixels = new Uint32Array(image.data.buffer);
  for (let n = 0; n < pixels.length; n++) pixels[n] = 0xff000000 | (values[n] * 0x10101);
  canvas.getContext("2d").putImageData(image, 0, 0);
  canvas.dataset.painted = "yes";
}

// The square that the model's pictures show, over the picture of the scan.
function drawInputBox(matrix, frame) {
  const { rows, columns } = state.scan.report.shown, brush = layers.marks.getContext("2d");
  for (const { box: [top, left, side] } of state.scan.inputs) {
    const [y, x] = [frame.rows / rows, frame.columns / columns], path = new Path2D(), square = new Path2D();
    square.rect(left * x, top * y, side * x, side * y);
    path.addPath(square, matrix);
    for (const [color, width] of [["#000000", 3], ["#ffffff", 1.2]]) {
      brush.strokeStyle = color;
      brush.lineWidth = width * sharp();
      brush.stroke(path);
    }
  }
}
