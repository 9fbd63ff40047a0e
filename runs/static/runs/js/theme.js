// Runs before the first paint. The key and the attribute are those of the stock admin, so that both go together.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "auto";
} catch {
  // Without storage the system's choice holds.
}
