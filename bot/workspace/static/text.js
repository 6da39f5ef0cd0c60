// Renders Slack's mrkdwn and standard markdown into nodes.

import { el } from "./dom.js";

const EMOJI = {
  thumbsup: "👍", "+1": "👍", thumbsdown: "👎", "-1": "👎", white_check_mark: "✅", x: "❌", grey_question: "❔", tada: "🎉",
  eyes: "👀", heart: "❤️", pray: "🙏", rocket: "🚀", warning: "⚠️", pencil: "📝", pencil2: "✏️", bulb: "💡", wave: "👋",
  hourglass_flowing_sand: "⏳", seedling: "🌱", arrow_right: "➡️", lock: "🔒", mag: "🔍", smile: "😄", thinking_face: "🤔",
};

export const emoji = (name) => EMOJI[name] ?? `:${name}:`;
export const QUICK_EMOJI = ["+1", "-1", "eyes", "heart", "tada"];

const unescape = (text) => text.replaceAll("&lt;", "<").replaceAll("&gt;", ">").replaceAll("&amp;", "&");

const link = (address, label) =>
  /^(https?:|mailto:)/i.test(address) ? el("a", { href: address, target: "_blank", rel: "noreferrer" }, label) : label;

// Slack's date tokens, in the reader's time zone.
function moment(seconds, format, timeZone) {
  const shown = (options) => new Date(seconds * 1000).toLocaleString("en", { timeZone, ...options });
  return format
    .replace(/\{date[a-z_]*\}/g, () => shown({ dateStyle: "medium" }))
    .replace(/\{time[a-z_]*\}/g, () => shown({ timeStyle: "short" }));
}

