// The admin's list of runs: what is typed into the search box is completed.

import { Suggestions } from "./suggestions.js";

const input = document.getElementById("searchbar");
const tools = document.getElementById("list-tools");
if (input && tools) new Suggestions(input, tools.dataset.suggestions);
