// Gradio names each choice of a radio group differently, and anew with each redraw, so each is a Tab stop of its own and
// arrows do nothing. Under one name the browser makes them one stop and moves by arrows; ARIA has the group's words said.

(() => {
  function join(group) {
    for (const input of group.querySelectorAll("input")) if (input.name !== "samples") input.name = "samples";
    group.setAttribute("role", "radiogroup");
    group.setAttribute("aria-label", group.querySelector("[data-testid='block-info']").textContent.trim());
  }

  const page = new MutationObserver(start);
  function start() {
    const group = document.querySelector("#samples:has(input)");
    if (!group) return;
    page.disconnect();
    join(group);
    new MutationObserver(() => join(group)).observe(group, { subtree: true, childList: true, characterData: true, attributeFilter: ["name"] });
  }
  page.observe(document.body, { subtree: true, childList: true });
  start();
})();
