// What is looked at, as the address tells it: whoever is sent the address sees the same.
"use strict";
const DEFAULTS = {
  root: "", chart: "treemap", size: "elements", color: "status", // the map
  q: "", status: "", role: "", dtype: "", has: "", group: "", sort: "", open: "", fold: "1", row: "", // the table
  theme: "",
};
const FILTERS = ["q", "status", "role", "dtype", "has", "group"];
const listeners = [];
let state = fromAddress();

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const found = { ...DEFAULTS, ...(location.hash.length > 1 ? {} : data.start) };
  for (const name of Object.keys(DEFAULTS)) if (given.has(name)) found[name] = given.get(name);
  return found;
}

function toAddress() {
  const told = Object.entries(state).filter(([name, value]) => value !== DEFAULTS[name]);
  return `#${new URLSearchParams(told)}`;
}

// Changes what is looked at. isStep: whether the browser's way back leads to what was.
function look(changes, { isStep = false } = {}) {
  const before = state;
  state = { ...state, ...changes };
  if (FILTERS.some((name) => name in changes)) { // what was shut may hold what is looked for now
    state.open = listOf(state.open).filter((id) => !id.startsWith("-")).join(",");
  }
  try {
    history[isStep ? "pushState" : "replaceState"](null, "", toAddress());
  } catch {
    // A page within a page may have no address of its own: it is seen all the same.
  }
  tell(before);
}

function tell(before) {
  const changed = new Set(Object.keys(DEFAULTS).filter((name) => before[name] !== state[name]));
  if (changed.size) listeners.forEach((each) => each(changed));
}

addEventListener("popstate", () => {
  const before = state;
  state = fromAddress();
  tell(before);
});

// Slots that the filters leave.
const wantedSlots = new Uint8Array(SLOTS);
const HAS = {
  findings: (slot) => findingsOf.slot.has(slot) || isBelowFound(slots.module[slot]),
  ties: (slot) => tiesOf.has(slot),
  "not stepped": (slot) => slots.status.at(slot) === "trainable" && !slots.groups.at(slot),
  changed: (slot) => slots.change && slots.change.at(slot) !== "unchanged",
  "not reached": (slot) => slots.reached?.at(slot) === "no",
};

function isBelowFound(module) {
  for (let at = module; at >= 0 && parentOf(at) >= 0; at = parentOf(at)) if (findingsOf.module.has(at)) return true;
  return false;
}

const listOf = (words) => (words ? words.split(",") : []);
const isFiltered = () => FILTERS.some((name) => state[name].trim());

let searched; // every path, from the first search on
function pathsFor(words) {
  const isWord = isSubstring(words);
  searched ??= {};
  return (searched[isWord] ??= Array.from(slots.module, (_, slot) => (isWord ? slotPath(slot).toLowerCase() : slotPath(slot))));
}

function filter() {
  const matches = matcher(state.q);
  const paths = matches && pathsFor(state.q);
  // Empty slots are listed where they are asked for, or where every slot is.
  const named = listOf(state.status);
  const shown = named.length || state.fold === "0" ? named : slots.status.values.filter((each) => each !== "empty");
  const statuses = codesOf(slots.status, shown);
  const dtypes = codesOf(slots.dtype, listOf(state.dtype));
  const roles = codesOf(slots.role, listOf(state.role));
  const has = listOf(state.has).map((name) => HAS[name]).filter(Boolean);
  const groups = state.group ? slots.groups.values.map((each) => each.split(" ").includes(state.group)) : null;
  let found = 0;
  for (let slot = 0; slot < SLOTS; slot += 1) {
    const isWanted =
      (!statuses || statuses.has(slots.status.codes[slot])) &&
      (!dtypes || dtypes.has(slots.dtype.codes[slot])) &&
      (!roles || roles.has(slots.role.codes[slot])) &&
      (!groups || groups[slots.groups.codes[slot]]) &&
      has.every((each) => each(slot)) &&
      (!matches || matches(paths[slot]));
    wantedSlots[slot] = isWanted ? 1 : 0;
    found += wantedSlots[slot];
  }
  return found;
}

function codesOf(of, names) {
  return names.length ? new Set(names.map((name) => of.values.indexOf(name))) : null;
}
