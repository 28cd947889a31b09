// The table: the folded tree, of which only the lines that are seen are drawn.
"use strict";
const MOST = 5000; // lines that are listed at once
const OPEN_AT_FIRST = 60;
const trees = {};
const linesOf = () => (trees[state.fold] ??= state.fold === "1" ? foldedLines() : unfoldedLines());

// What is wanted below each line: slots, elements, bytes; `again` are those of tensors that stand in an earlier slot.
function sumUp(lines) {
  for (const each of lines) each.sum = nothing();
  for (let at = lines.length - 1; at >= 0; at -= 1) {
    const { sum, kind, members, parent } = lines[at];
    if (kind === 1) for (const slot of members) add(sum, slot);
    if (parent) for (const name of Object.keys(sum)) parent.sum[name] += sum[name];
  }
}

const nothing = () => ({ slots: 0, parameters: 0, buffers: 0, others: 0, again: 0, bytes: 0, unknown: 0 });

function add(sum, slot) {
  if (!wantedSlots[slot]) return;
  sum.slots += 1;
  const elements = slots.elements.at(slot);
  sum.bytes += slots.bytes.at(slot);
  if (elements === null) {
    sum.unknown += 1;
    return;
  }
  if (!slots.first[slot]) {
    sum.again += elements;
    return;
  }
  const status = slots.status.at(slot);
  sum[status === "trainable" || status === "frozen" ? "parameters" : status === "buffer" ? "buffers" : "others"] += elements;
}

const elementsOf = ({ sum }) => sum.parameters || sum.others || sum.buffers;

function sumOfSlot(of) {
  if (!of.sum) add((of.sum = nothing()), of.members[0]);
  return of.sum;
}

const canOpen = (of) => (of.kind === 0 ? of.children.length > 0 : of.members.length > 1);

function kidsOf(of, order) {
  let kids = of.kind === 0 ? of.children : of.members.length > 1 ? membersOf(of) : [];
  if (of.kind === 1) kids = kids.filter((each) => wantedSlots[each.members[0]] && (sumOfSlot(each), true));
  kids = kids.filter((each) => each.sum.slots);
  return order ? [...kids].sort(order) : kids;
}

const slotColumns = [
  ...(slots.change ? [{ name: "change", title: "change", text: (of) => valuesOf(of, slots.change).sort().join(", ") }] : []),
  { name: "status", title: "status", of: slots.status },
  { name: "shape", title: "shape", of: slots.shape, isOfSlots: true },
  ...["dtype", "device"].filter((name) => slots[name].values.filter(Boolean).length > 1)
    .map((name) => ({ name, title: name, of: slots[name] })),
  { name: "elements", title: "elements", figure: (of) => elementsOf(of) || of.sum.again, text: elementsText, isRight: true },
  { name: "share", title: "share", figure: (of) => elementsOf(of), text: (of) => (of.sum.parameters ? percent(of.sum.parameters, data.totals) : ""), isRight: true, isBar: true },
  { name: "bytes", title: "bytes", figure: (of) => of.sum.bytes, text: (of) => (of.sum.bytes ? bytes(of.sum.bytes) : ""), isRight: true },
  { name: "fates", title: "fate", text: (of) => letters(valuesOf(of, slots.fates)) },
  ...(data.stepped ? [{ name: "groups", title: "group", text: (of) => [...new Set(valuesOf(of, slots.groups).flatMap((each) => each.split(BETWEEN)))].filter((each) => each && each !== NOT_STEPPED).sort().join(", ") }] : []),
  ...(modules.flops
    ? [
        { name: "output", title: "output", text: (of) => outputOf(of) },
        { name: "flops", title: "FLOPs", figure: (of) => ran(of, "flops"), text: (of) => (ran(of, "flops") ? flops(ran(of, "flops")) : ""), isRight: true },
        { name: "kept", title: "kept", figure: (of) => ran(of, "kept"), text: (of) => (ran(of, "kept") ? bytes(ran(of, "kept")) : ""), isRight: true },
        { name: "reached", title: "reached", of: slots.reached },
      ]
    : []),
  ...(data.kind === "backward" || data.kind === "step"
    ? [
        { name: "grad", title: "grad", of: slots.grad, isOfSlots: true },
        { name: "norm", title: "grad norm", figure: (of) => figures(of, "norm")[1], text: (of) => figuresText(of, "norm"), isRight: true },
      ]
    : []),
  ...(data.kind === "step"
    ? [{ name: "update", title: "update", figure: (of) => figures(of, "update")[1], text: (of) => figuresText(of, "update"), isRight: true }]
    : []),
];

