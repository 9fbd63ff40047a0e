// The admin's list of runs: the search box is completed, and Escape or a click elsewhere closes the forms above the list.

import { Suggestions } from "./suggestions.js";

const input = document.getElementById("searchbar");
const tools = document.getElementById("list-tools");
if (input && tools) new Suggestions(input, tools.dataset.suggestions);

function close(outsideOf) {
  for (const form of document.querySelectorAll(".tool[open]")) {
    if (form.contains(outsideOf)) continue;
    if (form.contains(document.activeElement)) form.querySelector("summary").focus();
    form.open = false;
  }
}
document.addEventListener("keydown", (event) => event.key === "Escape" && close(null));
document.addEventListener("pointerdown", (event) => close(event.target));
