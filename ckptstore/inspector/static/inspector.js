// What the pages do beyond links and forms: keys, and the completion of a tag's values. Every page works without it.
"use strict";

const rows = () => [...document.querySelectorAll("[data-row]")];
let current = -1;
let awaitsPlace = false;

function select(number) {
  const all = rows();
  if (!all.length) return;
  current = Math.max(0, Math.min(all.length - 1, number));
  all.forEach((row, place) => row.classList.toggle("current", place === current));
  const row = all[current];
  row.querySelector("a").focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
}

function follow(selector) {
  const found = document.querySelector(selector);
  if (found) found.click();
}

const PLACES = { t: "/threads", s: "/space", r: "/retention" };
const ACTIONS = {
  j: () => select(current + 1),
  k: () => select(current - 1),
  n: () => follow("[data-next]"),
  u: () => follow("[data-up]"),
  c: () => follow("[data-compare]"),
  x: () => {
    const box = current >= 0 && rows()[current].querySelector("input[type=checkbox]");
    if (box) box.click();
  },
  g: () => {
    awaitsPlace = true;
  },
  "/": () => {
    const search = document.getElementById("search");
    if (search) search.select();
    else location.href = "/threads";
  },
  "?": () => document.getElementById("keys").showModal(),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input:not([type=checkbox]), select, textarea, dialog")) return;
  const place = awaitsPlace && PLACES[event.key];
  awaitsPlace = false;
  if (place) location.href = place;
  else if (!Object.hasOwn(ACTIONS, event.key)) return;
  else ACTIONS[event.key]();
  event.preventDefault();
});

// --- the values of a tag, as they are typed

const key = document.querySelector("input[name=key]");
const value = document.querySelector("input[name=value]");
const choices = document.getElementById("tag-values");
let asked = "";

async function complete() {
  const query = new URLSearchParams({ key: key.value, typed: value.value });
  if (!key.value || query.toString() === asked) return;
  asked = query.toString();
  const answer = await fetch(`/tag-values?${query}`);
  if (!answer.ok || query.toString() !== asked) return;
  const { values } = await answer.json();
  choices.replaceChildren(...values.map((each) => Object.assign(document.createElement("option"), { value: each })));
}

if (key && value && choices) {
  for (const input of [key, value]) input.addEventListener("input", complete);
  value.addEventListener("focus", complete);
}