// Parameters, and what there is besides; in parentheses what is counted in an earlier line.
function elementsText(of) {
  const { parameters, others, buffers, again, unknown } = of.sum;
  const elements = elementsOf(of);
  const more = parameters ? others + buffers : others ? buffers : 0;
  if (unknown && !elements) return "unknown";
  if (!elements && again) return `(${count(again)})`;
  return `${more ? `+${count(more)} ` : ""}${count(elements)}${unknown ? " + unknown" : ""}`;
}

// What the modules of a line did; nothing of slots.
const ran = (of, size) => (of.kind === 1 ? 0 : of.members.reduce((sum, module) => sum + weightsOf(size).module[module], 0));

function outputOf(of) {
  if (of.kind === 1) return "";
  const calls = modules.calls[of.members[0]];
  return calls ? modules.output.at(of.members[0]) + (calls > 1 ? ` (${calls} calls)` : "") : "";
}

function figures(of, name) {
  let [low, high] = [Infinity, -Infinity];
  for (const slot of of.kind === 1 ? of.members : slotsOfLine(of)) {
    const figure = slots[name][slot];
    if (!Number.isNaN(figure)) [low, high] = [Math.min(low, figure), Math.max(high, figure)];
  }
  return low <= high ? [low, high] : [NaN, NaN];
}

function figuresText(of, name) {
  const [low, high] = figures(of, name).map((each) => (each === Infinity ? "from zero" : each.toPrecision(3)));
  return low === "NaN" ? "" : low === high ? low : `${low}…${high}`;
}

function* slotsOfLine(of) {
  if (of.kind === 1) {
    for (const slot of of.members) if (wantedSlots[slot]) yield slot;
  } else for (const each of of.children) yield* slotsOfLine(each);
}

// All values that the slots of a line have of a column.
function valuesOf(of, column) {
  const codes = new Set();
  for (const slot of slotsOfLine(of)) if (of.kind === 1 || !EMPTY[slots.status.codes[slot]]) codes.add(column.codes[slot]);
  return [...codes].map((code) => column.values[code]);
}

// What all slots of a line say, `mixed` where they differ.
function common(of, column) {
  const met = valuesOf(of, column);
  return met.length > 1 ? "mixed" : (met[0] ?? "");
}

// What holds of some only is marked by `~`.
function letters(fates) {
  const [first = "", ...others] = fates.filter(Boolean);
  return [...first].map((letter, at) => (others.every((each) => each[at] === letter) ? letter : "~")).join("");
}

function orderOf() {
  const name = state.sort.replace(/^-/, "");
  const of = slotColumns.find((each) => each.name === name);
  const sign = state.sort.startsWith("-") ? -1 : 1;
  if (name === "name") return (one, other) => sign * one.label.localeCompare(other.label, "en", { numeric: true });
  if (!of) return null;
  const known = new Map();
  const key = (each) => {
    if (!known.has(each)) known.set(each, of.figure ? of.figure(each) : of.of ? common(each, of.of) : of.text(each));
    return known.get(each);
  };
  return of.figure
    ? (one, other) => sign * ((key(one) || 0) - (key(other) || 0))
    : (one, other) => sign * String(key(one)).localeCompare(String(key(other)), "en", { numeric: true });
}

// The lines that are listed, in order.
function listed() {
  const lines = linesOf();
  const order = orderOf();
  const roots = lines.filter((each) => !each.parent && each.sum.slots);
  const open = opened(lines, roots);
  const shown = [];
  let left = 0;
  const go = (each) => {
    if (shown.length < MOST) shown.push(each);
    else left += 1;
    if (open.has(each.id)) kidsOf(each, order).forEach(go);
  };
  (order ? [...roots].sort(order) : roots).forEach(go);
  return { shown, left, open };
}

