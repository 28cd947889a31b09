// What is looked at, as the address tells it: whoever is sent the address sees the same.
"use strict";
const DEFAULTS = {
  root: "", chart: "treemap", size: "elements", color: "status", // the map
  q: "", status: "", role: "", dtype: "", has: "", group: "", sort: "", open: "", fold: "1", row: "", // the table
  theme: "",
};
const BEGIN = { ...DEFAULTS, ...data.start };
const FILTERS = ["q", "status", "role", "dtype", "has", "group"];
const listeners = [];
let state = fromAddress();

function fromAddress() {
  const given = new URLSearchParams(location.hash.slice(1));
  const found = { ...BEGIN };
  for (const name of Object.keys(DEFAULTS)) if (given.has(name)) found[name] = given.get(name);
  return found;
}

function toAddress() {
  const told = Object.entries(state).filter(([name, value]) => value !== BEGIN[name]);
  return `#${new URLSearchParams(told)}`;
}

// Changes what is looked at. isStep: whether the browser's way back leads to what was.
function look(changes, { isStep = false } = {}) {
  const before = state;
  state = { ...state, ...changes };
  if (FILTERS.some((name) => name in changes)) { // what was shut may hold what is looked for now
    state.open = listOf(state.open).filter((id) => !id.startsWith("-")).join(",");
  }
  tellAddress(isStep && state.root !== before.root ? "pushState" : "replaceState");
  tell(before);
}

function tellAddress(how) {
  try {
    history[how]({ isOurs: true }, "", toAddress());
  } catch {
    // A page within a page may have no address of its own: it is seen all the same.
  }
}

function tell(before) {
  const changed = new Set(Object.keys(DEFAULTS).filter((name) => before[name] !== state[name]));
  if (changed.size) listeners.forEach((each) => each(changed));
}

// The way back leads out of a module, and leaves alone what was looked for since; an address that somebody wrote is whole.
addEventListener("popstate", (event) => {
  const before = state;
  state = event.state?.isOurs ? { ...state, root: fromAddress().root } : fromAddress();
  tellAddress("replaceState");
  tell(before);
});

const EMPTY = slots.status.values.map((each) => each === "empty");

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

const BETWEEN = "\u001f"; // groups of one slot
const NO_GROUP = "in no group";
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
  const listsEmpty = state.fold === "0" || named.includes("empty");
  const shown = named.length || listsEmpty ? named : slots.status.values.filter((each) => each !== "empty");
  const statuses = codesOf(slots.status, shown);
  const dtypes = codesOf(slots.dtype, listOf(state.dtype));
  const roles = codesOf(slots.role, listOf(state.role));
  const has = listOf(state.has).map((name) => (Object.hasOwn(HAS, name) ? HAS[name] : () => false));
  const groups = state.group ? slots.groups.values.map((each) => (state.group === NO_GROUP ? !each : each.split(BETWEEN).includes(state.group))) : null;
  let [found, whole] = [0, 0];
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
    whole += !EMPTY[slots.status.codes[slot]] || listsEmpty;
  }
  return [found, whole];
}

function codesOf(of, names) {
  return names.length ? new Set(names.map((name) => of.values.indexOf(name))) : null;
}
