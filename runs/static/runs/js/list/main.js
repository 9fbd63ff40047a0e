// The admin's list of runs: its search box is completed, its rows follow what happens, its durations are drawn. Escape or a click elsewhere closes the forms above the list.

import { Durations } from "./durations.js";
import { Live } from "./live.js";
import { Suggestions } from "./suggestions.js";

const found = (id) => document.getElementById(id);
const input = found("searchbar");
const tools = found("list-tools");
if (input && tools) new Suggestions(input, tools.dataset.suggestions);
if (found("live")) new Live(found("live"), found("result_list"));
if (found("durations")) new Durations(found("durations"));

function close(outsideOf) {
  for (const form of document.querySelectorAll(".tool[open]")) {
    if (form.contains(outsideOf)) continue;
    if (form.contains(document.activeElement)) form.querySelector("summary").focus();
    form.open = false;
  }
}
document.addEventListener("keydown", (event) => event.key === "Escape" && close(null));
document.addEventListener("pointerdown", (event) => close(event.target));