// Lines that are open: those that were opened, and at first, or while something is looked for, as many as are well seen.
function opened(lines, roots) {
  const open = new Set();
  const told = new Set(listOf(state.open));
  let lines_shown = roots.length;
  let level = roots;
  while (level.length) {
    const next = level.filter((each) => each.kind === 0).flatMap((each) => each.children.filter((kid) => kid.sum.slots));
    if (data.depth !== null ? level[0].depth >= data.depth : lines_shown + next.length > (isFiltered() ? 300 : OPEN_AT_FIRST) && level !== roots) break;
    for (const each of level) if (each.kind === 0) open.add(each.id);
    lines_shown += next.length;
    level = next;
  }
  for (const id of told) id.startsWith("-") ? open.delete(id.slice(1)) : open.add(id);
  return open;
}

function toggle(of) {
  tellOpen([of], !current.open.has(of.id));
}

// Opens or shuts lines, whatever is open without that.
function tellOpen(lines, isOpen, changes = {}) {
  const told = new Set(listOf(state.open));
  for (const { id } of lines) {
    told.delete(isOpen ? `-${id}` : id);
    told.add(isOpen ? id : `-${id}`);
  }
  look({ open: [...told].join(","), ...changes });
}

const WIDTHS = { status: 112, shape: 132, elements: 164, output: 220, fates: 72, groups: 110, norm: 136, update: 136, change: 120 };
let table;
let current = { shown: [], left: 0, open: new Set() };
const shownAt = new Map();

function nameCell(cell) {
  const of = cell.getData().of;
  const inside = of.parent && of.label.startsWith(of.parent.label) && of.parent.label ? of.label.slice(of.parent.label.length).replace(/^\./, "") : of.label;
  const kind = of.kind === 0 ? modules.type.at(of.members[0]) : "";
  const wanted = of.members.reduce((sum, each) => sum + (of.kind === 1 ? wantedSlots[each] : wantedModules[each] ? 1 : 0), 0);
  const times = of.members.length > 1 ? ` ×${wanted < of.members.length && isFiltered() ? `${count(wanted)} of ` : ""}${count(of.members.length)}` : "";
  const marks = [];
  const ties = new Set();
  const found = new Set();
  for (const slot of of.kind === 1 ? of.members : []) {
    tiesOf.get(slot)?.forEach((each) => ties.add(each));
    findingsOf.slot.get(slot)?.forEach((each) => found.add(each));
  }
  if (of.kind === 0) for (const module of of.members) findingsOf.module.get(module)?.forEach((each) => found.add(each));
  for (const number of [...ties].slice(0, 2)) {
    marks.push(h("button", { class: "ps-tie", type: "button", tabindex: "-1", title: `${data.sharing[number].kind}: go to the other end`, onclick: (event) => (event.stopPropagation(), otherEnd(number, of)) }, `${data.sharing[number].glyph}${number + 1}`));
  }
  for (const number of [...found].slice(0, 2)) {
    const { code, severity } = data.findings[number];
    marks.push(h("button", { class: `ps-mark ps-is-${severity}`, type: "button", tabindex: "-1", title: "go to the finding", onclick: (event) => (event.stopPropagation(), showFinding(number)) }, `!${code}`));
  }
  const twisty = canOpen(of) ? h("span", { class: "ps-twisty", "aria-hidden": "true" }, current.open.has(of.id) ? "▾" : "▸") : h("span", { class: "ps-twisty" });
  return h("span", { class: "ps-name", style: { paddingLeft: `calc(${Math.min(of.depth, 24)} * var(--ps-indent))` }, title: of.label || "the root of the model" },
    twisty, h("span", { class: of.kind === 0 ? "ps-module" : "" }, inside || (of.kind === 0 ? kind : "")), h("span", { class: "ps-times" }, times),
    kind && inside ? h("span", { class: "ps-class" }, ` ${kind}`) : "",
    of.label ? h("button", { class: "ps-copy", type: "button", tabindex: "-1", title: "copy the path", onclick: (event) => (event.stopPropagation(), copy(of.label)) }, "copy") : "", ...marks);
}

