// The progress of a bulk action: looks every second, and loads the page again once it is over.

import { setText } from "../parts/dom.js";
import { ask } from "../run/data.js";

/** Milliseconds between two looks; after a failure, up to ten times as many. */
const EVERY = 1000;

const root = document.querySelector("#bulk-progress");
const bar = root.querySelector("progress");
const sentence = root.querySelector("#bulk-sentence");
const note = root.querySelector("#bulk-note");
let failures = 0;

function say(text) {
  note.hidden = !text;
  setText(note, text);
}

async function look() {
  try {
    const found = await ask(new URL(root.dataset.progress, location.href));
    failures = 0;
    if (found.over) return location.reload();
    bar.value = found.handled;
    setText(sentence, found.sentence);
    say(found.note);
  } catch (error) {
    failures += 1;
    say(`The progress is not known now: ${error.message}`);
  }
  setTimeout(look, EVERY * Math.min(10, 2 ** failures));
}

setTimeout(look, EVERY);
