// Files dropped anywhere on the page are read, and a folder can be chosen. It becomes one zip in the browser and goes through
// the upload box like any file: browsers send files of a folder without their places in it, and then brain/1.jpg and bone/1.jpg are the same.

const FILES = 5000, BYTES = 1e9; // stops a home folder before it is read; the reader has limits of its own
const message = element.querySelector("p");
let language = preferred();

function speak() {
  for (const part of element.querySelectorAll("[data-say]")) part.textContent = wordIn(language, part.dataset.say);
  element.querySelector("input").ariaLabel = wordIn(language, "folder_label");
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1;
  return n;
});

function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) sum = CRC[(sum ^ byte) & 255] ^ (sum >>> 8);
  return (sum ^ 0xffffffff) >>> 0;
}

function numbers(...pairs) { // [value, bytes] each, little-endian
  const view = new DataView(new ArrayBuffer(pairs.reduce((sum, [, width]) => sum + width, 0)));
  let place = 0;
  for (const [value, width] of pairs) {
    width === 2 ? view.setUint16(place, value, true) : view.setUint32(place, value, true);
    place += width;
  }
  return new Uint8Array(view.buffer);
}

// A zip whose entries are stored as they are: APPNOTE.TXT 4.3.7, 4.3.12, 4.3.16; bit 11 of the flags says UTF-8 names.
async function zipped(files) {
  const parts = [], list = [];
  let offset = 0, listed = 0;
  for (const [path, file] of files) {
    const data = new Uint8Array(await file.arrayBuffer()), name = new TextEncoder().encode(path);
    const about = [[20, 2], [0x800, 2], [0, 2], [0, 2], [33, 2], [crc32(data), 4], [data.length, 4], [data.length, 4], [name.length, 2], [0, 2]];
    const head = numbers([0x04034b50, 4], ...about);
    parts.push(head, name, data);
    const entry = numbers([0x02014b50, 4], [20, 2], ...about, [0, 2], [0, 2], [0, 2], [0, 4], [offset, 4]);
    list.push(entry, name);
    offset += head.length + name.length + data.length;
    listed += entry.length + name.length;
  }
  const end = numbers([0x06054b50, 4], [0, 2], [0, 2], [files.length, 2], [files.length, 2], [listed, 4], [offset, 4], [0, 2]);
  return new Blob([...parts, ...list, end], { type: "application/zip" });
}

function hand(files) {
  const carrier = new DataTransfer(), box = document.querySelector("#files input[type=file]");
  for (const file of files) carrier.items.add(file);
  box.files = carrier.files;
  box.dispatchEvent(new Event("change", { bubbles: true }));
}

async function send(files, name) {
  const bytes = files.reduce((sum, [, file]) => sum + file.size, 0);
  const box = document.querySelector("#files input[type=file]");
  const say = (key, values) => wordIn(language, key, values);
  message.textContent = !files.length ? say("folder_empty")
    : files.length > FILES || bytes > BYTES ? say("folder_large", { n: files.length })
    : !box ? say("folder_busy")
    : "";
  if (message.textContent) return;
  hand([new File([await zipped(files)], (name || "folder") + ".zip", { type: "application/zip" })]);
}

async function walked(entry, path) {
  if (entry.isFile) return [[path + entry.name, await new Promise((done, failed) => entry.file(done, failed))]];
  const reader = entry.createReader(), files = [];
  for (;;) { // a folder is listed in portions, an empty one is the last
    const portion = await new Promise((done, failed) => reader.readEntries(done, failed));
    if (!portion.length || files.length > FILES) return files;
    for (const child of portion) files.push(...(await walked(child, path + entry.name + "/")));
  }
}

element.querySelector("input").addEventListener("change", (event) => {
  const files = [...event.target.files].map((file) => [file.webkitRelativePath, file]);
  event.target.value = "";
  send(files, files[0]?.[0].split("/")[0]);
});

document.addEventListener("drop", async (event) => {
  const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean), files = [...event.dataTransfer.files];
  const isFolder = entries.some((entry) => entry.isDirectory), box = event.target.closest?.("#files, #truth");
  if (!entries.length || (box && !isFolder)) return; // files alone in an upload box are that box's own business
  event.preventDefault();
  event.stopPropagation();
  if (box) event.target.dispatchEvent(new DragEvent("dragleave", { bubbles: true }));
  if (isFolder) return send((await Promise.all(entries.map((entry) => walked(entry, "")))).flat(), entries[0].name);
  message.textContent = document.querySelector("#files input[type=file]") ? "" : wordIn(language, "folder_busy");
  if (!message.textContent) hand(files);
}, true);

window.addEventListener(LANGUAGE, (event) => ((language = event.detail), speak()));
speak();