function cellOf(column) {
  return (cell) => {
    const of = cell.getData().of;
    if (column.isOfSlots && of.kind === 0) return "";
    const said = column.text ? column.text(of) : common(of, column.of);
    if (!column.isBar) return h("span", column.name === "status" ? { class: `ps-dot ps-${said}` } : {}, said);
    const share = data.totals ? Math.min(100, (100 * of.sum.parameters) / data.totals) : 0;
    return h("span", { class: "ps-share", style: { backgroundSize: `${share}% 100%` } }, said);
  };
}

function heading(name, title) {
  return () => h("button", { type: "button", class: "ps-sort", "data-sort": name, title: `sort by ${title}` }, title, h("span", { class: "ps-arrow", "aria-hidden": "true" }));
}

function makeTable(place) {
  place.addEventListener("click", (event) => {
    const name = event.target.closest?.("[data-sort]")?.dataset.sort;
    if (!name) return;
    const isFigure = slotColumns.find((each) => each.name === name)?.figure;
    const order = isFigure ? [`-${name}`, name, ""] : [name, `-${name}`, ""];
    look({ sort: order[(order.indexOf(state.sort) + 1) % 3] });
  });
  place.addEventListener("keydown", keys);
  return new Promise((resolve) => {
    table = new Tabulator(place, {
      data: [], index: "id", maxHeight: "70vh", layout: "fitColumns", renderVerticalBuffer: 300, headerSortClickElement: "icon",
      placeholder: "No slot is like that.", keybindings: false, columnDefaults: { headerSort: false, resizable: "header", headerHozAlign: "left" },
      columns: [
        { title: "name", field: "name", frozen: innerWidth > 700, minWidth: innerWidth > 700 ? 320 : 230, formatter: nameCell, titleFormatter: heading("name", "name"), variableHeight: false },
        ...slotColumns.map((each) => ({
          title: each.title, field: each.name, width: WIDTHS[each.name] ?? 96, formatter: cellOf(each), titleFormatter: heading(each.name, each.title), hozAlign: each.isRight ? "right" : "left", headerHozAlign: each.isRight ? "right" : "left",
        })),
      ],
      rowFormatter(row) {
        const element = row.getElement();
        const { of } = row.getData();
        element.setAttribute("role", "row");
        element.dataset.line = of.id;
        element.setAttribute("aria-level", of.depth + 1);
        element.setAttribute("aria-rowindex", shownAt.get(of.id) + 2);
        mark(element);
        if (canOpen(of)) element.setAttribute("aria-expanded", current.open.has(of.id));
      },
    });
    table.on("rowClick", (event, row) => {
      const { of } = row.getData();
      if (canOpen(of)) toggle(of);
      look({ row: of.id });
    });
    keepFocus(place);
    table.on("tableBuilt", () => {
      place.setAttribute("role", "treegrid");
      place.querySelector(".tabulator-tableholder").tabIndex = -1;
      resolve();
    });
  });
}

// Of the drawn rows the chosen one, and the one that the tab key leads to.
function mark(element) {
  const isChosen = element.dataset.line === state.row;
  element.classList.toggle("ps-chosen", isChosen);
  element.setAttribute("aria-selected", isChosen);
  element.tabIndex = element.dataset.line === (shownAt.has(state.row) ? state.row : current.shown[0]?.id) ? 0 : -1;
}

function markRows() {
  const drawn = [...document.querySelectorAll("#ps-table .tabulator-row")];
  drawn.forEach(mark);
  if (drawn.length && !drawn.some((each) => each.tabIndex === 0)) drawn[0].tabIndex = 0; // that one is not in sight
}

function fillTable() {
  current = listed();
  shownAt.clear();
  current.shown.forEach((each, at) => shownAt.set(each.id, at));
  document.getElementById("ps-table").setAttribute("aria-rowcount", current.shown.length + current.left + 1);
  return table.replaceData(current.shown.map((of) => ({ id: of.id, of })));
}