// Each rule: a pattern, and what its match becomes. The first rule that matches earliest wins.
const SHARED = [
  [/`([^`\n]+)`/, (m) => el("code", {}, unescape(m[1]))],
  [/:([a-z0-9_+-]+):/, (m) => EMOJI[m[1]] ?? m[0]],
  [/<@([A-Z0-9]+)(?:\|[^>]*)?>/, (m, names) => el("span", { class: "mention" }, `@${names.user(m[1])}`)],
  [/<!subteam\^([A-Z0-9]+)(?:\|[^>]*)?>/, (m, names) => el("span", { class: "mention" }, `@${names.group(m[1])}`)],
  [/<#([A-Z0-9]+)(?:\|([^>]*))?>/, (m, names) => el("span", { class: "mention" }, `#${m[2] || names.channel(m[1])}`)],
  [/<!date\^(\d+)\^([^|>^]+)(?:\^[^|>]*)?\|([^>]*)>/, (m, names) => el("time", { datetime: new Date(m[1] * 1000).toISOString(), title: unescape(m[3]) }, moment(Number(m[1]), m[2], names.zone?.()))],
  [/<((?:https?|mailto):[^|>]+)(?:\|([^>]*))?>/, (m) => link(m[1], unescape(m[2] || m[1]))],
];
const MRKDWN = [
  ...SHARED,
  [/(?<![\w*])\*([^*\n]+)\*(?![\w*])/, (m, names) => el("strong", {}, inline(m[1], MRKDWN, names))],
  [/(?<!\w)_([^_\n]+)_(?!\w)/, (m, names) => el("em", {}, inline(m[1], MRKDWN, names))],
  [/(?<!\w)~([^~\n]+)~(?!\w)/, (m, names) => el("s", {}, inline(m[1], MRKDWN, names))],
];
const MARKDOWN = [
  [/\\([!-/:-@[-`{-~])/, (m) => m[1]],
  ...SHARED,
  [/\[([^\]\n]+)\]\(([^)\s]+)\)/, (m) => link(m[2], m[1])],
  [/\*\*\*([^*\n]+)\*\*\*/, (m, names) => el("strong", {}, el("em", {}, inline(m[1], MARKDOWN, names)))],
  [/\*\*(?=\S)(.+?)(?<=\S)\*\*|(?<!\w)__(?=\S)(.+?)(?<=\S)__(?!\w)/, (m, names) => el("strong", {}, inline(m[1] ?? m[2], MARKDOWN, names))],
  [/(?<!\w)[*_]([^*_\n]+)[*_](?!\w)/, (m, names) => el("em", {}, inline(m[1], MARKDOWN, names))],
  [/~~([^~\n]+)~~/, (m, names) => el("s", {}, inline(m[1], MARKDOWN, names))],
];

function inline(text, rules, names) {
  const nodes = [];
  while (text) {
    let best = null;
    for (const [pattern, make] of rules) {
      const match = pattern.exec(text);
      if (match && (!best || match.index < best.match.index)) best = { match, make };
    }
    if (!best) break;
    nodes.push(unescape(text.slice(0, best.match.index)), best.make(best.match, names));
    text = text.slice(best.match.index + best.match[0].length);
  }
  return [...nodes, unescape(text)];
}

// A table of standard markdown: a row, a line of dashes, and rows until a line has no bar.
const RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;
const cells = (row) => row.trim().replace(/^\||(?<!\\)\|$/g, "").split(/(?<!\\)\|/).map((cell) => cell.trim());
const row = (tag, line, names) => el("tr", {}, cells(line).map((cell) => el(tag, {}, inline(cell, MARKDOWN, names))));

function table(rows, names) {
  const [head, , ...body] = rows;
  return el("table", {}, el("thead", {}, row("th", head, names)), el("tbody", {}, body.map((line) => row("td", line, names))));
}

// Gives the number of lines of the table that begins at `at`; 0 when none does.
function tableLength(all, at) {
  if (!all[at].includes("|") || !all[at + 1]?.includes("|") || !RULE.test(all[at + 1])) return 0;
  const end = all.findIndex((line, index) => index > at && !line.includes("|"));
  return (end < 0 ? all.length : end) - at;
}

function lines(text, rules, names) {
  const nodes = [];
  let list = null;
  let quote = null;
  const all = text.split("\n");
  for (let at = 0; at < all.length; at++) {
    const length = rules === MARKDOWN ? tableLength(all, at) : 0;
    if (length) {
      nodes.push(table(all.slice(at, at + length), names));
      at += length - 1;
      list = quote = null;
      continue;
    }
    const line = all[at];
    const item = /^\s*([-*•]|\d+[.)])\s+(.*)/.exec(line);
    const quoted = /^(?:&gt;|>)\s?(.*)/.exec(line);
    const heading = rules === MARKDOWN && /^(#{1,4})\s+(.*)/.exec(line);
    if (item) {
      if (!list) nodes.push((list = /\d/.test(item[1]) ? el("ol", { start: Number.parseInt(item[1], 10) }) : el("ul")));
      list.append(el("li", {}, inline(item[2], rules, names)));
    } else if (quoted) {
      if (!quote) nodes.push((quote = el("blockquote")));
      quote.append(el("div", {}, inline(quoted[1], rules, names)));
    } else if (heading) nodes.push(el("p", {}, el("strong", {}, inline(heading[2], rules, names))));
    else nodes.push(line ? el("p", {}, inline(line, rules, names)) : "");
    if (!item) list = null;
    if (!quoted) quote = null;
  }
  return nodes;
}

function render(text, rules, names) {
  return text.split(/```/).flatMap((part, index) =>
    index % 2 ? el("pre", {}, el("code", {}, unescape(part.replace(/^\w*\n/, "")))) : lines(part.trim(), rules, names));
}

// Code blocks of standard markdown begin and end with a line of their own; one that is still growing has no end.
function renderMarkdown(text, names) {
  const nodes = [];
  const fence = /^ {0,3}(```|~~~)[^\n`]*\n?([\s\S]*?)(?:^ {0,3}\1[`~]*[ \t]*$|$(?![\s\S]))/m;
  for (let match; (match = fence.exec(text)); text = text.slice(match.index + match[0].length)) {
    nodes.push(...lines(text.slice(0, match.index).trim(), MARKDOWN, names), el("pre", {}, el("code", {}, unescape(match[2].replace(/\n$/, "")))));
  }
  return [...nodes, ...lines(text.trim(), MARKDOWN, names)];
}

export const mrkdwn = (text, names) => render(text, MRKDWN, names);
export const markdown = renderMarkdown;
export const object = (value, names) => (value?.type === "mrkdwn" ? mrkdwn(value.text, names) : [value?.text ?? ""]);
