// Renders Block Kit. `act(action)` is called when somebody uses an element; inputs are read with `values`.

import { bin, el, thumb } from "./dom.js";
import { emoji, markdown, object } from "./text.js";

export function renderBlocks(blocks, context) {
  return blocks.map((block) => el("div", { class: "block", "data-block": block.block_id }, renderBlock(block, context)));
}

function renderBlock(block, context) {
  const { names } = context;
  switch (block.type) {
    case "header": return el("div", { class: "block-header" }, object(block.text, names));
    case "divider": return el("hr");
    case "markdown": return el("div", { class: "text" }, markdown(block.text, names));
    case "section": return section(block, context);
    case "context": return el("div", { class: "context" }, block.elements.map((part) => part.type === "image" ? image(part) : el("span", {}, object(part, names))));
    case "actions": case "context_actions": return el("div", { class: "actions" }, block.elements.map((element) => interactive(element, block, context)));
    case "input": return input(block, context);
    case "image": return image(block);
    case "table": return el("table", {}, block.rows.map((row, index) => el("tr", {}, row.map((cell) => el(index ? "td" : "th", { scope: index ? null : "col" }, plain(cell))))));
    case "rich_text": return el("div", { class: "text" }, block.elements.map((part) => el("p", {}, plain(part))));
    default: return el("div", { class: "note" }, `(${block.type})`);
  }
}

const plain = (part) => part.text ?? (part.elements ?? []).map(plain).join("");
const image = (part) => el("img", { src: part.image_url, alt: part.alt_text });

function section(block, context) {
  const { names } = context;
  const fields = block.fields && el("div", { class: "fields" }, block.fields.map((field) => el("div", {}, object(field, names))));
  const body = el("div", { class: "text" }, block.text ? object(block.text, names) : "", fields);
  return el("div", { class: "section" }, body, block.accessory ? interactive(block.accessory, block, context) : null);
}

function interactive(element, block, { act, names, isPressed }) {
  const base = { block_id: block.block_id, action_id: element.action_id, type: element.type };
  const send = (more) => act({ ...base, ...more });
  switch (element.type) {
    case "button": return button(element, send);
    case "icon_button": return el("button", { class: "button icon", "aria-label": element.accessibility_label ?? element.text.text, title: element.text.text, onclick: () => send({ value: element.value }) }, bin());
    case "feedback_buttons": return feedback(element, send, isPressed);
    case "static_select": case "overflow": {
      const options = element.options ?? (element.option_groups ?? []).flatMap((group) => group.options);
      const choose = (event) => send({ selected_option: options[event.target.selectedIndex - 1] });
      return el("select", { onchange: choose, "aria-label": element.placeholder?.text ?? "Choose" }, el("option", { disabled: true, selected: true }, element.placeholder?.text ?? "…"), options.map((option) => el("option", {}, option.text.text)));
    }
    case "checkboxes": return checkboxes(element, send);
    case "image": return image(element);
    default: return el("span", { class: "note" }, object(element.text, names));
  }
}

function checkboxes(element, send) {
  const initial = new Set((element.initial_options ?? []).map((option) => option.value));
  const boxes = element.options.map((option) => el("input", { type: "checkbox", checked: initial.has(option.value), onchange: () => send({ selected_options: element.options.filter((_, index) => boxes[index].checked) }) }));
  return el("span", { class: "boxes" }, element.options.map((option, index) => el("label", {}, boxes[index], " ", option.text.text)));
}

function button(element, send) {
  const press = async (event) => {
    const { confirm: ask } = element;
    if (ask && !window.confirm(`${ask.title?.text ?? ""}\n\n${ask.text?.text ?? ""}`)) return;
    event.target.disabled = true;
    await send({ value: element.value, text: element.text });
    event.target.disabled = false;
  };
  if (element.url) return el("a", { class: "button", href: element.url, target: "_blank", rel: "noreferrer" }, element.text.text);
  return el("button", { class: `button ${element.style ?? ""}`, onclick: press, "aria-label": element.accessibility_label }, [...element.text.text.split(/(:[a-z0-9_+-]+:)/).map((part) => /^:.+:$/.test(part) ? emoji(part.slice(1, -1)) : part)]);
}

// A toggle: pressing the pressed one lets it go.
function feedback(element, send, isPressed) {
  const one = (choice, turned) => {
    const press = ({ currentTarget }) => {
      const on = currentTarget.getAttribute("aria-pressed") === "true";
      for (const each of currentTarget.parentElement.children) mark(each, each === currentTarget && !on);
      return send({ value: choice.value, text: choice.text });
    };
    const node = el("button", { class: "button icon", "aria-label": choice.accessibility_label ?? choice.text.text, title: choice.text.text, onclick: press }, thumb(turned));
    mark(node, Boolean(isPressed?.(element.action_id, choice.value)));
    return node;
  };
  return el("span", { class: "actions" }, one(element.positive_button, false), one(element.negative_button, true));
}

function mark(node, on) {
  node.classList.toggle("on", on);
  node.setAttribute("aria-pressed", String(on));
}

function input(block, { errors, names }) {
  const { element } = block;
  const id = `input-${block.block_id}-${element.action_id}`;
  const data = { id, "data-block": block.block_id, "data-action": element.action_id, "data-type": element.type };
  const problem = errors?.[block.block_id];
  const described = problem ? { "aria-invalid": "true", "aria-describedby": `${id}-error` } : {};
  return el("div", { class: "field" }, el("label", { for: id }, block.label.text, block.optional ? el("span", { class: "note" }, " (optional)") : null),
    control(element, { ...data, ...described }, names), block.hint ? el("div", { class: "hint" }, block.hint.text) : null,
    problem ? el("div", { class: "error", id: `${id}-error` }, problem) : null);
}

function control(element, attributes, names) {
  if (element.type === "static_select" || element.type === "radio_buttons") {
    const node = el("select", attributes, element.options.map((option) => el("option", { value: option.value }, option.text.text)));
    if (element.initial_option) node.value = element.initial_option.value;
    node.options_ = element.options;
    return node;
  }
  if (element.type === "multi_users_select") {
    const chosen = new Set(element.initial_users);
    return el("select", { ...attributes, multiple: "" }, names.people().map((user) => el("option", { value: user.id, ...(chosen.has(user.id) ? { selected: "" } : {}) }, user.real_name)));
  }
  const common = { ...attributes, placeholder: element.placeholder?.text, maxlength: element.max_length };
  const node = element.multiline ? el("textarea", common) : el("input", { ...common, type: "text" });
  node.value = element.initial_value ?? "";
  return node;
}

// Reads all inputs below `root` as view_submission has them.
export function values(root) {
  const state = {};
  for (const node of root.querySelectorAll("[data-action]")) {
    const { block, action, type } = node.dataset;
    const given = node.multiple ? { type, selected_users: [...node.selectedOptions].map((option) => option.value) } : node.options_ ? { type, selected_option: node.options_[node.selectedIndex] } : { type, value: node.value || null };
    (state[block] ??= {})[action] = given;
  }
  return state;
}

