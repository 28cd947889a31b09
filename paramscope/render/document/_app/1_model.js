// What the page tells of: the model's modules and slots, in columns, and the folded tree of lines.
"use strict";
const data = JSON.parse(document.getElementById("ps-data").textContent);

const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, f32: Float32Array };

function unpacked([kind, text]) {
  const bytes = Uint8Array.from(atob(text), (each) => each.charCodeAt(0));
  return new TYPES[kind](bytes.buffer);
}

// A column of values of which many are the same.
function column(packed) {
  const codes = unpacked(packed.codes);
  return { codes, values: packed.values, at: (i) => packed.values[codes[i]] };
}

// An element with attributes and children: texts are texts, whatever they look like.
function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "style") Object.assign(made.style, value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat().filter((each) => each !== null && each !== undefined && each !== false));
  return made;
}

const count = (number) => number.toLocaleString("en-US");

// Numbers are written as everywhere in paramscope: `50.3M` elements, `8.2 G` operations, `208.3 MiB`, `12.3%`.
function scaled(number, units, step) {
  let at = 0;
  while (Math.abs(number) >= step && at < units.length - 1) {
    number /= step;
    at += 1;
  }
  return (at ? number.toFixed(1) : String(number)) + units[at];
}
const short = (number) => scaled(number, ["", "k", "M", "B", "T"], 1000);
const flops = (number) => scaled(number, ["", " k", " M", " G", " T", " P"], 1000);
const bytes = (number) => scaled(number, [" B", " KiB", " MiB", " GiB", " TiB"], 1024);
const percent = (part, whole) => `${(whole ? (100 * part) / whole : 0).toFixed(1)}%`;

const columns = (packed) =>
  Object.fromEntries(Object.entries(packed).map(([name, each]) => [name, Array.isArray(each) ? unpacked(each) : column(each)]));
const slots = columns(data.slots);
const modules = columns(data.modules);
const SLOTS = slots.module.length;
const MODULES = modules.parent.length;
const parentOf = (module) => modules.parent[module] - 1;
const NONE = [];
const ROOTS = [];
const CHILDREN = new Array(MODULES).fill(NONE);
const OWN = new Array(MODULES).fill(NONE);
const modulePaths = new Array(MODULES);
for (let module = 0; module < MODULES; module += 1) {
  const parent = parentOf(module);
  if (parent < 0) ROOTS.push(module);
  else if (CHILDREN[parent] === NONE) CHILDREN[parent] = [module];
  else CHILDREN[parent].push(module); // a child comes after its parent
  modulePaths[module] = (parent < 0 ? "" : modulePaths[parent]) + modules.name.at(module);
}
for (let slot = 0; slot < SLOTS; slot += 1) {
  const module = slots.module[slot];
  if (OWN[module] === NONE) OWN[module] = [slot];
  else OWN[module].push(slot);
}
const slotPath = (slot) => modulePaths[slots.module[slot]] + slots.name.at(slot);
// Of two that are equal the first is meant.
const places = {};
function moduleAt(path) {
  places.modules ??= new Map(modulePaths.map((each, module) => [each, module]).reverse());
  return places.modules.get(path);
}
function slotAt(path) {
  places.slots ??= new Map(Array.from(slots.module, (_, slot) => [slotPath(slot), slot]).reverse());
  return places.slots.get(path);
}

// Of each slot what finds it: ties and findings.
const tiesOf = new Map();
data.sharing.forEach((record, number) => {
  for (const slot of record.slots) tiesOf.set(slot, [...(tiesOf.get(slot) ?? []), number]);
});
const findingsOf = { slot: new Map(), module: new Map() };
data.findings.forEach((finding, number) => {
  const add = (of, at) => of.set(at, [...(of.get(at) ?? []), number]);
  finding.slots.forEach((slot) => slot >= 0 && add(findingsOf.slot, slot));
  finding.modules.forEach((module, i) => module >= 0 && finding.slots[i] < 0 && add(findingsOf.module, module));
});

