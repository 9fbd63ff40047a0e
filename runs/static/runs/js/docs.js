// The API's document is dark where the site's other pages are: Swagger UI has a class for that.
const dark = matchMedia("(prefers-color-scheme: dark)");
function follow() {
  const root = document.documentElement;
  const { theme } = root.dataset;
  root.classList.toggle("dark-mode", theme === "dark" || (theme !== "light" && dark.matches));
}
dark.addEventListener("change", follow);
follow();
