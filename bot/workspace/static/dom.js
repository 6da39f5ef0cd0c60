// Builds elements. Text always becomes text nodes, so nothing that a person or the app wrote is ever read as HTML.

export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "class") node.className = value;
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}

export function toast(text) {
  const node = el("div", { class: "toast" }, text);
  document.getElementById("toasts").append(node);
  setTimeout(() => node.remove(), 6000);
}

export function initials(name) {
  return name.split(/\s+/).map((part) => part[0] ?? "").join("").slice(0, 2).toUpperCase();
}

export function avatar(user, small = false) {
  const style = `background:${user?.color ?? "#777"}`;
  return el("span", { class: small ? "avatar small" : "avatar", style, "aria-hidden": "true" }, initials(user?.real_name ?? "?"));
}

// Drawn, not written: not every machine has a font with the emoji.
function drawn(path, classes) {
  const space = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(space, "svg");
  const line = document.createElementNS(space, "path");
  line.setAttribute("d", path);
  drawing.append(line);
  for (const [name, value] of [["viewBox", "0 0 20 20"], ["class", classes], ["aria-hidden", "true"]]) drawing.setAttribute(name, value);
  return drawing;
}

export const thumb = (turned) =>
  drawn("M6 9h3l3.2-6.2c1.4 0 2.2 1 1.9 2.4L13.4 8H17c1 0 1.7.9 1.5 1.9l-1.2 5.7c-.2.8-.9 1.4-1.7 1.4H6ZM2.5 9H6v8H2.5Z", turned ? "drawn turned" : "drawn");
export const bin = () => drawn("M3.5 5.5h13M8 5.5v-2h4v2M5.5 5.5l.8 11.5h7.4l.8-11.5M8.5 8.5v5.5M11.5 8.5v5.5", "drawn");