// The line that has the focus keeps it when its row is drawn anew.
let focused;
function keepFocus(place) {
  place.addEventListener("focusin", (event) => (focused = event.target.closest(".tabulator-row")?.dataset.line));
  place.addEventListener("focusout", (event) => event.relatedTarget && (focused = undefined));
  addEventListener("pointerdown", () => (focused = undefined));
  table.on("scrollVertical", () => requestAnimationFrame(markRows));
  table.on("renderComplete", () => {
    markRows();
    if (shownAt.has(focused) && document.activeElement === document.body) table.getRow(focused)?.getElement().focus({ preventScroll: true });
  });
}

function keys(event) {
  const element = event.target.closest?.(".tabulator-row");
  if (!element || event.target.closest("button") || event.ctrlKey || event.metaKey || event.altKey) return;
  const of = table.getRow(element)?.getData().of;
  const at = shownAt.get(of?.id);
  if (at === undefined) return;
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: current.shown.length - 1, PageDown: at + 12, PageUp: at - 12 }[event.key];
  if (to !== undefined) focusRow(current.shown[Math.max(0, Math.min(current.shown.length - 1, to))]);
  else if (event.key === "ArrowRight") current.open.has(of.id) || !canOpen(of) ? focusRow(current.shown[Math.min(at + 1, current.shown.length - 1)]) : toggle(of);
  else if (event.key === "ArrowLeft") current.open.has(of.id) ? toggle(of) : of.parent && focusRow(of.parent);
  else if (event.key === "Enter" || event.key === " ") canOpen(of) ? toggle(of) : look({ row: of.id });
  else if (event.key === "c") copy(of.label);
  else if (event.key === "t") element.querySelector(".ps-tie")?.click();
  else if (event.key === "f") element.querySelector(".ps-mark")?.click();
  else return;
  event.preventDefault();
}

// Shows a line that is listed.
async function goTo(id, where) {
  if (shownAt.has(id)) await table.scrollToRow(id, where, false).catch(() => undefined); // it may be gone by now
}

async function focusRow(of) {
  look({ row: of.id });
  await goTo(of.id, "nearest");
  const element = table.getRow(of.id)?.getElement();
  for (let turn = 0; element && !element.isConnected && turn < 30; turn += 1) await new Promise(requestAnimationFrame); // drawn once it is scrolled to
  element?.focus({ preventScroll: true });
}

// Opens what a slot or a module lies in, and goes there.
async function reveal({ slot, module }) {
  const target = slot !== undefined ? lineOfSlot(slot) : lineOfModule(module);
  if (!target) return;
  if (slot !== undefined ? !wantedSlots[slot] : !target.sum.slots) look(Object.fromEntries(FILTERS.map((name) => [name, ""])));
  const above = [];
  for (let at = target.parent; at; at = at.parent) above.push(at);
  tellOpen(above.filter((each) => !current.open.has(each.id)), true, { row: target.id });
  await ready;
  document.getElementById("ps-table").scrollIntoView({ block: "nearest" });
  await goTo(target.id, "center");
}

function lineOfSlot(slot) {
  const within = linesOf().find((each) => each.kind === 1 && each.members.includes(slot));
  return within && within.members.length > 1 ? membersOf(within).find((each) => each.members[0] === slot) : within;
}

const lineOfModule = (module) => linesOf().find((each) => each.kind === 0 && each.members.includes(module));

function otherEnd(number, of) {
  const { slots: ends } = data.sharing[number];
  const held = new Set(of.members);
  const last = ends.findLastIndex((slot) => held.has(slot));
  const next = [...ends.slice(last + 1), ...ends].find((slot) => !held.has(slot));
  reveal({ slot: next ?? ends.find((slot) => `s${slot}` !== state.row) }); // of a line that holds both, one by itself
}

function copy(words) {
  if (!words) return say("the root has no path");
  const told = () => say(`copied ${words}`);
  const field = h("textarea", { style: { position: "fixed", opacity: "0" } });
  const byHand = () => { // where a page has no clipboard of its own, as one that is opened from a file
    const before = document.activeElement;
    field.value = words;
    document.body.append(field);
    field.select();
    document.execCommand("copy") ? told() : say(words);
    field.remove();
    before?.focus({ preventScroll: true });
  };
  navigator.clipboard ? navigator.clipboard.writeText(words).then(told, byHand) : byHand();
}
