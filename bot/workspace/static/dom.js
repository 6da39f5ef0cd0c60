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
