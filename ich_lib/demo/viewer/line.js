// A lost line. All answers of the server come through one long response. If that ends early (the computer slept, the
// network changed, the server was stopped), Gradio tells nobody: the page would say "Reading the scan" for ever, and
// later answers would not come either. So the page counts its requests and their answers, and says what to do.

const ASK = "/queue/join", LINE = "/queue/data", SETTLED_MS = 1000; // Gradio may open the next line by then
const ANSWERED = /"msg":\s*"process_completed",\s*"event_id":\s*"([^"]+)"/g, HEAD = 200; // characters with both names
const send = window.fetch, open = new Set(); // requests without an answer, or answers that came before their number
let lines = 0;

window.fetch = async (...request) => {
  const address = String(request[0]?.url ?? request[0]);
  if (address.includes(LINE)) return openLine(request);
  const answer = await send(...request);
  if (address.includes(ASK) && answer.ok) toggle((await answer.clone().json()).event_id);
  return answer;
};

const toggle = (id) => open.delete(id) || open.add(id);

async function openLine(request) {
  lines += 1;
  try {
    const answer = await send(...request), [gradios, ours] = answer.body.tee();
    listenTo(ours);
    return new Response(gradios, answer);
  } catch (problem) {
    ended();
    throw problem;
  }
}

async function listenTo(body) {
  const reader = body.getReader(), decoder = new TextDecoder();
  let text = "";
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      text += decoder.decode(part.value, { stream: true });
      for (const [, id] of text.matchAll(ANSWERED)) toggle(id);
      text = text.replace(ANSWERED, "").slice(-HEAD);
    }
  } catch {
    // cut, or closed by Gradio: the open requests tell them apart
  }
  ended();
}

function ended() {
  lines -= 1;
  setTimeout(tellLost, SETTLED_MS);
}

function tellLost() {
  const status = document.querySelector("#status");
  if (lines || !open.size || !status) return;
  status.innerHTML = '<p class="wrong" data-say="line_lost"></p>';
  speak();
}