// A line of the table: several modules alike (kind 0), several slots (1). Its children are lines.
function line(kind, label, parent, members) {
  const made = { id: "", kind, label, parent, members, children: [], depth: parent ? parent.depth + 1 : 0 };
  parent?.children.push(made);
  return made;
}

function foldedLines() {
  const kinds = unpacked(data.lines.kind);
  const depths = unpacked(data.lines.depth);
  const counts = unpacked(data.lines.count);
  const members = unpacked(data.lines.member);
  const all = [];
  const above = [];
  let start = 0;
  for (let at = 0; at < kinds.length; at += 1) {
    const made = line(kinds[at], data.lines.label[at], above[depths[at] - 1], members.subarray(start, (start += counts[at])));
    made.id = `n${at}`;
    above[depths[at]] = made;
    all.push(made);
  }
  return all;
}

function unfoldedLines() {
  const all = [];
  const lineOf = new Array(MODULES);
  const stack = [...ROOTS].reverse();
  while (stack.length) {
    const module = stack.pop();
    const made = (lineOf[module] = line(0, modulePaths[module], lineOf[parentOf(module)], [module]));
    made.id = `m${module}`;
    all.push(made);
    for (const slot of OWN[module]) {
      const held = line(1, slotPath(slot), made, [slot]);
      held.id = `s${slot}`;
      all.push(held);
    }
    stack.push(...[...CHILDREN[module]].reverse());
  }
  return all;
}

// Slots that fold to one line, each as a line of its own.
function membersOf(of) {
  if (!of.opened) {
    of.opened = Array.from(of.members, (slot) => ({
      id: `s${slot}`, kind: 1, label: slotPath(slot), parent: of, members: [slot], children: [], depth: of.depth + 1,
    }));
  }
  return of.opened;
}

// As globs are read everywhere in paramscope; words without any of its signs are found wherever they stand.
const isSubstring = (words) => !/[*?[\],]/.test(words.trim().replace(BEHIND, ""));

// Tells a path that is meant; what is found wherever it stands is looked for in paths in small letters.
function matcher(words) {
  const wanted = words.trim().replace(BEHIND, "");
  if (!wanted) return null;
  if (isSubstring(words)) {
    const part = wanted.toLowerCase();
    return (path) => path.includes(part);
  }
  const ranges = [];
  const several = [""];
  for (const { groups: token } of wanted.matchAll(TOKEN)) {
    const last = several.length - 1;
    if (token.numbers !== undefined) {
      several[last] += "(?:\\[(\\d+)\\]|\\.?(\\d+)(?!\\d))";
      const each = token.numbers.split(",").map((range) => range.split(/[-:]/).map(Number));
      ranges.push(each, each);
    } else if (token.key !== undefined) several[last] += escaped(token.key);
    else if (token.one === ",") several.push("");
    else if (token.one !== " " || several[last]) several[last] += { "*": ".*", "?": "." }[token.one] ?? escaped(token.one);
  }
  const whole = new RegExp(`^(?:${several.filter(Boolean).join("|")})(?:(?:[.[{]|->|::).*)?$`, "s");
  const isIn = (number) => ([first, last = first, step = 1]) =>
    number >= first && number <= last && (number - first) % (step || 1) === 0;
  return (path) => {
    const found = whole.exec(path);
    return found !== null && ranges.every((each, i) => found[i + 1] === undefined || each.some(isIn(Number(found[i + 1]))));
  };
}

const NUMBER = "(?:0|[1-9][0-9]*)";
const RANGE = `${NUMBER}(?:-${NUMBER}(?::${NUMBER})?)?`;
const TOKEN = new RegExp(
  `\\[(?<numbers>${RANGE}(?:,${RANGE})*)\\]|(?<key>\\[(?:'(?:[^'\\\\]|\\\\.)*'|"(?:[^"\\\\]|\\\\.)*"|[^[\\]'"]*)\\])|(?<one>.)`, "gs",
);
// What a line shows behind its path.
const BEHIND = /(?:: \w+)?(?: ×[\d,]*\d| [=~%+@]\d+| ![A-Z]+\d+(?:,[A-Z]+\d+)*(?:\+\d+)?)+(?=,|$)|: \w+$/g;
const escaped = (words) => words.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
