// The field in which a message is written: Enter sends, Shift+Enter breaks the line, @ and / suggest.

import { attempt } from "./api.js";
import { el } from "./dom.js";

export function makeComposer({ label, candidates, send }) {
  const field = el("textarea", { rows: 1, placeholder: label, "aria-label": label });
  const list = el("ul", { class: "suggest", role: "listbox", hidden: true });
  const button = el("button", { class: "button primary", onclick: () => submit() }, "Send");
  let shown = [];
  let chosen = 0;

  async function submit() {
    const text = field.value.trim();
    if (!text) return;
    field.value = "";
    grow();
    if (!(await send(encode(text, candidates())))) field.value = text;
    field.focus();
  }

  function grow() {
    field.style.height = "auto";
    field.style.height = `${field.scrollHeight}px`;
  }

  function suggest() {
    const before = field.value.slice(0, field.selectionStart);
    const match = /(?:^|\s)([@/][\w-]*)$/.exec(before);
    const query = match?.[1].toLowerCase();
    shown = query ? candidates().filter((each) => each.label[0] === query[0] && each.label.toLowerCase().startsWith(query)).slice(0, 8) : [];
    chosen = 0;
    draw();
  }

  function draw() {
    list.hidden = !shown.length;
    list.replaceChildren(...shown.map((each, index) => el("li", { role: "option", "aria-selected": String(index === chosen), onmousedown: (event) => { event.preventDefault(); take(each); } }, each.label, " ", el("small", {}, each.hint))));
  }

  function take(candidate) {
    const before = field.value.slice(0, field.selectionStart).replace(/[@/][\w-]*$/, `${candidate.label} `);
    field.value = before + field.value.slice(field.selectionStart);
    field.setSelectionRange(before.length, before.length);
    shown = [];
    draw();
  }

  field.addEventListener("input", () => { grow(); suggest(); });
  field.addEventListener("blur", () => { shown = []; draw(); });
  field.addEventListener("keydown", (event) => {
    if (shown.length && ["ArrowDown", "ArrowUp"].includes(event.key)) {
      event.preventDefault();
      chosen = (chosen + (event.key === "ArrowDown" ? 1 : shown.length - 1)) % shown.length;
      draw();
    } else if (shown.length && ["Enter", "Tab"].includes(event.key)) { event.preventDefault(); take(shown[chosen]); }
    else if (shown.length && event.key === "Escape") { shown = []; draw(); }
    else if (event.key === "Enter" && !event.shiftKey && !event.isComposing) { event.preventDefault(); submit(); }
  });

  const node = el("div", { class: "composer" }, list, field, button);
  node.fill = (text) => { field.value = text; grow(); field.focus(); };
  return node;
}

// "@Ada Lindgren" becomes "<@UADA>" on the way out, and "<", ">" and "&" are escaped as Slack's own client does.
function encode(text, candidates) {
  let encoded = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  for (const { label, token } of candidates) if (token) encoded = encoded.replaceAll(label, token);
  return encoded;
}

export const sendAs = (user, channel, thread_ts) => async (text) =>
  (await attempt("send", { user, channel, text, ...(thread_ts ? { thread_ts } : {}) })) !== null;
